//! Two hosts, or two moments of one: what one has and the other has not.

mod amounts;
mod classes;
mod differences;
mod findings;
mod modules;
mod named;
mod redacted;
mod relation;
mod result;
mod side;
#[cfg(test)]
mod tests;
mod untold;
mod weigh;

pub(crate) use classes::rows;
pub(crate) use relation::{is_generic, of as relation};
pub use result::{
    Amount, Change, ClassChange, Comparison, DIFF_SCHEMA, Difference, FindingChange, NamedBy,
    NamedChange, Relation, Relative, Shared, Side, Telling, Untold, Which,
};
pub(crate) use side::is_counters;
pub(crate) use untold::classes as untold_classes;
pub(crate) use weigh::least;

use amounts::Scale;
use pagehound_model::Report;
use redacted::Mask;

/// What differs between the hosts, or moments, of `a` and `b`.
pub fn compare(a: &Report, b: &Report) -> Comparison {
    let relation = relation::of(a, b);
    let scale = Scale::of(a, b, relation);
    let mut notes = Vec::new();
    let mask = Mask::of(a, b, &mut notes);
    let untold = untold::of(a, b, &mut notes);
    let findings = findings::changes(a, b, mask, &scale, &mut notes);
    let blamed = findings::blamed(a, b, &findings);
    let (differences, shared) = differences::of(a, b, &blamed, &mut notes);
    let comparison = Comparison {
        schema: DIFF_SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        matters: false,
        relation,
        a: side::of(a),
        b: side::of(b),
        differences,
        shared,
        rebuilt_modules: modules::rebuilt(a, b),
        findings,
        classes: classes::changes(a, b, &untold, &scale, &mut notes),
        untold,
        holders: named::holders(a, b, &scale),
        heap: named::heap(a, b, &scale),
        cgroups: named::cgroups(a, b, mask, &scale),
        notes: Vec::new(),
    };
    notes.extend(side::doubts(a, b));
    notes.extend(relation.too_near());
    Comparison {
        matters: comparison.weigh(),
        notes,
        ..comparison
    }
}

//! Losses, by what they have in common on all hosts.

use super::amounts::{Scale, by_change};
use super::redacted::Mask;
use super::result::{FindingChange, NamedBy, Which};
use super::side::is_counters;
use pagehound_model::{Content, Finding, Reach, Report, State};
use std::collections::{BTreeMap, BTreeSet};

/// Findings by their kind.
type Kinds<'a> = BTreeMap<String, Vec<&'a Finding>>;

/// Lost, suspect and undecided pages by kind; what is held is told by who has it.
fn kinds(report: &Report, mask: Mask) -> Kinds<'_> {
    let mut kinds = Kinds::new();
    let told = report.findings.iter();
    for finding in told.filter(|finding| finding.verdict != State::Held) {
        kinds.entry(mask.kind(finding)).or_default().push(finding);
    }
    kinds
}

/// Kinds whose amount or state differs, the largest change first; none where one of
/// the two has no findings to compare.
pub(super) fn changes(
    a: &Report,
    b: &Report,
    mask: Mask,
    scale: &Scale,
    notes: &mut Vec<String>,
) -> Vec<FindingChange> {
    if is_counters(a) || is_counters(b) {
        return Vec::new();
    }
    if a.sample.is_some() != b.sample.is_some() {
        notes.push(
            "one is a sample (--quick) and the other is not: a sample cannot tell lost pages from \
             held ones, so findings are not held against each other"
                .to_owned(),
        );
        return Vec::new();
    }
    let (in_a, in_b) = (kinds(a, mask), kinds(b, mask));
    let all: BTreeSet<&String> = in_a.keys().chain(in_b.keys()).collect();
    let changes = all.into_iter().map(|kind| {
        let [a, b] = [in_a.get(kind), in_b.get(kind)].map(|of| of.map_or(&[][..], Vec::as_slice));
        change(kind, [a, b], scale)
    });
    let mut changes: Vec<FindingChange> = changes
        .filter(|of| of.change.tells() || of.a_state != of.b_state)
        .collect();
    changes.sort_by(|one, other| by_change(&one.change, &other.change));
    changes
}

fn change(kind: &str, [a, b]: [&[&Finding]; 2], scale: &Scale) -> FindingChange {
    let ids = |of: &[&Finding]| of.iter().map(|finding| finding.id).collect();
    // The worst comes first.
    let state = |of: &[&Finding]| of.iter().map(|finding| finding.verdict).min();
    let amount = |which, of: &[&Finding]| {
        let parts = of.iter().map(|finding| (finding.pages, finding.estimate));
        (!of.is_empty()).then(|| scale.pages(which, parts))
    };
    let both = || a.iter().chain(b);
    let names: BTreeSet<&str> = both().flat_map(|finding| names(finding)).collect();
    FindingChange {
        kind: kind.to_owned(),
        content: both().next().map_or(Content::Mixed, |of| of.content),
        names: names.into_iter().map(str::to_owned).collect(),
        a_state: state(a),
        b_state: state(b),
        a_findings: ids(a),
        b_findings: ids(b),
        change: scale.change(amount(Which::A, a), amount(Which::B, b)),
    }
}

/// Drivers and modules that a finding names: by its content, by its holders, and by
/// the kernel's records of who allocated it.
fn names(finding: &Finding) -> BTreeSet<&str> {
    let owners = finding.owners.iter();
    let owners = owners.flat_map(|owner| [owner.driver.as_deref(), owner.module.as_deref()]);
    let holders = finding.holders.iter().map(|of| of.module.as_deref());
    let allocators = finding.allocators.iter().map(|of| of.module.as_deref());
    owners.chain(holders).chain(allocators).flatten().collect()
}

/// Drivers and modules that losses name which only one of the two has, with whose
/// findings these are.
pub(super) fn blamed(
    a: &Report,
    b: &Report,
    changes: &[FindingChange],
) -> BTreeMap<String, NamedBy> {
    let mut blamed = BTreeMap::new();
    for (of, report) in [(Which::A, a), (Which::B, b)] {
        for change in changes {
            let (own, other, ids) = match of {
                Which::A => (change.a_state, change.b_state, &change.a_findings),
                Which::B => (change.b_state, change.a_state, &change.b_findings),
            };
            if !is_loss(own) || is_loss(other) {
                continue;
            }
            let findings = report.findings.iter();
            let lost = findings.filter(|of| ids.contains(&of.id) && is_lost(of));
            for finding in lost {
                for name in names(finding) {
                    let by = blamed.entry(name.to_owned()).or_insert(NamedBy {
                        of,
                        findings: Vec::new(),
                    });
                    // What both lose, each in its own way, explains neither.
                    if by.of == of && !by.findings.contains(&finding.id) {
                        by.findings.push(finding.id);
                    }
                }
            }
        }
    }
    blamed
}

/// Pages that hold the same as lost ones, but that something refers to, are in a
/// ring or on a stack.
fn is_lost(finding: &Finding) -> bool {
    is_loss(Some(finding.verdict)) && finding.reach != Reach::Referenced
}

fn is_loss(state: Option<State>) -> bool {
    matches!(state, Some(State::Lost | State::Suspect))
}

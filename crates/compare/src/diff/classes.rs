//! Classes of the ledger.

use super::amounts::{Scale, by_change};
use super::result::{ClassChange, Untold, Which};
use super::side::is_counters;
use pagehound_model::{COUNTED_APART, LedgerRow, OUTSIDE_MEM_TOTAL, Report, UNACCOUNTED};
use std::collections::{BTreeMap, BTreeSet};

/// Classes of the ledger whose pages differ.
pub(super) fn changes(
    a: &Report,
    b: &Report,
    untold: &[Untold],
    scale: &Scale,
    notes: &mut Vec<String>,
) -> Vec<ClassChange> {
    let merge = is_counters(a) != is_counters(b);
    if merge {
        notes.push(
            "one is of counters, the other of pages: classes that only one of them tells apart \
             differ for that reason alone"
                .to_owned(),
        );
    }
    let untold = untold.iter().map(|of| of.class.clone()).collect();
    let rows = |report| rows(report, merge, &untold);
    let (in_a, in_b) = (rows(a), rows(b));
    let all: BTreeSet<&String> = in_a.keys().chain(in_b.keys()).collect();
    let none = Vec::new();
    let changes = all.into_iter().map(|class| {
        let amount = |which, rows: &Rows<'_>| {
            let rows = rows.get(class)?;
            let parts = rows.iter().map(|row| (row.pages, row.estimate));
            Some(scale.pages(which, parts))
        };
        let counted = |which, rows: &Rows<'_>| {
            let rows = rows.get(class).unwrap_or(&none).iter();
            let pages: Option<Vec<u64>> = rows
                .map(|row| row.counter.as_ref().map(|counter| counter.pages))
                .collect();
            let pages = pages.filter(|pages| !pages.is_empty())?;
            let parts = pages.into_iter().map(|pages| (pages, None));
            Some(scale.pages(which, parts))
        };
        let counters = counted(Which::A, &in_a).zip(counted(Which::B, &in_b));
        let mut change = scale.change(amount(Which::A, &in_a), amount(Which::B, &in_b));
        if OUTSIDE_MEM_TOTAL.contains(&class.as_str()) {
            change = change.without_shares();
        }
        ClassChange {
            class: class.clone(),
            counter_bytes: counters.map(|(a, b)| scale.change(Some(a), Some(b)).bytes),
            change,
        }
    });
    let mut changes: Vec<ClassChange> = changes.filter(|of| of.change.tells()).collect();
    changes.sort_by(|one, other| by_change(&one.change, &other.change));
    changes
}

/// Rows by class.
pub(crate) type Rows<'a> = BTreeMap<String, Vec<&'a LedgerRow>>;

/// By class, of which `untold` are raw, as they are where they are not told. `merge`
/// where one is of counters and another of pages.
pub(crate) fn rows<'a>(report: &'a Report, merge: bool, untold: &BTreeSet<String>) -> Rows<'a> {
    let mut rows = Rows::new();
    for row in &report.ledger {
        let class = if untold.contains(&row.class) {
            UNACCOUNTED[0]
        } else if merge {
            common(&row.class)
        } else {
            &row.class
        };
        rows.entry(class.to_owned()).or_default().push(row);
    }
    rows
}

/// The class that counters and dumps have in common: not all counters tell what is on
/// the lists of CPUs.
fn common(class: &str) -> &str {
    if class == "free_pcp" {
        return "free";
    }
    let apart = COUNTED_APART.iter().find(|(of, _)| *of == class);
    apart.map_or(class, |(_, of)| of)
}

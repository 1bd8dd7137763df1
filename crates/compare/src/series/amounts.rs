//! Amounts of several reports, each by the same names.

use super::Sort;
use crate::diff::{is_counters, rows, untold_classes};
use pagehound_model::{OUTSIDE_MEM_TOTAL, Report, State};
use std::collections::{BTreeMap, BTreeSet};

/// An amount at each moment.
pub(super) struct Amounts {
    pub(super) sort: Sort,
    pub(super) name: String,
    pub(super) within: Option<String>,
    pub(super) bytes: Vec<Option<u64>>,
}

impl Amounts {
    /// Whether it is not the same at all moments that tell it.
    pub(super) fn differ(&self) -> bool {
        let mut told = self.bytes.iter().flatten();
        let first = told.next();
        told.any(|bytes| Some(bytes) != first)
    }
}

/// A sum by what it is called.
type Sums = BTreeMap<(String, Option<String>), u64>;

/// Everything that one of `reports` tells an amount of.
pub(super) fn amounts(reports: &[&Report], notes: &mut Vec<String>) -> Vec<Amounts> {
    let untold = untold_classes(reports);
    if !untold.is_empty() {
        let classes: Vec<String> = untold.iter().map(|class| class.replace('_', " ")).collect();
        notes.push(format!(
            "not all tell {}: there it is among the raw pages, and so counted as raw at all moments",
            classes.join(", ")
        ));
    }
    let counters = reports.iter().filter(|report| is_counters(report)).count();
    let mixed = counters != 0 && counters != reports.len();
    if mixed {
        notes.push(
            "some are of counters, others of pages: classes that only one of them tells apart are added up, \
             and losses are not compared"
                .to_owned(),
        );
    }
    let classes = reports
        .iter()
        .map(|report| Some(classes(report, mixed, &untold)));
    let mut all = by_name(Sort::Class, &classes.collect::<Vec<_>>(), Some(0));
    // A part below the largest of its kind is not told, which is not nothing.
    let parts = reports.iter().map(|report| Some(parts(report)));
    all.extend(by_name(Sort::Part, &parts.collect::<Vec<_>>(), None));
    // Samples and counters tell no losses.
    let tells = |report: &Report| !is_counters(report) && report.sample.is_none();
    let findings = reports
        .iter()
        .map(|report| tells(report).then(|| findings(report)));
    all.extend(by_name(
        Sort::Finding,
        &findings.collect::<Vec<_>>(),
        Some(0),
    ));
    if reports.iter().any(|report| report.sample.is_some()) {
        notes.push(
            "answers of --quick are estimates, of which the bounds are not counted here".to_owned(),
        );
    }
    all
}

/// The sums of each name; `absent` where a report that tells such has none.
fn by_name(sort: Sort, sums: &[Option<Sums>], absent: Option<u64>) -> Vec<Amounts> {
    let names: BTreeSet<_> = sums
        .iter()
        .flatten()
        .flat_map(|sums| sums.keys().cloned())
        .collect();
    let amounts = names.into_iter().map(|key| {
        let bytes = sums
            .iter()
            .map(|sums| sums.as_ref()?.get(&key).copied().or(absent));
        let bytes = bytes.collect();
        let (name, within) = key;
        Amounts {
            sort,
            name,
            within,
            bytes,
        }
    });
    amounts.collect()
}

fn classes(report: &Report, mixed: bool, untold: &BTreeSet<String>) -> Sums {
    let rows = rows(report, mixed, untold).into_iter();
    let rows = rows.filter(|(class, _)| !OUTSIDE_MEM_TOTAL.contains(&class.as_str()));
    rows.map(|(class, rows)| {
        let bytes = rows
            .iter()
            .fold(0u64, |sum, row| sum.saturating_add(row.bytes));
        ((class, None), bytes)
    })
    .collect()
}

fn parts(report: &Report) -> Sums {
    let mut sums = Sums::new();
    for part in &report.explained {
        let name = match &part.owner {
            Some(owner) => format!("{} ({owner})", part.name),
            None => part.name.clone(),
        };
        let sum = sums.entry((name, Some(part.class.clone()))).or_default();
        *sum = sum.saturating_add(part.bytes);
    }
    sums
}

fn findings(report: &Report) -> Sums {
    let mut sums = Sums::new();
    let told = report
        .findings
        .iter()
        .filter(|finding| finding.verdict != State::Held);
    for finding in told {
        let sum = sums.entry((finding.kind(), None)).or_default();
        let bytes = finding.pages.saturating_mul(report.target.page_size);
        *sum = sum.saturating_add(bytes);
    }
    sums
}

//! Classes that one host's files do not tell, and the other's do.

use super::result::{Untold, Which};
use super::side::is_counters;
use pagehound_model::{LedgerRow, Report};
use std::collections::BTreeSet;

/// Free pages on per-CPU lists, as counters and as pages call them.
const PER_CPU: [&str; 2] = ["free_on_per_cpu_lists", "free_pcp"];

/// The file that is always there; what it does not tell is nothing.
const ALWAYS: &str = "meminfo ";

/// Classes that only one of the two tells, because the other's source is a file that
/// was not given. There they are among the raw pages.
pub(super) fn of(a: &Report, b: &Report, notes: &mut Vec<String>) -> Vec<Untold> {
    let mut untold = Vec::new();
    for (which, name, silent, telling) in [(Which::A, "A", a, b), (Which::B, "B", b, a)] {
        let of = telling
            .ledger
            .iter()
            .filter(|row| lacks(silent, telling, row));
        let of: Vec<&LedgerRow> = of.collect();
        if of.is_empty() {
            continue;
        }
        let classes: Vec<String> = of.iter().map(|row| described(row)).collect();
        notes.push(format!(
            "{name} does not tell {}: they are among its raw pages, and so those of the other are \
             counted as raw here",
            classes.join(", ")
        ));
        untold.extend(of.into_iter().map(|row| Untold {
            class: row.class.clone(),
            not_told_by: which,
            bytes: row.bytes,
        }));
    }
    untold
}

/// Classes that not all of `reports` tell, because a file was not given. Where one does
/// not, they are among its raw pages.
pub(crate) fn classes(reports: &[&Report]) -> BTreeSet<String> {
    let mut untold = BTreeSet::new();
    for telling in reports {
        for row in &telling.ledger {
            let silent = |of: &&Report| lacks(of, telling, row);
            if !untold.contains(&row.class) && reports.iter().any(silent) {
                untold.insert(row.class.clone());
            }
        }
    }
    untold
}

/// Whether the counters of `silent` were read without the file that `row` is from.
fn lacks(silent: &Report, telling: &Report, row: &LedgerRow) -> bool {
    let has = |class: &str| silent.ledger.iter().any(|row| row.class == class);
    if !is_counters(silent) || row.pages == 0 {
        return false;
    }
    if PER_CPU.contains(&row.class.as_str()) {
        return !PER_CPU.into_iter().any(has);
    }
    let source = row.counter.as_ref().map(|counter| counter.name.as_str());
    let of_file = source.is_some_and(|source| !source.starts_with(ALWAYS));
    is_counters(telling) && of_file && !has(&row.class)
}

/// `free on per cpu lists (zoneinfo pagesets, sum of count)`.
fn described(row: &LedgerRow) -> String {
    let class = row.class.replace('_', " ");
    match &row.counter {
        Some(counter) => format!("{class} ({})", counter.name),
        None => class,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare;
    use crate::testing::healthy;
    use pagehound_model::{Counter, Verdict};

    /// A host of counters with 1,000 pages on per-CPU lists, and the same without the
    /// file that tells them.
    fn pair() -> (Report, Report) {
        let mut live = healthy();
        live.target.format = "live".into();
        live.verdict = Verdict::Incomplete;
        live.ledger.retain(|row| row.class != PER_CPU[1]);
        let mut saved = live.clone();
        let mut per_cpu = live.ledger[0].clone();
        per_cpu.class = PER_CPU[0].into();
        (per_cpu.pages, per_cpu.bytes) = (1000, 1000 * 4096);
        per_cpu.counter = Some(Counter {
            name: "zoneinfo pagesets, sum of count".into(),
            pages: 1000,
        });
        live.ledger.push(per_cpu);
        let mut rows = saved.ledger.iter_mut();
        let raw = rows.find(|row| row.class == "raw").unwrap();
        raw.pages += 1000;
        raw.bytes += 1000 * 4096;
        saved.unaccounted.pages += 1000;
        saved.unaccounted.bytes += 1000 * 4096;
        (saved, live)
    }

    #[test]
    fn a_file_that_was_not_given_is_no_difference() {
        let (saved, live) = pair();
        let found = compare(&saved, &live);
        assert!(found.is_equal(), "{:?}", found.classes);
        let [a, b] = found.unaccounted();
        assert_eq!((a, b), (saved.unaccounted.bytes, saved.unaccounted.bytes));
        assert_eq!(found.untold[0].not_told_by, Which::A);
        let note = "A does not tell free on per cpu lists (zoneinfo pagesets";
        let mut notes = found.notes.iter();
        assert!(notes.any(|of| of.starts_with(note)), "{:?}", found.notes);
        let found = compare(&live, &saved);
        assert!(found.is_equal(), "{:?}", found.classes);
        assert_eq!(found.untold[0].not_told_by, Which::B);
        // Two that tell it are compared by it.
        let mut fewer = live.clone();
        fewer.ledger.last_mut().unwrap().pages = 1;
        let found = compare(&live, &fewer);
        assert_eq!(found.classes[0].class, PER_CPU[0]);
        assert!(found.untold.is_empty());
    }

    #[test]
    fn pages_tell_it_too() {
        let (saved, _) = pair();
        let mut dump = healthy();
        dump.ledger.retain(|row| row.class != PER_CPU[1]);
        let mut per_cpu = dump.ledger[0].clone();
        per_cpu.class = PER_CPU[1].into();
        (per_cpu.pages, per_cpu.bytes) = (1000, 1000 * 4096);
        per_cpu.counter = None;
        dump.ledger.push(per_cpu);
        let found = compare(&dump, &saved);
        assert!(found.classes.is_empty(), "{:?}", found.classes);
        assert_eq!(found.untold[0].class, PER_CPU[1]);
    }
}

//! What the two computations make of real hosts, of kernels of other times, and of
//! nonsense.

#[cfg(feature = "corpus")]
mod corpus;
mod eras;
mod parts;
mod properties;

use super::{Bound, Classic, HostFiles, HostLedger, Note, classic, ledger};

/// A host of which only the meminfo is known.
fn of_meminfo(text: &str) -> HostFiles {
    HostFiles {
        origin: "test".to_owned(),
        meminfo: text.as_bytes().to_vec(),
        ..HostFiles::default()
    }
}

/// What must hold whatever the input: the rows add up, and the two computations agree.
fn consistent(files: &HostFiles) -> (Classic, HostLedger) {
    let classic = classic(files).unwrap();
    let ledger = ledger(files).unwrap();
    assert_eq!(
        ledger.rows.iter().map(|row| row.bytes).sum::<i64>(),
        ledger.total_bytes
    );
    let last = ledger.rows.last().unwrap();
    assert_eq!(
        (last.name, last.bytes),
        ("unaccounted", ledger.unaccounted_bytes)
    );
    for part in &ledger.parts {
        let rows = ledger.rows.iter();
        let rows = rows.filter(|row| row.name.starts_with(part.within) && row.bytes > 0);
        let all: i64 = rows.map(|row| row.bytes).sum();
        let counted = ledger.parts.iter().filter(|other| {
            other.within == part.within && (*other == part || other.bound == Bound::Exact)
        });
        let counted: u64 = counted.map(|part| part.bytes).sum();
        assert!(i64::try_from(counted).unwrap() <= all, "{part:?} of {all}");
    }
    if let [first, between @ .., last] = ledger.below.as_slice() {
        let taken: u64 = between.iter().map(|row| row.bytes).sum();
        assert_eq!(first.bytes - taken, last.bytes, "{:?}", ledger.below);
        assert_eq!(i64::try_from(last.bytes).unwrap(), ledger.total_bytes);
    }
    let missed: i64 = classic.missed.iter().map(|note| note.kb).sum();
    assert_eq!(classic.unaccounted_kb + missed, classic.corrected_kb);
    assert_eq!(classic.corrected_kb * 1024, ledger.unaccounted_bytes);
    (classic, ledger)
}

/// Bytes of the row `name` in kB.
fn row_kb(ledger: &HostLedger, name: &str) -> i64 {
    let row = ledger.rows.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("no row {name}")).bytes / 1024
}

/// The note `name`, if the formula misses it.
fn missed<'a>(classic: &'a Classic, name: &str) -> Option<&'a Note> {
    classic.missed.iter().find(|note| note.name == name)
}

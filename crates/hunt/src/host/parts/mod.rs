//! What rows consist of, as far as other files tell. A part changes no row and no sum:
//! it lies within its row, and is never more than that.

mod devices;
mod kernel;
mod processes;
mod shared;

use super::facts::Facts;
use super::ledger::{HostRow, UNACCOUNTED};
use super::{HostFiles, MAX_KB};
use serde::Serialize;

/// Both rows of slabs: caches do not tell which of them they are in.
const SLAB: &str = "slab";

/// A part of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is, in words of the kernel's, for example a slab cache.
    pub name: String,
    /// Whose it is, in words of people's: a mount point, a process, a trace instance.
    pub owner: Option<String>,
    /// Bytes; at most those of the row.
    pub bytes: u64,
    /// Name of the row, or `slab` for both that begin so.
    pub within: &'static str,
    /// File and field.
    pub source: String,
    /// How `bytes` is to be taken.
    pub bound: Bound,
}

/// How a number is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// It is counted; exact parts of one row do not overlap.
    Exact,
    /// There may be less: it is a claim, or part of it lies in another row.
    AtMost,
}

impl Part {
    fn exact(within: &'static str, name: impl Into<String>, bytes: u64, source: &str) -> Part {
        Part {
            name: name.into(),
            owner: None,
            bytes,
            within,
            source: source.to_owned(),
            bound: Bound::Exact,
        }
    }

    fn at_most(within: &'static str, name: impl Into<String>, bytes: u64, source: &str) -> Part {
        Part {
            bound: Bound::AtMost,
            ..Part::exact(within, name, bytes, source)
        }
    }

    fn of(self, owner: impl Into<String>) -> Part {
        Part {
            owner: Some(owner.into()),
            ..self
        }
    }
}

/// What there is to tell of the rows.
#[derive(Default)]
struct Found {
    parts: Vec<Part>,
    notes: Vec<String>,
}

/// The parts, in the order of the rows, the largest first and those that are bounds
/// last; and notes.
pub(super) fn parts(
    files: &HostFiles,
    facts: &Facts<'_>,
    rows: &[HostRow],
) -> (Vec<Part>, Vec<String>) {
    let mut found = Found::default();
    kernel::find(files, facts, rows, &mut found);
    shared::find(files, facts, &mut found);
    devices::find(files, facts, &mut found);
    processes::find(files, rows, &mut found);
    let Found { mut parts, notes } = found;
    for part in &mut parts {
        // What a row has that this kernel does not count is in the last one.
        if row_bytes(rows, part.within) == 0 && is_counted_lately(part.within) {
            part.within = UNACCOUNTED;
        }
    }
    let place = |part: &Part| {
        let is_of = |row: &HostRow| row.name.starts_with(part.within);
        rows.iter().rposition(is_of).unwrap_or(rows.len())
    };
    parts.sort_by(|a, b| {
        let key = |part: &Part| (place(part), part.bound == Bound::AtMost);
        key(a).cmp(&key(b)).then(b.bytes.cmp(&a.bytes))
    });
    clamp(&mut parts, rows);
    parts.retain(|part| part.bytes > 0);
    (parts, notes)
}

/// Rows that older kernels do not have, so that their pages are unaccounted there.
fn is_counted_lately(row: &str) -> bool {
    matches!(row, "zsmalloc" | "GPU, in use" | "secondary page tables")
}

/// Bytes of the row `name`, or of all that begin with it.
fn row_bytes(rows: &[HostRow], name: &str) -> u64 {
    let rows = rows.iter().filter(|row| row.name.starts_with(name));
    let bytes = rows.map(|row| u64::try_from(row.bytes).unwrap_or(0));
    bytes.fold(0, u64::saturating_add)
}

/// Files are read one after the other, and counters lag behind each other: no part is
/// more than its row, nor are the exact ones together; a bound is no more than they leave.
fn clamp(parts: &mut [Part], rows: &[HostRow]) {
    let mut row = ("", 0);
    for part in parts {
        if row.0 != part.within {
            row = (part.within, row_bytes(rows, part.within));
        }
        part.bytes = part.bytes.min(row.1);
        if part.bound == Bound::Exact {
            row.1 -= part.bytes;
        }
    }
}

/// Bytes of `pages`, at most what is believed.
fn pages_bytes(facts: &Facts<'_>, pages: u64) -> u64 {
    u64::try_from(facts.pages_kb(pages)).unwrap_or(0) * 1024
}

/// Bytes that are believed.
fn believed(bytes: u64) -> u64 {
    if bytes / 1024 <= MAX_KB { bytes } else { 0 }
}

/// The `most` largest of `all`, and the sum of the rest.
fn largest(mut all: Vec<(String, u64)>, most: usize) -> (Vec<(String, u64)>, u64) {
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let rest = all.split_off(most.min(all.len()));
    let rest = rest.iter().map(|(_, bytes)| *bytes);
    (all, rest.fold(0, u64::saturating_add))
}

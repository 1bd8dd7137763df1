//! The host's memory as a table that adds up.

use super::allocations::{HostAllocation, allocations};
use super::facts::Facts;
use super::terms::{detached_kb, terms, unaccounted_kb};
use super::{HostError, HostFiles};
use serde::Serialize;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// What it is, for example `slab, reclaimable`.
    pub name: &'static str,
    /// Bytes; negative only where counters contradict each other.
    pub bytes: i64,
    /// File and field, for example `meminfo AnonPages`.
    pub source: String,
    /// What overlaps, and how that was settled.
    pub note: Option<String>,
}

/// All of MemTotal. Rows may be 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostLedger {
    /// The rows; their bytes add up to `total_bytes`. The last one is `unaccounted`.
    pub rows: Vec<HostRow>,
    /// MemTotal.
    pub total_bytes: i64,
    /// The last row's bytes: memory no counter shows. Negative where counters lag behind
    /// each other or count something twice.
    pub unaccounted_bytes: i64,
    /// Bytes in a page.
    pub page_size: u64,
    /// How the page size is known.
    pub page_size_source: &'static str,
    /// The functions that have allocated most, where the kernel keeps records. Not
    /// parts of the rows: records are of all memory, accounted for or not.
    pub allocations: Vec<HostAllocation>,
    /// What limits the table, and figures that are no rows.
    pub notes: Vec<String>,
}

/// Makes the table.
///
/// # Errors
/// There is no meminfo, or it lacks what nothing can be said without.
pub fn ledger(files: &HostFiles) -> Result<HostLedger, HostError> {
    let facts = Facts::new(files)?;
    let (terms, term_notes) = terms(&facts);
    let unaccounted_bytes = unaccounted_kb(&facts, &terms) * 1024;
    let mut rows: Vec<_> = terms
        .into_iter()
        .map(|term| HostRow {
            name: term.name,
            bytes: term.kb * 1024,
            source: term.source,
            note: term.note,
        })
        .collect();
    rows.push(HostRow {
        name: "unaccounted",
        bytes: unaccounted_bytes,
        source: "meminfo MemTotal - the rows above".to_owned(),
        note: Some(
            "what drivers and the kernel took page by page, and what was lost: no counter has it"
                .to_owned(),
        ),
    });
    let detached = detached_kb(&facts);
    let mut notes: Vec<_> = facts.notes.into_iter().chain(term_notes).collect();
    if let Some(kb) = detached {
        notes.push(format!(
            "{kb} kB on the LRU lists are neither mapped nor in the page or swap cache: pages of files that \
             are gone, still referenced (pinned, or a leaked reference)"
        ));
    }
    let (allocations, allocation_notes) = allocations(files, facts.page.kb);
    notes.extend(allocation_notes);
    notes.extend(files.absent());
    Ok(HostLedger {
        allocations,
        rows,
        total_bytes: facts.mem_total_kb * 1024,
        unaccounted_bytes,
        page_size: facts.page.kb * 1024,
        page_size_source: facts.page.source,
        notes,
    })
}

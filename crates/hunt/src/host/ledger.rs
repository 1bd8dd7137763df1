//! The host's memory as a table that adds up.

use super::allocations::{HostAllocation, allocations};
use super::below::{BelowRow, below};
use super::facts::Facts;
use super::nodes::{NodeRow, WholeHost, nodes};
use super::parts::{Part, parts};
use super::terms::{Term, detached_kb, terms, unaccounted_kb};
use super::vmalloc::{stacks, vmalloc};
use super::{HostError, HostFiles};
use serde::Serialize;

/// The name of the row that takes what no counter has.
pub const UNACCOUNTED: &str = "unaccounted";

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
    /// What rows consist of, as far as other files tell, in the order of the rows.
    pub parts: Vec<Part>,
    /// From the memory of the machine to MemTotal, where it is told.
    pub below: Vec<BelowRow>,
    /// The same sum for each NUMA node, where there are several.
    pub nodes: Vec<NodeRow>,
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
    let mut facts = Facts::new(files)?;
    let (terms, term_notes) = terms(&mut facts);
    let unaccounted_bytes = unaccounted_kb(&facts, &terms) * 1024;
    let (nodes, node_notes) = nodes(files, &facts, &whole_host(&facts, &terms));
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
        name: UNACCOUNTED,
        bytes: unaccounted_bytes,
        source: "meminfo MemTotal - the rows above".to_owned(),
        note: Some(
            "what drivers and the kernel took page by page, and what was lost: no counter has it"
                .to_owned(),
        ),
    });
    let (detached, huge_kb) = (detached_kb(&facts), facts.kb("AnonHugePages"));
    let (parts, part_notes) = parts(files, &facts, &rows);
    let below = below(files, &facts);
    let mut notes: Vec<_> = facts.notes.into_iter().chain(term_notes).collect();
    notes.extend(part_notes);
    notes.extend(node_notes);
    if let Some(kb) = detached {
        notes.push(format!(
            "{kb} kB on the LRU lists are neither mapped nor in the page or swap cache, and so in `unaccounted`: \
             pages of files that are gone, still referenced (pinned, or a leaked reference), or parts of huge \
             pages that nobody maps any more and that are not split yet (AnonHugePages is {huge_kb} kB)"
        ));
    }
    let (allocations, allocation_notes) = allocations(files, facts.page.kb);
    notes.extend(allocation_notes);
    notes.extend(files.absent());
    Ok(HostLedger {
        allocations,
        rows,
        parts,
        below,
        nodes,
        total_bytes: facts.mem_total_kb * 1024,
        unaccounted_bytes,
        page_size: facts.page.kb * 1024,
        page_size_source: facts.page.source,
        notes,
    })
}

/// What of the rows the nodes need.
fn whole_host(facts: &Facts<'_>, terms: &[Term]) -> WholeHost {
    let kb = |name| {
        let term = terms.iter().find(|term| term.name == name);
        term.map(|term| term.kb)
    };
    let areas = vmalloc(facts);
    WholeHost {
        swap_cache_kb: facts.kb("SwapCached"),
        mapped_swap_cache_kb: facts.kb("SwapCached") - kb("swap cache").unwrap_or(0),
        stacks_in_vmalloc: stacks(facts, areas.kb).in_vmalloc,
        vmalloc_kb: areas.kb,
        spread_kb: kb("percpu").unwrap_or(0),
        balloon_in_total: kb("balloon").is_some(),
    }
}

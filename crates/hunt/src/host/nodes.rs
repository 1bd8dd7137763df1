//! The sum of rows for each NUMA node.

use super::HostFiles;
use super::facts::Facts;
use super::vmalloc;
use pagehound_procfs as procfs;
use serde::Serialize;

/// What no counter has of one node's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// Number of the node.
    pub node: u32,
    /// Its MemTotal.
    pub total_bytes: i64,
    /// What its counters do not have. Per-CPU memory, of which no file tells the node, is
    /// spread evenly; without vmallocinfo, so is vmalloc memory.
    pub unaccounted_bytes: i64,
}

/// The nodes, where there are several; else the ledger has it all.
pub(super) fn nodes(
    files: &HostFiles,
    facts: &Facts<'_>,
    known: &WholeHost,
) -> (Vec<NodeRow>, Vec<String>) {
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    if files.nodes.len() < 2 {
        return (rows, notes);
    }
    let count = i64::try_from(files.nodes.len()).unwrap_or(1);
    for (text, pools) in &files.nodes {
        let info = match procfs::meminfo(&text.meminfo) {
            Ok(info) => info,
            Err(error) => {
                notes.push(format!("node{}: {error}; nodes are left out", text.node));
                return (Vec::new(), notes);
            }
        };
        let kb = |name: &str| {
            let value = info.kb(name).filter(|&kb| kb <= super::MAX_KB);
            value.and_then(|kb| i64::try_from(kb).ok()).unwrap_or(0)
        };
        let sum = |names: &[&str]| names.iter().map(|name| kb(name)).sum::<i64>();
        let huge = pools.iter().fold(0i64, |sum, pool| {
            let kb = pool
                .bytes()
                .map_or(0, |bytes| bytes / 1024)
                .min(super::MAX_KB);
            sum.saturating_add(i64::try_from(kb).unwrap_or(0))
        });
        let zones = facts.zones.iter().filter(|zone| zone.node == text.node);
        let lists = zones.clone().map(|zone| zone.pcp_count);
        let lists = lists.fold(0, u64::saturating_add);
        let compressed = zones.filter_map(|zone| zone.stat("nr_zspages"));
        let compressed = compressed.fold(0, u64::saturating_add);
        let mut accounted = sum(&[
            "MemFree",
            "AnonPages",
            "FilePages",
            "Slab",
            "PageTables",
            "SecPageTables",
            "WritebackTmp",
            "Bounce",
            "GPUActive",
            "GPUReclaim",
        ]);
        accounted += (kb("KReclaimable") - kb("SReclaimable")).max(0);
        // FilePages has the swap cache, and AnonPages the part of it that is mapped. How much
        // of it that is, is known of all nodes together: each has its share.
        accounted -= share(
            known.mapped_swap_cache_kb,
            kb("SwapCached"),
            known.swap_cache_kb,
        );
        accounted += huge + facts.pages_kb(lists) + facts.pages_kb(compressed);
        if !known.stacks_in_vmalloc {
            accounted += kb("KernelStack");
        }
        let areas = vmalloc_kb(files, facts, text.node);
        accounted += areas.unwrap_or(known.vmalloc_kb / count);
        accounted += known.spread_kb / count;
        if known.balloon_in_total {
            accounted += kb("Balloon");
        }
        rows.push(NodeRow {
            node: text.node,
            total_bytes: kb("MemTotal") * 1024,
            unaccounted_bytes: (kb("MemTotal") - accounted) * 1024,
        });
    }
    notes.extend(uneven(&rows));
    (rows, notes)
}

/// What of the whole host a node's sum needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WholeHost {
    pub(super) swap_cache_kb: i64,
    /// Of the swap cache what is in AnonPages as well.
    pub(super) mapped_swap_cache_kb: i64,
    pub(super) stacks_in_vmalloc: bool,
    /// All of it, with stacks where these lie there.
    pub(super) vmalloc_kb: i64,
    /// Rows of which no file tells the node.
    pub(super) spread_kb: i64,
    pub(super) balloon_in_total: bool,
}

/// Of `amount` the part that `own` is of `all`, and no more than `own`.
fn share(amount: i64, own: i64, all: i64) -> i64 {
    let part = i128::from(amount) * i128::from(own) / i128::from(all.max(1));
    i64::try_from(part).unwrap_or(i64::MAX).clamp(0, own.max(0))
}

/// Pages of vmalloc areas on `node`; none without a vmallocinfo that tells nodes.
fn vmalloc_kb(files: &HostFiles, facts: &Facts<'_>, node: u32) -> Option<i64> {
    facts.vmalloc?;
    let areas = procfs::vmallocinfo(files.vmallocinfo.as_deref()?).map_while(Result::ok);
    let pages = areas.map(|area| {
        let own = vmalloc::own_pages(&area) > 0;
        let of_node = area.nodes().filter(|(of, _)| own && *of == node);
        of_node.fold(0u64, |sum, (_, pages)| sum.saturating_add(pages))
    });
    Some(facts.pages_kb(pages.fold(0, u64::saturating_add)))
}

/// A node that has more than twice the share of all others together.
fn uneven(rows: &[NodeRow]) -> Option<String> {
    let share = |unaccounted: i64, total: i64| unaccounted as f64 / (total.max(1)) as f64;
    rows.iter().find_map(|row| {
        let others = rows.iter().filter(|other| other.node != row.node);
        let (mut unaccounted, mut total) = (0i64, 0i64);
        for other in others {
            unaccounted = unaccounted.saturating_add(other.unaccounted_bytes.max(0));
            total = total.saturating_add(other.total_bytes);
        }
        let own = share(row.unaccounted_bytes, row.total_bytes);
        // Below a hundredth it is what every kernel has.
        let stands_out = own > 0.01 && own > 2.0 * share(unaccounted, total);
        stands_out.then(|| {
            format!(
                "node {} has {} kB that no counter has, {:.1} % of its memory, the others {:.1} % of theirs",
                row.node,
                row.unaccounted_bytes / 1024,
                own * 100.0,
                share(unaccounted, total) * 100.0
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_add_up_to_no_more_than_there_is() {
        assert_eq!((share(40, 60, 80), share(40, 20, 80)), (30, 10));
        assert_eq!((share(0, 60, 80), share(40, 0, 80)), (0, 0));
        // Counters read at different moments.
        assert_eq!((share(40, 30, 0), share(-5, 30, 80)), (30, 0));
    }
}

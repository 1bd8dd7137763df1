//! The one list of what is subtracted from MemTotal. Each term says what the hand
//! formula takes for it and what is right; the difference is what the formula misses.

use super::balloon;
use super::facts::{Chunk, Facts};
use super::vmalloc::{stacks, vmalloc};

/// A part of MemTotal that a counter accounts for. Terms do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) name: &'static str,
    /// What it takes of MemTotal.
    pub(super) kb: i64,
    /// What the hand formula takes for it.
    pub(super) classic_kb: i64,
    /// File and field.
    pub(super) source: String,
    /// What is to be known about it; where `kb` and `classic_kb` differ, why.
    pub(super) note: Option<String>,
}

/// A term whose field the hand formula has right.
fn same(name: &'static str, kb: i64, source: &str) -> Term {
    Term {
        name,
        kb,
        classic_kb: kb,
        source: source.to_owned(),
        note: None,
    }
}

/// A term the hand formula does not have.
fn missed(name: &'static str, kb: i64, source: &str, note: &str) -> Term {
    Term {
        name,
        kb,
        classic_kb: 0,
        source: source.to_owned(),
        note: Some(note.to_owned()),
    }
}

/// All terms, and notes about figures that are no terms.
pub(super) fn terms(facts: &mut Facts<'_>) -> (Vec<Term>, Vec<String>) {
    let mut terms = Vec::new();
    let mut notes = overlaps(facts);
    free(facts, &mut terms);
    user(facts, &mut terms);
    huge(facts, &mut terms, &mut notes);
    kernel(facts, &mut terms);
    vmalloc_and_stacks(facts, &mut terms);
    percpu(facts, &mut terms, &mut notes);
    newer(facts, &mut terms);
    // The balloon comes last: whether it counts is told from what is left.
    balloon_term(facts, &mut terms, &mut notes);
    (terms, notes)
}

fn free(facts: &Facts<'_>, terms: &mut Vec<Term>) {
    terms.push(same("free", facts.mem_free_kb, "meminfo MemFree"));
    if let Some(kb) = facts.pcp_kb {
        terms.push(missed(
            "free, on per-CPU lists",
            kb,
            "zoneinfo pagesets, sum of count",
            "free pages that MemFree leaves out",
        ));
    }
}

fn user(facts: &Facts<'_>, terms: &mut Vec<Term>) {
    let cached = facts.kb("Cached");
    let shmem = facts.kb("Shmem").min(cached);
    terms.push(same(
        "anonymous",
        facts.kb("AnonPages"),
        "meminfo AnonPages",
    ));
    if facts.kb("SwapCached") != 0 {
        terms.push(swap_cache(facts));
    }
    terms.push(same("file cache", cached - shmem, "meminfo Cached - Shmem"));
    terms.push(same("shmem", shmem, "meminfo Shmem"));
    terms.push(same("buffers", facts.kb("Buffers"), "meminfo Buffers"));
}

/// Pages on the LRU lists: all that is anonymous or in the page or swap cache.
fn lru_kb(facts: &Facts<'_>) -> i64 {
    facts.kb("Active") + facts.kb("Inactive") + facts.kb("Unevictable") + facts.isolated_kb
}

/// Pages that should be on the LRU lists, apart from the swap cache.
fn placed_kb(facts: &Facts<'_>) -> i64 {
    facts.kb("Cached") + facts.kb("Buffers") + facts.kb("AnonPages")
}

/// A page of the swap cache that is still mapped is in AnonPages as well. Both are on
/// the LRU lists once, so those tell how many are not mapped.
fn swap_cache(facts: &Facts<'_>) -> Term {
    let all = facts.kb("SwapCached");
    let unmapped = (lru_kb(facts) - placed_kb(facts)).clamp(0, all);
    missed(
        "swap cache",
        unmapped,
        "meminfo Active + Inactive + Unevictable - AnonPages - Cached - Buffers, at most SwapCached",
        &format!("of {all} kB SwapCached the part that no process maps; the rest is in AnonPages"),
    )
}

fn huge(facts: &Facts<'_>, terms: &mut Vec<Term>, notes: &mut Vec<String>) {
    let product = |count: i64, size_kb: i64| count.checked_mul(size_kb);
    let count = facts.info.count("HugePages_Total").unwrap_or(0);
    let default_size = i64::try_from(count)
        .ok()
        .and_then(|count| product(count, facts.kb("Hugepagesize")))
        .filter(|kb| kb.unsigned_abs() <= super::MAX_KB)
        .unwrap_or_else(|| {
            notes.push(format!("HugePages_Total is {count}: absurd, taken as 0"));
            0
        });
    let pools = facts.hugepages.map(|pools| {
        pools.iter().fold(0i64, |sum, pool| {
            let kb = pool.bytes().map_or(0, |bytes| bytes / 1024);
            sum.saturating_add(i64::try_from(kb).unwrap_or(0))
        })
    });
    let pools = pools.filter(|kb| kb.unsigned_abs() <= super::MAX_KB);
    let (kb, source) = if facts.has("Hugetlb") {
        (facts.kb("Hugetlb"), "meminfo Hugetlb")
    } else if let Some(kb) = pools {
        (kb, "/sys/kernel/mm/hugepages, all sizes")
    } else {
        (default_size, "meminfo HugePages_Total x Hugepagesize")
    };
    terms.push(Term {
        name: "huge pages",
        kb,
        classic_kb: default_size,
        source: source.to_owned(),
        note: (kb != default_size).then(|| {
            "HugePages_Total counts the default size only; this is the pools of all sizes"
                .to_owned()
        }),
    });
}

fn kernel(facts: &Facts<'_>, terms: &mut Vec<Term>) {
    let slab = facts.kb("Slab");
    let reclaimable = facts.kb("SReclaimable").min(slab);
    terms.push(same(
        "slab, reclaimable",
        reclaimable,
        "meminfo SReclaimable",
    ));
    terms.push(Term {
        note: Some(
            "holds large kmalloc() too, from 5.4 on, although those pages are no slabs".to_owned(),
        ),
        ..same(
            "slab, unreclaimable",
            slab - reclaimable,
            "meminfo Slab - SReclaimable",
        )
    });
    if facts.has("KReclaimable") {
        terms.push(missed(
            "reclaimable, not slab",
            (facts.kb("KReclaimable") - facts.kb("SReclaimable")).max(0),
            "meminfo KReclaimable - SReclaimable",
            "page pools of drivers that shrink on demand; KReclaimable holds SReclaimable, so only the rest counts",
        ));
    }
    terms.push(same(
        "page tables",
        facts.kb("PageTables"),
        "meminfo PageTables",
    ));
    if facts.has("SecPageTables") {
        terms.push(missed(
            "secondary page tables",
            facts.kb("SecPageTables"),
            "meminfo SecPageTables",
            "of guests (KVM) and IOMMUs; the field exists since 6.1",
        ));
    }
}

/// Where stacks are vmalloc areas, the formula takes them twice: as KernelStack and as
/// part of VmallocUsed.
fn vmalloc_and_stacks(facts: &Facts<'_>, terms: &mut Vec<Term>) {
    let stack_kb = facts.kb("KernelStack");
    let area = vmalloc(facts);
    let stacks = stacks(facts, area.kb);
    let twice_kb = if stacks.in_vmalloc { stack_kb } else { 0 };
    terms.push(Term {
        name: "kernel stacks",
        kb: stack_kb,
        classic_kb: stack_kb + twice_kb,
        source: "meminfo KernelStack".to_owned(),
        note: Some(if stacks.in_vmalloc {
            format!(
                "with VMAP_STACK they are vmalloc areas, in VmallocUsed as well; counted once here ({})",
                stacks.why
            )
        } else {
            format!("not in the vmalloc range ({})", stacks.why)
        }),
    });
    terms.push(Term {
        name: "vmalloc",
        kb: area.kb - twice_kb,
        classic_kb: area.classic_kb - twice_kb,
        source: if stacks.in_vmalloc {
            format!("{} - KernelStack", area.source)
        } else {
            area.source
        },
        note: area.note,
    });
}

fn percpu(facts: &Facts<'_>, terms: &mut Vec<Term>, notes: &mut Vec<String>) {
    let chunks_kb = facts
        .vmalloc
        .filter(|sums| sums.named)
        .map(|sums| sums.percpu_bytes / 1024);
    let field = facts.kb("Percpu");
    if !facts.has("Percpu") {
        if let Some(chunks_kb) = chunks_kb.filter(|&kb| kb != 0) {
            notes.push(format!(
                "this kernel has no Percpu counter (4.20): up to {chunks_kb} kB of per-CPU chunks (vmallocinfo) are among the unaccounted"
            ));
        }
        return;
    }
    // pcpu_setup_first_chunk adds the first chunk, which memblock gave before there was
    // a MemTotal, to what Percpu shows (7e8a6304d541, 4.20).
    let (kb, source, note) = if chunks_kb == Some(0) {
        (
            0,
            "meminfo Percpu",
            format!(
                "all of Percpu ({field} kB) is the first chunk, which is not part of MemTotal: vmallocinfo has no other"
            ),
        )
    } else if let Some((kb, first_kb)) = facts.first_chunk.and_then(|first| beyond(facts, first)) {
        (
            kb,
            "meminfo Percpu - the first chunk (kernel log)",
            format!(
                "not in VmallocUsed; the first chunk, {first_kb} kB of Percpu, is not part of MemTotal"
            ),
        )
    } else {
        (
            field,
            "meminfo Percpu",
            "not in VmallocUsed; holds the first chunk too, which is not part of MemTotal (its size: `percpu: Embedded` in the kernel log), \
             so unaccounted memory is understated by that much"
                .to_owned(),
        )
    };
    terms.push(missed("percpu", kb, source, &note));
}

/// kB of later chunks, and what of Percpu is not. Percpu counts the pages of a unit once
/// for each unit (`pcpu_nr_pages`), though only those of a CPU have any.
fn beyond(facts: &Facts<'_>, first: Chunk) -> Option<(i64, i64)> {
    let field = facts.kb("Percpu");
    let pages = u64::try_from(field).ok()? / facts.page.kb;
    let in_unit = pages.checked_div(first.units)?;
    let later = in_unit.checked_sub(first.pages_per_cpu)?;
    let kb = facts.pages_kb(later.saturating_mul(first.cpus));
    (kb <= field).then(|| (kb, field - kb))
}

/// Counters that came later, or that few kernels have.
fn newer(facts: &Facts<'_>, terms: &mut Vec<Term>) {
    let zswap = facts.kb("Zswap");
    if let Some(pages) = facts.zspages_kb {
        // Until 6.15 zswap could use other allocators, whose pages nr_zspages lacks.
        terms.push(missed(
            "zsmalloc",
            pages.max(zswap),
            "vmstat nr_zspages, at least meminfo Zswap",
            "compressed pages of zram and zswap; zram is in no field of meminfo",
        ));
    } else if facts.has("Zswap") {
        terms.push(missed(
            "zsmalloc",
            zswap,
            "meminfo Zswap",
            "compressed pages of zswap; those of zram are among the unaccounted: vmstat would tell them",
        ));
    }
    for (name, field, note) in [
        (
            "GPU, in use",
            "GPUActive",
            "pages of graphics drivers outside shmem (7.0 and later)",
        ),
        (
            "GPU, reclaimable",
            "GPUReclaim",
            "pools of graphics drivers (7.0 and later)",
        ),
        (
            "FUSE writeback",
            "WritebackTmp",
            "copies FUSE makes of pages it writes; a constant 0 since 6.17",
        ),
        (
            "quicklists",
            "Quicklists",
            "free page tables kept aside; some architectures, up to 5.3",
        ),
    ] {
        if facts.has(field) {
            terms.push(missed(
                name,
                facts.kb(field),
                &format!("meminfo {field}"),
                note,
            ));
        }
    }
    terms.push(same(
        "hardware corrupted",
        facts.kb("HardwareCorrupted"),
        "meminfo HardwareCorrupted",
    ));
    terms.push(same("bounce buffers", facts.kb("Bounce"), "meminfo Bounce"));
}

/// Before 6.17 vmstat tells what the drivers that count there have: virtio's and VMware's
/// (mm/balloon_compaction.c, `balloon_page_enqueue_one`).
fn balloon_kb(facts: &Facts<'_>) -> (i64, &'static str) {
    if facts.has("Balloon") {
        return (facts.kb("Balloon"), "meminfo Balloon");
    }
    let pages = facts.pages.inflated.saturating_sub(facts.pages.deflated);
    let source = "vmstat balloon_inflate - balloon_deflate";
    (facts.pages_kb(pages), source)
}

fn balloon_term(facts: &mut Facts<'_>, terms: &mut Vec<Term>, notes: &mut Vec<String>) {
    let (kb, source) = balloon_kb(facts);
    if kb == 0 {
        return;
    }
    let balloon = balloon::place(facts, kb, unaccounted_kb(facts, terms));
    if balloon.in_total {
        terms.push(missed(
            "balloon",
            kb,
            source,
            &format!("pages given back to the host: {}", balloon.why),
        ));
    } else {
        facts.balloon_outside_kb = Some(kb);
        notes.push(format!("Balloon, {kb} kB, is no row: {}", balloon.why));
    }
}

/// MemTotal without the terms.
pub(super) fn unaccounted_kb(facts: &Facts<'_>, terms: &[Term]) -> i64 {
    facts.mem_total_kb - terms.iter().map(|term| term.kb).sum::<i64>()
}

/// Fields that look like terms, but whose memory another term has.
fn overlaps(facts: &Facts<'_>) -> Vec<String> {
    [
        // __free_unaccepted() adds the pages to NR_FREE_PAGES (6.5); the watermarks
        // subtract them again.
        ("Unaccepted", "is part of MemFree"),
        ("CmaFree", "is part of MemFree"),
        // A slab cache in 5.8 to 5.10, vmalloc areas since (a2abe7cbd8fe).
        ("ShadowCallStack", "is part of vmalloc, before 5.11 of slab"),
        ("NFS_Unstable", "is part of Cached"),
        ("EarlyMemtestBad", "is not part of MemTotal"),
    ]
    .into_iter()
    .map(|(field, place)| (field, facts.kb(field), place))
    .filter(|&(_, kb, _)| kb != 0)
    .map(|(field, kb, place)| format!("{field}, {kb} kB, is no row: it {place}"))
    .collect()
}

/// Pages on the LRU lists that are neither mapped nor in a cache: references to them
/// were leaked, or the kernel holds them pinned. Counters lag behind by up to 125
/// pages a CPU each, and pages wait in per-CPU batches, hence the slack.
pub(super) fn detached_kb(facts: &Facts<'_>) -> Option<i64> {
    let excess = lru_kb(facts) - placed_kb(facts) - facts.kb("SwapCached");
    let slack = facts
        .pages_kb(1024)
        .checked_mul(facts.cpus.unwrap_or(64).max(1))?;
    (excess > slack).then_some(excess)
}

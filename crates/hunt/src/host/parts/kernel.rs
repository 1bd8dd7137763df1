//! The kernel's own: slab caches, callers of vmalloc(), compressed pages, tables of
//! IOMMUs, the memory map, trace buffers.

use super::{Found, Part, SLAB, UNACCOUNTED, largest, pages_bytes, row_bytes};
use crate::host::HostFiles;
use crate::host::facts::Facts;
use crate::host::ledger::HostRow;
use crate::host::vmalloc;
use pagehound_procfs as procfs;
use std::collections::BTreeMap;

/// Removed control groups that are worth a note: some linger on every host.
const MANY_GROUPS: u64 = 500;

/// Caches, and callers of vmalloc(), that are told.
const TOLD: usize = 10;

pub(super) fn find(files: &HostFiles, facts: &Facts<'_>, rows: &[HostRow], found: &mut Found) {
    slab(files, facts, rows, found);
    callers(files, facts, found);
    compressed(files, facts, found);
    counters(facts, found);
    trace(files, facts, found);
    huge(files, found);
    let pinned = facts.pages.pinned.saturating_sub(facts.pages.unpinned);
    // A page is counted each time that it is pinned.
    if facts.pages_kb(pinned) > facts.mem_total_kb / 100 {
        found.notes.push(format!(
            "at most {} kB of user memory are pinned for devices (vmstat nr_foll_pin_*)",
            facts.pages_kb(pinned)
        ));
    }
    if let Some(groups) = files.dying_cgroups.filter(|&groups| groups >= MANY_GROUPS) {
        found.notes.push(format!(
            "{groups} control groups were removed and are kept, with per-CPU memory and slabs, because memory is \
             charged to them (cgroup.stat nr_dying_descendants)"
        ));
    }
}

fn slab(files: &HostFiles, facts: &Facts<'_>, rows: &[HostRow], found: &mut Found) {
    let Some(text) = files.slabinfo.as_deref() else {
        return;
    };
    let caches: Result<Vec<_>, _> = procfs::slabinfo(text).collect();
    let caches = match caches {
        Ok(caches) => caches,
        Err(error) => {
            let note = format!("{error}; the file is left out");
            found.notes.push(note);
            return;
        }
    };
    let caches = caches.iter();
    let caches: Vec<(String, u64)> = caches
        .map(|cache| (cache.name.to_owned(), pages_bytes(facts, cache.pages())))
        .collect();
    let all = caches.iter().map(|(_, bytes)| *bytes);
    let all = all.fold(0, u64::saturating_add);
    let (told, rest) = largest(caches, TOLD);
    let source = "slabinfo, slabs x pages";
    let caches = told.into_iter().map(|(name, bytes)| {
        let name = format!("cache {name}");
        Part::exact(SLAB, name, bytes, source)
    });
    found.parts.extend(caches);
    let others = Part::exact(SLAB, "other caches", rest, source);
    found.parts.push(others);
    // Large kmalloc() counts as slab since 5.4 (6a486c0ad4dc), and has no cache.
    let large = row_bytes(rows, SLAB).saturating_sub(all);
    let source = "meminfo Slab - slabinfo";
    let large = Part::exact(SLAB, "in no cache: large kmalloc()", large, source);
    found.parts.push(large);
}

fn callers(files: &HostFiles, facts: &Facts<'_>, found: &mut Found) {
    let Some(text) = files
        .vmallocinfo
        .as_deref()
        .filter(|_| facts.vmalloc.is_some())
    else {
        return;
    };
    let mut callers: BTreeMap<String, u64> = BTreeMap::new();
    for area in procfs::vmallocinfo(text).map_while(Result::ok) {
        let pages = vmalloc::own_pages(&area);
        if pages == 0 || vmalloc::is_stack(&area, pages, facts.page.kb) {
            continue;
        }
        let function = area.function().unwrap_or("unknown");
        let module = area.caller.split_once(" [").map(|(_, module)| module);
        let caller = match module {
            Some(module) => format!("{function} [{module}"),
            None => function.to_owned(),
        };
        let sum = callers.entry(caller).or_default();
        *sum = sum.saturating_add(pages_bytes(facts, pages));
    }
    let (told, rest) = largest(callers.into_iter().collect(), TOLD);
    let source = "vmallocinfo pages=";
    let callers = told.into_iter();
    let callers = callers.map(|(name, bytes)| Part::exact("vmalloc", name, bytes, source));
    found.parts.extend(callers);
    let others = Part::exact("vmalloc", "other callers", rest, source);
    found.parts.push(others);
}

fn compressed(files: &HostFiles, facts: &Facts<'_>, found: &mut Found) {
    for device in &files.zram {
        let source = format!("/sys/block/{}/mm_stat", device.name);
        let part = Part::exact("zsmalloc", device.name.clone(), device.memory, &source);
        found.parts.push(part);
    }
    let zswap = u64::try_from(facts.kb("Zswap")).unwrap_or(0) * 1024;
    let part = match files.zswap_pool {
        Some(pool) if !facts.has("Zswap") => {
            let pool = super::believed(pool);
            Part::exact("zsmalloc", "zswap", pool, "debugfs zswap/pool_total_size")
        }
        _ => Part::exact("zsmalloc", "zswap", zswap, "meminfo Zswap"),
    };
    found.parts.push(part);
}

fn counters(facts: &Facts<'_>, found: &mut Found) {
    // They are in SecPageTables as well.
    let iommu = Part::exact(
        "secondary page tables",
        "of IOMMUs",
        pages_bytes(facts, facts.pages.iommu),
        "vmstat nr_iommu_pages",
    );
    // Memory maps of memory that came later, and page extensions (15995a352474);
    // those from boot are not part of MemTotal.
    let memmap = Part::exact(
        UNACCOUNTED,
        "memory map",
        pages_bytes(facts, facts.pages.memmap),
        "vmstat nr_memmap_pages",
    );
    found.parts.extend([iommu, memmap]);
}

fn trace(files: &HostFiles, facts: &Facts<'_>, found: &mut Found) {
    for rings in &files.trace_rings {
        let bytes = rings.bytes(facts.page.kb * 1024);
        let source = "tracing/per_cpu/cpu*/buffer_size_kb";
        let part = Part::exact(UNACCOUNTED, "trace buffers", super::believed(bytes), source);
        found.parts.push(match &rings.instance {
            Some(instance) => part.of(format!("instance {instance}")),
            None => part,
        });
    }
}

/// Pools by size, and what of each nobody uses.
fn huge(files: &HostFiles, found: &mut Found) {
    for pool in files.hugepages.iter().flatten() {
        let kb = pool.page_size / 1024;
        let source = format!("/sys/kernel/mm/hugepages/hugepages-{kb}kB");
        let free = pool.free.min(pool.total);
        for (state, pages) in [("in use", pool.total - free), ("free", free)] {
            let name = format!("pages of {kb} kB, {state}");
            let bytes = super::believed(pages.saturating_mul(pool.page_size));
            let part = Part::exact("huge pages", name, bytes, &source);
            found.parts.push(part);
        }
    }
}

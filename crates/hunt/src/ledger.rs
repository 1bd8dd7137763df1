//! The ledger: every class with its pages, and beside it what the kernel
//! itself counted.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, Kernel, Pages, Zone};
use pagehound_model::{Counter, LedgerRow, thousands};

/// A difference between a class and its counter is worth a warning above the
/// larger of these: pages, and parts of a thousand of the counter.
const TOLERATED_PAGES: u64 = 64;
const TOLERATED_PERMILLE: u64 = 5;
/// How much more than usual is tolerated where pages move while they are counted.
pub(crate) const MOVING_TIMES: u64 = 8;

/// What the kernel counted of each class while the pages were looked at: the least and
/// the most. Nothing where pages stand still.
#[derive(Default)]
pub(crate) struct Counts(BTreeMap<Class, (u64, u64)>);

impl Counts {
    /// Adds what it counts by now.
    pub(crate) fn add_now(&mut self, kernel: &Kernel<'_>, pages: &Pages) {
        for &class in Class::ALL {
            if let Some(counter) = counter(kernel, pages, class) {
                self.add(class, counter.pages, counter.pages);
            }
        }
    }

    /// Adds what it counted at other times.
    pub(crate) fn add_all(&mut self, others: &Counts) {
        for (&class, &(least, most)) in &others.0 {
            self.add(class, least, most);
        }
    }

    fn add(&mut self, class: Class, least: u64, most: u64) {
        let bounds = self.0.entry(class).or_insert((least, most));
        *bounds = (bounds.0.min(least), bounds.1.max(most));
    }
}

/// The rows, which add up to all pages, and a warning for each that the kernel
/// counts differently, also from what it `counted` while they were looked at.
pub(crate) fn ledger(
    kernel: &Kernel<'_>,
    pages: &Pages,
    counted: &Counts,
) -> (Vec<LedgerRow>, Vec<String>) {
    let counts = pages.map.counts();
    let mut rows = Vec::new();
    let mut warnings = Vec::new();
    for &class in Class::ALL {
        let found = counts.get(class as usize).copied().unwrap_or(0);
        let counter = counter(kernel, pages, class);
        if let Some(counter) = &counter
            && let Some(warning) = compare(class, found, counter, counted, kernel, pages)
        {
            warnings.push(warning);
        }
        if found > 0 || counter.as_ref().is_some_and(|counter| counter.pages > 0) {
            rows.push(LedgerRow {
                class: class.name().into(),
                pages: found,
                bytes: found * kernel.page_size(),
                estimate: None,
                counter,
            });
        }
    }
    (rows, warnings)
}

fn compare(
    class: Class,
    found: u64,
    counter: &Counter,
    counted: &Counts,
    kernel: &Kernel<'_>,
    pages: &Pages,
) -> Option<String> {
    let knows = |field| kernel.layouts.get(field).is_some();
    let (found, at_most) = match class {
        // The counter knows the levels that carry the type mark.
        Class::PageTable => (pages.typed_tables, false),
        // It forgets pages of a huge page that are no longer mapped.
        Class::Anon => (pages.mapped_anon, false),
        // Large kmalloc counts as slab since 5.4 (6a486c0ad4dc) but has no
        // slab page, so the class may fall short of the counter.
        Class::Slab => (found, true),
        // Where the first chunk ends is in it, which takes BTF to read; others are told
        // by the callers of their areas.
        Class::PerCpu if !knows(Field::ChunkBase) => return None,
        Class::PerCpu if pages.areas.iter().all(|area| area.vm.is_none()) => return None,
        _ => (found, false),
    };
    let mut allowed = TOLERATED_PAGES.max(counter.pages / 1000 * TOLERATED_PERMILLE);
    let mut unknown = "";
    if class == Class::Free && !knows(Field::ZoneStatDiff) {
        let zones = pages.nodes.iter().flat_map(|node| &node.zones);
        match unfolded(zones, kernel.word32("nr_cpu_ids"), kernel.page_size()) {
            Some(most) => allowed = allowed.max(most),
            None => unknown = "; what CPUs had not added to it yet is not known",
        }
    }
    if pages.moving {
        // What was seen is of no one moment.
        allowed = allowed * MOVING_TIMES + pages.map.count(Class::Moving);
    }
    let now = counter.pages;
    let (least, most) = counted.0.get(&class).copied().unwrap_or((now, now));
    let more = found > most.max(now).saturating_add(allowed);
    let less = found < least.min(now).saturating_sub(allowed);
    let differs = more || less && !at_most;
    differs.then(|| {
        format!(
            "{}: {} pages found, but the kernel's {} says {}{unknown}",
            class.name(),
            thousands(found),
            counter.name,
            thousands(counter.pages)
        )
    })
}

/// How far a counter of zones may be off while CPUs keep to themselves what they
/// counted last: each of them, for each populated zone, no more than the zone's
/// threshold. Not known where nobody knows how many CPUs there are.
fn unfolded<'a>(
    zones: impl Iterator<Item = &'a Zone>,
    cpus: Option<u32>,
    page_size: u64,
) -> Option<u64> {
    let cpus = cpus
        .map(u64::from)
        .filter(|cpus| (1..=MOST_CPUS).contains(cpus))?;
    let populated = zones.filter(|zone| zone.present > 0);
    let of_one_cpu: u64 = populated
        .map(|zone| threshold(zone.managed.saturating_mul(page_size), cpus))
        .sum();
    Some(of_one_cpu.saturating_mul(cpus))
}

/// `NR_CPUS` is no more on any architecture (`CONFIG_NR_CPUS`, `MAXSMP`).
const MOST_CPUS: u64 = 8192;

/// `calculate_normal_threshold()` of mm/vmstat.c for a zone of so many bytes. It counts
/// the CPUs that are online, which are no more than those that could be.
fn threshold(managed: u64, cpus: u64) -> u64 {
    let fls = |number: u64| u64::from(u64::BITS - number.leading_zeros());
    (2 * fls(cpus) * (1 + fls(managed >> 27))).min(125)
}

/// The kernel's own count of a class, if it keeps one.
pub(crate) fn counter(kernel: &Kernel<'_>, pages: &Pages, class: Class) -> Option<Counter> {
    let node = |item| kernel.node_stat(&pages.nodes, item);
    let stacks = || {
        let kib = node("NR_KERNEL_STACK_KB")
            .or_else(|| kernel.zone_stat(&pages.nodes, "NR_KERNEL_STACK_KB"))?;
        Some(kib / (kernel.page_size() / 1024).max(1) as i64)
    };
    let (name, value) = match class {
        Class::Free => (
            "NR_FREE_PAGES",
            kernel.zone_stat(&pages.nodes, "NR_FREE_PAGES")?,
        ),
        Class::Anon => ("NR_ANON_MAPPED", node("NR_ANON_MAPPED")?),
        Class::File => (
            "NR_FILE_PAGES - NR_SHMEM - NR_SWAPCACHE",
            node("NR_FILE_PAGES")?
                .wrapping_sub(node("NR_SHMEM")?)
                .wrapping_sub(node("NR_SWAPCACHE").unwrap_or(0)),
        ),
        Class::Shmem => ("NR_SHMEM", node("NR_SHMEM")?),
        Class::Hugetlb => ("nr_huge_pages", kernel.hugetlb_pages()? as i64),
        Class::Slab => (
            "NR_SLAB_RECLAIMABLE + NR_SLAB_UNRECLAIMABLE",
            slab(kernel, pages)?,
        ),
        Class::PageTable => (
            "NR_PAGETABLE",
            // A zone counter up to 5.10 (f0c0c115fb81).
            node("NR_PAGETABLE").or_else(|| kernel.zone_stat(&pages.nodes, "NR_PAGETABLE"))?,
        ),
        Class::KernelStack => ("NR_KERNEL_STACK_KB", stacks()?),
        Class::Vmalloc => {
            // Stacks are vmalloc memory too (VMAP_STACK, 4.9), a class of
            // their own here.
            let all = match kernel.word("nr_vmalloc_pages") {
                Some(pages) => pages as i64,
                None => node("NR_VMALLOC")?,
            };
            let mapped = !pages.stacks_in_direct_map;
            (
                "vmalloc less kernel stacks",
                all.wrapping_sub(if mapped { stacks()? } else { 0 }),
            )
        }
        Class::PerCpu => (
            "pcpu_nr_populated * pcpu_nr_units",
            kernel
                .word("pcpu_nr_populated")?
                .wrapping_mul(u64::from(kernel.word32("pcpu_nr_units")?)) as i64,
        ),
        // Before page types told zsmalloc's pages (6.11) they have no class here.
        Class::Zsmalloc if pages.map.count(class) > 0 => (
            "NR_ZSPAGES",
            kernel
                .zone_stat(&pages.nodes, "NR_ZSPAGES")
                .or_else(|| node("NR_ZSPAGES"))?,
        ),
        Class::HwPoison => (
            "num_poisoned_pages",
            kernel.word("num_poisoned_pages")? as i64,
        ),
        _ => return None,
    };
    Some(Counter {
        name: name.into(),
        pages: u64::try_from(value).unwrap_or(0),
    })
}

/// The items got their suffix in 5.9 (d42f3245c7e2), when they began to count
/// bytes; the stored value stayed in pages.
fn slab(kernel: &Kernel<'_>, pages: &Pages) -> Option<i64> {
    let of = |names: [&str; 2]| {
        names
            .into_iter()
            .find_map(|name| kernel.node_stat(&pages.nodes, name))
    };
    let reclaimable = of(["NR_SLAB_RECLAIMABLE_B", "NR_SLAB_RECLAIMABLE"])?;
    let unreclaimable = of(["NR_SLAB_UNRECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE"])?;
    Some(reclaimable.wrapping_add(unreclaimable))
}

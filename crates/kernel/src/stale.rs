//! Memory in use whose words mean nothing any more: what a returned function
//! left on a stack, slots of an array beyond its count, registers of user
//! space. To a search for references they look alive; a lost page has been
//! seen to be named by each of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use pagehound_vmcore::{Machine, Pfn, PhysAddr, VirtAddr};

use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::pagemap::{Class, Pages};
use crate::vmalloc::{VmapArea, area_at};

/// Physical address ranges of such memory.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    /// Half-open, ascending, apart from each other; and what each is.
    ranges: Vec<(Range<u64>, &'static str)>,
}

impl Stale {
    fn of(mut ranges: Vec<(Range<u64>, &'static str)>) -> Stale {
        ranges.retain(|(range, _)| range.start < range.end);
        ranges.sort_unstable_by_key(|(range, _)| (range.start, range.end));
        let mut apart: Vec<(Range<u64>, &'static str)> = Vec::new();
        for (range, what) in ranges {
            match apart.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => apart.push((range, what)),
            }
        }
        Stale { ranges: apart }
    }

    /// The ranges that reach into `part`, ascending.
    pub fn within(&self, part: &Range<u64>) -> &[(Range<u64>, &'static str)] {
        let from = self
            .ranges
            .partition_point(|(range, _)| range.end <= part.start);
        let rest = self.ranges.get(from..).unwrap_or_default();
        let count = rest.partition_point(|(range, _)| range.start < part.end);
        rest.get(..count).unwrap_or_default()
    }

    /// What makes the word at a physical address stale, if it is.
    pub fn reason(&self, at: PhysAddr) -> Option<&'static str> {
        let (_, what) = self.within(&(at.0..at.0.saturating_add(1))).first()?;
        Some(what)
    }
}

/// No structure that is looked into has more slots.
const MOST_SLOTS: u64 = 1024;
/// Page pools that are looked at: two a receive queue of a large machine.
const MOST_POOLS: usize = 1 << 16;

impl Kernel<'_> {
    /// Collects stale memory. What cannot be read is left out: then its words
    /// count as references, and fewer pages are called lost.
    pub(crate) fn stale(&self, pages: &Pages) -> Stale {
        let mut search = Search {
            kernel: self,
            pages,
            found: Vec::new(),
        };
        search.stacks();
        search.registers();
        search.page_pools();
        search.napi_caches();
        search.sheaves();
        Stale::of(search.found)
    }
}

struct Search<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    found: Vec<(Range<u64>, &'static str)>,
}

impl Search<'_> {
    /// Adds memory that is contiguous in virtual and in physical space.
    fn add(&mut self, start: VirtAddr, size: u64, what: &'static str) {
        if let Ok(phys) = self.kernel.phys(start) {
            self.found.push((phys.0..phys.0.saturating_add(size), what));
        }
    }

    /// Adds the slots of an array from `count` on; the array's size is that of
    /// the member.
    fn add_slots(&mut self, base: VirtAddr, array: Field, count: u64, what: &'static str) {
        if let Some(place) = self.kernel.layouts.get(array) {
            let used = count.saturating_mul(8).min(place.size);
            let start = base.add(place.offset + used);
            self.add(start, place.size - used, what);
        }
    }

    /// Stacks below the stack pointer of a task that sleeps, stacks that are
    /// kept for the next task, and user registers at their top.
    fn stacks(&mut self) {
        let kernel = self.kernel;
        let frame = kernel.page_size();
        let tasks: HashMap<u64, &crate::tasks::Task> = self
            .pages
            .tasks
            .iter()
            .map(|task| (task.stack.0, task))
            .collect();
        // Who allocates stacks, by the areas that tasks use.
        let callers: HashSet<(u64, u64)> = self
            .pages
            .areas
            .iter()
            .filter(|area| tasks.contains_key(&area.start.0))
            .filter_map(kind)
            .collect();
        let registers = kernel.layouts.size(Struct::PtRegs).unwrap_or(0);
        for &(pfn, virt) in &self.pages.vmalloc_frames {
            let class = self.pages.map.class(pfn);
            if !matches!(class, Class::KernelStack | Class::Vmalloc) {
                continue;
            }
            let Some(area) = area_at(&self.pages.areas, virt) else {
                continue;
            };
            let at = pfn.addr(kernel.page_shift()).0;
            // Part of this page, by virtual addresses.
            let mut part = |range: Range<u64>, what| {
                let clamp = |addr: u64| addr.clamp(virt.0, virt.0 + frame) - virt.0;
                self.found
                    .push((at + clamp(range.start)..at + clamp(range.end), what));
            };
            let Some(task) = tasks.get(&area.start.0) else {
                if class == Class::Vmalloc && kind(area).is_some_and(|kind| callers.contains(&kind))
                {
                    part(area.start.0..area.end.0, "on a stack that no task uses");
                }
                continue;
            };
            // The area ends with a guard page.
            let top = area.end.0.saturating_sub(frame);
            if task.mm.0 != 0 && registers < frame {
                part(
                    top.saturating_sub(registers)..top,
                    "registers of user space",
                );
            }
            let running = kernel.field(task.addr, Field::TaskOnCpu);
            let pointer = kernel.field(task.addr, Field::TaskThreadSp);
            if let (Ok(0), Ok(pointer)) = (running, pointer)
                && (area.start.0..top).contains(&pointer)
            {
                part(
                    area.start.0..pointer,
                    "below the top of a sleeping task's stack",
                );
            }
        }
    }

    /// Saved floating point and vector registers in `task_struct`.
    fn registers(&mut self) {
        const WHAT: &str = "vector registers of user space";
        let kernel = self.kernel;
        let shift = kernel.page_shift();
        for task in &self.pages.tasks {
            let Some(phys) = kernel.memory.space.direct.phys(task.addr) else {
                continue;
            };
            let size = self
                .pages
                .slabs
                .slab(self.pages.map.head(phys.pfn(shift)))
                .and_then(|slab| self.pages.slabs.cache(slab))
                .map_or(0, |cache| u64::from(cache.size));
            let range = match kernel.memory.space.machine {
                // The last member, as large as this CPU's registers take; since
                // 6.16 (cb7ca40a3882) behind the structure.
                Machine::X86_64 => {
                    let place = kernel.layouts.get(Field::TaskFpu);
                    let inside = place.filter(|place| place.size > 64);
                    let start = inside.map(|place| place.offset);
                    let start = start.or_else(|| kernel.layouts.size(Struct::TaskStruct).ok());
                    start.map(|start| start..size)
                }
                Machine::Aarch64 => kernel
                    .layouts
                    .get(Field::TaskFpsimd)
                    .map(|place| place.offset..place.offset + place.size),
            };
            if let Some(range) = range.filter(|range| range.start < range.end && range.end <= size)
            {
                self.found
                    .push((phys.0 + range.start..phys.0 + range.end, WHAT));
            }
        }
    }

    /// Pages that page pools gave away but still have in their array.
    fn page_pools(&mut self) {
        let mut pools = BTreeSet::new();
        let mut bytes = vec![0; self.pages.memmap.page_size as usize];
        for head in self.pages.map.heads(Class::PagePool) {
            let one = pagehound_vmcore::PfnRange {
                start: head,
                end: Pfn(head.0 + 1),
            };
            if self
                .pages
                .memmap
                .read(self.kernel, one, &mut bytes)
                .is_empty()
            {
                // pp_magic and pp lie where lru lies, in every release.
                let [_, pool] = self.pages.decoder.words(&bytes).lru();
                pools.insert(pool);
            }
            if pools.len() > MOST_POOLS {
                break;
            }
        }
        for pool in pools.into_iter().map(VirtAddr) {
            if let Ok(count) = self.kernel.field(pool, Field::PoolAllocCount) {
                let what = "a slot beyond what a page_pool has";
                self.add_slots(pool, Field::PoolAllocCache, count, what);
            }
        }
    }

    /// sk_buffs that were taken out of the caches of CPUs.
    fn napi_caches(&mut self) {
        let Some(variable) = self.kernel.address("napi_alloc_cache") else {
            return;
        };
        for cpu in 0..self.kernel.percpu_offsets.len() {
            let cache = self.kernel.percpu(variable, cpu);
            if let Some(cache) = cache
                && let Ok(count) = self.kernel.field(cache, Field::NapiSkbCount)
            {
                let what = "a slot beyond what a cache of sk_buffs has";
                self.add_slots(cache, Field::NapiSkbCache, count, what);
            }
        }
    }

    /// Sheaves hold free objects, and what was taken out of them.
    fn sheaves(&mut self) {
        let Ok(objects) = self.kernel.layouts.offset(Field::SheafObjects) else {
            return;
        };
        for cache in &self.pages.slabs.caches {
            let slots = cache.sheaf_capacity.min(MOST_SLOTS);
            for sheaf in &cache.sheaves {
                let what = "a sheaf of free objects";
                self.add(sheaf.add(objects), slots * 8, what);
            }
        }
    }
}

/// What tells areas for stacks from others: caller and size.
fn kind(area: &VmapArea) -> Option<(u64, u64)> {
    let vm = area.vm.as_ref()?;
    Some((vm.caller.0, area.end.0.saturating_sub(area.start.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stale() -> Stale {
        Stale::of(vec![
            (0x3000..0x3010, "c"),
            (0x1000..0x1800, "a"),
            (0x1700..0x1900, "b"),
            (0x2000..0x2000, "nothing"),
        ])
    }

    #[test]
    fn ranges_are_joined_and_found_by_page() {
        let stale = stale();
        assert_eq!(stale.within(&(0..0x1000)), []);
        assert_eq!(stale.within(&(0x1000..0x2000)), [(0x1000..0x1900, "a")]);
        assert_eq!(stale.within(&(0x18ff..0x3001)).len(), 2);
        assert_eq!(stale.within(&(0x3010..u64::MAX)), []);
    }

    #[test]
    fn ends_are_exclusive() {
        let stale = stale();
        assert_eq!(stale.reason(PhysAddr(0xfff)), None);
        assert_eq!(stale.reason(PhysAddr(0x1000)), Some("a"));
        assert_eq!(stale.reason(PhysAddr(0x18ff)), Some("a"));
        assert_eq!(stale.reason(PhysAddr(0x1900)), None);
        assert_eq!(stale.reason(PhysAddr(u64::MAX)), None);
    }
}

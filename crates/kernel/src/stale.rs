//! Memory in use whose words mean nothing any more: what a returned function
//! left on a stack, slots of an array beyond its count, registers of user
//! space. To a search for references they look alive; a lost page has been
//! seen to be named by each of them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use pagehound_vmcore::{Machine, PhysAddr, VirtAddr};

use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::pagemap::{Class, Pages};
use crate::virt::VirtualRead;
use crate::vmalloc::area_at;

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

    /// Stacks that CPUs keep for the next task (ac496bf48d97, 4.14).
    fn spare_stacks(&self) -> BTreeSet<VirtAddr> {
        let Some(variable) = self.address("cached_stacks") else {
            return BTreeSet::new();
        };
        (0..self.percpu_offsets.len())
            .filter_map(|cpu| self.percpu(variable, cpu))
            .flat_map(|array| (0..SPARE_STACKS).map(move |index| array.add(index * 8)))
            .filter_map(|slot| self.memory.ptr(slot).ok())
            .filter(|vm| vm.0 != 0)
            .filter_map(|vm| self.pointer(vm, Field::VmAddr).ok())
            .collect()
    }

    /// The CPUs' caches of sk_buffs, each with how many it has.
    fn napi_caches(&self) -> Vec<(VirtAddr, u64)> {
        let Some(variable) = self.address("napi_alloc_cache") else {
            return Vec::new();
        };
        (0..self.percpu_offsets.len())
            .filter_map(|cpu| self.percpu(variable, cpu))
            .filter_map(|cache| Some((cache, self.field(cache, Field::NapiSkbCount).ok()?)))
            .collect()
    }

    /// sk_buffs that lie free in the caches of CPUs.
    pub(crate) fn spare_sk_buffs(&self) -> Vec<VirtAddr> {
        let Some(array) = self.layouts.get(Field::NapiSkbCache) else {
            return Vec::new();
        };
        self.napi_caches()
            .into_iter()
            .filter(|&(_, count)| count * 8 <= array.size)
            .flat_map(|(cache, count)| (0..count).map(move |n| cache.add(array.offset + n * 8)))
            .filter_map(|slot| self.memory.ptr(slot).ok())
            .collect()
    }
}

/// NR_CACHED_STACKS.
const SPARE_STACKS: u64 = 2;

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
        let spare = kernel.spare_stacks();
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
                if spare.contains(&area.start) {
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
        for task in &self.pages.tasks {
            let Some(phys) = kernel.memory.space.direct.phys(task.addr) else {
                continue;
            };
            let size = self.object_size(task.addr).unwrap_or(0);
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
        let mut structs = self.pages.memmap.struct_pages(self.kernel);
        for head in self.pages.map.heads(Class::PagePool) {
            if let Some(bytes) = structs.get(head) {
                // pp_magic and pp lie where lru lies, in every release.
                let [_, pool] = self.pages.decoder.words(bytes).lru();
                pools.insert(pool);
            }
            if pools.len() > MOST_POOLS {
                break;
            }
        }
        for pool in pools.into_iter().map(VirtAddr) {
            if let Ok(count) = self.kernel.field(pool, Field::PoolAllocCount)
                && let Some(place) = self.kernel.layouts.get(Field::PoolAllocCache)
                && let Some(size) = self.object_size(pool)
                && place.offset + place.size <= size
                && count * 8 <= place.size
            {
                let what = "a slot beyond what a page_pool has";
                self.add_slots(pool, Field::PoolAllocCache, count, what);
            }
        }
    }

    /// Size of the live slab object that begins at `at`. What lies in no object,
    /// or beyond one, is nobody's to call stale: a wrong count or capacity must
    /// not reach its neighbours.
    fn object_size(&self, at: VirtAddr) -> Option<u64> {
        let phys = self.kernel.memory.space.direct.phys(at)?;
        let Pages { slabs, map, .. } = self.pages;
        let object = slabs.object_at(map, phys, self.kernel.page_shift())?;
        (object.start == phys && !object.free).then_some(object.size)
    }

    /// sk_buffs that were taken out of the caches of CPUs.
    fn napi_caches(&mut self) {
        for (cache, count) in self.kernel.napi_caches() {
            let what = "a slot beyond what a cache of sk_buffs has";
            self.add_slots(cache, Field::NapiSkbCache, count, what);
        }
    }

    /// Sheaves hold free objects, and what was taken out of them.
    fn sheaves(&mut self) {
        let Ok(objects) = self.kernel.layouts.offset(Field::SheafObjects) else {
            return;
        };
        for cache in &self.pages.slabs.caches {
            for &sheaf in &cache.sheaves {
                let room = self.object_size(sheaf).unwrap_or(0).saturating_sub(objects);
                let size = room.min(cache.sheaf_capacity.saturating_mul(8));
                self.add(sheaf.add(objects), size, "a sheaf of free objects");
            }
        }
    }
}

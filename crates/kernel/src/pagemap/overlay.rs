//! What `struct page` does not tell: page tables, vmalloc, stacks, per-CPU
//! memory, the kernel image, holes. Each is found by a walk and claimed from
//! what the scan left raw or reserved.

use std::collections::HashSet;
use std::ops::ControlFlow;

use pagehound_vmcore::{Machine, Pfn, PfnRange, PhysAddr, VirtAddr};

use super::{Class, Pages};
use crate::kernel::{Kernel, KernelError};
use crate::layouts::Field;
use crate::tasks::Task;
use crate::translate::{AddressSpace, Mapping, Met, Walk};
use crate::virt::VirtualRead;
use crate::vmalloc::{VmStruct, VmapArea, area_at};

impl Pages {
    pub(super) fn doubt(&mut self, what: &str, error: &KernelError) {
        self.damaged |= error.is_doubtful();
        self.warnings.push(format!("{what}: {error}"));
    }

    /// Splits what was set aside at boot.
    pub(super) fn reserved(&mut self, kernel: &Kernel<'_>) {
        for range in self.memmap.frames(&kernel.memory.space) {
            self.restrict(range, &[Class::Reserved, Class::Raw], Class::MemMap);
        }
        if let Some(image) = kernel_image(kernel, &self.areas) {
            self.restrict(image, &[Class::Reserved], Class::KernelImage);
        }
        for range in first_percpu_chunk(kernel) {
            self.restrict(range, &[Class::Reserved], Class::PerCpu);
        }
        if let Some(at) = kernel.address("crashk_res")
            && let Some(range) = resource_frames(kernel, at)
            && range.len() > 1
        {
            self.restrict(range, &[Class::Reserved], Class::CrashKernel);
        }
        match system_ram(kernel) {
            Ok(ram) => {
                for pfn in (0..self.map.end().0).map(Pfn) {
                    if self.map.class(pfn) == Class::Reserved
                        && !ram.iter().any(|range| range.contains(pfn))
                    {
                        self.map.set(pfn, Class::Hole);
                    }
                }
            }
            Err(error) => self
                .warnings
                .push(format!("holes are counted as reserved: {error}")),
        }
    }

    fn restrict(&mut self, range: PfnRange, from: &[Class], to: Class) {
        let end = range.end.min(self.map.end());
        for pfn in (range.start.0..end.0).map(Pfn) {
            if from.contains(&self.map.class(pfn)) {
                self.map.set(pfn, to);
            }
        }
    }

    /// Walks the kernel's own page tables: the tables, and what they map
    /// outside the direct map and the kernel image.
    pub(super) fn kernel_tables(&mut self, kernel: &Kernel<'_>) {
        let space = &kernel.memory.space;
        let memmap_range = self.memmap.page(Pfn(0)).0..self.memmap.page(self.memmap.end()).0;
        let image = kernel_image_virt(kernel, &self.areas);
        let direct = space.direct.virt.clone();
        let low = space
            .vmalloc
            .iter()
            .map(|range| range.start)
            .chain([direct.start])
            .min()
            .unwrap_or(direct.start);
        let mut tables = Vec::new();
        let mut leaves: Vec<Mapping> = Vec::new();
        let mut image_leaves: Vec<Mapping> = Vec::new();
        let limit = self.map.end().0.saturating_mul(4);
        let walk = space.geometry.walk(
            &kernel.memory.cache,
            space.root,
            (VirtAddr(low), VirtAddr(u64::MAX)),
            // The direct map's own leaves hold nothing, so its last level is
            // noted and not read.
            &mut |table| table.level > 0 || !direct.contains(&table.virt.0),
            &mut |met| {
                match met {
                    Met::Table(table) => tables.push(table.pfn),
                    Met::Leaf(leaf) => {
                        let at = leaf.virt.0;
                        let busy = space.vmalloc.iter().any(|range| range.contains(&at));
                        // Freed __init memory is still mapped as part of the image.
                        if image.as_ref().is_some_and(|image| image.contains(&at)) {
                            image_leaves.push(leaf);
                        } else if busy && !memmap_range.contains(&at) && !direct.contains(&at) {
                            leaves.push(leaf);
                        }
                    }
                }
                if (tables.len() + leaves.len() + image_leaves.len()) as u64 > limit {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        );
        self.walked("the kernel's", walk);
        for root in trampoline_roots(space) {
            let walk = space.geometry.walk(
                &kernel.memory.cache,
                root,
                (VirtAddr(low), VirtAddr(u64::MAX)),
                &mut |_| true,
                &mut |met| {
                    if let Met::Table(table) = met {
                        tables.push(table.pfn);
                    }
                    if tables.len() as u64 > limit {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                },
            );
            self.walked("the trampoline's", walk);
        }
        for pfn in tables {
            self.kernel_tables.insert(pfn.0);
            self.map.claim(pfn, Class::PageTable);
        }
        let stacks: HashSet<u64> = self.tasks.iter().map(|task| task.stack.0).collect();
        let percpu = kernel.address("pcpu_get_vm_areas");
        let shift = kernel.page_shift();
        let end = self.map.end();
        for (pfn, virt) in frames(&leaves, shift, end) {
            self.mapped_frame(pfn, virt, &stacks, percpu);
        }
        for (pfn, virt) in frames(&image_leaves, shift, end) {
            if self.map.class(pfn).is_unaccounted() {
                self.mapped_by_image.push((pfn, virt));
            }
        }
    }

    fn mapped_frame(
        &mut self,
        pfn: Pfn,
        virt: VirtAddr,
        stacks: &HashSet<u64>,
        percpu: Option<VirtAddr>,
    ) {
        if !self.map.class(pfn).is_censused() {
            return;
        }
        // The per-CPU allocator gives its areas this caller, in every release.
        let is_percpu = |area: &VmapArea| {
            let caller = area.vm.as_ref().map(|vm| vm.caller);
            caller.is_some() && caller == percpu
        };
        let class = match area_at(&self.areas, virt) {
            // Without any area known, all that is mapped there is vmalloc.
            None if self.areas.is_empty() => Some(Class::Vmalloc),
            None => None,
            Some(area) if is_percpu(area) => Some(Class::PerCpu),
            Some(area) if stacks.contains(&area.start.0) => Some(Class::KernelStack),
            Some(area) => is_vmalloc(area).then_some(Class::Vmalloc),
        };
        match class {
            Some(class) => {
                self.map.claim(pfn, class);
                self.vmalloc_frames.push((pfn, virt));
            }
            None => self.mapped.push((pfn, virt)),
        }
    }

    /// Walks the page tables of every process down to the tables that carry
    /// the type mark; a bulk pass reads the leaves of those.
    pub(super) fn process_tables(&mut self, kernel: &Kernel<'_>) {
        let shift = kernel.page_shift();
        let space = &kernel.memory.space;
        let mut roots: HashSet<PhysAddr> = HashSet::new();
        let mms: HashSet<VirtAddr> = self
            .tasks
            .iter()
            .map(|task: &Task| task.mm)
            .filter(|mm| mm.0 != 0)
            .collect();
        for mm in mms {
            if let Ok(pgd) = kernel.pointer(mm, Field::MmPgd)
                && let Some(phys) = space.direct.phys(pgd)
            {
                roots.insert(phys);
            }
        }
        // x86 links all of them through page->lru, those of no process too.
        if let Some(head) = kernel.address("pgd_list") {
            let pages = match kernel.list(head, Field::PageLru) {
                Ok(pages) | Err((pages, _)) => pages,
            };
            for page in pages {
                if let Some(pfn) = self.memmap.pfn(page) {
                    roots.insert(pfn.addr(shift));
                }
            }
        } else if roots.is_empty() {
            roots.extend(self.roots_by_links(kernel));
        }
        roots.remove(&space.root);
        let user_end = match space.machine {
            Machine::X86_64 => 1u64 << (space.geometry.levels.len() * 9 + 11),
            Machine::Aarch64 => {
                let top = space.geometry.levels.first();
                1u64 << top.map_or(48, |&(shift, bits)| shift + bits)
            }
        };
        // A table that several processes share is walked once.
        let mut walked = HashSet::new();
        let mut all = Walk::default();
        let limit = self.map.end().0.saturating_mul(4);
        for root in roots {
            let map = &self.map;
            let mut tables = Vec::new();
            let mut leaves = Vec::new();
            let walk = space.geometry.walk(
                &kernel.memory.cache,
                root,
                (VirtAddr(0), VirtAddr(user_end - 1)),
                &mut |table| {
                    (table.level > 0 || map.class(table.pfn) != Class::PageTable)
                        && walked.insert((table.pfn, table.level))
                },
                &mut |met| {
                    match met {
                        Met::Table(table) => tables.push(table.pfn),
                        Met::Leaf(leaf) => leaves.push(leaf),
                    }
                    if (tables.len() + leaves.len()) as u64 > limit {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                },
            );
            all.merge(walk);
            for pfn in tables {
                self.map.claim(pfn, Class::PageTable);
            }
            for (pfn, virt) in frames(&leaves, shift, self.map.end()) {
                if self.map.class(pfn).is_censused() {
                    self.mapped.push((pfn, virt));
                }
            }
        }
        self.walked("processes'", all);
    }

    /// Tells of a walk what it did not see: what is mapped from there is missed.
    fn walked(&mut self, whose: &str, walk: Walk) {
        if walk.unreadable > 0 {
            let count = walk.unreadable;
            self.warnings
                .push(format!("{count} of {whose} page tables cannot be read"));
        }
        if walk.broke_off {
            self.damaged = true;
            self.warnings.push(format!(
                "{whose} page tables map more than the machine has: they are broken"
            ));
        }
    }

    /// Stacks in the direct map (without VMAP_STACK).
    pub(super) fn direct_stacks(&mut self, kernel: &Kernel<'_>) {
        for index in 0..self.tasks.len() {
            let Some(stack) = self.tasks.get(index).map(|task| task.stack) else {
                break;
            };
            if let Some(phys) = kernel.memory.space.direct.phys(stack) {
                let pfn = phys.pfn(kernel.page_shift());
                // init_task's stack is part of the image whatever the others do.
                self.stacks_in_direct_map |= self.map.claim(pfn, Class::KernelStack);
            }
        }
    }
}

/// `tramp_pg_dir` of arm64: what is mapped while a process runs, where the
/// kernel is not (KPTI, 4.16). The linker script puts it before the kernel's
/// root, with the page of `reserved_pg_dir` between them since 5.11 (833be850f1ca)
/// and before that where PAN is emulated. A kernel without it has the identity
/// mapping there, or nothing.
fn trampoline_roots(space: &AddressSpace) -> impl Iterator<Item = PhysAddr> {
    let page = 1u64 << space.geometry.page_shift;
    let arm = space.machine == Machine::Aarch64;
    let root = space.root.0;
    [page, 2 * page]
        .into_iter()
        .filter(move |_| arm)
        .filter_map(move |distance| root.checked_sub(distance).map(PhysAddr))
}

/// The frames below `end` that leaves map, each with its address. What two
/// large leaves map alike (the huge zero page, or a broken table) is told once.
fn frames(leaves: &[Mapping], shift: u32, end: Pfn) -> impl Iterator<Item = (Pfn, VirtAddr)> + '_ {
    let mut large = HashSet::new();
    leaves
        .iter()
        .filter(move |leaf| leaf.size >> shift == 1 || large.insert((leaf.phys, leaf.size)))
        .flat_map(move |leaf| {
            let first = leaf.phys.pfn(shift).0;
            let count = (leaf.size >> shift).min(end.0.saturating_sub(first));
            (0..count).map(move |index| (Pfn(first + index), leaf.virt.add(index << shift)))
        })
}

fn is_vmalloc(area: &VmapArea) -> bool {
    area.vm.as_ref().is_some_and(VmStruct::is_allocated)
}

/// Addresses of the kernel image, `_text` to `_end`. arm64 has an area for each
/// of its segments (map_kernel_segment, 3.19 and later), one right after the
/// other.
fn kernel_image_virt(kernel: &Kernel<'_>, areas: &[VmapArea]) -> Option<std::ops::Range<u64>> {
    let start = kernel
        .address("_text")
        .or_else(|| kernel.vmcoreinfo.symbol("_stext"))?;
    let end = kernel.address("_end").or_else(|| {
        let mut segment = area_at(areas, start)?;
        while let Some(next) = area_at(areas, segment.end) {
            segment = next;
        }
        Some(segment.end)
    })?;
    (start < end).then_some(start.0..end.0)
}

fn kernel_image(kernel: &Kernel<'_>, areas: &[VmapArea]) -> Option<PfnRange> {
    let virt = kernel_image_virt(kernel, areas)?;
    let start = kernel.phys(VirtAddr(virt.start)).ok()?;
    let shift = kernel.page_shift();
    let size = virt.end - virt.start;
    Some(PfnRange {
        start: start.pfn(shift),
        end: PhysAddr(
            start
                .0
                .saturating_add(size)
                .saturating_add((1 << shift) - 1),
        )
        .pfn(shift),
    })
}

/// Frames of the first per-CPU chunk, which boot memory holds: each CPU's unit
/// from its start to the end of the chunk's dynamic part. What a unit has
/// beyond that went back to the boot allocator.
fn first_percpu_chunk(kernel: &Kernel<'_>) -> Vec<PfnRange> {
    let find = || {
        let start = kernel.address("__per_cpu_start")?;
        let offsets = kernel.percpu_offsets.iter();
        // That of the first unit is the least; those on x86 are large.
        let least = *offsets.min_by_key(|offset| **offset as i64)?;
        let base = start.add(least);
        let chunk = VirtAddr(kernel.word("pcpu_first_chunk")?);
        let dynamic = kernel.pointer(chunk, Field::ChunkBase).ok()?;
        let pages = kernel.field(chunk, Field::ChunkPages).ok()?;
        let end = dynamic.add(pages << kernel.page_shift());
        let size = end.0.checked_sub(base.0).filter(|size| *size < 1 << 30)?;
        let shift = kernel.page_shift();
        let mut ranges = Vec::new();
        for &offset in &kernel.percpu_offsets {
            if let Some(phys) = kernel.memory.space.direct.phys(start.add(offset)) {
                ranges.push(PfnRange {
                    start: phys.pfn(shift),
                    end: PhysAddr(phys.0 + size).pfn(shift),
                });
            }
        }
        Some(ranges)
    };
    find().unwrap_or_default()
}

fn resource_frames(kernel: &Kernel<'_>, at: VirtAddr) -> Option<PfnRange> {
    let shift = kernel.page_shift();
    let start = kernel.field(at, Field::ResourceStart).ok()?;
    let end = kernel.field(at, Field::ResourceEnd).ok()?;
    // resource.end is inclusive.
    Some(PfnRange {
        start: PhysAddr(start).pfn(shift),
        end: Pfn(PhysAddr(end).pfn(shift).0 + 1),
    })
}

/// Frames of "System RAM" in the resource tree, as /proc/iomem shows it.
fn system_ram(kernel: &Kernel<'_>) -> Result<Vec<PfnRange>, KernelError> {
    let root = kernel.symbol("iomem_resource")?;
    let mut at = kernel.pointer(root, Field::ResourceChild)?;
    let mut ram = Vec::new();
    // A machine has some hundred resources at the top level.
    for _ in 0..100_000 {
        if at.0 == 0 {
            return Ok(ram);
        }
        let name = kernel.pointer(at, Field::ResourceName)?;
        let name = kernel.memory.cstr(name, 64).unwrap_or_default();
        if name.starts_with(b"System RAM")
            && let Some(range) = resource_frames(kernel, at)
        {
            ram.push(range);
        }
        at = kernel.pointer(at, Field::ResourceSibling)?;
    }
    Err(KernelError::Broken {
        what: "iomem_resource",
        at: root,
        why: "its siblings do not end".into(),
    })
}

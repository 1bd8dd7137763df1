//! vmalloc areas: what is mapped between the direct map and the kernel image.

#[cfg(test)]
mod tests;

use pagehound_vmcore::VirtAddr;

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, Struct};
use crate::virt::VirtualRead;

/// Pages came from the page allocator for this area (`VM_ALLOC`).
pub(crate) const VM_ALLOC: u64 = 2;

/// One busy area of the vmalloc address range.
#[derive(Clone, Debug)]
pub struct VmapArea {
    /// Where its `vmap_area` lies.
    pub at: VirtAddr,
    /// First address.
    pub start: VirtAddr,
    /// First address after it, guard page included.
    pub end: VirtAddr,
    /// Its `vm_struct`, which `vm_map_ram` areas lack.
    pub vm: Option<VmStruct>,
}

/// What `struct vm_struct` says of an area.
#[derive(Clone, Debug)]
pub struct VmStruct {
    /// Where it lies.
    pub at: VirtAddr,
    /// `VM_*` flags.
    pub flags: u64,
    /// Array of `struct page *`, null for areas that were only mapped.
    pub pages: VirtAddr,
    /// Entries of that array.
    pub nr_pages: u64,
    /// Code that asked for the area.
    pub caller: VirtAddr,
}

impl VmStruct {
    /// Whether its pages came from the page allocator for it.
    pub fn is_allocated(&self) -> bool {
        self.flags & VM_ALLOC != 0 && self.nr_pages != 0
    }
}

impl Kernel<'_> {
    /// All busy areas by ascending address.
    pub fn vmap_areas(&self) -> Result<Vec<VmapArea>, KernelError> {
        let mut areas = Vec::new();
        for head in self.vmap_heads()? {
            let entries = match self.list(head, Field::VmapAreaList) {
                Ok(entries) => entries,
                Err((_, error)) => return Err(error),
            };
            for entry in entries {
                let start = self.pointer(entry, Field::VmapAreaStart)?;
                let end = match self.layouts.get(Field::VmapAreaEnd) {
                    Some(_) => self.pointer(entry, Field::VmapAreaEnd)?,
                    // va_end has come right after va_start since 2.6.28.
                    None => self
                        .memory
                        .ptr(self.member(entry, Field::VmapAreaStart)?.add(8))?,
                };
                areas.push(VmapArea {
                    at: entry,
                    start,
                    end,
                    vm: match self.layouts.get(Field::VmapAreaVm) {
                        Some(_) => self.vm_struct(entry, start),
                        None => self.vm_by_shape(entry, start..end),
                    },
                });
            }
        }
        areas.sort_by_key(|area| area.start);
        Ok(areas)
    }

    /// Heads of the lists on which areas hang: one up to 6.8
    /// (`vmap_area_list`), one a `vmap_node` from 6.9 on (d093602919ad).
    fn vmap_heads(&self) -> Result<Vec<VirtAddr>, KernelError> {
        if let Ok(head) = self.symbol("vmap_area_list") {
            return Ok(vec![head]);
        }
        let nodes = self.memory.ptr(self.symbol("vmap_nodes")?)?;
        let count = self.memory.u32(self.symbol("nr_vmap_nodes")?)?.min(4096);
        let size = self.layouts.size(Struct::VmapNode)?;
        (0..u64::from(count))
            .map(|index| self.member(nodes.add(index * size), Field::VmapNodeBusyHead))
            .collect()
    }

    fn vm_struct(&self, area: VirtAddr, start: VirtAddr) -> Option<VmStruct> {
        let vm = self.pointer(area, Field::VmapAreaVm).ok()?;
        // The slot is shared with the tree's augmented size in free areas.
        if vm.0 >> 63 == 0 || self.pointer(vm, Field::VmAddr).ok()? != start {
            return None;
        }
        Some(VmStruct {
            at: vm,
            flags: self.field(vm, Field::VmFlags).ok()?,
            pages: self.pointer(vm, Field::VmPages).ok()?,
            nr_pages: self.field(vm, Field::VmNrPages).ok()?,
            caller: self.pointer(vm, Field::VmCaller).ok()?,
        })
    }
}

impl Kernel<'_> {
    /// The `vm_struct` of an area where only VMCOREINFO tells of areas (up to 6.8, and
    /// not what they are for). Its pointer comes behind the list: at once since 5.4
    /// (688fcbfc06e4), before that behind an `llist_node`, and up to 4.6 (80c4bd7a5e4d)
    /// a `list_head`. It says the address and the size of the area again, in every
    /// release so far at 8 and 16.
    fn vm_by_shape(&self, area: VirtAddr, of: std::ops::Range<VirtAddr>) -> Option<VmStruct> {
        let list = self.member(area, Field::VmapAreaList).ok()?;
        let read = |at: VirtAddr| self.memory.ptr(at).ok();
        let size = of.end.0.wrapping_sub(of.start.0);
        let vm = [16, 24, 32]
            .into_iter()
            .filter_map(|behind| read(list.add(behind)))
            .filter(|vm| vm.0 >> 63 == 1)
            .find(|vm| {
                read(vm.add(8)) == Some(of.start) && read(vm.add(16)) == Some(VirtAddr(size))
            })?;
        let counts = read(vm.add(40))?.0;
        Some(VmStruct {
            at: vm,
            flags: read(vm.add(24))?.0,
            pages: read(vm.add(32))?,
            // Behind page_order, where there is one (121e6f3258fe, 5.13).
            nr_pages: match counts >> 32 {
                0 => counts,
                behind => behind,
            },
            caller: read(vm.add(56))?,
        })
    }
}

/// The area that contains `addr`, from areas sorted by address.
pub fn area_at(areas: &[VmapArea], addr: VirtAddr) -> Option<&VmapArea> {
    let after = areas.partition_point(|area| area.start <= addr);
    areas
        .get(after.checked_sub(1)?)
        .filter(|area| addr < area.end)
}

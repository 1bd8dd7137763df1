//! Virtual machines: the tables that translate their memory, and pages of their
//! processors.

use std::collections::HashSet;

use pagehound_vmcore::{PhysAddr, VirtAddr};

use super::{Kind, Search};
use crate::kernel::KernelError;
use crate::layouts::Field;
use crate::pagemap::Class;
use crate::virt::VirtualRead;

/// More objects than a memory cache has (`KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE` is 40).
const MOST_OBJECTS: u64 = 1 << 10;

impl Search<'_> {
    /// A `struct kvm`: the tables on its lists, and those these lead to. Of tables that
    /// are made without a list (the TDP MMU) only the roots are on one.
    pub(super) fn virtual_machine(&mut self, kvm: VirtAddr, process: &str) {
        let kernel = self.kernel;
        let owner = self.owner(Kind::KvmTables, process.to_owned(), None);
        self.below("kvm", kvm, |search| {
            if let Ok(ring) = kernel.pointer(kvm, Field::KvmMmioRing)
                && ring.0 != 0
            {
                let processor = search.owner(Kind::KvmProcessor, process.to_owned(), None);
                search.memory(processor, ring, 1);
            }
            let mut seen = HashSet::new();
            // Each has a frame of its own.
            let most = search.pages.map.end().0 as usize;
            for field in [Field::KvmMmuPages, Field::KvmTdpRoots] {
                let Ok(head) = kernel.member(kvm, field) else {
                    continue;
                };
                let tables = match kernel.list_of(head, Field::KvmMmuPageLink, most) {
                    Ok(tables) | Err((tables, _)) => tables,
                };
                for table in tables {
                    search.mmu_page(owner, table, &mut seen);
                }
            }
        });
    }

    /// A `kvm_mmu_page` with all tables below its own.
    fn mmu_page(&mut self, owner: u32, page: VirtAddr, seen: &mut HashSet<VirtAddr>) {
        let kernel = self.kernel;
        if !seen.insert(page) {
            return;
        }
        let mut waiting = vec![page];
        while let Some(page) = waiting.pop() {
            if !self.step() {
                break;
            }
            // One that is gone since its place on the list was read leads nowhere.
            let Ok(table) = kernel.pointer(page, Field::KvmMmuPageSpt) else {
                continue;
            };
            let frame = kernel.memory.space.direct.phys(table);
            if frame.and_then(|frame| self.mmu_page_of(frame)) != Some(page) {
                continue;
            }
            self.below("kvm_mmu_page", page, |search| {
                search.memory(owner, table, 1);
            });
            let mut entries = [0; 4096];
            if kernel.memory.read(table, &mut entries).is_err() {
                continue;
            }
            for entry in entries.as_chunks::<8>().0 {
                // Without the bit that says memory is encrypted (AMD SME).
                let mask = kernel.memory.space.geometry.addr_mask;
                let below = PhysAddr(u64::from_le_bytes(*entry) & mask);
                let page = self.mmu_page_of(below);
                waiting.extend(page.filter(|&page| seen.insert(page)));
            }
        }
    }

    /// The `kvm_mmu_page` of a frame that is a table: `page->private` names it, and it
    /// the table. What a leaf maps has none.
    fn mmu_page_of(&self, table: PhysAddr) -> Option<VirtAddr> {
        let (kernel, pages) = (self.kernel, self.pages);
        let pfn = table.pfn(kernel.page_shift());
        if pfn.0 == 0 || pfn >= pages.map.end() || pages.map.class(pfn) != Class::Raw {
            return None;
        }
        let mut structs = pages.memmap.struct_pages(kernel);
        let private = pages.decoder.words(structs.get(pfn)?).private();
        let page = VirtAddr(private);
        let named = kernel.pointer(page, Field::KvmMmuPageSpt).ok()?;
        (private != 0 && Some(named) == kernel.memory.space.direct.virt(table)).then_some(page)
    }

    /// A `kvm_vcpu`: what it shares with its process, and pages it has ready for tables.
    pub(super) fn virtual_processor(&mut self, vcpu: VirtAddr, process: &str) {
        let kernel = self.kernel;
        let owner = self.owner(Kind::KvmProcessor, process.to_owned(), None);
        self.below("kvm_vcpu", vcpu, |search| {
            for field in [Field::KvmVcpuRun, Field::KvmVcpuPioData] {
                if let Ok(page) = kernel.pointer(vcpu, field)
                    && page.0 != 0
                {
                    search.memory(owner, page, 1);
                }
            }
            let objects = || {
                let cache = kernel.member(vcpu, Field::KvmVcpuPageCache)?;
                let place = kernel.layouts.place(Field::KvmCacheObjects)?;
                let objects = cache.add(place.offset);
                // As an array in place it is larger than a pointer.
                let objects = match place.size {
                    8 => kernel.memory.ptr(objects)?,
                    _ => objects,
                };
                let count = kernel.field(cache, Field::KvmCacheCount)?;
                Ok::<_, KernelError>((objects, count))
            };
            if let Ok((objects, count)) = objects() {
                search.array(owner, objects, count.min(MOST_OBJECTS));
            }
        });
    }
}

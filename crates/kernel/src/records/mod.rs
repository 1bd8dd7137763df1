//! Who allocated a page, where the kernel writes it down: page_owner, which keeps
//! a stack a page, and memory allocation profiling, which keeps the line of code.
//!
//! Both keep their records in the page extensions, beside the `struct page`s
//! (mm/page_ext.c). What cannot be read, or makes no sense, is no record.

mod alloc_tags;
mod depot;
mod page_owner;

#[cfg(test)]
mod tests;

use pagehound_vmcore::{Pfn, VirtAddr};

use crate::kernel::Kernel;
use crate::layouts::Field;
use crate::memmap::MemMap;
use alloc_tags::AllocTags;
use depot::Depot;
use page_owner::PageOwner;

pub use alloc_tags::Site;
pub use page_owner::Allocation;

/// The kernel's records of allocations, of the kinds it keeps.
pub struct Records<'k> {
    kernel: &'k Kernel<'k>,
    memmap: &'k MemMap,
    owner: Option<PageOwner>,
    depot: Option<Depot>,
    tags: Option<AllocTags>,
}

impl Kernel<'_> {
    /// The records of allocations; `None` where this kernel keeps none, because
    /// it was built or booted without.
    pub fn records<'k>(&'k self, memmap: &'k MemMap) -> Option<Records<'k>> {
        let records = Records {
            kernel: self,
            memmap,
            owner: PageOwner::find(self),
            depot: Depot::find(self),
            tags: AllocTags::find(self),
        };
        (records.owner.is_some() || records.tags.is_some()).then_some(records)
    }
}

impl Records<'_> {
    /// Whether page_owner is on.
    pub fn has_owners(&self) -> bool {
        self.owner.is_some()
    }

    /// Whether memory allocation profiling has a place for each page.
    pub fn has_tags(&self) -> bool {
        self.tags.is_some()
    }

    /// What page_owner knows of the frame's last allocation. Every page of a block
    /// has a record of its own.
    pub fn owner(&self, pfn: Pfn) -> Option<Allocation> {
        let record = self.memmap.extension(pfn)?;
        self.owner.as_ref()?.read(self.kernel, record)
    }

    /// Return addresses of a stack in the depot, the innermost first.
    pub fn stack(&self, handle: u32) -> Option<Vec<VirtAddr>> {
        self.depot.as_ref()?.stack(self.kernel, handle)
    }

    /// Address of the `struct codetag` of the line that allocated the block which
    /// begins with the frame; only its first page has one.
    pub fn tag(&self, pfn: Pfn) -> Option<VirtAddr> {
        self.tags.as_ref()?.tag(self.kernel, self.memmap, pfn)
    }

    /// The line of code that a `struct codetag` stands for.
    pub fn site(&self, tag: VirtAddr) -> Option<Site> {
        alloc_tags::site(self.kernel, tag)
    }
}

/// Where in a record the data of a client lie, with `size` bytes: what its
/// `struct page_ext_operations` says, if the records have room for that.
fn client(kernel: &Kernel<'_>, operations: &str, size: u64) -> Option<u64> {
    let record = kernel.word("page_ext_size")?;
    let operations = kernel.address(operations)?;
    let offset = kernel.field(operations, Field::PageExtOpsOffset).ok()?;
    (offset.checked_add(size)? <= record).then_some(offset)
}

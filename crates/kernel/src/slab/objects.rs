//! Which object an address in a slab is part of.

use pagehound_vmcore::{Pfn, PhysAddr};

use super::SlabIndex;
use crate::pagemap::PageMap;

/// The object that contains an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectAt {
    /// First frame of its slab.
    pub head: Pfn,
    /// Its number in the slab, from 0.
    pub index: u32,
    /// Where it begins.
    pub start: PhysAddr,
    /// Bytes from its start to the next object's.
    pub size: u64,
    /// Whether it is free.
    pub free: bool,
}

impl SlabIndex {
    /// The object that contains a physical address; `None` outside the known
    /// slabs, and in the slack behind a slab's last object.
    pub fn object_at(&self, map: &PageMap, at: PhysAddr, page_shift: u32) -> Option<ObjectAt> {
        let head = map.head(at.pfn(page_shift));
        let slab = self.slab(head)?;
        let cache = self.cache(slab)?;
        let start = head.addr(page_shift).0;
        let offset = at.0.checked_sub(start)?;
        let (index, size) = if slab.is_cut {
            let index = u32::try_from(cache.index(offset)).ok()?;
            (index, u64::from(cache.size))
        } else {
            (0, map.unit(head).len() << page_shift)
        };
        (index < slab.objects).then(|| ObjectAt {
            head,
            index,
            start: PhysAddr(start + u64::from(index) * size),
            size,
            free: slab.is_free(index),
        })
    }

    /// What makes the word at a physical address of a slab nobody's, if it is.
    /// Nothing of an object lies in the slack behind the last one. The kernel
    /// puts `slabobj_ext`s there since 7.0 (`alloc_slab_obj_exts_early`), which
    /// name memory cgroups and code, and no pages.
    pub fn unused_at(&self, map: &PageMap, at: PhysAddr, page_shift: u32) -> Option<&'static str> {
        match self.object_at(map, at, page_shift) {
            Some(object) => object.free.then_some("in a free slab object"),
            None => {
                let slab = self.slab(map.head(at.pfn(page_shift)));
                slab.map(|_| "behind the last object of a slab")
            }
        }
    }
}

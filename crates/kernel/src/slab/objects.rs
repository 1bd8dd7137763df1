//! Which object an address in a slab is part of.

use pagehound_vmcore::{Pfn, PhysAddr};

use super::{Slab, SlabIndex};
use crate::pagemap::PageMap;

/// The object that contains an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectAt {
    /// First frame of its slab.
    pub head: Pfn,
    /// Its number in the slab, from 0.
    pub index: u32,
    /// Its number among the objects of all slabs, which ascend with addresses.
    pub number: u64,
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
        let offset = at.0.checked_sub(head.addr(page_shift).0)?;
        let index = match slab.is_cut {
            true => u32::try_from(self.cache(slab)?.index(offset)).ok()?,
            false => 0,
        };
        self.object_of(map, head, slab, index, page_shift)
    }

    /// The object with this number among those of all slabs.
    pub fn object(&self, map: &PageMap, number: u64, page_shift: u32) -> Option<ObjectAt> {
        let (head, slab) = self.slabs.with_object(number)?;
        let index = u32::try_from(number - slab.first).ok()?;
        self.object_of(map, head, slab, index, page_shift)
    }

    fn object_of(
        &self,
        map: &PageMap,
        head: Pfn,
        slab: Slab<'_>,
        index: u32,
        page_shift: u32,
    ) -> Option<ObjectAt> {
        let size = match slab.is_cut {
            true => u64::from(self.cache(slab)?.size),
            false => map.unit(head).len() << page_shift,
        };
        (index < slab.objects).then(|| ObjectAt {
            head,
            index,
            number: slab.first + u64::from(index),
            start: PhysAddr(head.addr(page_shift).0 + u64::from(index) * size),
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

//! Rule 2: words that hold nothing though their page has an owner.

use std::ops::Range;

use pagehound_kernel::{Class, Pages};
use pagehound_vmcore::{Pfn, PhysAddr};

/// What is barred in one page: free slab objects, and what is known to be stale.
pub(crate) struct Bars<'a> {
    pages: &'a Pages,
    shift: u32,
    is_slab: bool,
    stale: &'a [(Range<u64>, &'static str)],
}

impl<'a> Bars<'a> {
    pub(crate) fn of(pages: &'a Pages, pfn: Pfn, shift: u32) -> Self {
        let range = pfn.addr(shift).0..Pfn(pfn.0 + 1).addr(shift).0;
        Bars {
            pages,
            shift,
            is_slab: pages.map.class(pfn) == Class::Slab,
            stale: pages.stale.within(&range),
        }
    }

    /// Whether the word at this address, which is in the page, holds nothing.
    pub(crate) fn bar(&self, at: PhysAddr) -> bool {
        let (slabs, map) = (&self.pages.slabs, &self.pages.map);
        self.is_slab && slabs.unused_at(map, at, self.shift).is_some()
            || self.stale.iter().any(|(range, _)| range.contains(&at.0))
    }
}

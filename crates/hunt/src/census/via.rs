//! How each held unit was reached, a word a held unit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use pagehound_vmcore::{Pfn, PhysAddr};

use crate::units::Units;

/// How a held unit was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// A word at this physical address, in memory that has an owner; the
    /// lowest of them.
    Root(PhysAddr),
    /// A leaf entry of a page table maps it.
    Mapped,
    /// A word in the content of this raw frame, itself held.
    Content(Pfn),
    /// The `struct page` of this raw frame, itself held (lists through
    /// `page->lru`, chains through `page->private`).
    PageStruct(Pfn),
    /// Split off the block that begins with this held frame (rule 8).
    Split(Pfn),
    /// An entry of the hardware table in this frame, itself held (rule 6);
    /// its own frame where its whole group is in such tables.
    Hardware(Pfn),
    /// The kernel itself let go of it, on purpose (rule 9).
    Dropped,
}

/// Bits of a coded value below its kind: a physical address has at most 52.
const KIND_SHIFT: u32 = 56;
const NONE: u64 = u64::MAX;

impl Via {
    /// As one word; words of memory come first, the lowest foremost.
    fn code(self) -> u64 {
        let (kind, value) = match self {
            Via::Root(at) => (0, at.0),
            Via::Mapped => (1, 0),
            Via::Content(pfn) => (2, pfn.0),
            Via::PageStruct(pfn) => (3, pfn.0),
            Via::Split(pfn) => (4, pfn.0),
            Via::Hardware(pfn) => (5, pfn.0),
            Via::Dropped => (6, 0),
        };
        kind << KIND_SHIFT | value & ((1 << KIND_SHIFT) - 1)
    }

    fn of_code(code: u64) -> Option<Via> {
        let value = code & ((1 << KIND_SHIFT) - 1);
        Some(match code >> KIND_SHIFT {
            0 => Via::Root(PhysAddr(value)),
            1 => Via::Mapped,
            2 => Via::Content(Pfn(value)),
            3 => Via::PageStruct(Pfn(value)),
            4 => Via::Split(Pfn(value)),
            5 => Via::Hardware(Pfn(value)),
            6 => Via::Dropped,
            _ => return None,
        })
    }
}

/// Units that get room for their ways together. Of a leak of millions of units
/// hardly one has a way.
const TOGETHER: usize = 32;

type Codes = [AtomicU64; TOGETHER];

/// A [`Via`] for every censused unit that has one.
pub(super) struct Vias {
    units: Arc<Units>,
    /// By number; those none of which has a way have no room either.
    codes: Vec<OnceLock<Box<Codes>>>,
}

impl Vias {
    pub(super) fn new(units: Arc<Units>) -> Vias {
        let all = units.len().div_ceil(TOGETHER);
        let codes = (0..all).map(|_| OnceLock::new()).collect();
        Vias { units, codes }
    }

    pub(super) fn units(&self) -> &Arc<Units> {
        &self.units
    }

    /// Notes a way to a unit. Of several the same one stays whatever the order
    /// they come in, so that threads do not decide what is printed.
    pub(super) fn note(&self, head: Pfn, via: Via) {
        let Some((codes, at)) = self.place(head) else {
            return;
        };
        let codes = codes.get_or_init(|| Box::new([const { AtomicU64::new(NONE) }; TOGETHER]));
        if let Some(code) = codes.get(at) {
            code.fetch_min(via.code(), Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self, head: Pfn) -> Option<Via> {
        let (codes, at) = self.place(head)?;
        Via::of_code(codes.get()?.get(at)?.load(Ordering::Relaxed))
    }

    /// Where the way of a unit is kept.
    fn place(&self, head: Pfn) -> Option<(&OnceLock<Box<Codes>>, usize)> {
        let number = self.units.number(head)?;
        Some((self.codes.get(number / TOGETHER)?, number % TOGETHER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_survives_its_coding() {
        let (at, pfn) = (PhysAddr((1 << 52) - 8), Pfn((1 << 40) - 1));
        for via in [
            Via::Root(at),
            Via::Root(PhysAddr(0)),
            Via::Mapped,
            Via::Content(pfn),
            Via::PageStruct(pfn),
            Via::Split(pfn),
            Via::Hardware(pfn),
            Via::Dropped,
        ] {
            assert_eq!(Via::of_code(via.code()), Some(via));
        }
        assert_eq!(Via::of_code(NONE), None);
    }
}

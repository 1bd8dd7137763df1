//! How each held unit was reached, a word a unit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A [`Via`] for every censused unit that has one.
pub(super) struct Vias {
    units: Arc<Units>,
    codes: Vec<AtomicU64>,
}

impl Vias {
    pub(super) fn new(units: Arc<Units>) -> Vias {
        let codes = (0..units.len()).map(|_| AtomicU64::new(NONE)).collect();
        Vias { units, codes }
    }

    pub(super) fn units(&self) -> &Arc<Units> {
        &self.units
    }

    /// Notes a way to a unit. Of several the same one stays whatever the order
    /// they come in, so that threads do not decide what is printed.
    pub(super) fn note(&self, head: Pfn, via: Via) {
        if let Some(code) = self.code(head) {
            code.fetch_min(via.code(), Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self, head: Pfn) -> Option<Via> {
        Via::of_code(self.code(head)?.load(Ordering::Relaxed))
    }

    fn code(&self, head: Pfn) -> Option<&AtomicU64> {
        self.codes.get(self.units.number(head)?)
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

//! How each held unit was reached, a word a held unit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pagehound_vmcore::{Pfn, PhysAddr};

use crate::units::Units;

/// How a held unit was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// A word at this physical address, in memory that has an owner; of those that say
    /// most about whose the unit is, the lowest.
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

/// Bits of a coded value below its kind, and below how much a root says: a physical
/// address has at most 52.
const KIND_SHIFT: u32 = 56;
const WORTH_SHIFT: u32 = 53;

/// How much the word at a root says about who has the unit; the first says most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Worth {
    /// A variable, or a vmalloc area, that names the unit's begin.
    Variable,
    /// An object that does.
    Object,
    /// A variable that names what is within, as a list does.
    Within,
    /// An object likewise: often a neighbour on a list.
    Neighbour,
    /// A stack, on which words are left behind.
    Stack,
}

impl Via {
    /// As one word; words of memory come first.
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
            0 => Via::Root(PhysAddr(value & ((1 << WORTH_SHIFT) - 1))),
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

/// Units whose ways are kept together.
const TOGETHER: usize = u64::BITS as usize;

/// A [`Via`] for every censused unit that has one.
pub(super) struct Vias {
    units: Arc<Units>,
    /// By number. Units that are held lie among millions that are lost, so there is
    /// room for those alone that have a way.
    ways: Vec<Mutex<Ways>>,
}

/// Ways of some of the units with numbers one after the other.
#[derive(Default)]
struct Ways {
    /// Which of them have one.
    known: u64,
    codes: Vec<u64>,
}

impl Ways {
    /// Whether unit `at` has a way, and the place of its code.
    fn place(&self, at: u32) -> (bool, usize) {
        let bit = 1 << at;
        let before = self.known & (bit - 1);
        (self.known & bit != 0, before.count_ones() as usize)
    }

    fn note(&mut self, at: u32, code: u64) {
        let (known, place) = self.place(at);
        match self.codes.get_mut(place).filter(|_| known) {
            Some(old) => *old = code.min(*old),
            None => {
                self.codes.reserve_exact(1);
                self.codes.insert(place, code);
                self.known |= 1 << at;
            }
        }
    }

    fn get(&self, at: u32) -> Option<u64> {
        let (known, place) = self.place(at);
        self.codes.get(place).copied().filter(|_| known)
    }
}

impl Vias {
    pub(super) fn new(units: Arc<Units>) -> Vias {
        let all = units.len().div_ceil(TOGETHER);
        let ways = (0..all).map(|_| Mutex::default()).collect();
        Vias { units, ways }
    }

    pub(super) fn units(&self) -> &Arc<Units> {
        &self.units
    }

    /// Notes a way to a unit. Of several the same one stays whatever the order
    /// they come in, so that threads do not decide what is printed.
    pub(super) fn note(&self, head: Pfn, via: Via) {
        if let Some((mut ways, at)) = self.place(head) {
            ways.note(at, via.code());
        }
    }

    /// The same for a root, of which the one that says most stays.
    pub(super) fn note_root(&self, head: Pfn, at: PhysAddr, worth: Worth) {
        if let Some((mut ways, number)) = self.place(head) {
            let code = Via::Root(at).code() | (worth as u64) << WORTH_SHIFT;
            ways.note(number, code);
        }
    }

    pub(super) fn get(&self, head: Pfn) -> Option<Via> {
        let (ways, at) = self.place(head)?;
        Via::of_code(ways.get(at)?)
    }

    /// Where the way of a unit is kept.
    fn place(&self, head: Pfn) -> Option<(MutexGuard<'_, Ways>, u32)> {
        let number = self.units.number(head)?;
        let ways = self.ways.get(number / TOGETHER)?.lock();
        // Whole between any two of its statements that can panic.
        let ways = ways.unwrap_or_else(PoisonError::into_inner);
        Some((ways, (number % TOGETHER) as u32))
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
        assert_eq!(Via::of_code(u64::MAX), None);
    }

    #[test]
    fn of_roots_the_one_that_says_most_stays() {
        let root =
            |at: u64, worth: Worth| Via::Root(PhysAddr(at)).code() | (worth as u64) << WORTH_SHIFT;
        let mut ways = Ways::default();
        for code in [
            root(0x10, Worth::Neighbour),
            root((1 << 52) - 8, Worth::Variable),
            root(0x8, Worth::Stack),
            Via::Mapped.code(),
        ] {
            ways.note(0, code);
        }
        let kept = ways.get(0).and_then(Via::of_code);
        assert_eq!(kept, Some(Via::Root(PhysAddr((1 << 52) - 8))));
    }

    #[test]
    fn the_first_way_stays_and_those_without_take_no_room() {
        let mut ways = Ways::default();
        for (at, code) in [(63, 7), (0, 5), (5, 9), (63, 8), (5, 3)] {
            ways.note(at, code);
        }
        let known: Vec<_> = (0..64).filter_map(|at| Some((at, ways.get(at)?))).collect();
        assert_eq!(known, [(0, 5), (5, 3), (63, 7)]);
        assert_eq!(ways.codes.capacity(), 3);
    }
}

//! Numbers for the units the census decides over, so that what is known of each lies in a
//! plain array: a large host has tens of millions of them.

use pagehound_kernel::{Class, FrameIndex, PageMap};
use pagehound_vmcore::Pfn;

/// The units of a page map that the census decides over, numbered from 0 by ascending first
/// frame.
#[derive(Debug)]
pub(crate) struct Units(FrameIndex);

impl Units {
    pub(crate) fn of(map: &PageMap) -> Units {
        let censused = Class::ALL.iter().filter(|class| class.is_censused());
        Units::numbered(map.end(), censused.flat_map(|class| map.heads(*class)))
    }

    /// Units of the given first frames, in any order, all below `end`.
    pub(crate) fn numbered(end: Pfn, heads: impl Iterator<Item = Pfn>) -> Units {
        Units(FrameIndex::of(end, heads))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of the unit that begins with `head`.
    pub(crate) fn number(&self, head: Pfn) -> Option<usize> {
        self.0.number(head)
    }

    /// First frames of all units, ascending, so in the order of their numbers.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Pfn> + Clone + '_ {
        self.0.frames()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DEMO;

    /// What the guest planted: its raw blocks are units, one each; its
    /// vmalloc memory is not the census's to decide over.
    #[test]
    fn blocks_without_an_owner_are_units_and_owned_ones_are_not() {
        let units = Units::of(&DEMO.pages.map);
        for head in DEMO.of_kind("frames") {
            assert!(units.number(head).is_some(), "{head:?}");
        }
        for head in DEMO.of_kind("order2") {
            assert!(units.number(head).is_some(), "{head:?}");
            for tail in (1..4).map(|index| Pfn(head.0 + index)) {
                assert_eq!(units.number(tail), None, "{tail:?}");
            }
        }
        for head in DEMO.of_kind("vmalloc") {
            assert_eq!(units.number(head), None, "{head:?}");
        }
    }
}

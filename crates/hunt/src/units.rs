//! Numbers for the units the census decides over, so that what is known of each lies in a
//! plain array: a large host has tens of millions of them.

use pagehound_kernel::{Class, PageMap};
use pagehound_vmcore::Pfn;

/// 64-bit words whose set bits are counted together.
const BLOCK: usize = 8;

/// The units of a page map that the census decides over, numbered from 0 by ascending first
/// frame.
#[derive(Debug)]
pub(crate) struct Units {
    /// A bit a frame, set for first frames.
    bits: Vec<u64>,
    /// Units before each block.
    before: Vec<u32>,
    len: usize,
}

impl Units {
    pub(crate) fn of(map: &PageMap) -> Units {
        let censused = Class::ALL.iter().filter(|class| class.is_censused());
        Units::numbered(map.end(), censused.flat_map(|class| map.heads(*class)))
    }

    /// Units of the given first frames, in any order, all below `end`.
    pub(crate) fn numbered(end: Pfn, heads: impl Iterator<Item = Pfn>) -> Units {
        let mut bits = vec![0u64; end.0.div_ceil(64) as usize];
        for head in heads {
            if let Some(word) = bits.get_mut((head.0 / 64) as usize) {
                *word |= 1 << (head.0 % 64);
            }
        }
        let mut len = 0u32;
        let before = bits
            .chunks(BLOCK)
            .map(|block| {
                let before = len;
                len += block.iter().map(|word| word.count_ones()).sum::<u32>();
                before
            })
            .collect();
        Units {
            bits,
            before,
            len: len as usize,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of the unit that begins with `head`.
    pub(crate) fn number(&self, head: Pfn) -> Option<usize> {
        let at = (head.0 / 64) as usize;
        let word = *self.bits.get(at)?;
        let bit = 1u64 << (head.0 % 64);
        if word & bit == 0 {
            return None;
        }
        let block = at / BLOCK;
        let in_block = self.bits.get(block * BLOCK..at)?;
        let before: u32 = in_block.iter().map(|word| word.count_ones()).sum();
        let before = before + self.before.get(block)? + (word & (bit - 1)).count_ones();
        Some(before as usize)
    }

    /// First frames of all units, ascending, so in the order of their numbers.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Pfn> + '_ {
        (0u64..).zip(&self.bits).flat_map(|(index, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(Pfn(index * 64 + u64::from(bit)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DEMO;

    #[test]
    fn units_are_numbered_by_ascending_first_frame() {
        // Both ends of words of 64 frames, and of blocks of 512.
        let heads = [
            0, 1, 63, 64, 130, 511, 512, 513, 1023, 1024, 5000, 5119, 5120, 5130,
        ];
        let mixed = heads.iter().rev().map(|&head| Pfn(head));
        let units = Units::numbered(Pfn(5131), mixed);
        assert_eq!(units.len(), 14);
        assert_eq!(units.heads().collect::<Vec<_>>(), heads.map(Pfn));
        assert_eq!(units.number(Pfn(0)), Some(0));
        assert_eq!(units.number(Pfn(64)), Some(3));
        assert_eq!(units.number(Pfn(512)), Some(6));
        assert_eq!(units.number(Pfn(5000)), Some(10));
        assert_eq!(units.number(Pfn(5130)), Some(13));
        for other in [2, 62, 65, 514, 1022, 4999, 5121, 5129, 5131, 6000, u64::MAX] {
            assert_eq!(units.number(Pfn(other)), None, "{other}");
        }
    }

    #[test]
    fn none_are_none() {
        let units = Units::numbered(Pfn(0), std::iter::empty());
        assert_eq!((units.len(), units.number(Pfn(0))), (0, None));
        assert_eq!(units.heads().count(), 0);
    }

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

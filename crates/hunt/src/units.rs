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
        let mut bits = vec![0u64; map.end().0.div_ceil(64) as usize];
        for class in Class::ALL.iter().filter(|class| class.is_censused()) {
            for head in map.heads(*class) {
                if let Some(word) = bits.get_mut((head.0 / 64) as usize) {
                    *word |= 1 << (head.0 % 64);
                }
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
    fn numbers_count_the_heads_of_censused_units() {
        let map = &DEMO.pages.map;
        let units = Units::of(map);
        let mut wanted: Vec<Pfn> = map.heads(Class::Raw).collect();
        wanted.extend(map.heads(Class::Detached));
        wanted.extend(map.heads(Class::PagePool));
        wanted.sort_unstable();
        assert!(wanted.len() > 1000);
        assert_eq!(units.len(), wanted.len());
        assert_eq!(units.heads().collect::<Vec<_>>(), wanted);
        for (number, &head) in wanted.iter().enumerate() {
            assert_eq!(units.number(head), Some(number));
        }
    }

    #[test]
    fn other_frames_have_no_number() {
        let map = &DEMO.pages.map;
        let units = Units::of(map);
        let other = |&pfn: &Pfn| !map.class(pfn).is_censused() || map.is_tail(pfn);
        let numbered = (0..map.end().0 + 1000)
            .map(Pfn)
            .filter(other)
            .filter(|&pfn| units.number(pfn).is_some());
        assert_eq!(numbered.count(), 0);
    }
}

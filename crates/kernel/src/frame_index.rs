//! Numbers for some frames, so that what is known of each lies in a plain array: a large
//! host has tens of millions of frames without an owner, and millions of slabs.

use pagehound_vmcore::Pfn;

/// 64-bit words whose set bits are counted together.
const BLOCK: usize = 8;

/// Some frames, numbered from 0 in ascending order. Takes little more than a bit for each
/// frame there is.
#[derive(Clone, Debug, Default)]
pub struct FrameIndex {
    /// A bit a frame.
    bits: Vec<u64>,
    /// Frames before each block.
    before: Vec<u32>,
    len: usize,
}

impl FrameIndex {
    /// The given frames, in any order; those from `end` on are left out.
    pub fn of(end: Pfn, frames: impl Iterator<Item = Pfn>) -> FrameIndex {
        let mut bits = vec![0u64; end.0.div_ceil(64) as usize];
        for frame in frames.filter(|&frame| frame < end) {
            if let Some(word) = bits.get_mut((frame.0 / 64) as usize) {
                *word |= 1 << (frame.0 % 64);
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
        FrameIndex {
            bits,
            before,
            len: len as usize,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of a frame, if it is one of these.
    pub fn number(&self, frame: Pfn) -> Option<usize> {
        let at = (frame.0 / 64) as usize;
        let word = *self.bits.get(at)?;
        let bit = 1u64 << (frame.0 % 64);
        if word & bit == 0 {
            return None;
        }
        let block = at / BLOCK;
        let in_block = self.bits.get(block * BLOCK..at)?;
        let before: u32 = in_block.iter().map(|word| word.count_ones()).sum();
        let before = before + self.before.get(block)? + (word & (bit - 1)).count_ones();
        Some(before as usize)
    }

    /// All, ascending, so in the order of their numbers.
    pub fn frames(&self) -> impl Iterator<Item = Pfn> + Clone + '_ {
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

    #[test]
    fn frames_are_numbered_in_ascending_order() {
        // Both ends of words of 64 frames, and of blocks of 512.
        let frames = [
            0, 1, 63, 64, 130, 511, 512, 513, 1023, 1024, 5000, 5119, 5120, 5130,
        ];
        let mixed = [5131, u64::MAX].iter().chain(frames.iter().rev());
        let index = FrameIndex::of(Pfn(5131), mixed.map(|&frame| Pfn(frame)));
        assert_eq!(index.len(), 14);
        assert_eq!(index.frames().collect::<Vec<_>>(), frames.map(Pfn));
        assert_eq!(index.number(Pfn(0)), Some(0));
        assert_eq!(index.number(Pfn(64)), Some(3));
        assert_eq!(index.number(Pfn(512)), Some(6));
        assert_eq!(index.number(Pfn(5000)), Some(10));
        assert_eq!(index.number(Pfn(5130)), Some(13));
        for other in [2, 62, 65, 514, 1022, 4999, 5121, 5129, 5131, 6000, u64::MAX] {
            assert_eq!(index.number(Pfn(other)), None, "{other}");
        }
    }

    #[test]
    fn none_are_none() {
        let index = FrameIndex::of(Pfn(0), std::iter::empty());
        assert_eq!((index.len(), index.number(Pfn(0))), (0, None));
        assert_eq!(index.frames().count(), 0);
    }
}

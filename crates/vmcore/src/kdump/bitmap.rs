//! The bitmaps of a kdump, one bit a frame, least significant bit first.

use std::sync::Arc;

use crate::source::Source;

/// A bitmap in the file, borrowed from the mapping or, where it does not lie
/// there in one piece, copied.
pub(super) struct Bitmap {
    source: Arc<Source>,
    offset: u64,
    len: usize,
    copy: Option<Box<[u8]>>,
}

impl Bitmap {
    /// The bitmap of `len` bytes at `offset`; `None` where the file ends, or a
    /// flattened stream breaks off, before the bitmap does.
    pub(super) fn open(source: &Arc<Source>, offset: u64, len: u64) -> Option<Self> {
        let size = usize::try_from(len).ok()?;
        let copy = if source.slice_at(offset, size).is_some() {
            None
        } else {
            let copy = source.read_prefix(offset, len);
            if copy.len() != size {
                return None;
            }
            Some(copy.into_boxed_slice())
        };
        Some(Self {
            source: Arc::clone(source),
            offset,
            len: size,
            copy,
        })
    }

    /// Whether `pfn`'s bit is set; false beyond the end.
    pub(super) fn contains(&self, pfn: u64) -> bool {
        let byte = usize::try_from(pfn / 8)
            .ok()
            .and_then(|at| self.bytes().get(at));
        byte.is_some_and(|byte| byte & (1 << (pfn % 8)) != 0)
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len as u64
    }

    fn bytes(&self) -> &[u8] {
        match &self.copy {
            Some(copy) => copy,
            None => self
                .source
                .slice_at(self.offset, self.len)
                .unwrap_or_default(),
        }
    }

    /// The bitmap as 64-bit words, bit 0 of word 0 being frame 0; the last one
    /// filled up with zeroes.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.words_from(0)
    }

    fn words_from(&self, byte: usize) -> impl Iterator<Item = u64> {
        let (words, tail) = self
            .bytes()
            .get(byte..)
            .unwrap_or_default()
            .as_chunks::<8>();
        let last = (!tail.is_empty()).then(|| {
            let mut word = [0; 8];
            word.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        });
        words
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .chain(last)
    }
}

/// Frames a rank is remembered for: one cache line of bitmap.
const BLOCK_BYTES: usize = 64;
const BLOCK_FRAMES: u64 = BLOCK_BYTES as u64 * 8;

/// A [`Bitmap`] that knows how many bits are set before each.
pub(super) struct RankedBitmap {
    bits: Bitmap,
    /// Bits set before each block; an eighth of a bit a frame.
    before: Vec<u64>,
    total: u64,
}

impl RankedBitmap {
    /// Counts `bits`.
    pub(super) fn new(bits: Bitmap) -> Self {
        let mut before = Vec::with_capacity(bits.len / BLOCK_BYTES + 1);
        let mut total = 0;
        for (at, word) in bits.words().enumerate() {
            if at % (BLOCK_BYTES / 8) == 0 {
                before.push(total);
            }
            total += u64::from(word.count_ones());
        }
        Self {
            bits,
            before,
            total,
        }
    }

    /// Length in bytes, ranks included.
    pub(super) fn len(&self) -> u64 {
        self.bits.len() + (self.before.capacity() * size_of::<u64>()) as u64
    }

    /// The bits.
    pub(super) fn bits(&self) -> &Bitmap {
        &self.bits
    }

    /// Bits set below `pfn`.
    pub(super) fn rank(&self, pfn: u64) -> u64 {
        let block = usize::try_from(pfn / BLOCK_FRAMES).unwrap_or(usize::MAX);
        let Some(&before) = self.before.get(block) else {
            return self.total;
        };
        let mut left = pfn % BLOCK_FRAMES;
        let mut rank = before;
        for word in self.bits.words_from(block * BLOCK_BYTES) {
            if left < 64 {
                return rank + u64::from((word & ((1 << left) - 1)).count_ones());
            }
            rank += u64::from(word.count_ones());
            left -= 64;
        }
        rank
    }

    /// Set bits in `start..end`, ascending.
    pub(super) fn ones(&self, start: u64, end: u64) -> impl Iterator<Item = u64> {
        let first = usize::try_from(start / 64 * 8).unwrap_or(usize::MAX);
        let base = start / 64 * 64;
        let words = self.bits.words_from(first);
        (0..)
            .map(move |at: u64| base + at * 64)
            .zip(words)
            .take_while(move |&(pfn, _)| pfn < end)
            .flat_map(|(pfn, word)| Ones { pfn, word })
            .skip_while(move |&pfn| pfn < start)
            .take_while(move |&pfn| pfn < end)
    }
}

/// The set bits of a word.
struct Ones {
    pfn: u64,
    word: u64,
}

impl Iterator for Ones {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(self.pfn + u64::from(bit))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::source::RawFile;

    proptest! {
        /// Against counting bit by bit, mapped and copied.
        #[test]
        fn ranks_and_ones(
            bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x80, 0xff, 0x5a]), 1..300),
            offset in 0usize..9,
            map: bool,
        ) {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(&[vec![0xff; offset], bytes.clone()].concat()).expect("written");
            let raw = RawFile::new(file.reopen().expect("a file"), map).expect("opened");
            let source = Arc::new(Source::plain(raw));
            prop_assert!(Bitmap::open(&source, offset as u64, bytes.len() as u64 + 1).is_none());
            let bits = Bitmap::open(&source, offset as u64, bytes.len() as u64).expect("whole");
            let bits = RankedBitmap::new(bits);
            let set = |pfn: u64| bytes.get(pfn as usize / 8).is_some_and(|byte| byte >> (pfn % 8) & 1 != 0);
            let end = bytes.len() as u64 * 8 + 700;
            let mut rank = 0;
            for pfn in 0..end {
                prop_assert_eq!(bits.rank(pfn), rank);
                prop_assert_eq!(bits.bits().contains(pfn), set(pfn));
                rank += u64::from(set(pfn));
            }
            for (from, to) in [(0, end), (1, end), (63, 64), (65, 700), (700, 65), (end, end + 1)] {
                let ones: Vec<u64> = bits.ones(from, to).collect();
                let wanted: Vec<u64> = (from..to).filter(|pfn| set(*pfn)).collect();
                prop_assert_eq!(ones, wanted);
            }
        }
    }
}

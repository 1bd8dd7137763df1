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

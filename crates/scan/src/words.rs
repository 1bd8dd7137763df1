//! Masked words, many at once.

/// A word to look for: matches `word` when `word & keep == want`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle<W> {
    pub(crate) keep: W,
    pub(crate) want: W,
    /// Index of the pattern it stands for.
    pub(crate) pattern: u32,
}

/// A little-endian word of a dump.
pub(crate) trait Word: Copy + Eq + std::ops::BitAnd<Output = Self> {
    const BYTES: usize;

    /// The word at the start of `bytes`; zero where bytes are missing.
    fn load(bytes: &[u8]) -> Self;

    /// The lower bits of `value`.
    fn narrow(value: u64) -> Self;

    fn widen(self) -> u64;
}

macro_rules! word {
    ($type:ty) => {
        impl Word for $type {
            const BYTES: usize = size_of::<$type>();

            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                bytes
                    .first_chunk()
                    .map_or(0, |bytes| <$type>::from_le_bytes(*bytes))
            }

            fn narrow(value: u64) -> Self {
                value as $type
            }

            fn widen(self) -> u64 {
                u64::from(self)
            }
        }
    };
}
word!(u16);
word!(u32);
word!(u64);

/// Calls `f(offset, needle, word)` for every naturally aligned word of `page`
/// and every needle it matches, by rising offset.
pub(crate) fn find<W: Word>(
    page: &[u8],
    needles: &[Needle<W>],
    mut f: impl FnMut(usize, &Needle<W>, W),
) {
    let mut check = |bytes: &[u8], first: usize| {
        for (index, word) in bytes.chunks_exact(W::BYTES).enumerate() {
            let word = W::load(word);
            for needle in needles {
                if word & needle.keep == needle.want {
                    f(first + index * W::BYTES, needle, word);
                }
            }
        }
    };
    // Whole blocks first, without a branch a word: nearly all hold no match.
    let (blocks, rest) = page.as_chunks::<64>();
    let mut offset = 0;
    for block in blocks {
        let mut hit = false;
        for needle in needles {
            for word in block.chunks_exact(W::BYTES) {
                hit |= W::load(word) & needle.keep == needle.want;
            }
        }
        if hit {
            check(block, offset);
        }
        offset += 64;
    }
    check(rest, offset);
}

/// As [`find`], looking only at the word at `offset`.
pub(crate) fn find_at<W: Word>(
    page: &[u8],
    offset: usize,
    needles: &[Needle<W>],
    mut f: impl FnMut(usize, &Needle<W>, W),
) {
    let Some(bytes) = page.get(offset..).filter(|bytes| bytes.len() >= W::BYTES) else {
        return;
    };
    let word = W::load(bytes);
    for needle in needles {
        if word & needle.keep == needle.want {
            f(offset, needle, word);
        }
    }
}

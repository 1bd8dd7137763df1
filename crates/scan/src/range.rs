//! Words whose value falls into a range: pointers into known regions.

use std::ops::Range;

use crate::arch::{Work, widest};

/// Calls `f(index, word)` for every 64-bit little-endian word of `page`, at
/// byte `8 * index`, that lies in at least one of the half-open `ranges`, by
/// rising index and once a word. Empty and inverted ranges hold nothing; bytes
/// after the last whole word are ignored.
///
/// Blocks of words without a hit are passed over without a branch a word; this
/// is fastest for one to four ranges.
pub fn words_in_ranges(page: &[u8], ranges: &[Range<u64>], f: impl FnMut(usize, u64)) {
    widest(InRanges { page, ranges, f });
}

/// See [`words_in_ranges`].
struct InRanges<'a, F> {
    page: &'a [u8],
    ranges: &'a [Range<u64>],
    f: F,
}

impl<F: FnMut(usize, u64)> Work for InRanges<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let (page, f) = (self.page, &mut self.f);
        match self.ranges {
            [] => {}
            [a] => scan(page, &[span(a)], f),
            [a, b] => scan(page, &[span(a), span(b)], f),
            [a, b, c] => scan(page, &[span(a), span(b), span(c)], f),
            [a, b, c, d] => scan(page, &[span(a), span(b), span(c), span(d)], f),
            more => scan(page, &more.iter().map(span).collect::<Vec<_>>()[..], f),
        }
    }
}

/// Start and length: a word lies in the range when its distance from the start
/// is below the length, which is one comparison.
#[inline(always)]
fn span(range: &Range<u64>) -> (u64, u64) {
    (range.start, range.end.saturating_sub(range.start))
}

#[inline(always)]
fn scan<S: AsRef<[(u64, u64)]> + ?Sized>(page: &[u8], spans: &S, f: &mut impl FnMut(usize, u64)) {
    let spans = spans.as_ref();
    let lies_in = |word: u64| {
        spans
            .iter()
            .any(|&(start, len)| word.wrapping_sub(start) < len)
    };
    let (blocks, rest) = page.as_chunks::<64>();
    let mut index = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        let mut hits = 0u64;
        for &(start, len) in spans {
            for word in words {
                hits |= u64::from(u64::from_le_bytes(*word).wrapping_sub(start) < len);
            }
        }
        if hits != 0 {
            report(words, index, lies_in, f);
        }
        index += 8;
    }
    report(rest.as_chunks::<8>().0, index, lies_in, f);
}

#[inline(never)]
fn report(
    words: &[[u8; 8]],
    first: usize,
    lies_in: impl Fn(u64) -> bool,
    f: &mut impl FnMut(usize, u64),
) {
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        if lies_in(word) {
            f(first + index, word);
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is what is meant"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(page: &[u8], ranges: &[Range<u64>]) -> Vec<(usize, u64)> {
        let mut out = Vec::new();
        words_in_ranges(page, ranges, |index, word| out.push((index, word)));
        out
    }

    fn naive(page: &[u8], ranges: &[Range<u64>]) -> Vec<(usize, u64)> {
        page.chunks_exact(8)
            .map(|bytes| {
                bytes
                    .iter()
                    .rev()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte))
            })
            .enumerate()
            .filter(|(_, word)| ranges.iter().any(|range| range.contains(word)))
            .collect()
    }

    #[test]
    fn starts_are_in_and_ends_are_out() {
        let words: [u64; 6] = [0xfff, 0x1000, 0x1fff, 0x2000, 0, u64::MAX];
        let page: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(found(&page, &[0x1000..0x2000]), [(1, 0x1000), (2, 0x1fff)]);
        assert_eq!(found(&page, &[0..1, 0x2000..0x2001]), [(3, 0x2000), (4, 0)]);
        assert_eq!(found(&page, &[0x2000..u64::MAX]), [(3, 0x2000)]);
        assert_eq!(found(&page, &[0x1000..0x1000]), []);
        #[allow(clippy::reversed_empty_ranges, reason = "must hold nothing")]
        let inverted = 0x2000..0x1000;
        assert_eq!(found(&page, &[inverted]), []);
        assert_eq!(found(&page, &[]), []);
        assert_eq!(found(&page[..15], &[0..u64::MAX]), [(0, 0xfff)]);
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_each_word(
            words in prop::collection::vec(0u64..40, 0..70),
            tail in 0usize..8,
            high in prop::sample::select(vec![0, 1 << 31, 1 << 63, u64::MAX - 50]),
            ranges in prop::collection::vec((0u64..40, 0u64..4), 0..7),
        ) {
            let mut page: Vec<u8> =
                words.iter().flat_map(|word| (high + word).to_le_bytes()).collect();
            page.resize(page.len() + tail, 0xff);
            let ranges: Vec<_> =
                ranges.iter().map(|(start, len)| high + start..high + start + len).collect();
            prop_assert_eq!(found(&page, &ranges), naive(&page, &ranges));
        }
    }
}

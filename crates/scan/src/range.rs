//! Words whose value falls into a range: pointers into known regions.

use std::ops::Range;

use crate::arch::{Vector, Work, widest};

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
    fn run<V: Vector>(mut self) {
        let (page, ranges, f) = (self.page, self.ranges, &mut self.f);
        match ranges.len() {
            0 => {}
            1 => scan::<V, 1>(page, ranges, f),
            2 => scan::<V, 2>(page, ranges, f),
            3 => scan::<V, 3>(page, ranges, f),
            4 => scan::<V, 4>(page, ranges, f),
            _ => {
                let mut spans = Vec::with_capacity(ranges.len());
                for range in ranges {
                    spans.push(Span::<V>::of(range));
                }
                blocks(page, ranges, &spans, f);
            }
        }
    }
}

/// A range for all words of a vector. A word lies in it when its distance from
/// the start is below the length, which is one comparison; processors compare
/// signed, so both are moved by half of all values.
#[derive(Clone, Copy)]
struct Span<V> {
    start: V,
    length: V,
}

impl<V: Vector> Span<V> {
    #[inline(always)]
    fn of(range: &Range<u64>) -> Span<V> {
        const HALF: u64 = 1 << 63;
        let length = range.end.saturating_sub(range.start);
        Span {
            start: V::splat(range.start.wrapping_add(HALF)),
            length: V::splat(length ^ HALF),
        }
    }

    #[inline(always)]
    fn hits(self, words: V) -> V {
        words.minus(self.start).below(self.length)
    }
}

/// Scans for `N` ranges, which stay in registers.
#[inline(always)]
fn scan<V: Vector, const N: usize>(
    page: &[u8],
    ranges: &[Range<u64>],
    f: &mut impl FnMut(usize, u64),
) {
    let mut spans = [Span::<V>::of(&(0..0)); N];
    for (span, range) in spans.iter_mut().zip(ranges) {
        *span = Span::of(range);
    }
    blocks(page, ranges, &spans, f);
}

/// Looks closer at the blocks that hold a word in one of `spans`: most hold none.
#[inline(always)]
fn blocks<V: Vector>(
    page: &[u8],
    ranges: &[Range<u64>],
    spans: &[Span<V>],
    f: &mut impl FnMut(usize, u64),
) {
    let (blocks, rest) = page.as_chunks::<64>();
    let mut index = 0;
    for block in blocks {
        let words = V::load(block);
        let mut hits = V::splat(0);
        for span in spans {
            hits = hits.or(span.hits(words));
        }
        if hits.any() {
            report(block, index, ranges, f);
        }
        index += 8;
    }
    report(rest, index, ranges, f);
}

#[inline(never)]
fn report(bytes: &[u8], first: usize, ranges: &[Range<u64>], f: &mut impl FnMut(usize, u64)) {
    for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        if ranges.iter().any(|range| range.contains(&word)) {
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

//! Bytes of which some may not matter, at any alignment.

use memchr::memmem;

use crate::pattern::MaskedByte;

/// Finds bytes of which some may not matter, by their most telling run of
/// exact bytes.
#[derive(Debug)]
pub(crate) struct ByteFinder {
    bytes: Vec<MaskedByte>,
    /// Finder of that run, and where in `bytes` the run starts; none if no byte
    /// is exact.
    anchor: Option<(memmem::Finder<'static>, usize)>,
}

impl ByteFinder {
    pub(crate) fn new(bytes: &[MaskedByte]) -> ByteFinder {
        // Memory is full of 00 and ff.
        let telling = |byte: &MaskedByte| if matches!(byte.value, 0 | 0xff) { 1 } else { 4 };
        let mut best: (usize, &[MaskedByte], usize) = (0, &[], 0);
        let mut start = 0;
        for run in bytes.split(|byte| byte.care != 0xff) {
            let weight = run.iter().map(telling).sum();
            if weight > best.0 {
                best = (weight, run, start);
            }
            start += run.len() + 1;
        }
        let exact: Vec<u8> = best.1.iter().map(|byte| byte.value).collect();
        let anchor =
            (!exact.is_empty()).then(|| (memmem::Finder::new(&exact).into_owned(), best.2));
        ByteFinder {
            bytes: bytes.to_vec(),
            anchor,
        }
    }

    /// Length of the pattern in bytes; never zero.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `bytes` start with the pattern.
    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.bytes.len()
            && self
                .bytes
                .iter()
                .zip(bytes)
                .all(|(pattern, byte)| pattern.matches(*byte))
    }

    /// Calls `f` with every position at which the pattern matches, rising.
    pub(crate) fn find(&self, bytes: &[u8], mut f: impl FnMut(usize)) {
        let Some((finder, shift)) = &self.anchor else {
            for (start, window) in bytes.windows(self.bytes.len()).enumerate() {
                if self.matches(window) {
                    f(start);
                }
            }
            return;
        };
        // The pattern starts `shift` bytes before the anchor.
        let mut anchor_from = *shift;
        while let Some(found) = bytes.get(anchor_from..).and_then(|rest| finder.find(rest)) {
            let start = anchor_from + found - shift;
            if bytes.get(start..).is_some_and(|rest| self.matches(rest)) {
                f(start);
            }
            anchor_from += found + 1;
        }
    }
}

//! Bytes of which some may not matter, at any alignment.

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;

use crate::pattern::MaskedByte;

/// Finds many patterns in one go.
#[derive(Debug, Default)]
pub(crate) struct ByteFinders {
    /// With the index of each pattern.
    finders: Vec<(u32, ByteFinder)>,
    /// Of two and more that have an anchor: finds the next place of any of them.
    anchors: Option<AhoCorasick>,
}

impl ByteFinders {
    /// # Errors
    /// Where the patterns are too many or too long to be looked for at once.
    pub(crate) fn new(
        patterns: Vec<(u32, ByteFinder)>,
    ) -> Result<ByteFinders, aho_corasick::BuildError> {
        let anchors: Vec<&[u8]> = patterns
            .iter()
            .filter_map(|(_, finder)| finder.anchor())
            .map(|(bytes, _)| bytes)
            .collect();
        let anchors = match anchors.len() {
            0 | 1 => None,
            _ => Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostFirst)
                    .build(anchors)?,
            ),
        };
        Ok(ByteFinders {
            finders: patterns,
            anchors,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(u32, ByteFinder)> {
        self.finders.iter()
    }

    /// Length of the longest pattern in bytes.
    pub(crate) fn longest(&self) -> usize {
        let lengths = self.finders.iter().map(|(_, finder)| finder.len());
        lengths.max().unwrap_or(0)
    }

    /// Calls `f(start, pattern, length)` for every place in the first `own` bytes
    /// of `bytes` at which a pattern starts; in order for each pattern.
    pub(crate) fn find(&self, bytes: &[u8], own: usize, mut f: impl FnMut(usize, u32, usize)) {
        for (pattern, finder) in &self.finders {
            if self.anchors.is_none() || finder.anchor().is_none() {
                let end = own.saturating_add(finder.len() - 1).min(bytes.len());
                let part = bytes.get(..end).unwrap_or_default();
                finder.find(part, |start| f(start, *pattern, finder.len()));
            }
        }
        let Some(anchors) = &self.anchors else {
            return;
        };
        // One place may be where several anchors are: all are tried there, and the
        // search goes on behind its first byte.
        let mut from = 0;
        while let Some(found) = anchors
            .find(aho_corasick::Input::new(bytes).range(from..))
            .map(|found| found.start())
        {
            for (pattern, finder) in &self.finders {
                let Some((_, shift)) = finder.anchor() else {
                    continue;
                };
                let Some(start) = found.checked_sub(shift).filter(|start| *start < own) else {
                    continue;
                };
                if bytes.get(start..).is_some_and(|rest| finder.matches(rest)) {
                    f(start, *pattern, finder.len());
                }
            }
            from = found + 1;
        }
    }
}

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

    /// The exact bytes that are looked for, and where in the pattern they start.
    fn anchor(&self) -> Option<(&[u8], usize)> {
        let (finder, shift) = self.anchor.as_ref()?;
        Some((finder.needle(), *shift))
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

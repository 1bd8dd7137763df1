//! Patterns made ready for searching.

use std::ops::Range;

use pagehound_vmcore::Pfn;
use regex::bytes::{Regex, RegexBuilder};

use crate::bytes::{ByteFinder, ByteFinders};
use crate::pattern::{Pattern, PatternError, Width};
use crate::range::words_in_ranges;
use crate::words::{Needles, Word};

/// A place that matches a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Match {
    /// The page in which it starts.
    pub pfn: Pfn,
    /// Where it starts in that page, in bytes.
    pub offset: u32,
    /// Index of the pattern in the list given to [`PatternSet::compile`].
    pub pattern: u32,
    /// What is there.
    pub found: Found,
}

/// What matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Found {
    /// The word as it is in memory, masked bits included.
    Word(u64),
    /// Length in bytes; the end may lie in a following page.
    Bytes(u32),
}

/// Patterns made ready for searching, with an optional offset that every match
/// must have in its page.
///
/// Words are found at their natural alignment, bytes at every position, also
/// where matches overlap; matches of a regular expression do not overlap, are
/// leftmost first, and never empty.
#[derive(Debug)]
pub struct PatternSet {
    count: usize,
    at: Option<usize>,
    needles16: Needles<u16>,
    needles32: Needles<u32>,
    needles64: Needles<u64>,
    ranges: Vec<Range<u64>>,
    /// Index of the pattern each of `ranges` stands for.
    range_patterns: Vec<u32>,
    bytes: ByteFinders,
    regexes: Vec<(u32, Regex)>,
}

impl PatternSet {
    /// Makes `patterns` ready. With `at` only matches at that offset in a page
    /// of `page_size` bytes count.
    pub fn compile(
        patterns: &[Pattern],
        at: Option<usize>,
        page_size: usize,
    ) -> Result<PatternSet, PatternError> {
        if let Some(at) = at.filter(|at| *at >= page_size) {
            return Err(PatternError::OffsetOutside { at, page_size });
        }
        let mut set = PatternSet {
            count: patterns.len(),
            at,
            needles16: Needles::default(),
            needles32: Needles::default(),
            needles64: Needles::default(),
            ranges: Vec::new(),
            range_patterns: Vec::new(),
            bytes: ByteFinders::default(),
            regexes: Vec::new(),
        };
        let mut bytes = Vec::new();
        for (pattern, index) in patterns.iter().zip(0u32..) {
            pattern.check()?;
            match pattern {
                Pattern::Value { value, mask, width } => {
                    set.aligned(width.bytes())?;
                    match width {
                        Width::W16 => set.needles16.add(*value, *mask, index),
                        Width::W32 => set.needles32.add(*value, *mask, index),
                        Width::W64 => set.needles64.add(*value, *mask, index),
                    }
                }
                Pattern::Range(range) => {
                    set.aligned(8)?;
                    set.ranges.push(range.clone());
                    set.range_patterns.push(index);
                }
                Pattern::Bytes(pattern) => bytes.push((index, ByteFinder::new(pattern))),
                Pattern::Regex(text) => set.regexes.push((index, regex(text)?)),
            }
        }
        set.bytes =
            ByteFinders::new(bytes).map_err(|error| PatternError::TooMany(error.to_string()))?;
        Ok(set)
    }

    /// Number of patterns.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends the matches that lie within one page, by rising offset, then by
    /// pattern.
    pub fn find(&self, page: &[u8], pfn: Pfn, out: &mut Vec<Match>) {
        let from = out.len();
        self.find_words(page, pfn, out);
        self.find_bytes(page, page.len(), page.len(), pfn, out);
        sort(out, from);
    }

    /// Bytes of the page after the last one that have to be seen.
    pub(crate) fn look_ahead(&self, page_size: usize) -> usize {
        self.bytes.longest().saturating_sub(1).min(page_size)
    }

    /// Appends the matches of words in one page; not in order if there are
    /// several kinds.
    pub(crate) fn find_words(&self, page: &[u8], pfn: Pfn, out: &mut Vec<Match>) {
        self.find_width(page, pfn, &self.needles64, out);
        self.find_width(page, pfn, &self.needles32, out);
        self.find_width(page, pfn, &self.needles16, out);
        if self.ranges.is_empty() {
            return;
        }
        let (part, shift) = match self.at {
            None => (page, 0),
            Some(at) => (
                page.get(at..)
                    .and_then(|rest| rest.get(..8))
                    .unwrap_or_default(),
                at,
            ),
        };
        words_in_ranges(part, &self.ranges, |index, word| {
            for (range, pattern) in self.ranges.iter().zip(&self.range_patterns) {
                if range.contains(&word) {
                    out.push(word_match(pfn, shift + 8 * index, *pattern, word));
                }
            }
        });
    }

    fn find_width<W: Word>(
        &self,
        page: &[u8],
        pfn: Pfn,
        needles: &Needles<W>,
        out: &mut Vec<Match>,
    ) {
        if needles.is_empty() {
            return;
        }
        let push = |offset, pattern, word: W| {
            out.push(word_match(pfn, offset, pattern, word.widen()));
        };
        match self.at {
            None => needles.find(page, push),
            Some(at) => needles.find_at(page, at, push),
        }
    }

    /// Appends the matches of bytes and regular expressions that start in the
    /// first `own` bytes of `run`, which holds pages of `page_size` bytes from
    /// page `first` on, followed by bytes that only complete a match; in order
    /// for each pattern.
    pub(crate) fn find_bytes(
        &self,
        run: &[u8],
        own: usize,
        page_size: usize,
        first: Pfn,
        out: &mut Vec<Match>,
    ) {
        let mut push = |start: usize, len: usize, pattern: u32| {
            let page = start.checked_div(page_size).unwrap_or(0);
            out.push(Match {
                pfn: Pfn(first.0.saturating_add(page as u64)),
                offset: (start - page * page_size) as u32,
                pattern,
                found: Found::Bytes(len as u32),
            });
        };
        if let Some(at) = self.at {
            for start in (at..own).step_by(page_size.max(1)) {
                let Some(rest) = run.get(start..) else { break };
                for (pattern, finder) in self.bytes.iter() {
                    if finder.matches(rest) {
                        push(start, finder.len(), *pattern);
                    }
                }
                let page = run.get(start - at..start - at + page_size);
                for (pattern, regex) in &self.regexes {
                    let found = regex
                        .find_at(page.unwrap_or_default(), at)
                        .filter(|found| found.start() == at && !found.is_empty());
                    if let Some(found) = found {
                        push(start, found.len(), *pattern);
                    }
                }
            }
            return;
        }
        self.bytes
            .find(run, own, |start, pattern, len| push(start, len, pattern));
        for (pattern, regex) in &self.regexes {
            let pages = run.get(..own).unwrap_or_default().chunks(page_size.max(1));
            for (number, page) in pages.enumerate() {
                for found in regex.find_iter(page).filter(|found| !found.is_empty()) {
                    push(number * page_size + found.start(), found.len(), *pattern);
                }
            }
        }
    }

    fn aligned(&self, width: usize) -> Result<(), PatternError> {
        match self.at {
            Some(at) if at % width != 0 => Err(PatternError::OffsetUnaligned { at, width }),
            _ => Ok(()),
        }
    }
}

/// Sorts the matches from index `from` on by page, offset, pattern.
pub(crate) fn sort(out: &mut [Match], from: usize) {
    if let Some(new) = out.get_mut(from..) {
        new.sort_unstable_by_key(|found| (found.pfn, found.offset, found.pattern));
    }
}

fn word_match(pfn: Pfn, offset: usize, pattern: u32, word: u64) -> Match {
    Match {
        pfn,
        offset: offset as u32,
        pattern,
        found: Found::Word(word),
    }
}

/// Largest compiled expression, in bytes. Time for a byte of memory grows with
/// it where an expression defeats the automaton's cache.
const REGEX_SIZE: usize = 1 << 19;

fn regex(text: &str) -> Result<Regex, PatternError> {
    let error = |reason: String| PatternError::Regex {
        given: text.into(),
        reason,
    };
    let regex = RegexBuilder::new(text)
        .unicode(false)
        .size_limit(REGEX_SIZE)
        .build();
    let regex = regex.map_err(|source| {
        error(match source {
            regex::Error::CompiledTooBig(_) => {
                "it is too large to be searched for in all of memory; shorten its `{m,n}`, \
                 and leave out `(?u)`"
                    .into()
            }
            other => other.to_string(),
        })
    })?;
    if regex.is_match(b"") {
        return Err(error(
            "it matches the empty string, and so everywhere".into(),
        ));
    }
    Ok(regex)
}

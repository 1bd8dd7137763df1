//! The present pages of a memory in file order, cut into chunks of work.

use pagehound_vmcore::{Pfn, PfnRange, PhysicalMemory};

/// Bytes of memory a thread takes at a time: small enough that its results and
/// its pages stay in the processor's cache, large enough that taking it costs
/// nothing.
const CHUNK_BYTES: usize = 256 << 10;

/// Present pages in file order. Chunk `i` is the `i`-th group of
/// `chunk_pages` pages; where runs are short it spans several of them.
pub(crate) struct Layout {
    /// Runs: from the end of the one before to the start, and the length, as numbers
    /// of as many bytes as they need. A host's memory is in millions of runs where
    /// its free pages were left out.
    runs: Vec<u8>,
    /// Every so many runs, where the next one is.
    marks: Vec<Mark>,
    pages: u64,
    chunk_pages: u64,
}

/// Runs between two marks.
const MARKED: usize = 32;

/// Where a run is found.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Pages before it.
    before: u64,
    /// End of the run before it.
    end: u64,
    /// Index of its first byte.
    at: usize,
}

impl Layout {
    pub(crate) fn of(memory: &dyn PhysicalMemory) -> Layout {
        let chunk_pages = (CHUNK_BYTES >> memory.page_shift().min(31)).max(1) as u64;
        Layout::new(|each| memory.each_present_run(each), chunk_pages)
    }

    fn new(runs: impl FnOnce(&mut dyn FnMut(PfnRange)), chunk_pages: u64) -> Layout {
        let mut layout = Layout {
            runs: Vec::new(),
            marks: Vec::new(),
            pages: 0,
            chunk_pages,
        };
        let mut count = 0usize;
        let mut end = 0u64;
        runs(&mut |run| {
            if run.is_empty() {
                return;
            }
            if count.is_multiple_of(MARKED) {
                layout.marks.push(Mark {
                    before: layout.pages,
                    end,
                    at: layout.runs.len(),
                });
            }
            count += 1;
            let gap = run.start.0.wrapping_sub(end) as i64;
            // The sign in the lowest bit: files may go back.
            write(&mut layout.runs, ((gap << 1) ^ (gap >> 63)) as u64);
            write(&mut layout.runs, run.len());
            layout.pages = layout.pages.saturating_add(run.len());
            end = run.end.0;
        });
        layout
    }

    /// All present pages.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Number of chunks; the last one may be shorter than the others.
    pub(crate) fn chunks(&self) -> u64 {
        self.pages.div_ceil(self.chunk_pages)
    }

    /// The pages of one chunk; nothing for a chunk that does not exist.
    pub(crate) fn chunk(&self, index: u64) -> impl Iterator<Item = PfnRange> + '_ {
        let start = index.saturating_mul(self.chunk_pages);
        let end = start.saturating_add(self.chunk_pages).min(self.pages);
        let after = self.marks.partition_point(|mark| mark.before <= start);
        let mark = after.checked_sub(1).and_then(|at| self.marks.get(at));
        self.from(mark.copied().unwrap_or_default())
            .take_while(move |(before, _)| *before < end)
            .map(move |(before, run)| {
                let skip = start.saturating_sub(before).min(run.len());
                let take = (end - before).min(run.len());
                PfnRange {
                    start: Pfn(run.start.0 + skip),
                    end: Pfn(run.start.0 + take),
                }
            })
            .filter(|range| !range.is_empty())
    }

    /// Runs from a mark on, each with the number of pages before it.
    fn from(&self, mark: Mark) -> impl Iterator<Item = (u64, PfnRange)> + '_ {
        let mut bytes = self.runs.get(mark.at..).unwrap_or_default();
        let Mark {
            mut before,
            mut end,
            ..
        } = mark;
        std::iter::from_fn(move || {
            let gap = read(&mut bytes)?;
            let length = read(&mut bytes)?;
            let start = end.wrapping_add((gap >> 1) ^ (gap & 1).wrapping_neg());
            end = start.wrapping_add(length);
            let run = PfnRange {
                start: Pfn(start),
                end: Pfn(end),
            };
            let found = (before, run);
            before = before.saturating_add(length);
            Some(found)
        })
    }
}

/// Adds a number, seven bits a byte, the lowest first; all bytes but the last have
/// their highest bit set.
fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front.
fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_written() {
        let numbers = [0, 1, 127, 128, 1 << 35, u64::MAX - 1, u64::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&number| write(&mut bytes, number));
        let mut rest = bytes.as_slice();
        for number in numbers {
            assert_eq!(read(&mut rest), Some(number));
        }
        assert_eq!(read(&mut rest), None);
    }

    proptest! {
        #[test]
        fn chunks_cover_every_page_once_in_file_order(
            lengths in prop::collection::vec((0u64..40, 0u64..300), 0..150),
            chunk_pages in 1u64..20,
            backwards: bool,
        ) {
            let mut at = 7;
            let mut runs = Vec::new();
            for (length, gap) in lengths {
                runs.push(PfnRange { start: Pfn(at), end: Pfn(at + length) });
                at += length + gap;
            }
            if backwards {
                runs.reverse();
            }
            let want: Vec<u64> = runs.iter().flat_map(|r| r.start.0..r.end.0).collect();
            let layout = Layout::new(|each| runs.into_iter().for_each(each), chunk_pages);
            prop_assert_eq!(layout.pages(), want.len() as u64);
            let mut got = Vec::new();
            for index in 0..layout.chunks() {
                let chunk: Vec<u64> =
                    layout.chunk(index).flat_map(|r| r.start.0..r.end.0).collect();
                prop_assert!(chunk.len() as u64 <= chunk_pages && !chunk.is_empty());
                got.extend(chunk);
            }
            prop_assert_eq!(got, want);
            prop_assert_eq!(layout.chunk(layout.chunks()).count(), 0);
            prop_assert_eq!(layout.chunk(u64::MAX).count(), 0);
        }
    }
}

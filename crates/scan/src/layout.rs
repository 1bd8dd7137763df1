//! The present pages of a memory in file order, cut into chunks of work.

use pagehound_vmcore::{Pfn, PfnRange, PhysicalMemory};

/// Bytes of memory a thread takes at a time: small enough that its results and
/// its pages stay in the processor's cache, large enough that taking it costs
/// nothing.
const CHUNK_BYTES: usize = 256 << 10;

/// Present pages in file order. Chunk `i` is the `i`-th group of
/// `chunk_pages` pages; where runs are short it spans several of them.
pub(crate) struct Layout {
    /// Runs with the number of pages that lie before each of them.
    runs: Vec<(u64, PfnRange)>,
    pages: u64,
    chunk_pages: u64,
}

impl Layout {
    pub(crate) fn of(memory: &dyn PhysicalMemory) -> Layout {
        Layout::new(
            memory.present_runs(),
            (CHUNK_BYTES >> memory.page_shift().min(31)).max(1) as u64,
        )
    }

    fn new(runs: Vec<PfnRange>, chunk_pages: u64) -> Layout {
        let mut pages = 0u64;
        let runs = runs
            .into_iter()
            .filter(|run| !run.is_empty())
            .map(|run| {
                let before = pages;
                pages = pages.saturating_add(run.len());
                (before, run)
            })
            .collect();
        Layout {
            runs,
            pages,
            chunk_pages,
        }
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
        let first = self
            .runs
            .partition_point(|(before, _)| *before <= start)
            .saturating_sub(1);
        self.runs
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(move |(before, _)| *before < end)
            .map(move |&(before, run)| {
                let skip = start.saturating_sub(before).min(run.len());
                let take = (end - before).min(run.len());
                PfnRange {
                    start: Pfn(run.start.0 + skip),
                    end: Pfn(run.start.0 + take),
                }
            })
            .filter(|range| !range.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_cover_every_page_once_in_file_order(
            lengths in prop::collection::vec((0u64..40, 0u64..5), 0..30),
            chunk_pages in 1u64..20,
        ) {
            let mut at = 7;
            let mut runs = Vec::new();
            for (length, gap) in lengths {
                runs.push(PfnRange { start: Pfn(at), end: Pfn(at + length) });
                at += length + gap;
            }
            runs.reverse();
            let want: Vec<u64> = runs.iter().flat_map(|r| r.start.0..r.end.0).collect();
            let layout = Layout::new(runs, chunk_pages);
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

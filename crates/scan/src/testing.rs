//! A memory for tests, and slow finders that say what is true.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use pagehound_vmcore::{Coverage, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory};

use crate::pattern::Pattern;
use crate::set::{Found, Match};

/// What the test memory has of a page; pages not listed are absent.
#[derive(Clone, Debug)]
pub(crate) enum Page {
    Here(Vec<u8>),
    Broken,
    Excluded,
}

/// Memory in memory.
#[derive(Clone, Debug)]
pub(crate) struct TestMemory {
    pub(crate) page_shift: u32,
    pub(crate) pages: BTreeMap<u64, Page>,
    /// Whether the file holds its runs last one first.
    pub(crate) backwards: bool,
}

impl TestMemory {
    fn bytes(&self, pfn: Pfn) -> Result<&[u8], FaultReason> {
        match self.pages.get(&pfn.0) {
            Some(Page::Here(bytes)) => Ok(bytes),
            Some(Page::Broken) => Err(FaultReason::Unreadable("does not decompress".into())),
            Some(Page::Excluded) => Err(FaultReason::Excluded),
            None => Err(FaultReason::Absent),
        }
    }

    /// Writes over pages that are there; what falls elsewhere is lost.
    pub(crate) fn write(&mut self, addr: u64, data: &[u8]) {
        let size = self.page_size();
        for (at, byte) in (addr..).zip(data) {
            if let Some(Page::Here(bytes)) = self.pages.get_mut(&(at >> self.page_shift)) {
                bytes[at as usize % size] = *byte;
            }
        }
    }

    /// Page frame numbers the container lists as present, in file order.
    pub(crate) fn present(&self) -> Vec<u64> {
        self.present_runs()
            .iter()
            .flat_map(|run| run.start.0..run.end.0)
            .collect()
    }
}

impl PhysicalMemory for TestMemory {
    fn page_shift(&self) -> u32 {
        self.page_shift
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.pages.keys().next_back().map_or(0, |last| last + 1))
    }

    fn state(&self, pfn: Pfn) -> PageState {
        match self.pages.get(&pfn.0) {
            Some(Page::Here(_) | Page::Broken) => PageState::Present,
            Some(Page::Excluded) => PageState::Excluded,
            None => PageState::Absent,
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        let fault = |reason| Fault {
            addr: pfn.addr(self.page_shift),
            reason,
        };
        page.copy_from_slice(self.bytes(pfn).map_err(fault)?);
        Ok(())
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut runs: Vec<PfnRange> = Vec::new();
        for (&pfn, page) in &self.pages {
            if matches!(page, Page::Excluded) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end.0 == pfn => run.end = Pfn(pfn + 1),
                _ => runs.push(PfnRange {
                    start: Pfn(pfn),
                    end: Pfn(pfn + 1),
                }),
            }
        }
        if self.backwards {
            runs.reverse();
        }
        runs
    }

    fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for page in self.pages.values() {
            match page {
                Page::Here(_) => coverage.present += 1,
                Page::Broken => coverage.unreadable += 1,
                Page::Excluded => coverage.excluded += 1,
            }
        }
        coverage
    }
}

/// Every match of `pattern` (not a regular expression) that starts in `pfn`,
/// found by trying each position of the page by the definition.
pub(crate) fn naive(
    memory: &TestMemory,
    pfn: u64,
    pattern: &Pattern,
    index: u32,
    at: Option<usize>,
) -> Vec<Match> {
    // The page and what follows it without a gap, as far as a pattern may reach.
    let pages = 1 + crate::pattern::MAX_BYTES as u64 / memory.page_size() as u64 + 1;
    let text: Vec<&[u8]> = (pfn..pfn + pages)
        .map_while(|pfn| memory.bytes(Pfn(pfn)).ok())
        .collect();
    let (own, text) = (text.first().map_or(0, |page| page.len()), text.concat());
    let mut out = Vec::new();
    for offset in 0..own {
        if at.is_some_and(|at| at != offset) {
            continue;
        }
        let read = |len: usize| text.get(offset..offset + len);
        let word = |len: usize| {
            let bytes = read(len).filter(|_| offset % len == 0)?;
            Some(
                bytes
                    .iter()
                    .rev()
                    .fold(0u64, |word, byte| word << 8 | u64::from(*byte)),
            )
        };
        let found = match pattern {
            Pattern::Value { value, mask, width } => word(width.bytes())
                .filter(|word| word | mask == value | mask)
                .map(Found::Word),
            Pattern::Range(range) => word(8)
                .filter(|word| range.start <= *word && *word < range.end)
                .map(Found::Word),
            Pattern::Bytes(bytes) => read(bytes.len())
                .filter(|read| {
                    bytes
                        .iter()
                        .zip(*read)
                        .all(|(b, read)| read & b.care == b.value & b.care)
                })
                .map(|read| Found::Bytes(read.len() as u32)),
            Pattern::Regex(_) => panic!("not for regular expressions"),
        };
        if let Some(found) = found {
            out.push(Match {
                pfn: Pfn(pfn),
                offset: offset as u32,
                pattern: index,
                found,
            });
        }
    }
    out
}

/// Counts what a pass says of itself.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) begun: AtomicU64,
    pub(crate) read: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) matches: AtomicU64,
}

impl crate::Progress for Counter {
    fn begin(&self, pages: u64) {
        self.begun.fetch_add(pages, Ordering::Relaxed);
    }

    fn advance(&self, read: u64, skipped: u64) {
        self.read.fetch_add(read, Ordering::Relaxed);
        self.skipped.fetch_add(skipped, Ordering::Relaxed);
    }

    fn matched(&self, count: u64) {
        self.matches.fetch_add(count, Ordering::Relaxed);
    }
}

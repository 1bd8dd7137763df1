//! Physical memory as ranges of bytes that lie uncompressed in a file.

mod runs;
mod twice;

use std::sync::Arc;

use self::runs::{Kind, Run, data_runs, with_excluded};
use crate::intervals::{Piece, first_after, overlay};
use crate::source::Source;
use crate::{Coverage, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory};

/// Physical bytes `start..start + len`, of which the first `stored` lie in the
/// file at `at`; the others were left out. No sum overflows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) stored: u64,
    pub(crate) len: u64,
    pub(crate) at: u64,
}

/// Physical memory in ranges, which may overlap.
pub(crate) struct RangeMemory {
    source: Arc<Source>,
    page_shift: u32,
    /// Disjoint, ascending.
    runs: Vec<Run>,
    /// Stored bytes, for pages in several pieces; disjoint, ascending.
    pieces: Vec<Piece>,
    coverage: Coverage,
    /// Ranges have other bytes for the same memory.
    contradicts: bool,
}

impl RangeMemory {
    /// Lays `ranges` over one another. Where they overlap (kernels list their
    /// text twice), what is stored counts, earlier ranges first.
    pub(crate) fn new(source: Arc<Source>, ranges: &[Range], page_shift: u32) -> Self {
        let stored = ranges.iter().rev().map(|range| Piece {
            start: range.start,
            end: range.start + range.stored,
            at: range.at,
        });
        let known = ranges.iter().map(|range| Piece {
            start: range.start,
            end: range.start + range.len,
            at: range.start,
        });
        let pieces = overlay(stored.collect());
        let contradicts = twice::differ(&source, ranges, &pieces);
        let known = overlay(known.collect());
        let mut memory = Self {
            runs: with_excluded(
                &data_runs(&pieces, source.len(), page_shift),
                &known,
                page_shift,
            ),
            source,
            page_shift,
            pieces,
            coverage: Coverage::default(),
            contradicts,
        };
        memory.coverage = memory.count();
        memory
    }

    /// Why some pages may not be what the machine had, a sentence.
    pub(crate) fn contradiction(&self) -> Option<String> {
        self.contradicts.then(|| {
            "the dump contradicts itself (it has two contents for the same memory): nobody knows which is \
             the machine's; take it again"
                .to_owned()
        })
    }

    fn count(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for run in &self.runs {
            let count = match run.kind.state() {
                PageState::Present => &mut coverage.present,
                PageState::Excluded => &mut coverage.excluded,
                PageState::Absent => &mut coverage.absent,
                PageState::Unreadable => &mut coverage.unreadable,
            };
            *count += run.end - run.start;
        }
        coverage
    }

    fn run(&self, pfn: Pfn) -> Option<&Run> {
        let index = self.runs.partition_point(|run| run.end <= pfn.0);
        self.runs.get(index).filter(|run| run.start <= pfn.0)
    }

    /// Offset in the file of pages that lie there in one piece, and how many
    /// bytes from there on do.
    fn offset(&self, pfn: Pfn) -> Option<(u64, u64)> {
        let run = self.run(pfn)?;
        match run.kind {
            Kind::Whole(at) => Some((
                at + ((pfn.0 - run.start) << self.page_shift),
                (run.end - pfn.0) << self.page_shift,
            )),
            _ => None,
        }
    }

    /// Puts a page together. What no piece covers is no memory of the machine
    /// (a firmware table begins in mid-page) and reads as zero.
    fn assemble(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), String> {
        let start = pfn.0 << self.page_shift;
        let end = start + page.len() as u64;
        page.fill(0);
        let first = first_after(&self.pieces, start);
        for piece in self.pieces.get(first..).unwrap_or_default() {
            let (from, to) = (piece.start.max(start), piece.end.min(end));
            if from >= to {
                break;
            }
            let part = (from - start) as usize..(to - start) as usize;
            if let Some(part) = page.get_mut(part) {
                let at = piece.at + (from - piece.start);
                self.source.read_at(at, part).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    fn fill(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), FaultReason> {
        let unreadable = FaultReason::Unreadable;
        let run = self.run(pfn).ok_or(FaultReason::Absent)?;
        match run.kind {
            Kind::Whole(at) => {
                let at = at + ((pfn.0 - run.start) << self.page_shift);
                self.source
                    .read_at(at, page)
                    .map_err(|e| unreadable(e.to_string()))
            }
            Kind::Partly => self.assemble(pfn, page).map_err(unreadable),
            Kind::CutOff => Err(unreadable("beyond the end of the file".to_owned())),
            Kind::Excluded => Err(FaultReason::Excluded),
        }
    }
}

impl PhysicalMemory for RangeMemory {
    fn page_shift(&self) -> u32 {
        self.page_shift
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.runs.last().map_or(0, |run| run.end))
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.run(pfn)
            .map_or(PageState::Absent, |run| run.kind.state())
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.fill(pfn, page).map_err(|reason| Fault {
            addr: pfn.addr(self.page_shift),
            reason,
        })
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        let (offset, _) = self.offset(pfn)?;
        self.source.slice_at(offset, self.page_size())
    }

    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        let mut pfn = first;
        let mut rest = pages;
        while !rest.is_empty() {
            let stored = match self.offset(pfn) {
                Some((offset, len)) => {
                    let len = rest.len().min(usize::try_from(len).unwrap_or(usize::MAX));
                    let part = rest.get_mut(..len).unwrap_or_default();
                    self.source.copy_at(offset, part).is_ok().then_some(len)
                }
                None => None,
            };
            let done = match stored {
                Some(len) => len,
                // A page in pieces; or one of many is broken: which, single reads tell.
                None => {
                    let len = rest.len().min(self.page_size());
                    self.read_page(pfn, rest.get_mut(..len).unwrap_or_default())?;
                    len
                }
            };
            pfn.0 += (done >> self.page_shift).max(1) as u64;
            rest = rest.get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut found: Vec<(u64, Run)> = Vec::new();
        for run in self
            .runs
            .iter()
            .filter(|run| run.kind.state() == PageState::Present)
        {
            let at = match run.kind {
                Kind::Whole(at) => at,
                _ => {
                    let index = first_after(&self.pieces, run.start << self.page_shift);
                    self.pieces.get(index).map_or(0, |piece| piece.at)
                }
            };
            found.push((at, *run));
        }
        found.sort_by_key(|&(at, run)| (at, run.start));
        let mut runs: Vec<PfnRange> = Vec::with_capacity(found.len());
        for (_, run) in found {
            match runs.last_mut() {
                Some(last) if last.end.0 == run.start => last.end.0 = run.end,
                _ => runs.push(PfnRange {
                    start: Pfn(run.start),
                    end: Pfn(run.end),
                }),
            }
        }
        runs
    }

    fn coverage(&self) -> Coverage {
        self.coverage
    }

    fn index_bytes(&self) -> u64 {
        let runs = self.runs.capacity() * size_of::<Run>();
        let pieces = self.pieces.capacity() * size_of::<Piece>();
        (runs + pieces) as u64 + self.source.index_bytes()
    }
}

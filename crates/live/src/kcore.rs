//! The pages of kcore.

use std::fs::File;
use std::os::unix::fs::FileExt;

use pagehound_vmcore::{Coverage, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory};

use crate::descriptors::Descriptors;
use crate::ram::Ram;
use crate::rate::Rate;
use crate::withheld::Withheld;

/// The memory of the running kernel. It changes while it is read; of two reads of one
/// page neither is wrong.
pub(crate) struct Kcore {
    files: Descriptors,
    /// Ascending, disjoint.
    ranges: Vec<Range>,
    /// `/proc/kpageflags`, where the kernel has it.
    flags: Option<File>,
    rate: Option<Rate>,
    page_shift: u32,
    /// Frames of RAM that kcore does not show.
    not_shown: u64,
}

struct Range {
    ram: Ram,
    withheld: Withheld,
}

impl Kcore {
    pub(crate) fn new(
        files: Descriptors,
        ram: Vec<Ram>,
        not_shown: u64,
        flags: Option<File>,
        rate: Option<Rate>,
        page_shift: u32,
    ) -> Self {
        let range = |ram: Ram| Range {
            withheld: Withheld::of(ram.pfns),
            ram,
        };
        Self {
            files,
            ranges: ram.into_iter().map(range).collect(),
            flags,
            rate,
            page_shift,
            not_shown,
        }
    }

    fn range(&self, pfn: Pfn) -> Option<&Range> {
        let index = self
            .ranges
            .partition_point(|range| range.ram.pfns.end <= pfn);
        let range = self.ranges.get(index)?;
        (range.ram.pfns.start <= pfn).then_some(range)
    }

    /// Where the pages from `first` on lie and how many there are in one piece, of
    /// `pages` that are wanted.
    fn piece(&self, first: Pfn, pages: u64) -> Result<(u64, u64), FaultReason> {
        let range = self.range(first).ok_or(FaultReason::Absent)?;
        let wanted = PfnRange {
            start: first,
            end: Pfn(first.0.saturating_add(pages)).min(range.ram.pfns.end),
        };
        match range.withheld.run(self.flags.as_ref(), wanted) {
            (_, true) => Err(FaultReason::Unreadable(
                "withheld by the kernel: offline, poisoned or in a balloon".to_owned(),
            )),
            (run, false) => {
                let before = first.0 - range.ram.pfns.start.0;
                Ok((range.ram.at + (before << self.page_shift), run.len()))
            }
        }
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<(), FaultReason> {
        if let Some(rate) = &self.rate {
            rate.take(bytes.len() as u64);
        }
        self.files
            .with(|file| file.read_exact_at(bytes, at))
            .map_err(|error| FaultReason::Unreadable(format!("/proc/kcore: {error}")))
    }

    /// Tells `each` of runs of frames that are withheld, or that are not.
    fn each_run(&self, is_withheld: bool, each: &mut dyn FnMut(PfnRange)) {
        for range in &self.ranges {
            let mut rest = range.ram.pfns;
            while !rest.is_empty() {
                let (run, withheld) = range.withheld.run(self.flags.as_ref(), rest);
                if withheld == is_withheld {
                    each(run);
                }
                rest.start = run.end.max(Pfn(rest.start.0 + 1));
            }
        }
    }
}

impl PhysicalMemory for Kcore {
    fn page_shift(&self) -> u32 {
        self.page_shift
    }

    fn end_pfn(&self) -> Pfn {
        let last = self.ranges.last();
        last.map_or(Pfn(0), |range| range.ram.pfns.end)
    }

    fn state(&self, pfn: Pfn) -> PageState {
        match self.piece(pfn, 1) {
            Ok(_) => PageState::Present,
            Err(FaultReason::Absent) => PageState::Absent,
            Err(_) => PageState::Unreadable,
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.piece(pfn, 1)
            .and_then(|(at, _)| self.read_at(at, page))
            .map_err(|reason| Fault {
                addr: pfn.addr(self.page_shift),
                reason,
            })
    }

    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        let mut pfn = first;
        let mut rest = pages;
        while !rest.is_empty() {
            let wanted = (rest.len() >> self.page_shift) as u64;
            let (at, found) = self.piece(pfn, wanted).map_err(|reason| Fault {
                addr: pfn.addr(self.page_shift),
                reason,
            })?;
            let len = rest.len().min((found as usize) << self.page_shift);
            let (part, after) = rest.split_at_mut(len.max(1).min(rest.len()));
            // One of many is broken: which, single reads tell.
            if self.read_at(at, part).is_err() {
                for (pfn, page) in (pfn.0..).zip(part.chunks_exact_mut(self.page_size())) {
                    self.read_page(Pfn(pfn), page)?;
                }
            }
            pfn.0 += found;
            rest = after;
        }
        Ok(())
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut runs = Vec::new();
        self.each_present_run(&mut |run| runs.push(run));
        runs
    }

    fn each_present_run(&self, each: &mut dyn FnMut(PfnRange)) {
        self.each_run(false, each);
    }

    fn coverage(&self) -> Coverage {
        let mut coverage = Coverage {
            absent: self.not_shown,
            ..Coverage::default()
        };
        self.each_run(false, &mut |run| coverage.present += run.len());
        self.each_run(true, &mut |run| coverage.unreadable += run.len());
        coverage
    }

    fn forget_states(&self) {
        for range in &self.ranges {
            range.withheld.forget();
        }
    }

    fn index_bytes(&self) -> u64 {
        let withheld = self.ranges.iter().map(|range| range.withheld.bytes());
        withheld.sum::<u64>() + (self.ranges.capacity() * size_of::<Range>()) as u64
    }
}

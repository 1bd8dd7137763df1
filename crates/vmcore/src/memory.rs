//! What every container offers: pages by frame number, and why one is missing.

use crate::{Pfn, PfnRange, PhysAddr};

/// What a container knows of one page frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PageState {
    /// The container holds the bytes.
    Present,
    /// The machine had the page; whoever wrote the dump left it out on purpose
    /// (a dump level, `makedumpfile -d`).
    Excluded,
    /// The container knows of no such page, or lost it (an incomplete dump).
    Absent,
    /// The container lists the page, but its bytes cannot be had: the file ends
    /// too early, or the data does not decompress.
    Unreadable,
}

/// How many page frames are in which [`PageState`], as far as the container's
/// own tables tell without reading every page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    /// Frames whose bytes are in the container.
    pub present: u64,
    /// Frames left out on purpose.
    pub excluded: u64,
    /// Frames the machine had and the container lost (not holes of the machine).
    pub absent: u64,
    /// Frames listed but not readable.
    pub unreadable: u64,
}

/// A read that could not be served.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("physical {addr}: {reason}")]
pub struct Fault {
    /// The first physical address that could not be read.
    pub addr: PhysAddr,
    /// Why.
    pub reason: FaultReason,
}

/// Why a page could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FaultReason {
    /// See [`PageState::Excluded`].
    #[error("left out of the dump by its dump level")]
    Excluded,
    /// See [`PageState::Absent`].
    #[error("not in the dump")]
    Absent,
    /// See [`PageState::Unreadable`]; the text says what failed.
    #[error("unreadable: {0}")]
    Unreadable(String),
}

/// Physical memory of the dumped machine, a page at a time.
///
/// Reads go into the caller's buffer; [`page_slice`](Self::page_slice) is an
/// optional fast path for containers that hold pages as they were.
pub trait PhysicalMemory: Send + Sync {
    /// log2 of the page size (12 for 4 KiB).
    fn page_shift(&self) -> u32;

    /// The first frame above all frames the container knows of.
    fn end_pfn(&self) -> Pfn;

    /// What the container knows of `pfn`, without reading its bytes. Frames at
    /// or above [`end_pfn`](Self::end_pfn) are [`PageState::Absent`].
    fn state(&self, pfn: Pfn) -> PageState;

    /// Fills `page`, whose length must be the page size, with the page's bytes.
    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault>;

    /// Fills `pages`, whose length must be a multiple of the page size, with the
    /// bytes of the pages from `first` on: for passes over much memory, which
    /// this serves faster than single reads. Of pages the container has in one
    /// of its [`present_runs`](Self::present_runs) it makes as few reads as it can.
    ///
    /// # Errors
    /// The fault of the first page that cannot be had; those before it are filled.
    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        (first.0..)
            .zip(pages.chunks_exact_mut(self.page_size()))
            .try_for_each(|(pfn, page)| self.read_page(Pfn(pfn), page))
    }

    /// The page's bytes where they lie uncompressed in mapped memory.
    fn page_slice(&self, _pfn: Pfn) -> Option<&[u8]> {
        None
    }

    /// Runs of present frames, in the order in which their bytes lie in the
    /// file; every present frame is in exactly one run.
    fn present_runs(&self) -> Vec<PfnRange>;

    /// Tells `each` of [`present_runs`](Self::present_runs) one after the other: a
    /// dump without its free pages may have more of them than memory is worth.
    fn each_present_run(&self, each: &mut dyn FnMut(PfnRange)) {
        self.present_runs().into_iter().for_each(each);
    }

    /// Counts by state.
    fn coverage(&self) -> Coverage;

    /// Of memory that changes: forgets which pages could not be read, so that they are
    /// asked for anew.
    fn forget_states(&self) {}

    /// Bytes of memory that telling where pages lie takes, for as long as this is
    /// open: bitmaps, ranges, places of chunks. None where that is nothing that
    /// grows with the dump.
    fn index_bytes(&self) -> u64 {
        0
    }

    /// Page size in bytes.
    fn page_size(&self) -> usize {
        1 << self.page_shift()
    }
}

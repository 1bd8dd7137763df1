//! Memory in a kdump: from a frame to its bytes.

use std::ops::Range;
use std::sync::Arc;

use zerocopy::FromZeros;

use super::bitmap::{Bitmap, RankedBitmap};
use super::blocks::Blocks;
use super::descs::Descs;
use super::header::Headers;
use super::layout::PageDesc;
use crate::codec::{Codec, decompress};
use crate::error::Defect;
use crate::source::Source;
use crate::{Coverage, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory};

/// Pages whose descriptors are read at a time.
const GROUP: usize = 64;

/// The bitmaps, which the files of a split dump have in common.
struct Bitmaps {
    /// Frames the machine had; `None` in old dumps with a single bitmap.
    existing: Option<Bitmap>,
    dumped: RankedBitmap,
}

impl Bitmaps {
    /// What both take, of which what is mapped counts too: all of it is read.
    fn bytes(&self) -> u64 {
        self.existing.as_ref().map_or(0, Bitmap::len) + self.dumped.len()
    }
}

/// Memory in a kdump.
pub(super) struct Kdump {
    max_mapnr: u64,
    bitmaps: Arc<Bitmaps>,
    descs: Descs,
    /// Frames whose descriptors are in this file.
    here: Range<u64>,
    /// Dumped frames below `here`, which have no descriptor in this file.
    rank_base: u64,
    /// Where the first block of data lies, which pages of zeroes share.
    first_block: u64,
    /// Blocks lie in the file in the order of their frames.
    in_order: bool,
    coverage: Coverage,
    /// What the descriptors say that cannot be.
    contradiction: Option<String>,
}

impl Kdump {
    /// Checks the tables `headers` point to and counts what is there.
    pub(super) fn new(source: &Arc<Source>, headers: &Headers) -> Result<Self, Defect> {
        let max_mapnr = headers.max_mapnr;
        let block_size = 1 << headers.page_shift;
        // What one bitmap takes, in whole blocks; no overflow: at most 2^61 + 2^16.
        let one = max_mapnr.div_ceil(8).next_multiple_of(block_size);
        if one > headers.bitmap_len {
            return Err(Defect {
                format: "kdump",
                field: "bitmap_blocks",
                offset: 436,
                problem: format!(
                    "{} blocks, but {max_mapnr} frames need {}",
                    headers.bitmap_len / block_size,
                    one / block_size
                ),
            });
        }
        let bitmap = |offset| {
            Bitmap::open(source, offset, max_mapnr.div_ceil(8)).ok_or_else(|| Defect {
                format: "kdump",
                field: "bitmap",
                offset,
                problem: format!("the file ends before the bitmap of {max_mapnr} frames does"),
            })
        };
        // diskdump-style partial dumps have two bitmaps, full ones had one.
        let half = headers.bitmap_len / 2;
        let (existing, dumped) = if half >= one {
            (
                Some(bitmap(headers.bitmap_offset)?),
                bitmap(headers.bitmap_offset + half)?,
            )
        } else {
            (None, bitmap(headers.bitmap_offset)?)
        };
        let dumped = RankedBitmap::new(dumped);
        let here = match &headers.split {
            Some(range) => range.start.min(max_mapnr)..range.end.min(max_mapnr),
            None => 0..max_mapnr,
        };
        let mut memory = Self {
            max_mapnr,
            rank_base: dumped.rank(here.start),
            bitmaps: Arc::new(Bitmaps { existing, dumped }),
            descs: Descs {
                source: Arc::clone(source),
                at: headers.bitmap_offset + headers.bitmap_len,
                page_shift: headers.page_shift,
            },
            here,
            first_block: u64::MAX,
            in_order: true,
            coverage: Coverage::default(),
            contradiction: None,
        };
        memory.count();
        Ok(memory)
    }

    /// Frames the bitmaps cover.
    pub(super) fn max_mapnr(&self) -> u64 {
        self.max_mapnr
    }

    /// Frames whose descriptors are in this file.
    pub(super) fn here(&self) -> Range<u64> {
        self.here.clone()
    }

    /// How many frames in `range` the dump has, in this file or another.
    pub(super) fn dumped_in(&self, range: &Range<u64>) -> u64 {
        let dumped = &self.bitmaps.dumped;
        dumped
            .rank(range.end)
            .saturating_sub(dumped.rank(range.start))
    }

    /// How many frames this file of the dump has.
    pub(super) fn dumped_in_file(&self) -> u64 {
        self.dumped_in(&self.here)
    }

    /// How many frames other files of the dump have.
    pub(super) fn dumped_elsewhere(&self) -> u64 {
        self.dumped().saturating_sub(self.dumped_in_file())
    }

    /// How many frames the dump has, in this file and others.
    pub(super) fn dumped(&self) -> u64 {
        self.dumped_in(&(0..self.max_mapnr))
    }

    /// [`PhysicalMemory::index_bytes`] without the bitmaps, which other files share.
    pub(super) fn own_index_bytes(&self) -> u64 {
        self.descs.source.index_bytes()
    }

    /// Whether both bitmaps are those of `other`.
    pub(super) fn has_bitmaps_of(&self, other: &Kdump) -> bool {
        let same = |a: &Bitmap, b: &Bitmap| a.words().eq(b.words());
        let (mine, theirs) = (&self.bitmaps, &other.bitmaps);
        let existing = match (&mine.existing, &theirs.existing) {
            (Some(mine), Some(theirs)) => same(mine, theirs),
            (None, None) => true,
            _ => false,
        };
        existing && same(mine.dumped.bits(), theirs.dumped.bits())
    }

    /// The same with the bitmaps that `other` has in memory, which are equal.
    pub(super) fn with_bitmaps_of(self, other: &Kdump) -> Self {
        let bitmaps = Arc::clone(&other.bitmaps);
        Self { bitmaps, ..self }
    }

    /// The frames with a descriptor in this file.
    fn listed(&self) -> impl Iterator<Item = u64> {
        self.bitmaps.dumped.ones(self.here.start, self.here.end)
    }

    /// What the descriptors say that cannot be, if anything: then some pages may have
    /// the data of others.
    pub(super) fn contradiction(&self) -> Option<&str> {
        self.contradiction.as_deref()
    }

    fn is_zero(&self, desc: &PageDesc) -> bool {
        let mut page = vec![1; self.page_size()];
        let codec = self.descs.check(desc);
        codec.is_ok_and(|codec| self.block(desc, codec, &mut page).is_ok())
            && page.iter().all(|&byte| byte == 0)
    }

    /// Counts states, finds the first block and what contradicts itself, reading every
    /// descriptor once.
    fn count(&mut self) {
        let dumped = self.bitmaps.dumped.rank(self.max_mapnr);
        let here = self
            .bitmaps
            .dumped
            .rank(self.here.end)
            .saturating_sub(self.rank_base);
        let mut coverage = Coverage {
            absent: dumped.saturating_sub(here),
            ..Coverage::default()
        };
        if let Some(existing) = &self.bitmaps.existing {
            let mut frames_left = self.max_mapnr;
            for (existing, dumped) in existing.words().zip(self.bitmaps.dumped.bits().words()) {
                // Bits above the last frame mean nothing.
                let mask = if frames_left < 64 {
                    (1 << frames_left) - 1
                } else {
                    u64::MAX
                };
                coverage.excluded += u64::from((existing & !dumped & mask).count_ones());
                frames_left = frames_left.saturating_sub(64);
            }
        }
        let mut seen = 0;
        let mut blocks = Blocks::default();
        let mut order = Order::default();
        let mut in_order = true;
        self.descs.each(self.listed(), |_, desc| {
            seen += 1;
            match self.descs.state(desc.as_ref()) {
                PageState::Present => {
                    coverage.present += 1;
                    if let Some(desc) = desc {
                        in_order &= order.goes_on(desc.offset.get());
                        blocks.add(&desc, || self.is_zero(&desc));
                    }
                }
                PageState::Absent => coverage.absent += 1,
                PageState::Excluded | PageState::Unreadable => coverage.unreadable += 1,
            }
        });
        // Descriptors beyond the end of the file.
        coverage.unreadable += here.saturating_sub(seen);
        let file_end = self.descs.source.len();
        self.contradiction = blocks.contradiction(file_end, |each| {
            self.descs.each(self.listed(), |_, desc| {
                if let Some(desc) =
                    desc.filter(|desc| self.descs.state(Some(desc)) == PageState::Present)
                {
                    each(&desc);
                }
            });
        });
        self.first_block = order.lowest;
        self.in_order = in_order;
        self.coverage = coverage;
    }

    /// The descriptor of a dumped frame.
    fn find(&self, pfn: Pfn) -> Result<PageDesc, FaultReason> {
        if pfn.0 >= self.max_mapnr {
            return Err(FaultReason::Absent);
        }
        if !self.bitmaps.dumped.bits().contains(pfn.0) {
            let existing = self
                .bitmaps
                .existing
                .as_ref()
                .is_some_and(|bits| bits.contains(pfn.0));
            return Err(if existing {
                FaultReason::Excluded
            } else {
                FaultReason::Absent
            });
        }
        if !self.here.contains(&pfn.0) {
            return Err(FaultReason::Absent);
        }
        let rank = self
            .bitmaps
            .dumped
            .rank(pfn.0)
            .saturating_sub(self.rank_base);
        let desc = self.descs.read(rank).map_err(FaultReason::Unreadable)?;
        if desc.offset.get() == 0 {
            Err(FaultReason::Absent)
        } else {
            Ok(desc)
        }
    }

    fn fill(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), FaultReason> {
        let desc = self.find(pfn)?;
        let codec = self.descs.check(&desc).map_err(FaultReason::Unreadable)?;
        self.block(&desc, codec, page)
            .map_err(FaultReason::Unreadable)
    }

    /// How many of the `most` frames from `pfn` on have descriptors in this file
    /// one after the other.
    fn listed_from(&self, pfn: Pfn, most: u64) -> u64 {
        let end = pfn.0.saturating_add(most).min(self.here.end);
        let bits = self.bitmaps.dumped.bits();
        (pfn.0..end)
            .take_while(|&pfn| pfn >= self.here.start && bits.contains(pfn))
            .count() as u64
    }

    /// Fills `pages` with the pages that `descs` describe, whose data lies in the
    /// file mostly one behind the other; returns how many of them, from the first
    /// on, it could.
    fn unpack(&self, descs: &[PageDesc], pages: &mut [u8]) -> usize {
        let size = self.page_size();
        let source = &self.descs.source;
        let blocks = descs.iter().filter_map(|desc| {
            let offset = desc.offset.get();
            (offset != self.first_block && self.descs.check(desc).is_ok())
                .then(|| offset..offset + u64::from(desc.size.get()))
        });
        let span = blocks.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        // A longer one is of blocks in another order.
        let span = span.filter(|span| span.end - span.start <= (2 * descs.len() * size) as u64);
        let span = span.unwrap_or(0..0);
        source.with_copy(span.start, (span.end - span.start) as usize, |data| {
            let mut first_block = None;
            for (index, desc) in descs.iter().enumerate() {
                let offset = desc.offset.get();
                let at = index * size;
                let block = (offset, desc.size.get(), desc.flags.get());
                if let Some((first, done)) = first_block
                    && first == block
                {
                    pages.copy_within(done..done + size, at);
                    continue;
                }
                let Some(page) = pages.get_mut(at..at + size) else {
                    return index;
                };
                let data = offset.checked_sub(span.start).and_then(|from| {
                    let from = usize::try_from(from).ok()?;
                    data?.get(from..)?.get(..desc.size.get() as usize)
                });
                let done = self.descs.check(desc).and_then(|codec| match data {
                    Some(data) => decompress(codec, data, page),
                    None => self.block(desc, codec, page),
                });
                if offset == 0 || done.is_err() {
                    return index;
                }
                if offset == self.first_block {
                    first_block = Some((block, at));
                }
            }
            descs.len()
        })
    }

    /// Tells `each` stretch of present frames whose data lies in the file in their
    /// order, with where its first block lies.
    fn stretches(&self, mut each: impl FnMut(u64, PfnRange)) {
        let mut order = Order::default();
        let mut last: Option<(u64, PfnRange)> = None;
        self.descs.each(self.listed(), |pfn, desc| {
            let Some(desc) = desc.filter(|desc| self.descs.state(Some(desc)) == PageState::Present)
            else {
                return;
            };
            let forth = order.goes_on(desc.offset.get());
            match &mut last {
                Some((_, run)) if run.end.0 == pfn && forth => run.end.0 += 1,
                _ => {
                    let (start, end) = (Pfn(pfn), Pfn(pfn + 1));
                    let new = (order.highest, PfnRange { start, end });
                    if let Some((offset, run)) = last.replace(new) {
                        each(offset, run);
                    }
                }
            }
        });
        if let Some((offset, run)) = last {
            each(offset, run);
        }
    }

    /// Fills `page` with what a descriptor points to.
    fn block(&self, desc: &PageDesc, codec: Codec, page: &mut [u8]) -> Result<(), String> {
        self.descs
            .source
            .with_bytes(desc.offset.get(), desc.size.get() as usize, |data| {
                decompress(codec, data, page)
            })
            .map_err(|e| e.to_string())
            .flatten()
    }
}

/// Whether blocks lie one behind the other. Pages of zeroes share the first: where it
/// lies says nothing.
struct Order {
    lowest: u64,
    highest: u64,
}

impl Default for Order {
    fn default() -> Self {
        Order {
            lowest: u64::MAX,
            highest: 0,
        }
    }
}

impl Order {
    /// Whether the block at `offset` is not before those so far.
    fn goes_on(&mut self, offset: u64) -> bool {
        self.lowest = self.lowest.min(offset);
        let back = offset < self.highest && offset > self.lowest;
        self.highest = if back {
            offset
        } else {
            self.highest.max(offset)
        };
        !back
    }
}

impl PhysicalMemory for Kdump {
    fn page_shift(&self) -> u32 {
        self.descs.page_shift
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.max_mapnr)
    }

    fn state(&self, pfn: Pfn) -> PageState {
        match self.find(pfn) {
            Ok(desc) => self.descs.state(Some(&desc)),
            Err(FaultReason::Excluded) => PageState::Excluded,
            Err(FaultReason::Absent) => PageState::Absent,
            Err(FaultReason::Unreadable(_)) => PageState::Unreadable,
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.fill(pfn, page).map_err(|reason| Fault {
            addr: pfn.addr(self.descs.page_shift),
            reason,
        })
    }

    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        let mut descs = [PageDesc::new_zeroed(); GROUP];
        let mut pfn = first;
        let mut rest = pages;
        while !rest.is_empty() {
            let most = (rest.len() / self.page_size()).min(GROUP);
            let listed = self.listed_from(pfn, most as u64) as usize;
            let descs = descs.get_mut(..listed).unwrap_or_default();
            let rank = self
                .bitmaps
                .dumped
                .rank(pfn.0)
                .saturating_sub(self.rank_base);
            let mut done = match self.descs.read_all(rank, descs) {
                Ok(()) => self.unpack(descs, rest),
                Err(_) => 0,
            };
            if done == 0 {
                // Alone it is read in another way, or gives the fault.
                let page = rest.len().min(self.page_size());
                self.read_page(pfn, rest.get_mut(..page).unwrap_or_default())?;
                done = 1;
            }
            pfn.0 += done as u64;
            rest = rest.get_mut(done * self.page_size()..).unwrap_or_default();
        }
        Ok(())
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        let desc = self.find(pfn).ok()?;
        let plain = self.descs.check(&desc).ok()? == Codec::Plain;
        plain
            .then(|| {
                self.descs
                    .source
                    .slice_at(desc.offset.get(), desc.size.get() as usize)
            })
            .flatten()
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut runs = Vec::new();
        self.each_present_run(&mut |run| runs.push(run));
        runs
    }

    fn each_present_run(&self, each: &mut dyn FnMut(PfnRange)) {
        if self.in_order {
            self.stretches(|_, run| each(run));
            return;
        }
        let mut runs: Vec<(u64, PfnRange)> = Vec::new();
        self.stretches(|offset, run| runs.push((offset, run)));
        runs.sort_by_key(|&(offset, _)| offset);
        runs.into_iter().for_each(|(_, run)| each(run));
    }

    fn coverage(&self) -> Coverage {
        self.coverage
    }

    fn index_bytes(&self) -> u64 {
        self.bitmaps.bytes() + self.own_index_bytes()
    }
}

//! Compressed kdump (`makedumpfile`, QEMU's `dump-guest-memory -z` and the like).
//!
//! Two bitmaps say which frames the machine had and which of them were dumped.
//! The descriptor of a dumped frame is found by its rank among the dumped ones;
//! it says where the page's data lies and how it is compressed.

mod bitmap;
mod header;
mod layout;

use std::ops::Range;
use std::sync::Arc;

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use self::bitmap::{Bitmap, RankedBitmap};
use self::header::Headers;
pub(crate) use self::layout::SIGNATURE;
use self::layout::{PageDesc, compressed};
use crate::codec::{Codec, decompress};
use crate::error::Defect;
use crate::notes::page_shift_in;
use crate::repage::in_pages_of;
use crate::source::Source;
use crate::{
    Coverage, Dump, DumpInfo, Fault, FaultReason, Format, PageState, Pfn, PfnRange, PhysicalMemory,
};

const DESC_SIZE: u64 = size_of::<PageDesc>() as u64;

/// Memory in a kdump.
struct Kdump {
    source: Arc<Source>,
    page_shift: u32,
    max_mapnr: u64,
    /// Frames the machine had; `None` in old dumps with a single bitmap.
    existing: Option<Bitmap>,
    dumped: RankedBitmap,
    /// Where the descriptors begin.
    descs: u64,
    /// Frames whose descriptors are in this file.
    here: Range<u64>,
    /// Dumped frames below `here`, which have no descriptor in this file.
    rank_base: u64,
    coverage: Coverage,
}

/// Opens the kdump in `source`.
pub(crate) fn open(source: Source) -> Result<Dump, Defect> {
    let source = Arc::new(source);
    let headers = Headers::read(&source)?;
    let memory = Kdump::new(&source, &headers)?;
    let lost = memory.coverage.absent + memory.coverage.unreadable;
    let mut warnings = headers.warnings();
    if source.is_cut_short() {
        warnings.push("the flattened stream breaks off before its end record".to_owned());
    }
    if let Some(range) = headers.split.as_ref().filter(|_| lost > 0) {
        warnings.push(format!(
            "one file of a split dump (makedumpfile --split): it holds frames {:#x} to {:#x} only; \
             join all files with makedumpfile --reassemble",
            range.start, range.end
        ));
    } else if lost > 0 {
        warnings.push(format!(
            "{lost} pages are listed but not in the file: the dump is incomplete"
        ));
    }
    let page_shift = headers.vmcoreinfo.as_deref().and_then(page_shift_in);
    let info = DumpInfo {
        format: if source.is_flattened() {
            Format::FlattenedKdump
        } else {
            Format::Kdump
        },
        machine: headers.machine(),
        incomplete: headers.incomplete || source.is_cut_short() || lost > 0,
        vmcoreinfo: headers.vmcoreinfo,
        notes: headers.notes,
        utsname: Some(headers.utsname),
        dump_level: headers.dump_level,
        phys_base: Some(headers.phys_base),
        segments: Vec::new(),
        captured_at: headers.captured_at,
        warnings,
    };
    let page_shift = page_shift.unwrap_or(memory.page_shift);
    Ok(Dump {
        info,
        memory: in_pages_of(Box::new(memory), page_shift),
    })
}

impl Kdump {
    fn new(source: &Arc<Source>, headers: &Headers) -> Result<Self, Defect> {
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
            source: Arc::clone(source),
            page_shift: headers.page_shift,
            max_mapnr,
            existing,
            rank_base: dumped.rank(here.start),
            dumped,
            descs: headers.bitmap_offset + headers.bitmap_len,
            here,
            coverage: Coverage::default(),
        };
        memory.coverage = memory.count();
        Ok(memory)
    }

    /// Counts states, reading every descriptor once.
    fn count(&self) -> Coverage {
        let dumped = self.dumped.rank(self.max_mapnr);
        let here = self
            .dumped
            .rank(self.here.end)
            .saturating_sub(self.rank_base);
        let mut coverage = Coverage {
            absent: dumped - here.min(dumped),
            ..Coverage::default()
        };
        if let Some(existing) = &self.existing {
            let mut frames_left = self.max_mapnr;
            for (existing, dumped) in existing.words().zip(self.dumped.bits().words()) {
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
        self.each_desc(|_, desc| {
            seen += 1;
            match self.state_of(desc.as_ref()) {
                PageState::Present => coverage.present += 1,
                PageState::Absent => coverage.absent += 1,
                PageState::Excluded | PageState::Unreadable => coverage.unreadable += 1,
            }
        });
        // Descriptors beyond the end of the file.
        coverage.unreadable += here.saturating_sub(seen);
        coverage
    }

    /// Calls `f` with every dumped frame of this file, ascending, whose
    /// descriptor lies within the file, and with the descriptor, `None` where a
    /// flattened stream has a gap.
    fn each_desc(&self, mut f: impl FnMut(u64, Option<PageDesc>)) {
        const CHUNK: u64 = 1 << 11;
        let stored = self.source.len().saturating_sub(self.descs) / DESC_SIZE;
        let mut chunk = Vec::new();
        let mut first = 0;
        for (rank, pfn) in (0..stored).zip(self.dumped.ones(self.here.start, self.here.end)) {
            if rank % CHUNK == 0 {
                first = rank;
                chunk.resize(CHUNK.min(stored - rank) as usize, PageDesc::new_zeroed());
                let at = self.descs + rank * DESC_SIZE;
                if self
                    .source
                    .read_at(at, chunk.as_mut_slice().as_mut_bytes())
                    .is_err()
                {
                    chunk.clear();
                }
            }
            let desc = match chunk.get((rank - first) as usize) {
                Some(desc) => Some(*desc),
                None => self.read_desc(rank).ok(),
            };
            f(pfn, desc);
        }
    }

    /// The descriptor of the dumped frame with this rank in this file.
    fn read_desc(&self, rank: u64) -> Result<PageDesc, String> {
        // Ranks are below 2^61 / 24, checked against the file's bitmaps.
        let at = self.descs.saturating_add(rank.saturating_mul(DESC_SIZE));
        self.source
            .with_bytes(at, size_of::<PageDesc>(), |bytes| {
                PageDesc::read_from_bytes(bytes).ok()
            })
            .map_err(|e| format!("page descriptor: {e}"))?
            .ok_or_else(|| "page descriptor".to_owned())
    }

    fn state_of(&self, desc: Option<&PageDesc>) -> PageState {
        match desc {
            // An incomplete dump's page is lost; it is not a page of zeroes.
            Some(desc) if desc.offset.get() == 0 => PageState::Absent,
            Some(desc) if self.check(desc).is_ok() => PageState::Present,
            _ => PageState::Unreadable,
        }
    }

    /// Whether the descriptor can be true.
    fn check(&self, desc: &PageDesc) -> Result<Codec, String> {
        let (offset, size) = (desc.offset.get(), desc.size.get());
        let end = self.source.len();
        if offset
            .checked_add(u64::from(size))
            .is_none_or(|to| to > end)
        {
            return Err(format!(
                "its {size} bytes at offset {offset:#x} lie beyond the end of the file ({end:#x})"
            ));
        }
        let page = 1u64 << self.page_shift;
        let method = compressed::ZLIB | compressed::LZO | compressed::SNAPPY | compressed::ZSTD;
        let codec = match desc.flags.get() & method {
            0 => Codec::Plain,
            compressed::ZLIB => Codec::Zlib,
            compressed::LZO => Codec::Lzo,
            compressed::SNAPPY => Codec::Snappy,
            compressed::ZSTD => Codec::Zstd,
            flags => {
                return Err(format!(
                    "page_desc.flags {flags:#x} name several compressions"
                ));
            }
        };
        // Writers store a page as it is where compression does not shrink it.
        let fits = match codec {
            Codec::Plain => u64::from(size) == page,
            _ => size > 0 && u64::from(size) <= 2 * page,
        };
        if fits {
            Ok(codec)
        } else {
            Err(format!("page_desc.size {size} for {codec:?}"))
        }
    }

    /// The descriptor of a dumped frame.
    fn find(&self, pfn: Pfn) -> Result<PageDesc, FaultReason> {
        if pfn.0 >= self.max_mapnr {
            return Err(FaultReason::Absent);
        }
        if !self.dumped.bits().contains(pfn.0) {
            let existing = self
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
        let rank = self.dumped.rank(pfn.0).saturating_sub(self.rank_base);
        let desc = self.read_desc(rank).map_err(FaultReason::Unreadable)?;
        if desc.offset.get() == 0 {
            Err(FaultReason::Absent)
        } else {
            Ok(desc)
        }
    }

    fn fill(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), FaultReason> {
        let desc = self.find(pfn)?;
        let codec = self.check(&desc).map_err(FaultReason::Unreadable)?;
        self.source
            .with_bytes(desc.offset.get(), desc.size.get() as usize, |data| {
                decompress(codec, data, page)
            })
            .map_err(|e| e.to_string())
            .flatten()
            .map_err(FaultReason::Unreadable)
    }
}

impl PhysicalMemory for Kdump {
    fn page_shift(&self) -> u32 {
        self.page_shift
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.max_mapnr)
    }

    fn state(&self, pfn: Pfn) -> PageState {
        match self.find(pfn) {
            Ok(desc) => self.state_of(Some(&desc)),
            Err(FaultReason::Excluded) => PageState::Excluded,
            Err(FaultReason::Absent) => PageState::Absent,
            Err(FaultReason::Unreadable(_)) => PageState::Unreadable,
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.fill(pfn, page).map_err(|reason| Fault {
            addr: pfn.addr(self.page_shift),
            reason,
        })
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        let desc = self.find(pfn).ok()?;
        let plain = self.check(&desc).ok()? == Codec::Plain;
        plain
            .then(|| {
                self.source
                    .slice_at(desc.offset.get(), desc.size.get() as usize)
            })
            .flatten()
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut runs: Vec<(u64, PfnRange)> = Vec::new();
        // Zero pages share one block, the first: where it lies says nothing.
        let mut lowest = u64::MAX;
        let mut highest = 0;
        let mut in_order = true;
        self.each_desc(|pfn, desc| {
            let Some(desc) = desc.filter(|desc| self.state_of(Some(desc)) == PageState::Present)
            else {
                return;
            };
            let offset = desc.offset.get();
            lowest = lowest.min(offset);
            let back = offset < highest && offset > lowest;
            in_order &= !back;
            highest = if back { offset } else { highest.max(offset) };
            match runs.last_mut() {
                Some((_, run)) if run.end.0 == pfn && !back => run.end.0 += 1,
                _ => runs.push((
                    highest,
                    PfnRange {
                        start: Pfn(pfn),
                        end: Pfn(pfn + 1),
                    },
                )),
            }
        });
        if !in_order {
            runs.sort_by_key(|&(offset, _)| offset);
        }
        runs.into_iter().map(|(_, run)| run).collect()
    }

    fn coverage(&self) -> Coverage {
        self.coverage
    }
}

//! Memory images by LiME (version 1) and AVML (version 2): ranges of physical
//! memory, each behind a header, up to the end of the file. Nothing says how many
//! there are, so an image that was cut between two ranges cannot be told from a
//! whole one; its pages are absent all the same.
//!
//! AVML splits memory into blocks of 16 MiB and leaves out those that hold nothing
//! but zeroes: in its own format since 0.5 (1ff59e7, 2022), in LiME's since 0.19
//! (971fa86, 2026). Some versions between write the header of such a block and
//! nothing after it (12c2a71 mended that). Memory between the ranges of such an
//! image is zero, or is none: the format does not tell the two apart. Beyond the
//! last range nothing is known. AVML takes the last byte that `/proc/iomem` names
//! for the first behind the range, and so leaves it out.

mod header;

use std::path::Path;
use std::sync::Arc;

use self::header::HEADER;
pub(crate) use self::header::Kind;
use crate::addr::DEFAULT_PAGE_SHIFT;
use crate::error::{Defect, OpenError};
use crate::ranges::{Range, RangeMemory};
use crate::source::{FrameIndex, RawFile, STREAM_IDENTIFIER, Source, Walked};
use crate::{Dump, DumpInfo, Format, PhysicalMemory};

/// AVML's largest block.
const BLOCK: u64 = 16 << 20;

/// The ranges of an image.
struct Index {
    kind: Kind,
    /// In the order of the file. A range of which nothing is stored holds zeroes.
    ranges: Vec<Range>,
    frames: FrameIndex,
    /// Why the last range is not whole, or what follows it is no range.
    problem: Option<String>,
}

/// Opens the image in `raw`, whose name is `path`; `page_shift` is what the caller
/// knows of the page size.
pub(crate) fn open(
    kind: Kind,
    raw: RawFile,
    path: &Path,
    page_shift: Option<u32>,
) -> Result<Dump, OpenError> {
    let mut index = Index::read(kind, &raw).map_err(|defect| defect.of(path))?;
    let page_shift = page_shift.unwrap_or(DEFAULT_PAGE_SHIFT);
    let gaps_are_zeroes_or_no_memory = index.leaves_out_zeroes();
    let mut warnings = Vec::new();
    if gaps_are_zeroes_or_no_memory {
        warnings.extend(index.add_gaps(page_shift));
    }
    let Index {
        ranges,
        frames,
        problem,
        ..
    } = index;
    let (format, source) = match kind {
        Kind::Lime => (Format::Lime, Source::plain(raw)),
        Kind::Avml => (Format::Avml, Source::framed(raw, frames)),
    };
    let memory = RangeMemory::new(Arc::new(source), &ranges, page_shift);
    let unreadable = memory.coverage().unreadable;
    let contradiction = memory.contradiction();
    warnings.extend(contradiction.clone());
    if let Some(problem) = &problem {
        warnings.push(format!(
            "the image is cut short or damaged: {problem}; what lies before is read, what comes after is missing"
        ));
    }
    if unreadable > 0 {
        warnings.push(format!(
            "{unreadable} pages of the last range are not in the file"
        ));
    }
    let info = DumpInfo {
        incomplete: problem.is_some() || unreadable > 0,
        gaps_are_zeroes_or_no_memory,
        contradiction,
        warnings,
        ..DumpInfo::new(format)
    };
    Ok(Dump {
        info,
        memory: Box::new(memory),
    })
}

impl Index {
    /// Reads every range's header, and of AVML every chunk's. Only an image without
    /// a first range is an error.
    fn read(kind: Kind, raw: &RawFile) -> Result<Self, Defect> {
        let mut index = Self {
            kind,
            ranges: Vec::new(),
            frames: FrameIndex::new(),
            problem: None,
        };
        // Writers take ranges of megabytes; crumbs would need an index larger than
        // the file.
        let limit = (1 << 16) + raw.len() / 4096;
        let mut at = 0;
        while at < raw.len() {
            let (start, end) = match kind.range_at(raw, at) {
                Ok(range) => range,
                Err(defect) if at == 0 => return Err(defect),
                Err(defect) => {
                    index.problem = Some(defect.to_string());
                    break;
                }
            };
            if index.ranges.len() as u64 >= limit {
                index.problem = Some(format!("more than {limit} ranges"));
                break;
            }
            match index.add(raw, at + HEADER, start, end) {
                Ok(next) => at = next,
                Err(problem) => {
                    index.problem = Some(problem);
                    break;
                }
            }
        }
        index.frames.shrink();
        Ok(index)
    }

    /// Adds the range whose data lies at `at`; where the next header lies.
    fn add(&mut self, raw: &RawFile, at: u64, start: u64, end: u64) -> Result<u64, String> {
        let len = end - start;
        let mut range = Range {
            start,
            stored: len,
            len,
            at,
        };
        if self.is_header_of_zeroes(raw, at, len, end) {
            range.stored = 0;
            self.ranges.push(range);
            return Ok(at);
        }
        if self.kind == Kind::Lime {
            self.ranges.push(range);
            // Below 2^63 and 2^52.
            let next = at + len;
            return if next <= raw.len() {
                Ok(next)
            } else {
                Err(format!(
                    "the range from {start:#x} to {:#x} goes on beyond the end of the file ({:#x})",
                    end - 1,
                    raw.len()
                ))
            };
        }
        range.at = self.frames.end();
        self.ranges.push(range);
        match self.frames.add(raw, at, len) {
            Walked::Whole(next) => {
                let mut length = [0; 8];
                raw.read_at(next, &mut length).map_err(|e| e.to_string())?;
                let length = u64::from_le_bytes(length);
                if length == next - at {
                    Ok(next + 8)
                } else {
                    Err(format!(
                        "the length after the frames at offset {next:#x} is {length}, not {}",
                        next - at
                    ))
                }
            }
            Walked::Broken(at, problem) => Err(format!("offset {at:#x}: {problem}")),
        }
    }

    /// Whether nothing lies behind a header, because the block of `len` bytes holds
    /// only zeroes: the next header follows. At the end of the file it may as well be
    /// cut off.
    fn is_header_of_zeroes(&self, raw: &RawFile, at: u64, len: u64, end: u64) -> bool {
        let is_next = |at| {
            self.kind
                .range_at(raw, at)
                .is_ok_and(|(start, _)| start >= end)
        };
        match self.kind {
            // Memory may hold what looks like a header; not where the next one lies too.
            Kind::Lime => {
                let behind = at.saturating_add(len);
                is_next(at) && behind != raw.len() && !is_next(behind)
            }
            Kind::Avml => {
                let mut begin = [0; STREAM_IDENTIFIER.len()];
                let stream = raw.read_at(at, &mut begin).is_ok() && begin == *STREAM_IDENTIFIER;
                !stream && is_next(at)
            }
        }
    }

    /// Whether the writer left out what is zero: AVML. A LiME image is AVML's if it
    /// is in blocks that LiME does not make.
    fn leaves_out_zeroes(&self) -> bool {
        let lens = || self.ranges.iter().map(|range| range.len);
        self.kind == Kind::Avml
            || self.ranges.iter().any(|range| range.stored == 0)
            || lens().all(|len| len <= BLOCK) && lens().any(|len| len == BLOCK)
    }

    /// Adds what lies between the ranges, and says how much it is.
    fn add_gaps(&mut self, page_shift: u32) -> Option<String> {
        let ascending = self.ranges.is_sorted_by_key(|range| range.start);
        let (first, last) = (self.ranges.first()?, self.ranges.last()?);
        let (start, end) = (first.start, last.start);
        if !ascending || start >= end {
            return None;
        }
        let stored = self.ranges.iter().map(|range| {
            let inside = range.start.saturating_add(range.stored).min(end);
            inside.saturating_sub(range.start)
        });
        let pages = (end - start).saturating_sub(stored.sum()) >> page_shift;
        self.ranges.push(Range {
            start,
            stored: 0,
            len: end - start,
            at: 0,
        });
        (pages > 0).then(|| {
            format!(
                "{pages} pages lie between the blocks: AVML leaves out what is zero, and these \
                 pages are zero, or no memory of the machine"
            )
        })
    }
}

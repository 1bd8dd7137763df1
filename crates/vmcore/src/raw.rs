//! Raw memory: a file where an offset is a physical address, as `format=padded` of
//! LiME, QEMU's `pmemsave` and `avml convert --format raw` write it. It has no
//! signature: any file can be opened as this, and whoever does looks for a kernel in it.
//!
//! A hole of the file reads as zeroes. It is memory of zeroes if the file's writer
//! leaves out zeroes (`cp --sparse`, `dd conv=sparse`), and memory that was never
//! copied if the writer was interrupted (`ddrescue`, a download into a file of full
//! size). Two things tell them apart. A writer that leaves out zeroes leaves none of
//! that size among its data; and memory does not end in a hole, for kernels take
//! their first pages from its end.

use std::path::Path;
use std::sync::Arc;

use crate::addr::{DEFAULT_PAGE_SHIFT, PHYS_END};
use crate::error::{Defect, OpenError};
use crate::ranges::{Range, RangeMemory};
use crate::source::{RawFile, Source};
use crate::{Dump, DumpInfo, Format, PhysicalMemory};

/// Parts between holes that are told apart; beyond the last of them all is missing.
const MOST_PARTS: usize = 1 << 20;
/// The smallest and largest block that is looked for among the data, and how many
/// bytes of data are looked at.
const BLOCKS: std::ops::RangeInclusive<u64> = 4096..=1 << 20;
const LOOKED_AT: u64 = 64 << 20;

/// Opens `raw`, whose name is `path`, as memory; `page_shift` is what the caller
/// knows of the page size.
pub(crate) fn open(raw: RawFile, path: &Path, page_shift: Option<u32>) -> Result<Dump, OpenError> {
    let page_shift = page_shift.unwrap_or(DEFAULT_PAGE_SHIFT);
    let len = raw.len();
    if len > PHYS_END {
        let defect = Defect {
            format: "raw memory",
            field: "length",
            offset: 0,
            problem: format!("{len} bytes, more than any machine has addresses for"),
        };
        return Err(defect.of(path));
    }
    let parts = raw.parts(MOST_PARTS).map_err(|error| OpenError::Io {
        path: path.to_owned(),
        error,
    })?;
    let end = parts.last().map_or(0, |part| part.end);
    let data: u64 = parts.iter().map(|part| part.end - part.start).sum();
    let holes = (end - data) >> page_shift;
    let mut warnings = Vec::new();
    let zeroes = holes == 0 || parts.len() < MOST_PARTS && leaves_out_zeroes(&raw, &parts);
    if holes > 0 && zeroes {
        warnings.push(format!(
            "{holes} pages are holes of the file and count as zeroes, as `cp --sparse` and `dd conv=sparse` \
             write them: compare the file's checksum with the original's"
        ));
    } else if holes > 0 {
        warnings.push(format!(
            "{holes} pages are holes of the file, and there are zeroes among what is no hole: these pages \
             were not copied and are missing; copy the image again"
        ));
    }
    if end < len {
        warnings.push(format!(
            "the file ends in a hole of {} bytes: the copy broke off, and these pages are missing; copy \
             the image again",
            len - end
        ));
    }
    // A page of which the file has only the begin is cut off, not zero behind it.
    let whole = len.next_multiple_of(1 << page_shift);
    let mut ranges: Vec<Range> = parts
        .iter()
        .map(|part| {
            let end = if part.end < len { part.end } else { whole };
            stored(part.start, end)
        })
        .collect();
    if zeroes {
        ranges.push(Range {
            stored: 0,
            ..stored(0, end)
        });
    }
    let memory = RangeMemory::new(Arc::new(Source::plain(raw)), &ranges, page_shift);
    let cut = memory.coverage().unreadable > 0;
    if cut {
        warnings.push(format!(
            "the file is cut short: its {len} bytes end within a page"
        ));
    }
    let info = DumpInfo {
        incomplete: cut || end < len || !zeroes,
        gaps_are_zeroes_or_no_memory: holes > 0 && zeroes,
        warnings,
        ..DumpInfo::new(Format::Raw)
    };
    Ok(Dump {
        info,
        memory: Box::new(memory),
    })
}

/// Memory that lies in the file.
fn stored(start: u64, end: u64) -> Range {
    Range {
        start,
        stored: end - start,
        len: end - start,
        at: start,
    }
}

/// Whether no block of zeroes that could have been a hole lies among the data: of as
/// much of it as is worth looking at, evenly spread.
fn leaves_out_zeroes(raw: &RawFile, parts: &[std::ops::Range<u64>]) -> bool {
    let edges = parts.iter().flat_map(|part| [part.start, part.end]);
    // The file's own end is no edge of a hole.
    let aligned = edges
        .filter(|&edge| edge != raw.len())
        .fold(*BLOCKS.end(), |all, edge| all | edge);
    let block = (1 << aligned.trailing_zeros()).clamp(*BLOCKS.start(), *BLOCKS.end());
    let stored: u64 = parts.iter().map(|part| part.end - part.start).sum();
    let every = (stored / (LOOKED_AT / block))
        .next_multiple_of(block)
        .max(block);
    let mut bytes = vec![0; block as usize];
    let mut skip = 0;
    for part in parts {
        let mut at = part.start.next_multiple_of(block) + skip;
        while at + block <= part.end {
            if raw.copy_at(at, &mut bytes).is_ok() && bytes.iter().all(|&byte| byte == 0) {
                return false;
            }
            at += every;
        }
        skip = at.saturating_sub(part.end).next_multiple_of(block);
    }
    true
}

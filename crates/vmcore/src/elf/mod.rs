//! ELF cores of machines: `/proc/vmcore`, QEMU's `dump-guest-memory`,
//! `makedumpfile -E`.

mod header;
mod layout;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use self::header::{Headers, Mismatch};
pub(crate) use self::layout::SIGNATURE;
use crate::addr::DEFAULT_PAGE_SHIFT;
use crate::error::{Advice, OpenError};
use crate::notes::{erased_in, erased_warning, page_shift_in, vmcoreinfo_in};
use crate::ranges::RangeMemory;
use crate::source::{CUT_SHORT, RawFile, Source};
use crate::{Dump, DumpInfo, Format, LoadSegment, Machine, Note, PhysicalMemory};

const WRITTEN_TWICE: &str = "the dump contradicts itself (its flattened stream writes memory twice): \
     pages may have the content of others; copy it again";

/// Opens the ELF core in `source`, whose name is `path`; `page_shift` is what
/// the caller knows of the page size.
pub(crate) fn open(
    source: Source,
    path: &Path,
    page_shift: Option<u32>,
) -> Result<Dump, OpenError> {
    let mut headers = Headers::read(&source, u64::MAX).map_err(|mismatch| mismatch.of(path))?;
    if headers.is_process() {
        return Err(Mismatch::Process.of(path));
    }
    headers.leave_out_contradictions();
    let stored = headers.ranges.iter().filter(|range| range.stored > 0);
    let data = stored.map(|range| range.at).min().unwrap_or(u64::MAX);
    // Writers leave no holes in memory, and write none of it twice.
    let source = Arc::new(source.without_holes_from(data));
    let twice = source.is_written_twice_from(data);
    let vmcoreinfo = vmcoreinfo_in(&headers.notes);
    let page_shift = page_shift
        .or_else(|| vmcoreinfo.as_deref().and_then(page_shift_in))
        .unwrap_or(DEFAULT_PAGE_SHIFT);
    let memory = RangeMemory::new(Arc::clone(&source), &headers.ranges, page_shift);
    let unreadable = memory.coverage().unreadable;
    let contradiction = memory
        .contradiction()
        .or_else(|| twice.then(|| WRITTEN_TWICE.to_owned()));
    let mut warnings = headers.warnings;
    warnings.extend(contradiction.clone());
    let erased = erased_in(&headers.notes);
    warnings.extend(erased_warning(&erased));
    if headers.cut_short {
        warnings.push("the file ends within its table of program headers".to_owned());
    }
    if source.is_cut_short() {
        warnings.push(CUT_SHORT.to_owned());
    }
    if unreadable > 0 {
        warnings.push(format!(
            "the file is cut short: {unreadable} pages lie beyond its end ({} bytes)",
            source.len()
        ));
    }
    let format = if source.is_flattened() {
        Format::FlattenedElf
    } else {
        Format::Elf
    };
    let info = DumpInfo {
        machine: headers.machine,
        vmcoreinfo,
        notes: headers.notes,
        segments: headers.segments,
        incomplete: headers.cut_short
            || headers.contradict
            || source.is_cut_short()
            || unreadable > 0,
        erased,
        contradiction,
        warnings,
        ..DumpInfo::new(format)
    };
    Ok(Dump {
        info,
        memory: Box::new(memory),
    })
}

/// The headers of an ELF core by themselves.
#[derive(Clone, Debug)]
pub struct ElfHeaders {
    /// Architecture, where it is one of ours.
    pub machine: Option<Machine>,
    /// Every `PT_LOAD`, in the file's order, whatever its physical address says.
    pub segments: Vec<LoadSegment>,
    /// All notes, in the file's order.
    pub notes: Vec<Note>,
    /// Text of the VMCOREINFO note, if there is one.
    pub vmcoreinfo: Option<Vec<u8>>,
}

/// Reads the headers of the core in `file`, which errors call `name`, and not a byte of
/// memory. Physical addresses are not looked at: `/proc/kcore` has none before 4.11
/// (464920104bf7) and says no more of many segments since.
///
/// # Errors
///
/// The file is no core of a 64-bit little-endian machine, has more program headers than
/// `e_phnum` can count, or cannot be read.
pub fn elf_headers(file: File, name: &Path) -> Result<ElfHeaders, OpenError> {
    const MOST: u64 = 0xfffe;
    let raw = RawFile::new(file, false).map_err(|error| OpenError::Io {
        path: name.to_owned(),
        error,
    })?;
    let headers = Headers::read(&Source::plain(raw), MOST).map_err(|mismatch| mismatch.of(name))?;
    Ok(ElfHeaders {
        machine: headers.machine,
        vmcoreinfo: vmcoreinfo_in(&headers.notes),
        segments: headers.segments,
        notes: headers.notes,
    })
}

impl Mismatch {
    fn of(self, path: &Path) -> OpenError {
        let not_a_dump = |what: &str, advice: &str| OpenError::NotADump {
            path: path.to_owned(),
            what: what.to_owned(),
            advice: advice.to_owned(),
        };
        match self {
            Self::NotACore(kind) => not_a_dump(
                &format!("an ELF file of e_type {kind}, not a core (4)"),
                "give the dump itself, not the kernel image or a module",
            ),
            Self::OtherClass => OpenError::Unsupported {
                path: path.to_owned(),
                what: "an ELF core of a 32-bit or big-endian machine",
                advice: Advice::Say("only x86_64 and aarch64 are known"),
            },
            Self::Process => not_a_dump(
                "the core of a process: its segments have no physical addresses",
                "give the dump of a whole machine (/proc/vmcore, makedumpfile, QEMU dump-guest-memory)",
            ),
            Self::Defect(defect) => defect.of(path),
        }
    }
}

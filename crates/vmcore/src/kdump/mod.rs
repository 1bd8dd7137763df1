//! Compressed kdump (`makedumpfile`, QEMU's `dump-guest-memory -z` and the like).
//!
//! Two bitmaps say which frames the machine had and which of them were dumped.
//! The descriptor of a dumped frame is found by its rank among the dumped ones;
//! it says where the page's data lies and how it is compressed.

mod bitmap;
mod descs;
mod header;
mod layout;
mod memory;
mod split;

use std::path::Path;
use std::sync::Arc;

use self::header::Headers;
pub(crate) use self::layout::SIGNATURE;
use self::memory::Kdump;
pub(crate) use self::split::open as open_parts;
use crate::error::OpenError;
use crate::notes::page_shift_in;
use crate::repage::in_pages_of;
use crate::source::Source;
use crate::{Dump, DumpInfo, Format, PhysicalMemory};

/// Opens the kdump in `source`, whose name is `path`; `page_shift` is what the caller
/// knows of the page size.
pub(crate) fn open(
    source: Source,
    path: &Path,
    page_shift: Option<u32>,
) -> Result<Dump, OpenError> {
    let source = Arc::new(source);
    let headers = Headers::read(&source).map_err(|defect| defect.of(path))?;
    let memory = Kdump::new(&source, &headers).map_err(|defect| defect.of(path))?;
    let coverage = memory.coverage();
    let lost = coverage.absent + coverage.unreadable;
    if headers.split.is_some() && memory.dumped_elsewhere() > 0 {
        let part = [(path.to_owned(), headers, memory)];
        let warning = split::missing(&part);
        let [(_, headers, memory)] = part;
        return Ok(dump_of(headers, Box::new(memory), warning, page_shift));
    }
    let mut dump = dump_of(headers, Box::new(memory), lost_warning(lost), page_shift);
    if source.is_flattened() {
        dump.info.format = Format::FlattenedKdump;
    }
    if source.is_cut_short() {
        dump.info.incomplete = true;
        let warning = "the flattened stream breaks off before its end record";
        dump.info.warnings.push(warning.to_owned());
    }
    Ok(dump)
}

fn lost_warning(lost: u64) -> Option<String> {
    (lost > 0)
        .then(|| format!("{lost} pages are listed but not in the file: the dump is incomplete"))
}

/// What `headers` say, with `memory` in pages of the kernel's size.
fn dump_of(
    headers: Headers,
    memory: Box<dyn PhysicalMemory>,
    warning: Option<String>,
    page_shift: Option<u32>,
) -> Dump {
    let coverage = memory.coverage();
    let mut warnings = headers.warnings();
    warnings.extend(warning);
    let page_shift = page_shift.or_else(|| headers.vmcoreinfo.as_deref().and_then(page_shift_in));
    let page_shift = page_shift.unwrap_or(memory.page_shift());
    let info = DumpInfo {
        machine: headers.machine(),
        incomplete: headers.incomplete || coverage.absent + coverage.unreadable > 0,
        vmcoreinfo: headers.vmcoreinfo,
        notes: headers.notes,
        utsname: Some(headers.utsname),
        dump_level: headers.dump_level,
        phys_base: Some(headers.phys_base),
        captured_at: headers.captured_at,
        erased: headers.erased,
        warnings,
        ..DumpInfo::new(Format::Kdump)
    };
    Dump {
        info,
        memory: in_pages_of(memory, page_shift),
    }
}

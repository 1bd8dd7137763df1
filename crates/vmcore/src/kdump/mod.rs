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

use std::sync::Arc;

use self::header::Headers;
pub(crate) use self::layout::SIGNATURE;
use self::memory::Kdump;
use crate::error::Defect;
use crate::notes::page_shift_in;
use crate::repage::in_pages_of;
use crate::source::Source;
use crate::{Dump, DumpInfo, Format, PhysicalMemory};

/// Opens the kdump in `source`; `page_shift` is what the caller knows of the
/// page size.
pub(crate) fn open(source: Source, page_shift: Option<u32>) -> Result<Dump, Defect> {
    let source = Arc::new(source);
    let headers = Headers::read(&source)?;
    let memory = Kdump::new(&source, &headers)?;
    let lost = memory.coverage().absent + memory.coverage().unreadable;
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
    let page_shift = page_shift.or_else(|| headers.vmcoreinfo.as_deref().and_then(page_shift_in));
    let format = if source.is_flattened() {
        Format::FlattenedKdump
    } else {
        Format::Kdump
    };
    let info = DumpInfo {
        machine: headers.machine(),
        incomplete: headers.incomplete || source.is_cut_short() || lost > 0,
        vmcoreinfo: headers.vmcoreinfo,
        notes: headers.notes,
        utsname: Some(headers.utsname),
        dump_level: headers.dump_level,
        phys_base: Some(headers.phys_base),
        captured_at: headers.captured_at,
        warnings,
        ..DumpInfo::new(format)
    };
    let page_shift = page_shift.unwrap_or(memory.page_shift());
    Ok(Dump {
        info,
        memory: in_pages_of(Box::new(memory), page_shift),
    })
}

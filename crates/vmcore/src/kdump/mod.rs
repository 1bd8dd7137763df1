//! Compressed kdump (`makedumpfile`, QEMU's `dump-guest-memory -z` and the like).
//!
//! Two bitmaps say which frames the machine had and which of them were dumped.
//! The descriptor of a dumped frame is found by its rank among the dumped ones;
//! it says where the page's data lies and how it is compressed.

mod bitmap;
mod blocks;
mod descs;
mod header;
mod layout;
mod memory;
mod split;

use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use self::header::Headers;
pub(crate) use self::layout::SIGNATURE;
use self::memory::Kdump;
use self::split::Parts;
use crate::error::OpenError;
use crate::notes::page_shift_in;
use crate::repage::in_pages_of;
use crate::source::{CUT_SHORT, Source};
use crate::{Dump, DumpInfo, Format, PhysicalMemory};

/// One file: a whole dump, or a part of one.
struct Part {
    path: PathBuf,
    source: Arc<Source>,
    headers: Headers,
    memory: Kdump,
}

/// The files of one dump; several are parts of it, by their frames, ascending.
struct Files {
    first: Part,
    rest: Vec<Part>,
}

/// Opens the kdump in `first` and, if it is split, in `others`: paths and what is
/// there, in any order. `page_shift` is what the caller knows of the page size.
pub(crate) fn open(
    first: (PathBuf, Source),
    others: Vec<(PathBuf, Source)>,
    page_shift: Option<u32>,
) -> Result<Dump, OpenError> {
    let mut files = Files {
        first: Part::open(first)?,
        rest: Vec::with_capacity(others.len()),
    };
    for other in others {
        files.add(Part::open(other)?)?;
    }
    Ok(files.into_dump(page_shift))
}

impl Part {
    fn open((path, source): (PathBuf, Source)) -> Result<Self, OpenError> {
        let headers = Headers::read(&source).map_err(|defect| defect.of(&path))?;
        // Writers leave no holes from there on.
        let source = Arc::new(source.without_holes_from(headers.bitmap_offset));
        let memory = Kdump::new(&source, &headers).map_err(|defect| defect.of(&path))?;
        Ok(Self {
            path,
            source,
            headers,
            memory,
        })
    }

    /// What the file says that cannot be.
    fn contradiction(&self) -> Option<String> {
        let descs = self
            .headers
            .bitmap_offset
            .saturating_add(self.headers.bitmap_len);
        let twice = self.source.is_written_twice_from(descs);
        let twice = twice.then(|| "its flattened stream writes page data twice".to_owned());
        self.memory.contradiction().map(str::to_owned).or(twice)
    }
}

impl Files {
    fn iter(&self) -> impl Iterator<Item = &Part> {
        iter::once(&self.first).chain(&self.rest)
    }

    /// What the files say, with the memory in pages of the kernel's size.
    fn into_dump(self, page_shift: Option<u32>) -> Dump {
        let split = self.missing();
        let missing_parts = split.is_some();
        let flattened = self.iter().any(|part| part.source.is_flattened());
        let cut = self.iter().any(|part| part.source.is_cut_short());
        let incomplete = self.iter().any(|part| part.headers.incomplete);
        let given: u64 = self.iter().map(|part| part.memory.dumped_in_file()).sum();
        let elsewhere = self.first.memory.dumped().saturating_sub(given);

        let contradiction = self.iter().find_map(Part::contradiction);
        let headers = self.first.headers;
        let memory: Box<dyn PhysicalMemory> = if self.rest.is_empty() {
            Box::new(self.first.memory)
        } else {
            let rest = self.rest.into_iter().map(|part| part.memory);
            Box::new(Parts::of(self.first.memory, rest.collect()))
        };
        let coverage = memory.coverage();
        let missing = coverage.absent + coverage.unreadable;
        let contradiction = contradiction.map(|what| {
            format!("the dump contradicts itself ({what}): pages may have the content of others; copy it again")
        });
        let mut warnings = headers.warnings();
        warnings.extend(split);
        let lost = missing.saturating_sub(elsewhere);
        if lost > 0 {
            warnings.push(format!(
                "{lost} pages are listed but not in the file: the dump is incomplete"
            ));
        }
        if cut {
            warnings.push(CUT_SHORT.to_owned());
        }
        warnings.extend(contradiction.clone());
        let page_shift =
            page_shift.or_else(|| headers.vmcoreinfo.as_deref().and_then(page_shift_in));
        let page_shift = page_shift.unwrap_or(memory.page_shift());
        let format = if flattened {
            Format::FlattenedKdump
        } else {
            Format::Kdump
        };
        let info = DumpInfo {
            machine: headers.machine(),
            incomplete: incomplete || cut || missing > 0,
            vmcoreinfo: headers.vmcoreinfo,
            notes: headers.notes,
            utsname: Some(headers.utsname),
            dump_level: headers.dump_level,
            phys_base: Some(headers.phys_base),
            captured_at: headers.captured_at,
            missing_parts,
            erased: headers.erased,
            contradiction,
            warnings,
            ..DumpInfo::new(format)
        };
        Dump {
            info,
            memory: in_pages_of(memory, page_shift),
        }
    }
}

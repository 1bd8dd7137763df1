//! Where the fields of a dump's headers lie, by the formats' definitions and apart
//! from pagehound's own readers.

use std::ops::Range;

use anyhow::{Result, bail};

use crate::bytes::{get_size, get_u16, get_u32, slice};
use crate::lab::kdump::{BITMAP_BLOCKS, BLOCK_SIZE, DESCRIPTOR, SUB_HEADER_BLOCKS};

/// A field of a header.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) at: usize,
    pub(super) len: usize,
    /// Flattened streams', whose numbers have the highest byte first.
    pub(super) big_endian: bool,
}

/// Offset, length and name of the fields of a structure.
type Layout = [(usize, usize, &'static str)];

/// Structures looked at of those there are many of.
const SOME: usize = 6;

const KDUMP: &Layout = &[
    (0, 8, "signature"),
    (8, 4, "header_version"),
    (12, 65, "utsname.sysname"),
    (77, 65, "utsname.nodename"),
    (142, 65, "utsname.release"),
    (207, 65, "utsname.version"),
    (272, 65, "utsname.machine"),
    (337, 65, "utsname.domainname"),
    (408, 8, "timestamp.tv_sec"),
    (416, 8, "timestamp.tv_usec"),
    (424, 4, "status"),
    (428, 4, "block_size"),
    (432, 4, "sub_hdr_size"),
    (436, 4, "bitmap_blocks"),
    (440, 4, "max_mapnr"),
    (444, 4, "total_ram_blocks"),
    (448, 4, "device_blocks"),
    (452, 4, "written_blocks"),
    (456, 4, "current_cpu"),
    (460, 4, "nr_cpus"),
];
const KDUMP_SUB: &Layout = &[
    (0, 8, "phys_base"),
    (8, 4, "dump_level"),
    (12, 4, "split"),
    (16, 8, "start_pfn"),
    (24, 8, "end_pfn"),
    (32, 8, "offset_vmcoreinfo"),
    (40, 8, "size_vmcoreinfo"),
    (48, 8, "offset_note"),
    (56, 8, "size_note"),
    (64, 8, "offset_eraseinfo"),
    (72, 8, "size_eraseinfo"),
    (80, 8, "start_pfn_64"),
    (88, 8, "end_pfn_64"),
    (96, 8, "max_mapnr_64"),
];
const PAGE_DESC: &Layout = &[
    (0, 8, "page_desc.offset"),
    (8, 4, "page_desc.size"),
    (12, 4, "page_desc.flags"),
    (16, 8, "page_desc.page_flags"),
];
const EHDR: &Layout = &[
    (0, 4, "e_ident magic"),
    (4, 1, "e_ident class"),
    (5, 1, "e_ident data"),
    (6, 1, "e_ident version"),
    (7, 1, "e_ident osabi"),
    (16, 2, "e_type"),
    (18, 2, "e_machine"),
    (20, 4, "e_version"),
    (24, 8, "e_entry"),
    (32, 8, "e_phoff"),
    (40, 8, "e_shoff"),
    (48, 4, "e_flags"),
    (52, 2, "e_ehsize"),
    (54, 2, "e_phentsize"),
    (56, 2, "e_phnum"),
    (58, 2, "e_shentsize"),
    (60, 2, "e_shnum"),
    (62, 2, "e_shstrndx"),
];
const PHDR: &Layout = &[
    (0, 4, "p_type"),
    (4, 4, "p_flags"),
    (8, 8, "p_offset"),
    (16, 8, "p_vaddr"),
    (24, 8, "p_paddr"),
    (32, 8, "p_filesz"),
    (40, 8, "p_memsz"),
    (48, 8, "p_align"),
];
const PHDR_LEN: usize = 56;
const NHDR: &Layout = &[(0, 4, "n_namesz"), (4, 4, "n_descsz"), (8, 4, "n_type")];
const FLAT: &Layout = &[(0, 16, "signature"), (16, 8, "type"), (24, 8, "version")];
const FLAT_RECORD: &Layout = &[(0, 8, "record.offset"), (8, 8, "record.buf_size")];
const LIME: &Layout = &[
    (0, 4, "magic"),
    (4, 4, "version"),
    (8, 8, "s_addr"),
    (16, 8, "e_addr"),
    (24, 8, "reserved"),
];
const LIME_LEN: usize = 32;
const CHUNK: &Layout = &[(0, 1, "chunk type"), (1, 3, "chunk length")];

/// The fields of all headers; of descriptors, segments, notes and records some.
///
/// # Errors
/// When the whole dump is not as its format says.
pub(super) fn of(dump: &[u8]) -> Result<Vec<Field>> {
    Ok(Parts::of(dump)?.fields)
}

/// Where what is not a page lies.
pub(super) fn describing(dump: &[u8]) -> Result<Vec<Range<usize>>> {
    Ok(Parts::of(dump)?.describing)
}

#[derive(Default)]
struct Parts {
    fields: Vec<Field>,
    describing: Vec<Range<usize>>,
}

impl Parts {
    fn of(dump: &[u8]) -> Result<Self> {
        let mut parts = Parts::default();
        let view = View::of(dump, &mut parts)?;
        match view.dump_of(0, 8)? {
            [0x7f, b'E', b'L', b'F', ..] => parts.elf(&view)?,
            b"KDUMP   " => parts.kdump(&view)?,
            [b'E', b'M', b'i', b'L', ..] => parts.lime(dump, false)?,
            [b'A', b'V', b'M', b'L', ..] => parts.lime(dump, true)?,
            _ => parts.describing.push(0..dump.len().min(1 << 16)),
        }
        Ok(parts)
    }

    /// The fields of the structure at `base`.
    fn add(&mut self, view: &View<'_>, base: usize, layout: &Layout) {
        for (offset, len, name) in layout {
            if let Some(at) = view.place(base + offset, *len) {
                self.fields.push(Field {
                    name: (*name).to_owned(),
                    at,
                    len: *len,
                    big_endian: layout == FLAT || layout == FLAT_RECORD,
                });
            }
        }
    }

    fn span(&mut self, view: &View<'_>, span: Range<usize>) {
        const PIECE: usize = 64;
        for start in span.clone().step_by(PIECE) {
            let len = PIECE.min(span.end - start);
            if let Some(at) = view.place(start, len) {
                match self.describing.last_mut() {
                    Some(last) if last.end == at => last.end += len,
                    _ => self.describing.push(at..at + len),
                }
            }
        }
    }

    fn kdump(&mut self, view: &View<'_>) -> Result<()> {
        let block = get_u32(view.dump_of(BLOCK_SIZE, 4)?, 0)? as usize;
        let sub = get_u32(view.dump_of(SUB_HEADER_BLOCKS, 4)?, 0)? as usize;
        let bitmaps = get_u32(view.dump_of(BITMAP_BLOCKS, 4)?, 0)? as usize;
        let frames = block * (1 + sub);
        let descs = frames + bitmaps * block;
        self.add(view, 0, KDUMP);
        self.add(view, block, KDUMP_SUB);
        let half = bitmaps * block / 2;
        let stored: u32 = (frames + half..frames + 2 * half)
            .step_by(8)
            .filter_map(|at| view.dump_of(at, 8).ok())
            .flatten()
            .map(|byte| byte.count_ones())
            .sum();
        let stored = stored as usize;
        for rank in (0..stored).step_by((stored / SOME).max(1)) {
            self.add(view, descs + rank * DESCRIPTOR, PAGE_DESC);
        }
        self.span(view, 0..464);
        self.span(view, block..block + 104);
        for at in [32, 48] {
            let offset = get_size(view.dump_of(block + at, 8)?, 0)?;
            let len = get_size(view.dump_of(block + at + 8, 8)?, 0)?;
            self.span(view, offset..offset + len);
        }
        self.span(view, frames..descs + stored * DESCRIPTOR);
        Ok(())
    }

    fn elf(&mut self, view: &View<'_>) -> Result<()> {
        self.add(view, 0, EHDR);
        let table = get_size(view.dump_of(32, 8)?, 0)?;
        let count = get_u16(view.dump_of(56, 2)?, 0)? as usize;
        self.span(view, 0..table + count * PHDR_LEN);
        for number in 0..count {
            let at = table + number * PHDR_LEN;
            if number < SOME || number + 1 == count {
                self.add(view, at, PHDR);
            }
            const PT_NOTE: u32 = 4;
            if get_u32(view.dump_of(at, 4)?, 0)? == PT_NOTE {
                let offset = get_size(view.dump_of(at + 8, 8)?, 0)?;
                let len = get_size(view.dump_of(at + 32, 8)?, 0)?;
                self.notes(view, offset..offset + len)?;
            }
        }
        Ok(())
    }

    fn notes(&mut self, view: &View<'_>, notes: Range<usize>) -> Result<()> {
        self.span(view, notes.clone());
        let mut at = notes.start;
        for _ in 0..SOME {
            if at + 12 > notes.end {
                break;
            }
            self.add(view, at, NHDR);
            let name = get_u32(view.dump_of(at, 4)?, 0)? as usize;
            let desc = get_u32(view.dump_of(at + 4, 4)?, 0)? as usize;
            at += 12 + name.next_multiple_of(4) + desc.next_multiple_of(4);
        }
        Ok(())
    }

    fn lime(&mut self, dump: &[u8], compressed: bool) -> Result<()> {
        let view = View::plain(dump);
        let mut at = 0;
        while at + LIME_LEN <= dump.len() {
            self.add(&view, at, LIME);
            self.describing.push(at..at + LIME_LEN);
            let (start, end) = (get_size(dump, at + 8)?, get_size(dump, at + 16)?);
            let data = at + LIME_LEN;
            at = match compressed {
                false => data + (end + 1 - start),
                true => self.snappy(dump, data)?,
            };
        }
        Ok(())
    }

    /// The chunks of AVML's compressed range, which begins at `start` and ends with
    /// its own length; returns where the next begins.
    fn snappy(&mut self, dump: &[u8], start: usize) -> Result<usize> {
        const HEADER: usize = 4;
        let mut at = start;
        loop {
            if at > start && get_size(dump, at).is_ok_and(|len| len == at - start) {
                self.describing.push(at..at + 8);
                return Ok(at + 8);
            }
            let len = get_u32(dump, at)? as usize >> 8;
            if at == start {
                self.add(&View::plain(dump), at, CHUNK);
            }
            self.describing.push(at..at + HEADER);
            at += HEADER + len;
            if at >= dump.len() {
                bail!("a compressed range has no end");
            }
        }
    }
}

/// A file as it is, or the one that a flattened stream describes.
struct View<'a> {
    dump: &'a [u8],
    /// Offset in the described file, length, offset in the stream; none where the
    /// file is as it is.
    records: Vec<(usize, usize, usize)>,
}

impl<'a> View<'a> {
    fn plain(dump: &'a [u8]) -> Self {
        View {
            dump,
            records: Vec::new(),
        }
    }

    /// Reads the records of a flattened stream, whose own fields go to `parts`.
    fn of(dump: &'a [u8], parts: &mut Parts) -> Result<Self> {
        let plain = View::plain(dump);
        if !dump.starts_with(b"makedumpfile\0") {
            return Ok(plain);
        }
        const FIRST: usize = 4096;
        const HEADER: usize = 16;
        let number = |at| -> Result<i64> {
            let bytes: [u8; 8] = slice(dump, at, 8)?.try_into()?;
            Ok(i64::from_be_bytes(bytes))
        };
        parts.add(&plain, 0, FLAT);
        parts.describing.push(0..32);
        let mut records = Vec::new();
        let mut at = FIRST;
        loop {
            if records.len() < SOME {
                parts.add(&plain, at, FLAT_RECORD);
            }
            parts.describing.push(at..at + HEADER);
            let (Ok(offset), Ok(len)) = (
                usize::try_from(number(at)?),
                usize::try_from(number(at + 8)?),
            ) else {
                parts.add(&plain, at, FLAT_RECORD);
                return Ok(View { dump, records });
            };
            records.push((offset, len, at + HEADER));
            at += HEADER + len;
        }
    }

    /// Where in the file `len` bytes lie, if in one piece; the last record wins.
    fn place(&self, offset: usize, len: usize) -> Option<usize> {
        if self.records.is_empty() {
            return (offset + len <= self.dump.len()).then_some(offset);
        }
        let holds = |&&(start, size, _): &&(usize, usize, usize)| {
            start <= offset && offset + len <= start + size
        };
        let (start, _, at) = self.records.iter().rev().find(holds)?;
        Some(at + offset - start)
    }

    fn dump_of(&self, offset: usize, len: usize) -> Result<&'a [u8]> {
        match self.place(offset, len) {
            Some(at) => slice(self.dump, at, len),
            None => bail!("{len} bytes at {offset:#x} do not lie in one record"),
        }
    }
}

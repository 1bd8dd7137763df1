//! ELF cores.

use crate::bytes::{put_u16, put_u32, put_u64};
use crate::flat::{Flatten, flatten};
use crate::image::{Image, Page};
use crate::notes::Note;

/// Whose habits an ELF core has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElfStyle {
    /// `/proc/vmcore`: kernel virtual addresses; the first run of pages is
    /// listed twice, as kernels list their text. Excluded pages are holes in
    /// the file that a segment of their own names.
    Kernel,
    /// QEMU: `p_vaddr` equals `p_paddr`; what is not saved has `p_offset` -1.
    Qemu,
    /// `makedumpfile -E`: excluded pages are the tails of segments, in memory
    /// but not in the file.
    Makedumpfile,
}

/// How an ELF core is written.
#[derive(Clone, Debug)]
pub struct ElfOptions {
    /// Whose habits it has.
    pub style: ElfStyle,
    /// The number of program headers stands in section header 0, however few.
    pub pn_xnum: bool,
    /// Each note in a `PT_NOTE` of its own.
    pub split_notes: bool,
    /// One segment a page, in descending order of addresses.
    pub scattered: bool,
    /// Further segments: physical address and bytes, aligned to nothing.
    pub extra: Vec<(u64, Vec<u8>)>,
    /// Wrapped into a flattened stream.
    pub flattened: Option<Flatten>,
}

impl Default for ElfOptions {
    fn default() -> Self {
        Self {
            style: ElfStyle::Kernel,
            pn_xnum: false,
            split_notes: false,
            scattered: false,
            extra: Vec::new(),
            flattened: None,
        }
    }
}

/// A `PT_LOAD` to be.
struct Load {
    paddr: u64,
    bytes: Vec<u8>,
    memsz: u64,
}

const KERNEL_TEXT: u64 = 0xffff_ffff_8000_0000;

impl Image {
    /// The image as an ELF core.
    pub fn write_elf(&self, options: &ElfOptions) -> Vec<u8> {
        let mut loads = self.loads(options);
        for (paddr, bytes) in &options.extra {
            loads.push(Load {
                paddr: *paddr,
                bytes: bytes.clone(),
                memsz: bytes.len() as u64,
            });
        }
        let mut notes = self.all_notes();
        notes.extend(self.erased.as_ref().map(|text| Note {
            name: "ERASEINFO".to_owned(),
            kind: 0,
            desc: text.clone().into_bytes(),
        }));
        let notes: Vec<Vec<u8>> = notes.iter().map(|note| note.bytes()).collect();
        let notes = if options.split_notes {
            notes
        } else {
            vec![notes.concat()]
        };
        let text = usize::from(options.style == ElfStyle::Kernel && !loads.is_empty());
        let phnum = notes.len() + text + loads.len();

        let mut out = self.elf_header(options, phnum);
        let mut phdr = 64;
        let mut data = 64 + 56 * phnum + if options.pn_xnum { 64 } else { 0 };
        if options.pn_xnum {
            let shdr = 64 + 56 * phnum;
            put_u32(&mut out, shdr + 44, phnum as u32);
            out.resize(shdr + 64, 0);
        }
        for note in &notes {
            put_phdr(
                &mut out,
                phdr,
                4,
                [data as u64, 0, 0, note.len() as u64, note.len() as u64],
            );
            out.resize(data, 0);
            out.extend(note);
            data = out.len();
            phdr += 56;
        }
        if options.style != ElfStyle::Qemu {
            data = data.next_multiple_of(self.page_size);
        }
        for (index, load) in loads.iter().enumerate() {
            out.resize(out.len().max(data), 0);
            let vaddr = match options.style {
                ElfStyle::Qemu => load.paddr,
                ElfStyle::Kernel | ElfStyle::Makedumpfile => self.direct_map + load.paddr,
            };
            let saved = !load.bytes.is_empty();
            let offset = if saved || options.style != ElfStyle::Qemu {
                data as u64
            } else {
                u64::MAX
            };
            let filesz = load.bytes.len() as u64;
            if index < text {
                put_phdr(
                    &mut out,
                    phdr,
                    1,
                    [
                        offset,
                        KERNEL_TEXT + load.paddr,
                        load.paddr,
                        filesz,
                        load.memsz,
                    ],
                );
                phdr += 56;
            }
            put_phdr(
                &mut out,
                phdr,
                1,
                [offset, vaddr, load.paddr, filesz, load.memsz],
            );
            phdr += 56;
            out.extend(&load.bytes);
            data = out.len();
        }
        match &options.flattened {
            Some(how) => flatten(&out, how),
            None => out,
        }
    }

    fn elf_header(&self, options: &ElfOptions, phnum: usize) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        put_u16(&mut out, 16, 4); // ET_CORE
        put_u16(&mut out, 18, self.e_machine());
        put_u32(&mut out, 20, 1);
        put_u64(&mut out, 32, 64); // e_phoff
        put_u16(&mut out, 52, 64);
        put_u16(&mut out, 54, 56);
        if options.pn_xnum {
            put_u64(&mut out, 40, (64 + 56 * phnum) as u64); // e_shoff
            put_u16(&mut out, 56, 0xffff);
            put_u16(&mut out, 58, 64);
            put_u16(&mut out, 60, 1);
        } else {
            assert!(phnum < 0xffff, "{phnum} program headers need pn_xnum");
            put_u16(&mut out, 56, phnum as u16);
        }
        out.resize(64 + 56 * phnum, 0);
        out
    }

    /// Pages gathered into segments.
    fn loads(&self, options: &ElfOptions) -> Vec<Load> {
        let size = self.page_size as u64;
        let mut loads: Vec<Load> = Vec::new();
        for (&pfn, page) in &self.pages {
            let paddr = pfn * size;
            let last = loads
                .last_mut()
                .filter(|last| !options.scattered && last.paddr + last.memsz == paddr);
            let tails = options.style == ElfStyle::Makedumpfile;
            match (page, last) {
                (Page::Lost, _) => {}
                (Page::Present(bytes), Some(last)) if last.bytes.len() as u64 == last.memsz => {
                    last.bytes.extend(bytes);
                    last.memsz += size;
                }
                (Page::Excluded, Some(last)) if tails || last.bytes.is_empty() => {
                    last.memsz += size;
                }
                (Page::Present(bytes), _) => {
                    loads.push(Load {
                        paddr,
                        bytes: bytes.clone(),
                        memsz: size,
                    });
                }
                (Page::Excluded, _) => loads.push(Load {
                    paddr,
                    bytes: Vec::new(),
                    memsz: size,
                }),
            }
        }
        if options.scattered {
            loads.reverse();
        }
        loads
    }
}

/// A program header; `fields` are `p_offset`, `p_vaddr`, `p_paddr`, `p_filesz`
/// and `p_memsz`.
pub(crate) fn put_phdr(out: &mut Vec<u8>, at: usize, kind: u32, fields: [u64; 5]) {
    put_u32(out, at, kind);
    put_u32(out, at + 4, 7);
    for (index, field) in fields.into_iter().enumerate() {
        put_u64(out, at + 8 + 8 * index, field);
    }
    put_u64(out, at + 48, 0);
}

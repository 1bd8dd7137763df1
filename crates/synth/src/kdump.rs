//! Compressed kdumps.

use std::ops::Range;

use crate::bytes::{put, put_u32, put_u64};
use crate::compress::{compress, status};
use crate::flat::{Flatten, flatten};
use crate::image::{Image, Machine, Page};

/// How pages are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "names of the methods")]
pub enum Compression {
    Plain,
    Zlib,
    Lzo,
    Snappy,
    Zstd,
    /// Another method for each page.
    Mixed,
}

/// How a kdump is written.
#[derive(Clone, Debug)]
pub struct KdumpOptions {
    /// `header_version`, 0 to 6. Fields that came later hold rubbish.
    pub version: i32,
    /// How pages are compressed.
    pub compression: Compression,
    /// Wrapped into a flattened stream.
    pub flattened: Option<Flatten>,
    /// One bitmap, as old diskdumps of all memory had; excluded pages are then
    /// not known at all.
    pub single_bitmap: bool,
    /// One of several files of `makedumpfile --split`: the frames it holds.
    pub split: Option<Range<u64>>,
    /// Status bits beside the compression's: 0x8 incomplete, 0x10 `-e`.
    pub status: u32,
    /// All zero pages share one block, as makedumpfile and QEMU write them.
    pub share_zero_pages: bool,
    /// Page data lies in the file in descending order of frames.
    pub backward: bool,
}

impl Default for KdumpOptions {
    fn default() -> Self {
        Self {
            version: 6,
            compression: Compression::Zlib,
            flattened: None,
            single_bitmap: false,
            split: None,
            status: 0,
            share_zero_pages: true,
            backward: false,
        }
    }
}

/// Headers, and bitmaps without a bit set.
pub(crate) struct Head {
    pub(crate) bytes: Vec<u8>,
    /// Where the first bitmap begins.
    pub(crate) bitmaps: usize,
    /// Bytes of one bitmap.
    pub(crate) bitmap_len: usize,
}

/// What fields hold that a version does not have.
const RUBBISH: u8 = 0xa5;

/// Bytes of a `page_desc`.
pub(crate) const DESC_LEN: usize = 24;

/// A `page_desc`; its last field, `page_flags`, is always zero.
pub(crate) fn descriptor(offset: u64, size: u32, flags: u32) -> [u8; DESC_LEN] {
    let mut desc = [0; DESC_LEN];
    desc[..8].copy_from_slice(&offset.to_le_bytes());
    desc[8..12].copy_from_slice(&size.to_le_bytes());
    desc[12..16].copy_from_slice(&flags.to_le_bytes());
    desc
}

impl Image {
    /// The image as a kdump.
    pub fn write_kdump(&self, options: &KdumpOptions) -> Vec<u8> {
        let Head {
            bytes: mut out,
            bitmaps,
            bitmap_len,
        } = self.head(options);
        let descs = out.len();
        for (&pfn, page) in &self.pages {
            let bit = 1 << (pfn % 8);
            let byte = pfn as usize / 8;
            if !options.single_bitmap {
                out[bitmaps + byte] |= bit;
            }
            if !matches!(page, Page::Excluded) {
                out[descs - bitmap_len + byte] |= bit;
            }
        }
        self.put_pages(&mut out, options, descs);
        match &options.flattened {
            Some(how) => flatten(&out, how),
            None => out,
        }
    }

    /// Everything before the page descriptors.
    pub(crate) fn head(&self, options: &KdumpOptions) -> Head {
        let block = self.page_size;
        let max_mapnr = self.end();
        let (notes, vmcoreinfo_at) = self.notes_of(options.version);
        let erased = self.erased.clone().unwrap_or_default();
        let sub_blocks = (104 + notes.len() + erased.len()).div_ceil(block);
        let bitmap_len = (max_mapnr as usize).div_ceil(8).next_multiple_of(block);
        let count = if options.single_bitmap { 1 } else { 2 };

        let mut bytes = Vec::new();
        self.put_header(&mut bytes, options, sub_blocks, count * bitmap_len / block);
        self.put_sub_header(&mut bytes, options, notes.len(), vmcoreinfo_at);
        put(&mut bytes, block + 104, &notes);
        put(&mut bytes, block + 104 + notes.len(), erased.as_bytes());
        let bitmaps = (1 + sub_blocks) * block;
        bytes.resize(bitmaps + count * bitmap_len, 0);
        Head {
            bytes,
            bitmaps,
            bitmap_len,
        }
    }

    /// The notes area, and where in it the VMCOREINFO text lies. Version 3 has
    /// the bare text instead of notes.
    fn notes_of(&self, version: i32) -> (Vec<u8>, Option<usize>) {
        if version < 3 {
            return (Vec::new(), None);
        }
        if version == 3 {
            return (
                self.vmcoreinfo.clone().unwrap_or_default(),
                self.vmcoreinfo.as_ref().map(|_| 0),
            );
        }
        let mut out = Vec::new();
        let mut text_at = None;
        for note in self.all_notes() {
            if note.name == "VMCOREINFO" {
                text_at = Some(out.len() + note.desc_at());
            }
            out.extend(note.bytes());
        }
        (out, text_at)
    }

    fn put_header(
        &self,
        out: &mut Vec<u8>,
        options: &KdumpOptions,
        sub_blocks: usize,
        bitmap_blocks: usize,
    ) {
        put(out, 0, b"KDUMP   ");
        put_u32(out, 8, options.version as u32);
        for (index, field) in self.utsname.iter().enumerate() {
            assert!(field.len() < 65, "utsname field {field:?}");
            put(out, 12 + 65 * index, field.as_bytes());
        }
        put_u64(out, 408, self.captured_at as u64);
        put_u32(out, 424, status(options.compression) | options.status);
        put_u32(out, 428, self.page_size as u32);
        put_u32(out, 432, sub_blocks as u32);
        put_u32(out, 436, bitmap_blocks as u32);
        put_u32(out, 440, u32::try_from(self.end()).unwrap_or(u32::MAX));
        put_u32(out, 460, 1);
        out.resize(self.page_size, 0);
    }

    fn put_sub_header(
        &self,
        out: &mut Vec<u8>,
        options: &KdumpOptions,
        notes_len: usize,
        vmcoreinfo_at: Option<usize>,
    ) {
        let at = self.page_size;
        let notes_at = (at + 104) as u64;
        put(out, at, &[RUBBISH; 104]);
        put_u64(out, at, self.phys_base as u64);
        if options.version >= 1 {
            put_u32(out, at + 8, self.dump_level as u32);
        }
        let split = options.split.clone().unwrap_or_default();
        if options.version >= 2 {
            put_u32(out, at + 12, u32::from(options.split.is_some()));
            put_u64(out, at + 16, split.start.min(u64::from(u32::MAX)));
            put_u64(out, at + 24, split.end.min(u64::from(u32::MAX)));
        }
        if options.version >= 3 {
            let len = self.vmcoreinfo.as_ref().map_or(0, Vec::len);
            put_u64(
                out,
                at + 32,
                vmcoreinfo_at.map_or(0, |text| notes_at + text as u64),
            );
            put_u64(out, at + 40, len as u64);
        }
        if options.version >= 4 {
            put_u64(out, at + 48, if notes_len == 0 { 0 } else { notes_at });
            put_u64(out, at + 56, notes_len as u64);
        }
        if options.version >= 5 {
            let erased = self.erased.as_ref().map_or(0, String::len) as u64;
            let erased_at = notes_at + notes_len as u64;
            put_u64(out, at + 64, if erased == 0 { 0 } else { erased_at });
            put_u64(out, at + 72, erased);
        }
        if options.version >= 6 {
            put_u64(out, at + 80, split.start);
            put_u64(out, at + 88, split.end);
            put_u64(out, at + 96, self.end());
        }
    }

    /// Descriptors from `descs` on, and data after them.
    fn put_pages(&self, out: &mut Vec<u8>, options: &KdumpOptions, descs: usize) {
        let mine = |pfn: u64| {
            options
                .split
                .as_ref()
                .is_none_or(|range| range.contains(&pfn))
        };
        let listed: Vec<&Page> = self
            .pages
            .iter()
            .filter(|(pfn, page)| !matches!(page, Page::Excluded) && mine(**pfn))
            .map(|(_, page)| page)
            .collect();
        out.resize(descs + DESC_LEN * listed.len(), 0);
        let mut ranks: Vec<usize> = (0..listed.len()).collect();
        if options.backward {
            ranks.reverse();
        }
        let mut zero_at = None;
        if options.share_zero_pages {
            let (data, flags) = compress(options.compression, 0, &vec![0; self.page_size]);
            zero_at = Some((out.len(), data.len(), flags));
            out.extend(data);
        }
        for rank in ranks {
            let Page::Present(bytes) = listed[rank] else {
                continue; // lost: offset 0
            };
            let zero = bytes.iter().all(|&byte| byte == 0);
            let (at, len, flags) = match zero_at.filter(|_| zero) {
                Some(shared) => shared,
                None => {
                    let (data, flags) = compress(options.compression, rank, bytes);
                    let at = out.len();
                    out.extend(&data);
                    (at, data.len(), flags)
                }
            };
            put(
                out,
                descs + DESC_LEN * rank,
                &descriptor(at as u64, len as u32, flags),
            );
        }
    }

    /// `e_machine`.
    pub(crate) fn e_machine(&self) -> u16 {
        match self.machine {
            Machine::X86_64 => 62,
            Machine::Aarch64 => 183,
        }
    }
}

//! A kdump-compressed file packed tighter: some pages left out, the others
//! compressed as well as zlib can.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::kdump::{DESCRIPTOR, Descriptor, Layout, flags, frames};
use crate::bytes::{put, slice};

/// Offset and size of the erase information in the sub-header.
const ERASE_INFO: usize = 80;

/// Packs `dump` again without the pages of `drop` (frame numbers). They stay
/// set in the first bitmap: pages that exist but were filtered out.
///
/// # Errors
/// When `dump` is no kdump-compressed file, or holds another compression.
pub(super) fn repack(dump: &[u8], drop: &Range<usize>) -> Result<Vec<u8>> {
    let layout = Layout::of(dump)?;
    let old_descriptors = layout.descriptors();
    let all: Vec<usize> = frames(slice(dump, layout.stored(), layout.bitmap_size)?).collect();

    let mut out = slice(dump, 0, old_descriptors)?.to_vec();
    // The erase information was behind the data, and is empty.
    put(&mut out, layout.block + ERASE_INFO, &[0; 16])?;
    for pfn in all.iter().filter(|pfn| drop.contains(pfn)) {
        let at = layout.stored() + pfn / 8;
        let byte = slice(&out, at, 1)?.iter().fold(0, |_, byte| *byte) & !(1 << (pfn % 8));
        put(&mut out, at, &[byte])?;
    }
    let kept = all.iter().filter(|pfn| !drop.contains(pfn)).count();
    let data = out.len() + kept * DESCRIPTOR;
    let mut packer = Packer::new(layout.block);
    for (rank, pfn) in all.iter().enumerate() {
        if !drop.contains(pfn) {
            let old = slice(dump, old_descriptors + rank * DESCRIPTOR, DESCRIPTOR)?;
            let descriptor = packer
                .page(dump, old, data)
                .with_context(|| format!("page {pfn:#x} cannot be packed"))?;
            out.extend_from_slice(&descriptor);
        }
    }
    out.extend_from_slice(&packer.data);
    Ok(out)
}

struct Packer {
    data: Vec<u8>,
    /// Descriptors by the offset of the old data: all zero pages share one.
    done: HashMap<usize, [u8; DESCRIPTOR]>,
    page: Vec<u8>,
    compressor: Compressor,
    decompressor: Decompressor,
}

impl Packer {
    fn new(block: usize) -> Self {
        Self {
            data: Vec::new(),
            done: HashMap::new(),
            page: vec![0; block],
            compressor: Compressor::new(CompressionLvl::best()),
            decompressor: Decompressor::new(),
        }
    }

    /// The new descriptor of the page with descriptor `old`; page data will
    /// start at `base` in the new file.
    fn page(&mut self, dump: &[u8], old: &[u8], base: usize) -> Result<[u8; DESCRIPTOR]> {
        let old = Descriptor::of(old)?;
        if let Some(descriptor) = self.done.get(&old.offset) {
            return Ok(*descriptor);
        }
        let stored = slice(dump, old.offset, old.size as usize)?;
        match old.flags {
            0 => {
                ensure!(
                    stored.len() == self.page.len(),
                    "{} bytes are no page",
                    stored.len()
                );
                self.page.copy_from_slice(stored);
            }
            flags::ZLIB => {
                let size = self.decompressor.zlib_decompress(stored, &mut self.page)?;
                ensure!(size == self.page.len(), "{size} bytes are no page");
            }
            other => anyhow::bail!("flags {other:#x} are not zlib"),
        }
        let mut packed = vec![0; self.page.len()];
        // No room for the compressed page means that it is not worth it.
        let (bytes, flags) = match self.compressor.zlib_compress(&self.page, &mut packed) {
            Ok(size) if size < self.page.len() => (slice(&packed, 0, size)?, flags::ZLIB),
            _ => (self.page.as_slice(), 0),
        };
        let descriptor = Descriptor {
            offset: base + self.data.len(),
            size: u32::try_from(bytes.len())?,
            flags,
        }
        .bytes()?;
        self.data.extend_from_slice(bytes);
        self.done.insert(old.offset, descriptor);
        Ok(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kdump::{BITMAP_BLOCKS, BLOCK_SIZE, SUB_HEADER_BLOCKS};
    use super::*;
    use crate::bytes::{get_size, get_u32};

    const PAGE: usize = 4096;

    /// Three pages, 1, 2 and 5, of which 1 and 5 share their data.
    fn dump() -> Vec<u8> {
        let mut dump = vec![0; 4 * PAGE];
        put(&mut dump, 0, b"KDUMP   ").unwrap();
        put(&mut dump, BLOCK_SIZE, &4096_u32.to_le_bytes()).unwrap();
        put(&mut dump, SUB_HEADER_BLOCKS, &1_u32.to_le_bytes()).unwrap();
        put(&mut dump, BITMAP_BLOCKS, &2_u32.to_le_bytes()).unwrap();
        dump[2 * PAGE] = 0b10_0110;
        dump[3 * PAGE] = 0b10_0110;
        let data = dump.len() + 3 * DESCRIPTOR;
        for offset in [data, data + PAGE, data] {
            dump.extend_from_slice(&(offset as u64).to_le_bytes());
            dump.extend_from_slice(&4096_u32.to_le_bytes());
            dump.extend_from_slice(&[0; 12]);
        }
        dump.extend_from_slice(&[7; PAGE]);
        dump.extend_from_slice(&[9; PAGE]);
        dump
    }

    #[test]
    fn dropped_page_leaves_only_the_second_bitmap() {
        let out = repack(&dump(), &(2..4)).unwrap();
        assert_eq!(out[2 * PAGE], 0b10_0110);
        assert_eq!(out[3 * PAGE], 0b10_0010);
        let descriptors = 4 * PAGE;
        let first = &out[descriptors..descriptors + DESCRIPTOR];
        assert_eq!(
            first,
            &out[descriptors + DESCRIPTOR..descriptors + 2 * DESCRIPTOR]
        );
        let offset = get_size(first, 0).unwrap();
        assert_eq!(offset, descriptors + 2 * DESCRIPTOR);
        let size = get_u32(first, 8).unwrap() as usize;
        assert_eq!(offset + size, out.len());
        let mut page = vec![0; PAGE];
        Decompressor::new()
            .zlib_decompress(&out[offset..], &mut page)
            .unwrap();
        assert_eq!(page, vec![7; PAGE]);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(repack(b"makedumpfile", &(0..0)).is_err());
        let dump = dump();
        assert!(repack(&dump[..dump.len() - 2 * PAGE], &(0..0)).is_err());
    }
}

//! Where things lie in a kdump-compressed file. Layout as makedumpfile's
//! diskdump_mod.h has it: header block, sub-header blocks, two bitmaps, page
//! descriptors, data. Read here apart from pagehound's own reader, whose work
//! is checked and timed by it.

use anyhow::{Context, Result, ensure};

use crate::bytes::{get_size, get_u32, put};

/// Offsets in the header block of a 64-bit dump.
pub(crate) const BLOCK_SIZE: usize = 428;
pub(crate) const SUB_HEADER_BLOCKS: usize = 432;
pub(crate) const BITMAP_BLOCKS: usize = 436;
/// Bytes of a page descriptor.
pub(crate) const DESCRIPTOR: usize = 24;

/// The parts before the page descriptors, in bytes.
pub(crate) struct Layout {
    /// Size of a block, which is a page.
    pub(crate) block: usize,
    /// Start of the first bitmap.
    pub(crate) bitmaps: usize,
    /// Size of one bitmap: of the pages that exist, of those that are stored.
    pub(crate) bitmap_size: usize,
}

impl Layout {
    /// Reads the header block at the start of `dump`.
    ///
    /// # Errors
    /// When it is none, or not one of x86-64.
    pub(crate) fn of(dump: &[u8]) -> Result<Self> {
        ensure!(dump.starts_with(b"KDUMP   "), "not a kdump-compressed file");
        let block = get_u32(dump, BLOCK_SIZE)? as usize;
        ensure!(
            block == 4096,
            "a block of {block} bytes is not the page of x86-64"
        );
        Ok(Self {
            block,
            bitmaps: block * (1 + get_u32(dump, SUB_HEADER_BLOCKS)? as usize),
            bitmap_size: get_u32(dump, BITMAP_BLOCKS)? as usize * block / 2,
        })
    }

    /// Start of the bitmap of stored pages.
    pub(crate) fn stored(&self) -> usize {
        self.bitmaps + self.bitmap_size
    }

    /// Start of the page descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        self.bitmaps + 2 * self.bitmap_size
    }
}

/// Frame numbers of the bits set in `bitmap`, rising.
pub(crate) fn frames(bitmap: &[u8]) -> impl Iterator<Item = usize> {
    bitmap.iter().enumerate().flat_map(|(at, byte)| {
        (0..8)
            .filter(move |bit| byte >> bit & 1 == 1)
            .map(move |bit| at * 8 + bit)
    })
}

/// How pages can be compressed: bits of a descriptor's `flags`, none for a page
/// as it was.
pub(crate) mod flags {
    pub(crate) const ZLIB: u32 = 1;
    pub(crate) const LZO: u32 = 2;
    pub(crate) const SNAPPY: u32 = 4;
    pub(crate) const ZSTD: u32 = 0x20;
}

/// `page_desc`: where a page lies in the file and how.
#[derive(Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) offset: usize,
    pub(crate) size: u32,
    pub(crate) flags: u32,
}

impl Descriptor {
    /// The descriptor in `bytes`.
    ///
    /// # Errors
    /// When they are too few.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            offset: get_size(bytes, 0).context("page descriptor")?,
            size: get_u32(bytes, 8).context("page descriptor")?,
            flags: get_u32(bytes, 12).context("page descriptor")?,
        })
    }

    /// Its bytes.
    pub(crate) fn bytes(self) -> Result<[u8; DESCRIPTOR]> {
        let mut bytes = [0; DESCRIPTOR];
        put(&mut bytes, 0, &(self.offset as u64).to_le_bytes())?;
        put(&mut bytes, 8, &self.size.to_le_bytes())?;
        put(&mut bytes, 12, &self.flags.to_le_bytes())?;
        Ok(bytes)
    }
}

//! Page descriptors: where a page's data lies and how it is compressed.

use std::sync::Arc;

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::layout::{PageDesc, compressed};
use crate::PageState;
use crate::codec::Codec;
use crate::source::{ReadError, Source};

const DESC_SIZE: u64 = size_of::<PageDesc>() as u64;

/// The array of descriptors, read where it lies.
pub(super) struct Descs {
    pub(super) source: Arc<Source>,
    /// Where the array begins.
    pub(super) at: u64,
    pub(super) page_shift: u32,
}

impl Descs {
    /// Calls `f` with each of `pfns`, the frames the array describes, whose
    /// descriptor lies within the file, and with the descriptor; `None` where
    /// a flattened stream has a gap.
    pub(super) fn each(
        &self,
        pfns: impl Iterator<Item = u64>,
        mut f: impl FnMut(u64, Option<PageDesc>),
    ) {
        const CHUNK: u64 = 1 << 11;
        let stored = self.source.len().saturating_sub(self.at) / DESC_SIZE;
        let mut chunk = Vec::new();
        let mut first = 0;
        for (rank, pfn) in (0..stored).zip(pfns) {
            if rank % CHUNK == 0 {
                first = rank;
                chunk.resize(CHUNK.min(stored - rank) as usize, PageDesc::new_zeroed());
                if self.read_all(rank, &mut chunk).is_err() {
                    chunk.clear();
                }
            }
            let desc = match chunk.get((rank - first) as usize) {
                Some(desc) => Some(*desc),
                None => self.read(rank).ok(),
            };
            f(pfn, desc);
        }
    }

    /// The descriptor of the dumped frame with this rank in this file.
    pub(super) fn read(&self, rank: u64) -> Result<PageDesc, String> {
        // Ranks are below 2^61 / 24, checked against the file's bitmaps.
        let at = self.at.saturating_add(rank.saturating_mul(DESC_SIZE));
        self.source
            .with_bytes(at, size_of::<PageDesc>(), |bytes| {
                PageDesc::read_from_bytes(bytes).ok()
            })
            .map_err(|e| format!("page descriptor: {e}"))?
            .ok_or_else(|| "page descriptor".to_owned())
    }

    /// The descriptors of the dumped frames with this rank and the following ones.
    pub(super) fn read_all(&self, rank: u64, out: &mut [PageDesc]) -> Result<(), ReadError> {
        let at = self.at.saturating_add(rank.saturating_mul(DESC_SIZE));
        self.source.copy_at(at, out.as_mut_bytes())
    }

    /// The state of a dumped frame with this descriptor.
    pub(super) fn state(&self, desc: Option<&PageDesc>) -> PageState {
        match desc {
            // An incomplete dump's page is lost; it is not a page of zeroes.
            Some(desc) if desc.offset.get() == 0 => PageState::Absent,
            Some(desc) if self.check(desc).is_ok() => PageState::Present,
            _ => PageState::Unreadable,
        }
    }

    /// Whether the descriptor can be true.
    pub(super) fn check(&self, desc: &PageDesc) -> Result<Codec, String> {
        let (offset, size) = (desc.offset.get(), desc.size.get());
        let end = self.source.len();
        if offset
            .checked_add(u64::from(size))
            .is_none_or(|to| to > end)
        {
            return Err(format!(
                "its {size} bytes at offset {offset:#x} lie beyond the end of the file ({end:#x})"
            ));
        }
        if self.source.has_hole(offset, u64::from(size)) {
            return Err(ReadError::NeverWritten(offset).to_string());
        }
        let page = 1u64 << self.page_shift;
        let codec = match desc.flags.get() {
            0 => Codec::Plain,
            compressed::ZLIB => Codec::Zlib,
            compressed::LZO => Codec::Lzo,
            compressed::SNAPPY => Codec::Snappy,
            compressed::ZSTD => Codec::Zstd,
            flags => {
                return Err(format!(
                    "page_desc.flags {flags:#x} name no known compression"
                ));
            }
        };
        // Writers store a page as it is where compression does not shrink it.
        let fits = match codec {
            Codec::Plain => u64::from(size) == page,
            _ => size > 0 && u64::from(size) <= 2 * page,
        };
        if fits {
            Ok(codec)
        } else {
            Err(format!("page_desc.size {size} for {codec:?}"))
        }
    }
}

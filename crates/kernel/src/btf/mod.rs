//! BTF: the kernel's own type information, inside its image since 5.2.
//!
//! Layout of include/uapi/linux/btf.h: a header, then records of types (each 12
//! bytes and what its kind adds; ids count from 1, 0 is void), then strings.
//! A module's BTF goes on where the kernel's ends, with ids and with strings.
//! Only little-endian BTF is read.

mod modules;
mod query;
mod search;
mod shape;
mod types;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use pagehound_vmcore::VirtAddr;

use crate::{VirtFault, VirtualRead};
use types::extra_size;

pub use query::Member;
pub(crate) use shape::{PointerAt, Target};
pub(crate) use write::{Record, Writer, WrittenMember};

const MAGIC: u16 = 0xeb9f;
/// Ten times what the largest kernels carry.
const MAX_BLOB: u64 = 64 << 20;
/// magic, version, flags, hdr_len, then offset and length of types and strings.
const HEADER: usize = 24;
/// With offset and length of the layout section (7.2).
const LONG_HEADER: usize = 32;
/// Bytes that are not BTF, or BTF that cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BtfError {
    /// The range `__start_BTF..__stop_BTF` makes no sense.
    #[error(
        "BTF range {start}..{stop}: must be above 0 and at most {} MiB long; \
         are __start_BTF and __stop_BTF of this kernel?",
        MAX_BLOB >> 20
    )]
    Range {
        /// `__start_BTF`.
        start: VirtAddr,
        /// `__stop_BTF`.
        stop: VirtAddr,
    },
    /// The dump cannot give the bytes.
    #[error("BTF at {start}: {fault}")]
    Read {
        /// `__start_BTF`.
        start: VirtAddr,
        /// Why.
        fault: VirtFault,
    },
    /// Nothing in the range that was searched is a kernel's BTF.
    #[error(
        "BTF: none in {start}..{end} ({unreadable} bytes of it cannot be read); the kernel \
         has no CONFIG_DEBUG_INFO_BTF, or it lies elsewhere"
    )]
    NotFound {
        /// First address searched.
        start: VirtAddr,
        /// First address not searched.
        end: VirtAddr,
        /// Bytes in pages that the dump does not give.
        unreadable: u64,
    },
    /// A header field has a value that cannot be read.
    #[error("BTF header: {field} is {value:#x}, {expected}")]
    Header {
        /// The field.
        field: &'static str,
        /// What it holds.
        value: u64,
        /// What it should be.
        expected: &'static str,
    },
    /// A section reaches beyond the blob.
    #[error(
        "BTF {section} section: {len} bytes at offset {offset} exceed the {blob} bytes there are"
    )]
    Section {
        /// `type`, `string` or `layout`.
        section: &'static str,
        /// Its offset from the blob's begin.
        offset: u64,
        /// Its length.
        len: u64,
        /// The blob's length.
        blob: usize,
    },
    /// A type record reaches beyond the type section.
    #[error("BTF type {id} at offset {offset}: its record does not fit the type section")]
    Truncated {
        /// The type's id.
        id: u32,
        /// Its offset in the type section.
        offset: usize,
    },
    /// A kind that is newer than this reader, and no layout section to skip it by.
    #[error(
        "BTF type {id} at offset {offset}: kind {kind} is unknown and no layout section \
         tells its size; this kernel is newer than pagehound"
    )]
    Kind {
        /// The type's id.
        id: u32,
        /// Its offset in the type section.
        offset: usize,
        /// The kind.
        kind: u8,
    },
}

/// A kernel's type information. Keeps the blob, four bytes for each type, and
/// from the first question on eight for each named one.
pub struct Btf {
    /// Of a module that of the kernel, whose types come before its own.
    base: Option<Arc<Btf>>,
    blob: Vec<u8>,
    types: Range<usize>,
    strings: Range<usize>,
    /// Where type `i + 1` begins in the type section.
    offsets: Vec<u32>,
    /// The writer marks signed enums with kind_flag (6089fb325cf7, 6.0), so those
    /// without it are unsigned; before, all were signed.
    marks_signed_enums: bool,
    /// Hash of the name, and id, of every type that can be asked for, sorted.
    by_name: OnceLock<Vec<(u32, u32)>>,
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Btf({} types, {} bytes)",
            self.offsets.len(),
            self.blob.len()
        )
    }
}

impl Btf {
    /// Reads a whole BTF blob, header first.
    ///
    /// # Errors
    /// [`BtfError`] if the header is not that of little-endian BTF version 1, or
    /// the type records cannot all be walked.
    pub fn parse(blob: Vec<u8>) -> Result<Btf, BtfError> {
        Btf::parse_after(None, blob)
    }

    fn parse_after(base: Option<Arc<Btf>>, blob: Vec<u8>) -> Result<Btf, BtfError> {
        let header = Header::parse(&blob)?;
        let types = header.section(&blob, "type", header.types)?;
        let strings = header.section(&blob, "string", header.strings)?;
        let layout = match header.layout {
            Some(layout) => header.section(&blob, "layout", layout)?,
            None => 0..0,
        };
        let records = blob.get(types.clone()).unwrap_or_default();
        let layout = blob.get(layout).unwrap_or_default();
        let (offsets, marks_signed_enums) = walk(records, layout)?;
        let by_name = OnceLock::new();
        Ok(Btf {
            base,
            blob,
            types,
            strings,
            offsets,
            marks_signed_enums,
            by_name,
        })
    }

    /// Reads the BTF of a kernel out of its memory.
    ///
    /// `start` and `stop` are the symbols `__start_BTF` and `__stop_BTF`.
    ///
    /// # Errors
    /// [`BtfError`] if the range is empty, longer than 64 MiB, not readable as a
    /// whole, or holds no BTF.
    pub fn find_in_kernel(
        read: &dyn VirtualRead,
        start: VirtAddr,
        stop: VirtAddr,
    ) -> Result<Btf, BtfError> {
        let len = stop.0.saturating_sub(start.0);
        if len == 0 || len > MAX_BLOB {
            return Err(BtfError::Range { start, stop });
        }
        // The header first, so that a wrong address costs nothing.
        let mut header = [0; HEADER];
        read.read(start, &mut header)
            .map_err(|fault| BtfError::Read { start, fault })?;
        Header::parse(&header)?;
        let mut blob = vec![0; len as usize];
        read.read(start, &mut blob)
            .map_err(|fault| BtfError::Read { start, fault })?;
        Btf::parse(blob)
    }

    /// Reads the BTF of a module, which lies at `start`, after that of its kernel.
    ///
    /// # Errors
    /// As [`find_in_kernel`](Self::find_in_kernel).
    pub(crate) fn of_module(
        base: &Arc<Btf>,
        read: &dyn VirtualRead,
        start: VirtAddr,
        len: u64,
    ) -> Result<Btf, BtfError> {
        let stop = start.add(len);
        if len == 0 || len > MAX_BLOB {
            return Err(BtfError::Range { start, stop });
        }
        let mut blob = vec![0; len as usize];
        read.read(start, &mut blob)
            .map_err(|fault| BtfError::Read { start, fault })?;
        Btf::parse_after(Some(Arc::clone(base)), blob)
    }

    /// How many types there are, void not counted.
    pub fn type_count(&self) -> usize {
        self.offsets.len()
    }
}

struct Header {
    len: u32,
    /// Offset and length of each section, relative to the header's end.
    types: (u32, u32),
    strings: (u32, u32),
    layout: Option<(u32, u32)>,
}

impl Header {
    fn parse(blob: &[u8]) -> Result<Header, BtfError> {
        let bad = |field, value, expected| {
            Err(BtfError::Header {
                field,
                value,
                expected,
            })
        };
        let word = |at: usize| types::u32_at(blob, at).map_or(0, u64::from);
        if blob.len() < HEADER {
            return bad(
                "length of the blob",
                blob.len() as u64,
                "at least 24 bytes are needed",
            );
        }
        let magic = (word(0) & 0xffff) as u16;
        if magic == MAGIC.swap_bytes() {
            return bad(
                "magic",
                u64::from(magic),
                "that of big-endian BTF, which is not supported",
            );
        }
        if magic != MAGIC {
            return bad("magic", u64::from(magic), "0xeb9f is expected");
        }
        let version = (word(0) >> 16) & 0xff;
        if version != 1 {
            return bad("version", version, "only version 1 is known");
        }
        let len = word(4) as u32;
        if (len as usize) < HEADER {
            return bad("hdr_len", u64::from(len), "at least 24 is expected");
        }
        let pair = |at| (word(at) as u32, word(at + 4) as u32);
        // The layout fields came in 7.2 and made the header 32 bytes long.
        let layout = (len >= 32 && blob.len() >= 32)
            .then(|| pair(24))
            .filter(|&(_, len)| len > 0);
        Ok(Header {
            len,
            types: pair(8),
            strings: pair(16),
            layout,
        })
    }

    fn section(
        &self,
        blob: &[u8],
        section: &'static str,
        (offset, len): (u32, u32),
    ) -> Result<Range<usize>, BtfError> {
        let offset = u64::from(self.len) + u64::from(offset);
        let end = offset + u64::from(len);
        if end > blob.len() as u64 {
            return Err(BtfError::Section {
                section,
                offset,
                len: len.into(),
                blob: blob.len(),
            });
        }
        Ok(offset as usize..end as usize)
    }
}

/// The offset of every type record, and whether signed enums are marked as such.
fn walk(records: &[u8], layout: &[u8]) -> Result<(Vec<u32>, bool), BtfError> {
    let mut offsets = Vec::new();
    let mut marks_signed_enums = false;
    let mut at = 0;
    while at < records.len() {
        let id = offsets.len() as u32 + 1;
        let Some(head) = types::Head::at(records, at) else {
            return Err(BtfError::Truncated { id, offset: at });
        };
        let Some(extra) = extra_size(&head, layout) else {
            return Err(BtfError::Kind {
                id,
                offset: at,
                kind: head.kind,
            });
        };
        marks_signed_enums |=
            head.kind == types::ENUM64 || (head.kind == types::ENUM && head.kind_flag);
        let end = at as u64 + types::HEAD as u64 + extra;
        if end > records.len() as u64 {
            return Err(BtfError::Truncated { id, offset: at });
        }
        offsets.push(at as u32);
        at = end as usize;
    }
    offsets.shrink_to_fit();
    Ok((offsets, marks_signed_enums))
}

//! The header before each range of a LiME or AVML image; LiME's documentation and
//! AVML's `image.rs` have the same one.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::addr::PHYS_END;
use crate::error::Defect;
use crate::source::RawFile;

/// LiME's magic, `0x4c694d45`, as it lies in the file.
pub(crate) const LIME: &[u8; 4] = b"EMiL";
/// AVML's magic, `0x4c4d5641`, as it lies in the file.
pub(crate) const AVML: &[u8; 4] = b"AVML";

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// LiME: bytes as they were.
    Lime,
    /// AVML: bytes in Snappy frames, the length of which follows them.
    Avml,
}

/// `lime_mem_range_header`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RangeHeader {
    magic: [u8; 4],
    version: U32,
    /// First byte of the range.
    start: U64,
    /// Its last byte.
    end: U64,
    reserved: [u8; 8],
}

/// Bytes of a header.
pub(super) const HEADER: u64 = size_of::<RangeHeader>() as u64;
const _: () = assert!(HEADER == 32);

impl Kind {
    /// The image whose first bytes these are.
    pub(crate) fn of(head: &[u8]) -> Option<Kind> {
        if head.starts_with(LIME) {
            Some(Kind::Lime)
        } else if head.starts_with(AVML) {
            Some(Kind::Avml)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Lime => "LiME image",
            Kind::Avml => "AVML image",
        }
    }

    fn magic(self) -> &'static [u8; 4] {
        match self {
            Kind::Lime => LIME,
            Kind::Avml => AVML,
        }
    }

    /// The only version there is of the one, and the only one of the other since its
    /// first release: AVML's version 1 is LiME's format.
    fn version(self) -> u32 {
        match self {
            Kind::Lime => 1,
            Kind::Avml => 2,
        }
    }

    /// The physical range that the header at `at` says, half-open.
    pub(super) fn range_at(self, raw: &RawFile, at: u64) -> Result<(u64, u64), Defect> {
        let wrong = |field, offset, problem| Defect {
            format: self.name(),
            field,
            offset: at + offset,
            problem,
        };
        let mut header = RangeHeader::new_zeroed();
        raw.read_at(at, header.as_mut_bytes())
            .map_err(|e| wrong("header of a range", 0, e.to_string()))?;
        if header.magic != *self.magic() {
            let problem = format!("{:02x?}, expected {:02x?}", header.magic, self.magic());
            return Err(wrong("magic", 0, problem));
        }
        let version = header.version.get();
        if version != self.version() {
            let problem = format!("{version}, expected {}", self.version());
            return Err(wrong("version", 4, problem));
        }
        let (start, last) = (header.start.get(), header.end.get());
        if last < start || last >= PHYS_END {
            let problem = format!("{start:#x} to {last:#x} is no range of physical addresses");
            return Err(wrong("s_addr and e_addr", 8, problem));
        }
        Ok((start, last + 1))
    }
}

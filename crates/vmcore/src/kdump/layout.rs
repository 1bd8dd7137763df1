//! The 64-bit kdump-compressed format as makedumpfile's `diskdump_mod.h`
//! defines it; names are the format's own.

use zerocopy::byteorder::little_endian::{I32, I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `disk_dump_header.signature`.
pub(crate) const SIGNATURE: &[u8; 8] = b"KDUMP   ";
/// `disk_dump_header.status`: the writer ran out of space or time.
pub(super) const STATUS_INCOMPLETE: u32 = 0x8;
/// `disk_dump_header.status`: `makedumpfile -e` left out the `struct page`s of excluded regions.
pub(super) const STATUS_EXCLUDED_VMEMMAP: u32 = 0x10;

/// `page_desc.flags`.
pub(super) mod compressed {
    pub(in super::super) const ZLIB: u32 = 0x1;
    pub(in super::super) const LZO: u32 = 0x2;
    pub(in super::super) const SNAPPY: u32 = 0x4;
    pub(in super::super) const ZSTD: u32 = 0x20;
}

/// `struct new_utsname`: NUL-terminated strings.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct NewUtsname {
    pub(super) sysname: [u8; 65],
    pub(super) nodename: [u8; 65],
    pub(super) release: [u8; 65],
    pub(super) version: [u8; 65],
    pub(super) machine: [u8; 65],
    pub(super) domainname: [u8; 65],
}

/// `struct disk_dump_header`, at offset 0.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) signature: [u8; 8],
    pub(super) header_version: I32,
    pub(super) utsname: NewUtsname,
    pub(super) padding: [u8; 6],
    pub(super) timestamp_sec: I64,
    pub(super) timestamp_usec: I64,
    pub(super) status: U32,
    /// Bytes a page, and the unit of the sizes below.
    pub(super) block_size: I32,
    /// In blocks.
    pub(super) sub_hdr_size: I32,
    /// Blocks of all bitmaps together.
    pub(super) bitmap_blocks: U32,
    /// Frames the bitmaps cover; cut to 32 bits, see [`SubHeader::max_mapnr_64`].
    pub(super) max_mapnr: U32,
    pub(super) total_ram_blocks: U32,
    pub(super) device_blocks: U32,
    pub(super) written_blocks: U32,
    pub(super) current_cpu: U32,
    pub(super) nr_cpus: I32,
}

/// `struct kdump_sub_header`, at offset `block_size`. The comment on a field is
/// the `header_version` that brought it.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SubHeader {
    /// 0; two's complement.
    pub(super) phys_base: I64,
    /// 1
    pub(super) dump_level: I32,
    /// 2
    pub(super) split: I32,
    /// 2; cut to 32 bits by some writers.
    pub(super) start_pfn: U64,
    /// 2
    pub(super) end_pfn: U64,
    /// 3
    pub(super) offset_vmcoreinfo: U64,
    /// 3
    pub(super) size_vmcoreinfo: U64,
    /// 4
    pub(super) offset_note: U64,
    /// 4
    pub(super) size_note: U64,
    /// 5
    pub(super) offset_eraseinfo: U64,
    /// 5
    pub(super) size_eraseinfo: U64,
    /// 6
    pub(super) start_pfn_64: U64,
    /// 6
    pub(super) end_pfn_64: U64,
    /// 6
    pub(super) max_mapnr_64: U64,
}

/// `struct page_desc`: where a page's data lies.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct PageDesc {
    /// Offset in the file; 0 where an incomplete dump lost the page.
    pub(super) offset: U64,
    /// Bytes in the file.
    pub(super) size: U32,
    /// See [`compressed`].
    pub(super) flags: U32,
    /// Always 0.
    pub(super) page_flags: U64,
}

const _: () = {
    assert!(size_of::<Header>() == 464);
    assert!(size_of::<SubHeader>() == 104);
    assert!(size_of::<PageDesc>() == 24);
};

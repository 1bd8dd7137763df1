//! Where things are by virtual address (`arch/x86/include/asm/page_64_types.h` and
//! `pgtable_64_types.h`; `Documentation/x86/x86_64/mm.txt`) in every kernel; the rest is
//! in `era`.

use super::memmap::STRUCT_PAGE;

pub(super) const PAGE: u64 = 4096;
/// `__VMALLOC_BASE`.
pub(super) const VMALLOC: u64 = 0xffff_c900_0000_0000;
/// `__VMEMMAP_BASE`.
pub(super) const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
/// `__START_KERNEL_map`; `phys_base` is 0.
pub(super) const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// Address of a frame's `struct page`.
pub(super) fn page(pfn: u64) -> u64 {
    VMEMMAP + pfn * STRUCT_PAGE
}

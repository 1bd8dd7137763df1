//! Where things are by virtual address (`arch/x86/include/asm/page_64_types.h` and
//! `pgtable_64_types.h`; `Documentation/x86/x86_64/mm.txt`).

use super::memmap::STRUCT_PAGE;

pub(super) const PAGE: u64 = 4096;
/// `__PAGE_OFFSET_BASE` up to 4.19.
pub(super) const DIRECT_MAP: u64 = 0xffff_8800_0000_0000;
/// `__VMALLOC_BASE`.
pub(super) const VMALLOC: u64 = 0xffff_c900_0000_0000;
/// `__VMEMMAP_BASE`.
pub(super) const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
/// `__START_KERNEL_map`; `phys_base` is 0.
pub(super) const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `MODULES_VADDR`, with a `KERNEL_IMAGE_SIZE` of 1 GiB.
pub(super) const MODULES: u64 = KERNEL_MAP + (1 << 30);

/// Address of a frame in the direct map.
pub(super) fn direct(pfn: u64) -> u64 {
    DIRECT_MAP + pfn * PAGE
}

/// Address of a frame's `struct page`.
pub(super) fn page(pfn: u64) -> u64 {
    VMEMMAP + pfn * STRUCT_PAGE
}

/// Physical address of a variable, or of what lies in the direct map.
pub(super) fn phys(address: u64) -> u64 {
    match address.checked_sub(KERNEL_MAP) {
        Some(offset) => offset,
        None => address - DIRECT_MAP,
    }
}

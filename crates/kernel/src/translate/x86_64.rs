//! x86_64 page tables, 4 and 5 levels (Intel SDM vol. 3A, 4.5).

use pagehound_vmcore::PhysAddr;

use super::tables::{Entry, Geometry};

/// Start of the kernel image mapping, `__START_KERNEL_map`.
pub(super) const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;

/// Tables with `levels` levels. `sme_mask` (AMD SME/SEV, the C-bit) is no part
/// of an address.
pub(super) fn geometry(five_levels: bool, sme_mask: u64) -> Geometry {
    let mut levels = vec![(39, 9), (30, 9), (21, 9), (12, 9)];
    if five_levels {
        levels.insert(0, (48, 9));
    }
    Geometry {
        page_shift: 12,
        levels,
        addr_mask: 0x000f_ffff_ffff_f000 & !sme_mask,
        decode,
    }
}

fn decode(geometry: &Geometry, entry: u64, level: usize) -> Entry {
    if entry & PRESENT == 0 {
        return Entry::None;
    }
    let addr = entry & geometry.addr_mask;
    match level {
        0 => Entry::Leaf(PhysAddr(addr)),
        // Bit 12 of a large entry is PAT, so clear all below the page's size.
        1 if entry & LARGE != 0 => Entry::Leaf(PhysAddr(addr & !((1 << 21) - 1))),
        2 if entry & LARGE != 0 => Entry::Leaf(PhysAddr(addr & !((1 << 30) - 1))),
        _ => Entry::Table(PhysAddr(addr)),
    }
}

//! aarch64 page tables, 4K/16K/64K granules (Arm ARM D8.3).

use pagehound_vmcore::PhysAddr;

use super::tables::{Entry, Geometry};

/// Tables for a granule and a virtual address size, as `TCR_EL1.T1SZ` gives it.
pub(super) fn geometry(page_shift: u32, va_bits: u32) -> Geometry {
    let bits = page_shift - 3;
    let mut levels = Vec::new();
    let mut shift = page_shift;
    while shift < va_bits {
        levels.insert(0, (shift, bits.min(va_bits - shift)));
        shift += bits;
    }
    // 52-bit output addresses are ready to be added here: with 64K pages
    // PA[51:48] sits in bits 15:12, with LPA2 PA[51:50] in bits 9:8.
    let low = (1u64 << page_shift) - 1;
    Geometry {
        page_shift,
        levels,
        addr_mask: 0x0000_ffff_ffff_ffff & !low,
        decode,
    }
}

fn decode(geometry: &Geometry, entry: u64, level: usize) -> Entry {
    let addr = entry & geometry.addr_mask;
    match (entry & 3, level) {
        (3, 0) => Entry::Leaf(PhysAddr(addr)),
        (3, _) => Entry::Table(PhysAddr(addr)),
        (1, 1..) => {
            let bits = geometry.page_shift - 3;
            let shift = geometry.page_shift + bits * level as u32;
            Entry::Leaf(PhysAddr(addr & !((1u64 << shift) - 1)))
        }
        _ => Entry::None,
    }
}

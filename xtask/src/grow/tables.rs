//! Page tables for the new memory (Intel SDM vol. 3A, 4.5).

use std::ops::Range;

use anyhow::{Result, bail, ensure};
use pagehound_kernel::Pages;
use pagehound_vmcore::Pfn;

use super::machine::Machine;
use super::{Layout, PAGE, SECTION};

/// `_KERNPG_TABLE`: present, writable, accessed, dirty.
const TABLE: u64 = 0x63;
/// `_PAGE_KERNEL_LARGE`: the same, large, global, not executable.
const LEAF: u64 = 0x8000_0000_0000_01e3;
const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
/// Sizes of large leaves, as powers of two.
const GIB: u32 = 30;
const MIB2: u32 = 21;

/// More frames than page tables, roots of sections and a resource take: a table
/// for each GiB of the memory map, whose leaves are 2 MiB, and for each 512 GiB
/// of the direct map, whose leaves are 1 GiB; a root for each 16 GiB at least.
pub(super) fn most_frames(new: &Range<u64>) -> u64 {
    let bytes = (new.end - new.start) * PAGE;
    16 + (bytes >> 36) + (bytes >> 39) + (bytes >> 34)
}

/// Maps the new memory, and its struct pages where the memory map goes on.
pub(super) fn map(machine: &mut Machine<'_>, pages: &Pages, layout: &Layout) -> Result<()> {
    let new = layout.all.start * PAGE..layout.all.end * PAGE;
    let direct = machine.direct(new.start);
    let end = machine.direct(new.end);
    if let Some(limit) = machine.kernel.word("vmalloc_base") {
        ensure!(
            end <= limit,
            "the direct map of this kernel ends at {limit:#x}: there is no room for so much memory"
        );
    }
    let mut at = new.start;
    while at < new.end {
        let whole = at.is_multiple_of(1 << GIB) && new.end - at >= 1 << GIB;
        let shift = if whole { GIB } else { MIB2 };
        leaf(machine, direct + (at - new.start), at, shift)?;
        at += 1 << shift;
    }
    // The struct pages of a section fill 2 MiB.
    ensure!(
        pages.memmap.page_size * SECTION == 1 << MIB2,
        "struct pages of {} bytes",
        pages.memmap.page_size
    );
    for (index, first) in (0..).zip(layout.all.clone().step_by(SECTION as usize)) {
        let phys = layout.memmap.start * PAGE + (index << MIB2);
        leaf(machine, pages.memmap.page(Pfn(first)).0, phys, MIB2)?;
    }
    Ok(())
}

/// Makes `virt` a leaf of `1 << shift` bytes.
fn leaf(machine: &mut Machine<'_>, virt: u64, phys: u64, shift: u32) -> Result<()> {
    let space = &machine.kernel.memory.space;
    let mask = space.geometry.addr_mask;
    let levels = space.geometry.levels.clone();
    let mut table = space.root.0;
    for (level, bits) in levels {
        let at = table + 8 * (virt >> level & ((1 << bits) - 1));
        let entry = machine.word(at)?;
        if level == shift {
            ensure!(
                entry & PRESENT == 0,
                "{virt:#x} is mapped already: there is no room for so much memory"
            );
            return machine.write(at, &(phys | LEAF).to_le_bytes());
        }
        table = if entry & PRESENT == 0 {
            let new = machine.take()? * PAGE;
            machine.write(at, &(new | TABLE).to_le_bytes())?;
            new
        } else {
            ensure!(entry & LARGE == 0, "{virt:#x} is mapped already");
            entry & mask
        };
    }
    bail!(
        "no level of page tables has leaves of {} bytes",
        1_u64 << shift
    )
}

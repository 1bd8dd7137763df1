//! Page tables written by hand into a memory of a few pages. x86_64 after the
//! Intel SDM vol. 3A, 4.5; aarch64 after the Arm ARM, D8.3.

use std::ops::ControlFlow;

use pagehound_testdata::Frames;
use pagehound_vmcore::{PageCache, Pfn, PhysAddr, PhysicalMemory, VirtAddr};

use super::space::first_linear;
use super::tables::{Entry, Geometry, Mapping, Met};
use super::{AddressSpace, SpaceError, aarch64, x86_64};
use crate::testing::info;
use crate::vmcoreinfo::Vmcoreinfo;

const ROOT: PhysAddr = PhysAddr(0x10_0000);

fn translate(memory: &Frames, geometry: &Geometry, virt: u64) -> Option<u64> {
    let cache = PageCache::new(memory, 64);
    let phys = geometry.translate(&cache, ROOT, VirtAddr(virt)).unwrap();
    phys.map(|phys| phys.0)
}

/// Leaves and `(frame, level)` of tables in the order they are met, and how
/// many tables were unreadable.
fn walk(
    memory: &Frames,
    geometry: &Geometry,
    range: (u64, u64),
) -> (Vec<Mapping>, Vec<(u64, usize)>, u64) {
    let cache = PageCache::new(memory, 64);
    let (mut leaves, mut tables) = (Vec::new(), Vec::new());
    let range = (VirtAddr(range.0), VirtAddr(range.1));
    let walk = geometry.walk(&cache, ROOT, range, &mut |_| true, &mut |met| {
        match met {
            Met::Leaf(leaf) => leaves.push(leaf),
            Met::Table(table) => tables.push((table.pfn.0, table.level)),
        }
        ControlFlow::Continue(())
    });
    assert!(!walk.broke_off);
    (leaves, tables, walk.unreadable)
}

fn leaf(virt: u64, phys: u64, size: u64) -> Mapping {
    Mapping {
        virt: VirtAddr(virt),
        phys: PhysAddr(phys),
        size,
    }
}

/// The upper half: all kernel addresses.
const KERNEL: (u64, u64) = (1 << 63, u64::MAX);

/// Four levels: entry 273 of the root is 0xffff888000000000. A page of 4 KiB,
/// one of 2 MiB and one of 1 GiB.
fn four_levels() -> Frames {
    let mut memory = Frames::new(12);
    // Present, writable, accessed, dirty; bit 63 is no-execute.
    let table = 0x67;
    memory.write(0x10_0000 + 273 * 8, 0x11_0000 | table);
    memory.write(0x11_0000, 0x12_0000 | table);
    memory.write(
        0x11_0000 + 5 * 8,
        1 << 63 | 0x0001_4000_0000 | 0x1000 | 0xe3,
    );
    memory.write(0x12_0000 + 8, 0x13_0000 | table);
    memory.write(0x12_0000 + 2 * 8, 1 << 63 | 0x0060_0000 | 0x1000 | 0xe3);
    memory.write(0x13_0000 + 511 * 8, 1 << 63 | 0x0042_1000 | 0x63);
    // Not present: a swapped page keeps other bits.
    memory.write(0x13_0000 + 510 * 8, 0x0042_2000 | 0x62);
    memory
}

#[test]
fn x86_64_pages_of_three_sizes() {
    let (memory, geometry) = (four_levels(), x86_64::geometry(false, 0));
    let base = 0xffff_8880_0000_0000;
    let small = base + (1 << 21) + 511 * 4096;
    assert_eq!(
        translate(&memory, &geometry, small + 0xabc),
        Some(0x42_1abc)
    );
    // Bit 12 of a large entry is PAT and no address.
    let large = base + (2 << 21);
    assert_eq!(
        translate(&memory, &geometry, large + 0x1f_fff8),
        Some(0x7f_fff8)
    );
    let huge = base + (5 << 30);
    assert_eq!(
        translate(&memory, &geometry, huge + 0x3fff_ffff),
        Some(0x1_7fff_ffff)
    );
    for absent in [
        small - 4096,
        base,
        base + (1 << 39),
        base - 1,
        large + (1 << 21),
    ] {
        assert_eq!(translate(&memory, &geometry, absent), None, "{absent:#x}");
    }
    let (leaves, tables, unreadable) = walk(&memory, &geometry, KERNEL);
    let mut sorted = leaves.clone();
    sorted.sort_by_key(|leaf| leaf.virt);
    assert_eq!(
        sorted,
        [
            leaf(small, 0x42_1000, 4096),
            leaf(large, 0x60_0000, 1 << 21),
            leaf(huge, 0x1_4000_0000, 1 << 30),
        ]
    );
    assert_eq!(tables, [(0x100, 3), (0x110, 2), (0x120, 1), (0x130, 0)]);
    assert_eq!(unreadable, 0);
}

#[test]
fn a_walk_keeps_to_its_range() {
    let (memory, geometry) = (four_levels(), x86_64::geometry(false, 0));
    let base = 0xffff_8880_0000_0000;
    let (leaves, tables, _) = walk(&memory, &geometry, (base + (2 << 21), base + (3 << 21) - 1));
    assert_eq!(leaves, [leaf(base + (2 << 21), 0x60_0000, 1 << 21)]);
    assert_eq!(tables, [(0x100, 3), (0x110, 2), (0x120, 1)]);
    // The lower half is the process's, and empty here.
    let (leaves, tables, _) = walk(&memory, &geometry, (0, (1 << 47) - 1));
    assert_eq!((leaves.len(), tables.len()), (0, 1));
}

#[test]
fn x86_64_five_levels() {
    let mut memory = four_levels();
    // The same tables one level further down: 0xff11000000000000.
    let root = memory.frame(0x100).to_vec();
    memory.frame(0x101).copy_from_slice(&root);
    memory.frame(0x100).fill(0);
    memory.write(0x10_0000 + 273 * 8, 0x10_1000 | 0x67);
    let geometry = x86_64::geometry(true, 0);
    // Entry 273 twice: 0xff11 at bit 48, 273 at bit 39.
    let base = 0xff11_0000_0000_0000 + (273 << 39);
    let small = base + (1 << 21) + 511 * 4096;
    assert_eq!(translate(&memory, &geometry, small + 5), Some(0x42_1005));
    let (leaves, tables, _) = walk(&memory, &geometry, KERNEL);
    assert!(leaves.contains(&leaf(base + (5 << 30), 0x1_4000_0000, 1 << 30)));
    assert_eq!(tables.len(), 5);
    assert_eq!(tables[0], (0x100, 4));
}

#[test]
fn the_encryption_bit_is_no_address() {
    let mut memory = Frames::new(12);
    // AMD's C-bit at 47, on tables and leaves alike.
    let bit = 1 << 47;
    memory.write(0x10_0000 + 511 * 8, bit | 0x11_0000 | 0x67);
    memory.write(0x11_0000 + 510 * 8, bit | 0x4000_0000 | 0xe3);
    let virt = 0xffff_ffff_8000_0000;
    assert_eq!(
        translate(&memory, &x86_64::geometry(false, bit), virt + 1),
        Some(0x4000_0001)
    );
    let cache = PageCache::new(&memory, 64);
    let blind = x86_64::geometry(false, 0);
    assert!(blind.translate(&cache, ROOT, VirtAddr(virt)).is_err());
}

#[test]
fn tables_that_name_themselves_end() {
    let mut memory = Frames::new(12);
    let geometry = x86_64::geometry(false, 0);
    for index in 256..512 {
        memory.write(ROOT.0 + index * 8, ROOT.0 | 0x63);
    }
    let (leaves, tables, _) = walk(&memory, &geometry, KERNEL);
    // Once at each level; what is read as the last level maps the root.
    assert_eq!(tables, [(0x100, 3), (0x100, 2), (0x100, 1), (0x100, 0)]);
    assert_eq!(leaves.len(), 256);
    assert_eq!(
        translate(&memory, &geometry, u64::MAX),
        Some(ROOT.0 + 0xfff)
    );
}

#[test]
fn two_tables_that_name_each_other_end() {
    let mut memory = Frames::new(12);
    for index in 0..512 {
        memory.write(ROOT.0 + index * 8, 0x11_0063);
        memory.write(0x11_0000 + index * 8, ROOT.0 | 0x63);
    }
    let geometry = x86_64::geometry(true, 0);
    let (leaves, tables, _) = walk(&memory, &geometry, (0, u64::MAX));
    assert!(tables.len() <= 2 * 5, "{}", tables.len());
    assert!(leaves.len() <= 2 * 512);
}

#[test]
fn a_table_that_is_not_in_the_dump_is_counted() {
    let mut memory = four_levels();
    memory.write(0x10_0000 + 274 * 8, 0x00ff_f000_0000 | 0x67);
    let geometry = x86_64::geometry(false, 0);
    let (leaves, _, unreadable) = walk(&memory, &geometry, KERNEL);
    assert_eq!((leaves.len(), unreadable), (3, 1));
    let cache = PageCache::new(&memory, 64);
    let there = VirtAddr(0xffff_8900_0000_0000);
    assert!(geometry.translate(&cache, ROOT, there).is_err());
}

/// A dump may lack the tables of the direct map, which lie at the end of memory, and
/// still have some of what lies above it.
#[test]
fn vmalloc_memory_is_not_taken_for_the_direct_map() {
    let table = 0x67;
    let direct = |memory: &Frames| {
        let cache = PageCache::new(memory, 64);
        let range = 0xffff_8800_0000_0000..0xffff_fe00_0000_0000;
        let geometry = x86_64::geometry(false, 0);
        first_linear(&geometry, &cache, ROOT, range, 1 << 30, Pfn(0x1000))
    };
    // 0xffffc90000000000: a page of 4 KiB at frame 0x777.
    let mut memory = four_levels();
    memory.write(0x10_0000 + 402 * 8, 0x14_0000 | table);
    memory.write(0x14_0000, 0x15_0000 | table);
    memory.write(0x15_0000, 0x16_0000 | table);
    memory.write(0x16_0000, 1 << 63 | 0x77_7000 | 0x63);
    memory.write(0x13_0000 + 511 * 8, 1 << 63 | 0x3f_f000 | 0x63);
    assert_eq!(
        direct(&memory).map(|direct| (direct.virt.start, direct.phys)),
        Ok((0xffff_8880_0000_0000, 0))
    );
    memory.write(0x10_0000 + 273 * 8, 0x00ff_f000_0000 | table);
    let missing = SpaceError::NoDirectMap {
        root: ROOT,
        unreadable: 1,
    };
    assert_eq!(direct(&memory), Err(missing));
}

#[test]
fn a_visitor_can_end_a_walk_and_pass_over_tables() {
    let (memory, geometry) = (four_levels(), x86_64::geometry(false, 0));
    let cache = PageCache::new(&memory, 64);
    let range = (VirtAddr(KERNEL.0), VirtAddr(KERNEL.1));
    let mut met = 0;
    let walk = geometry.walk(&cache, ROOT, range, &mut |_| true, &mut |_| {
        met += 1;
        ControlFlow::Break(())
    });
    assert_eq!((met, walk.broke_off), (1, true));
    let mut tables = Vec::new();
    let walk = geometry.walk(
        &cache,
        ROOT,
        range,
        &mut |table| table.level > 1,
        &mut |met| {
            if let Met::Table(table) = met {
                tables.push((table.pfn.0, table.virt.0));
            }
            ControlFlow::Continue(())
        },
    );
    assert!(!walk.broke_off);
    let base = 0xffff_8880_0000_0000;
    assert_eq!(
        tables,
        [(0x100, 0xffff_0000_0000_0000), (0x110, base), (0x120, base)]
    );
}

#[test]
fn entries_of_a_process_name_what_they_map() {
    let geometry = x86_64::geometry(false, 0);
    let frames = |entry| {
        geometry
            .user_leaf(entry)
            .map(|pfn| pfn.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(frames(0), [0; 0]);
    // Not present.
    assert_eq!(frames(0x42_1066), [0; 0]);
    // User, writable, present.
    assert_eq!(frames(0x42_1067), [0x421]);
    assert_eq!(frames(1 << 63 | 0x42_1025), [0x421]);
    // 2 MiB: bit 7, and aligned.
    let huge = frames(0x40_00e7);
    assert_eq!((huge.len(), huge[0], huge[511]), (512, 0x400, 0x5ff));
    // Bit 7 of a last-level entry is PAT.
    assert_eq!(frames(0x42_10e7), [0x421]);
}

/// `(granule, address bits)` and the levels that KERNEL documentation and the
/// Arm ARM give, from the root down.
#[test]
fn aarch64_levels() {
    let levels = |shift, bits| aarch64::geometry(shift, bits).levels;
    assert_eq!(levels(12, 39), [(30, 9), (21, 9), (12, 9)]);
    assert_eq!(levels(12, 48), [(39, 9), (30, 9), (21, 9), (12, 9)]);
    assert_eq!(levels(12, 52).len(), 5);
    assert_eq!(levels(14, 36), [(25, 11), (14, 11)]);
    assert_eq!(levels(14, 47), [(36, 11), (25, 11), (14, 11)]);
    assert_eq!(levels(14, 48), [(47, 1), (36, 11), (25, 11), (14, 11)]);
    assert_eq!(levels(16, 42), [(29, 13), (16, 13)]);
    assert_eq!(levels(16, 48), [(42, 6), (29, 13), (16, 13)]);
    assert_eq!(levels(16, 52), [(42, 10), (29, 13), (16, 13)]);
}

/// A page and a block in each granule. Descriptors: bits 1:0 are 3 for a
/// table or page, 1 for a block; access flag 10, inner shareable 9:8.
#[test]
fn aarch64_pages_and_blocks() {
    let attributes = 1 << 54 | 0x713;
    let page = attributes | 3;
    let block = attributes & !3 | 1;
    for (shift, bits) in [(12u32, 48u32), (14, 47), (16, 48), (16, 42)] {
        let geometry = aarch64::geometry(shift, bits);
        let levels = geometry.levels.len() as u64;
        let mut memory = Frames::new(shift);
        // A chain of first entries of the upper half, at frames 0x100000 on.
        let size = 1u64 << shift;
        let table = |level: u64| ROOT.0 + level * size;
        for level in 0..levels - 1 {
            memory.write(table(level), table(level + 1) | 3);
        }
        let last = table(levels - 1);
        memory.write(last + 7 * 8, (0x77 << shift) | page);
        let virt = (1u64 << bits).wrapping_neg();
        // The last level but one: its second entry is a block.
        let before = table(levels - 2);
        let block_size = 1u64 << (shift + shift - 3);
        memory.write(before + 8, (3 * block_size) | block);
        assert_eq!(
            translate(&memory, &geometry, virt + 7 * size + 0x123),
            Some((0x77 << shift) + 0x123),
            "granule {shift}, {bits} bits"
        );
        assert_eq!(
            translate(&memory, &geometry, virt + block_size + size + 9),
            Some(3 * block_size + size + 9),
            "granule {shift}, {bits} bits"
        );
        let (leaves, tables, unreadable) = walk(&memory, &geometry, KERNEL);
        let mut sorted = leaves.clone();
        sorted.sort_by_key(|leaf| leaf.virt);
        assert_eq!(
            sorted,
            [
                leaf(virt + 7 * size, 0x77 << shift, size),
                leaf(virt + block_size, 3 * block_size, block_size),
            ]
        );
        assert_eq!((tables.len() as u64, unreadable), (levels, 0));
        assert_eq!(translate(&memory, &geometry, virt + 8 * size), None);
    }
}

#[test]
fn aarch64_entries_that_are_none() {
    let geometry = aarch64::geometry(12, 48);
    let decode = |entry, level| (geometry.decode)(&geometry, entry, level);
    // A block at the last level is reserved, and 0 and 2 are invalid.
    assert_eq!(decode(0x4000_0701, 0), Entry::None);
    assert_eq!(decode(0x4000_0700, 1), Entry::None);
    assert_eq!(decode(0x4000_0702, 2), Entry::None);
    assert_eq!(decode(0x4000_0703, 0), Entry::Leaf(PhysAddr(0x4000_0000)));
    assert_eq!(decode(0x4000_0701, 2), Entry::Leaf(PhysAddr(0x4000_0000)));
    assert_eq!(decode(0x4000_0703, 1), Entry::Table(PhysAddr(0x4000_0000)));
}

#[test]
fn a_page_size_that_no_kernel_has_is_refused() {
    let memory = four_levels();
    let cache = PageCache::new(&memory, 64);
    for size in [0, 1, 4097, 8192, 1u64 << 63] {
        let text = format!("OSRELEASE=6.1\nPAGESIZE={size}\nSYMBOL(_stext)=ffffffff81000000\n");
        let vmcoreinfo = Vmcoreinfo::parse(text.as_bytes()).unwrap();
        let space = AddressSpace::discover(&cache, memory.end_pfn(), &info(), &vmcoreinfo);
        let why = SpaceError::Missing("PAGESIZE of 4, 16 or 64 KiB");
        assert_eq!(space.unwrap_err(), why, "{size}");
    }
}

//! Lists whose heads nothing leads to.

use super::*;
use crate::pagemap::{TAIL, ZERO_REF};
use crate::testing::{World, direct, pages};

/// Where `page->lru` of a frame lies, physically and as an address.
fn lru(pfn: u64) -> (u64, u64) {
    (
        0x20_0000 + pfn * 64 + 8,
        0xffff_ea00_0000_0000 + pfn * 64 + 8,
    )
}

/// A list of frames whose head lies at `head` in the direct map.
fn list(mut world: World, head: u64, frames: &[u64]) -> World {
    let mut before = (head, direct(head).0);
    let links = frames.iter().map(|&pfn| lru(pfn));
    for link in links.chain([before]) {
        world = world.word(before.0, link.1).word(link.0 + 8, before.1);
        before = link;
    }
    world
}

fn unreferenced(pages: &mut Pages, frames: &[u64]) {
    for &pfn in frames {
        pages.map.cells[pfn as usize] |= ZERO_REF;
    }
}

/// `list_add()` of include/linux/list.h; a tail of a block that is not compound keeps
/// the poison that `list_del()` left.
#[test]
fn pages_without_a_reference_are_free_if_they_are_on_a_list() {
    let poison = [0xdead_0000_0000_0100, 0xdead_0000_0000_0200];
    let world = list(World::new(), 0x3000, &[0x101, 0x90, 0x203])
        .word(lru(0x301).0, poison[0])
        .word(lru(0x301).0 + 8, poison[1])
        // Prepared for a list, and never on one.
        .word(lru(0x401 - 0x100).0, lru(0x301).1);
    let kernel = world.kernel();
    let mut pages = pages(&kernel);
    unreferenced(&mut pages, &[0x101, 0x90, 0x203, 0x301]);
    pages.free_by_links(&kernel);
    pages.map.join_plain_blocks();
    for pfn in [0x101, 0x90, 0x203] {
        assert_eq!(pages.map.class(Pfn(pfn)), Class::FreePcp, "{pfn:#x}");
    }
    assert_eq!(pages.map.class(Pfn(0x301)), Class::Raw);
    // Frame 0x100 is one page, and not the first of two.
    assert_eq!(pages.map.unit(Pfn(0x100)).len(), 1);
    assert_eq!(pages.map.unit(Pfn(0x300)).len(), 2);
}

/// Lists of larger blocks came with 44042b449872 (5.13); their `struct page`s have no
/// order.
#[test]
fn a_free_block_has_the_frames_behind_it() {
    let kernel = list(World::new(), 0x3000, &[0x108, 0x10c]).kernel();
    let mut pages = pages(&kernel);
    let block: Vec<u64> = (0x108..0x10d).collect();
    unreferenced(&mut pages, &block);
    pages.free_by_links(&kernel);
    assert_eq!(pages.map.unit(Pfn(0x10b)).start, Pfn(0x108));
    assert_eq!(pages.map.unit(Pfn(0x10c)).len(), 1);
    assert!(pages.map.cells[0x10b] & TAIL != 0);
}

#[test]
fn a_page_in_use_on_a_list_is_not_free() {
    let kernel = list(World::new(), 0x3000, &[0x101, 0x102]).kernel();
    let mut pages = pages(&kernel);
    pages.free_by_links(&kernel);
    assert_eq!(pages.map.class(Pfn(0x101)), Class::Raw);
    assert_eq!(pages.map.class(Pfn(0x102)), Class::Raw);
}

/// `pgd_ctor()` copies the kernel's half of the root.
#[test]
fn a_root_on_a_list_maps_what_the_kernel_maps() {
    let kernel_root = 0;
    let (root, other) = (0x101, 0x102);
    let mut world = list(World::new(), 0x3000, &[root, other]);
    for (index, table) in [(272, 0x7_0000), (468, 0x7_1000), (511, 0x7_2000)] {
        let at = index * 8;
        world = world
            .word(kernel_root + at, table | 0x63)
            // Used, as the processor notes it.
            .word((root << 12) + at, table | 0x67)
            .word((other << 12) + at, (table + 0x1000) | 0x63);
    }
    let kernel = world.kernel();
    let pages = pages(&kernel);
    assert_eq!(pages.roots_by_links(&kernel), [PhysAddr(root << 12)]);
}

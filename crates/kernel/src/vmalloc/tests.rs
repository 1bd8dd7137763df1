//! Areas of kernels of which only VMCOREINFO tells (`struct vmap_area` and `struct
//! vm_struct` of include/linux/vmalloc.h).

use super::*;
use crate::testing::{World, direct};

const START: u64 = 0xffff_c900_0000_4000;
const CALLER: u64 = 0xffff_ffff_8107_2340;
const AREA: u64 = 0x4000;
const VM: u64 = 0x5000;

/// The one area of a kernel, of four pages and a guard, which has its list and the
/// pointer to its `vm_struct` at these offsets; that one has the number of pages at
/// `count`.
fn area(list: u64, vm: u64, count: u64) -> VmapArea {
    let head = 0x3000;
    let world = World::new()
        .variable("vmap_area_list", direct(head))
        .member(Field::VmapAreaStart, 0, 8)
        .member(Field::VmapAreaList, list, 16)
        .word(head, direct(AREA + list).0)
        .word(AREA, START)
        .word(AREA + 8, START + 0x5000)
        .word(AREA + list, direct(head).0)
        // The tree's node, which comes first or behind the address, is of no matter.
        .word(AREA + vm, direct(VM).0)
        .word(VM + 8, START)
        .word(VM + 16, 0x5000)
        .word(VM + 24, VM_ALLOC)
        .word(VM + 32, direct(0x6000).0)
        .word(VM + 40, 4 << (8 * (count - 40)))
        .word(VM + 56, CALLER);
    let areas = world.kernel().vmap_areas().unwrap();
    assert_eq!(areas.len(), 1);
    areas.into_iter().next().unwrap()
}

/// 4.4, 4.13, 5.2, 5.4, and 6.1 with larger pages.
#[test]
fn what_an_area_is_for_is_found_by_its_address_and_size() {
    for (list, vm, count) in [
        (48, 80, 40),
        (48, 72, 40),
        (56, 80, 40),
        (40, 56, 40),
        (40, 56, 44),
    ] {
        let area = area(list, vm, count);
        assert_eq!((area.start.0, area.end.0), (START, START + 0x5000));
        let found = area.vm.unwrap();
        assert!(found.is_allocated());
        assert_eq!((found.pages, found.nr_pages), (direct(0x6000), 4));
        assert_eq!(found.caller.0, CALLER);
    }
}

#[test]
fn what_is_no_vm_struct_is_none() {
    // Farther from the list than it ever was.
    assert!(area(48, 96, 40).vm.is_none());
}

//! Objects of a slab of one page, told by address.

use pagehound_vmcore::PhysAddr;

use super::*;
use crate::pagemap::Pages;
use crate::testing::{SLAB, World, direct, slab_of};

/// Five objects fit in a page, and 256 bytes are left.
const SIZE: u64 = 0x300;
const BASE: u64 = 0x5_0000;

/// The slab with so many objects, of which the one at `free` is free.
fn slab(objects: u32, free: u64) -> Pages {
    let kernel = World::new().cache(SIZE).word(free + SIZE / 2, 0).kernel();
    slab_of(&kernel, objects, direct(free))
}

fn at(pages: &Pages, offset: u64) -> Option<ObjectAt> {
    let at = PhysAddr(BASE + offset);
    pages.slabs.object_at(&pages.map, at, 12)
}

fn unused(pages: &Pages, offset: u64) -> Option<&'static str> {
    let at = PhysAddr(BASE + offset);
    pages.slabs.unused_at(&pages.map, at, 12)
}

#[test]
fn an_object_reaches_to_the_next_and_the_slack_is_none() {
    let pages = slab(5, BASE + 2 * SIZE);
    assert_eq!(pages.slabs.broken, 0);
    for index in 0..5_u32 {
        let start = u64::from(index) * SIZE;
        let object = ObjectAt {
            head: SLAB,
            index,
            number: u64::from(index),
            start: PhysAddr(BASE + start),
            size: SIZE,
            free: index == 2,
        };
        assert_eq!(
            pages.slabs.object(&pages.map, object.number, 12),
            Some(object)
        );
        for inside in [start, start + 8, start + SIZE - 1] {
            assert_eq!(at(&pages, inside), Some(object));
            let reason = (index == 2).then_some("in a free slab object");
            assert_eq!(unused(&pages, inside), reason);
        }
    }
    for slack in [5 * SIZE, 4095] {
        assert_eq!(at(&pages, slack), None);
        assert!(unused(&pages, slack).is_some());
    }
    // The next page is no slab: nothing is known of it.
    assert_eq!(at(&pages, 4096), None);
    assert_eq!(unused(&pages, 4096), None);
}

/// KFENCE has one object in a page, at its start or its end.
#[test]
fn a_page_of_kfence_is_one_object_and_has_no_slack() {
    let kernel = World::new().cache(SIZE).kernel();
    let pages = slab_of(&kernel, 1, VirtAddr(0));
    assert_eq!(pages.slabs.broken, 0);
    for offset in [0, 8, 5 * SIZE, 4088] {
        let object = at(&pages, offset).unwrap();
        assert_eq!((object.start, object.size), (PhysAddr(BASE), 4096));
        assert!(!object.free);
        assert_eq!(unused(&pages, offset), None);
    }
}

/// What a damaged slab says of itself must not bar what it names.
#[test]
fn of_a_slab_with_a_wrong_count_nothing_is_free() {
    for count in [0, 3, 6, u32::MAX] {
        let pages = slab(count, BASE + SIZE);
        assert_eq!(pages.slabs.broken, 1, "{count} objects");
        for offset in [0, SIZE, 5 * SIZE, 4088] {
            assert!(at(&pages, offset).is_some_and(|object| !object.free));
            assert_eq!(unused(&pages, offset), None);
        }
    }
}

/// A size of zero would divide by it.
#[test]
fn objects_are_at_least_as_large_as_a_pointer() {
    let kernel = World::new().cache(0).kernel();
    let pages = slab_of(&kernel, 512, VirtAddr(0));
    assert_eq!(at(&pages, 4095).map(|object| object.index), Some(511));
}

//! Units: which frames belong together.

use super::*;

/// A map of raw frames: `1` has a reference, `0` none.
fn raw(references: &str) -> PageMap {
    let cells = references
        .bytes()
        .map(|mark| match mark {
            b'1' => Class::Raw as u8,
            b'0' => Class::Raw as u8 | ZERO_REF,
            b'f' => Class::Free as u8,
            _ => Class::Slab as u8,
        })
        .collect();
    PageMap { cells }
}

/// Lengths of the units, one after the other.
fn units(map: &PageMap) -> Vec<u64> {
    let mut pfn = Pfn(0);
    let mut lengths = Vec::new();
    while pfn < map.end() {
        let unit = map.unit(pfn);
        assert_eq!(unit.start, pfn, "units follow one another");
        for inside in unit.start.0..unit.end.0 {
            assert_eq!(map.unit(Pfn(inside)), unit);
            assert_eq!(map.head(Pfn(inside)), unit.start);
            assert_eq!(map.is_tail(Pfn(inside)), inside != unit.start.0);
        }
        lengths.push(unit.len());
        pfn = unit.end;
    }
    lengths
}

/// `alloc_pages(…, 2)` without `__GFP_COMP`: the first page alone has a
/// reference (post_alloc_hook).
#[test]
fn blocks_that_are_not_compound_are_joined() {
    let mut map = raw("1000100011111000");
    map.join_plain_blocks();
    assert_eq!(units(&map), [4, 4, 1, 1, 1, 1, 4]);
}

/// A block starts at a multiple of its size: what follows belongs to nobody.
#[test]
fn a_block_is_not_longer_than_its_alignment() {
    let mut map = raw("1100100000001000");
    map.join_plain_blocks();
    // Frame 1 can begin no block, frames 4 and 12 one of four pages.
    assert_eq!(units(&map), [1, 1, 1, 1, 4, 1, 1, 1, 1, 4]);
    assert!(map.is_in_transit(Pfn(2)) && map.is_in_transit(Pfn(8)));
    assert!(!map.is_in_transit(Pfn(5)), "a tail has no count of its own");
    assert!(!map.is_in_transit(Pfn(0)));
}

#[test]
fn a_block_ends_where_another_class_begins() {
    let mut map = raw("10f0s000");
    map.join_plain_blocks();
    assert_eq!(units(&map), [2, 1, 1, 1, 1, 1, 1]);
    assert_eq!(map.class(Pfn(2)), Class::Free);
}

#[test]
fn no_block_is_larger_than_the_allocator_gives() {
    let mut map = raw(&format!("1{}", "0".repeat(4095)));
    map.join_plain_blocks();
    assert_eq!(map.unit(Pfn(0)).len(), 1024);
}

#[test]
fn a_block_on_a_list_of_a_cpu_is_free_and_one_unit() {
    let mut map = raw("0000000000000000");
    map.set_pcp(Pfn(8), 3);
    // No such block: 2 is not a multiple of 4.
    map.set_pcp(Pfn(2), 2);
    assert_eq!(
        map.unit(Pfn(11)),
        PfnRange {
            start: Pfn(8),
            end: Pfn(16)
        }
    );
    assert_eq!(map.class(Pfn(15)), Class::FreePcp);
    assert_eq!(map.class(Pfn(2)), Class::FreePcp);
    assert_eq!(map.class(Pfn(3)), Class::Raw);
    assert_eq!(map.count(Class::FreePcp), 9);
    // Beyond the end: nothing happens.
    map.set_pcp(Pfn(16), 0);
    map.set_pcp(Pfn(u64::MAX >> 1), 0);
    assert_eq!(map.count(Class::FreePcp), 9);
}

#[test]
fn claims_take_whole_units_and_only_raw_ones() {
    let mut map = raw("1000s111");
    map.join_plain_blocks();
    assert!(map.claim(Pfn(2), Class::Vmalloc));
    assert!(!map.claim(Pfn(4), Class::Vmalloc));
    assert!(!map.claim(Pfn(3), Class::PageTable), "taken already");
    assert!(!map.claim(Pfn(100), Class::PageTable));
    assert_eq!((map.count(Class::Vmalloc), map.count(Class::Slab)), (4, 1));
    assert_eq!(units(&map), [4, 1, 1, 1, 1]);
    let heads: Vec<Pfn> = map.heads(Class::Raw).collect();
    assert_eq!(heads, [Pfn(5), Pfn(6), Pfn(7)]);
}

#[test]
fn counts_add_up_and_beyond_the_end_is_a_hole() {
    let map = raw("10fs1");
    assert_eq!(map.counts().iter().sum::<u64>(), 5);
    assert_eq!(map.class(Pfn(5)), Class::Hole);
    assert_eq!(
        map.unit(Pfn(9)),
        PfnRange {
            start: Pfn(9),
            end: Pfn(10)
        }
    );
}

#[test]
fn every_class_has_one_code_and_one_name() {
    for &class in Class::ALL {
        assert!(class as u8 <= CLASS, "{class:?} does not fit its cell");
        assert_eq!(Class::from_code(class as u8), class);
        assert_eq!(Class::from_name(class.name()), Some(class));
    }
    assert_eq!(Class::from_code(CLASS), Class::Unknown);
    assert_eq!(Class::from_name("none"), None);
    assert!(
        !Class::ALL
            .iter()
            .any(|class| class.is_root() && class.is_unaccounted())
    );
}

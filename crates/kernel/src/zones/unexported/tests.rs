//! Zones as 3.10 and 4.13 have them (`struct zone` of include/linux/mmzone.h).

use super::*;
use crate::testing::{World, direct};

/// Where the node lies, and its first zone.
const NODE: u64 = 0x4000;
const ZONE: u64 = 0x80;

/// A machine with two zones of these words, which have their start, frames managed,
/// spanned and present, in the order of `places`; `spanned_pages` lies at 0x40.
fn kernel(places: [i64; 4], zones: [[u64; 4]; 2]) -> Kernel<'static> {
    let mut world = World::new()
        .variable("node_data", direct(0x3000))
        .member(Field::NodeZones, 0, 8)
        .member(Field::NodeNrZones, 0x200, 4)
        .member(Field::NodeId, 0x204, 4)
        .member(Field::NodeStartPfn, 0x208, 8)
        .member(Field::NodeSpanned, 0x210, 8)
        .member(Field::ZoneSpanned, 0x40, 8)
        .size(Struct::Zone, ZONE)
        .word(0x3000, direct(NODE).0)
        .word(NODE + 0x200, 3)
        .word(NODE + 0x208, 1)
        .word(NODE + 0x210, 0x3ff);
    for (index, words) in (0..).zip(zones) {
        // zone_pgdat comes before all of them, the name behind.
        let zone = NODE + index * ZONE;
        world = world.word(zone + 0x28, direct(NODE).0);
        world = world.word(zone + 0x58, 0xffff_ffff_8120_0000);
        for (place, word) in places.into_iter().zip(words) {
            world = world.word(zone.wrapping_add_signed(0x40 + place), word);
        }
    }
    let mut kernel = world.kernel();
    kernel.place_unexported_of_zones();
    kernel
}

const DMA_AND_DMA32: [[u64; 4]; 2] = [[1, 0xf0, 0xff, 0xf8], [0x100, 0x2a0, 0x300, 0x2f0]];

#[test]
fn either_order_is_known_by_what_it_gives() {
    // Since 3.17: start, managed, spanned, present; before: start, spanned, present,
    // managed.
    for places in [[-16, -8, 0, 8], [-8, 16, 0, 8]] {
        let nodes = kernel(places, DMA_AND_DMA32).nodes().unwrap();
        let zones = nodes[0].zones.iter();
        let found: Vec<_> = zones
            .map(|zone| [zone.start.0, zone.managed, zone.spanned, zone.present])
            .collect();
        assert_eq!(found, DMA_AND_DMA32, "{places:?}");
    }
}

/// Members where they never were, and zones that leave a part of their node.
#[test]
fn what_makes_no_sense_is_not_taken() {
    let elsewhere = kernel([-24, 24, 0, 32], DMA_AND_DMA32);
    assert!(elsewhere.nodes().is_err());
    let [first, [start, managed, spanned, present]] = DMA_AND_DMA32;
    let short = [first, [start, managed, spanned - 1, present]];
    assert!(kernel([-16, -8, 0, 8], short).nodes().is_err());
}

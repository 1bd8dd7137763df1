//! Records put down word by word, as mm/page_owner.c, lib/stackdepot.c and
//! lib/alloc_tag.c lay them out, and what must come of damaged ones.

use pagehound_vmcore::{Pfn, VirtAddr};

use super::*;
use crate::layouts::Struct;
use crate::pagemap::Pages;
use crate::testing::{World, direct, pages};

/// Where the records of all frames begin, and their sizes: flags, then page_owner's
/// 64 bytes, then a tag.
const RECORDS: u64 = 0x30_0000;
const OWNER_AT: u64 = 8;
const TAG_AT: u64 = 72;
const RECORD: u64 = 80;
/// The frame that has a record.
const PFN: Pfn = Pfn(0x123);
/// Variables.
const SIZE_AT: u64 = 0x1000;
const OWNER_OPS: u64 = 0x1100;
const TAG_OPS: u64 = 0x1200;
const POOLS: u64 = 0x2000;
/// The second pool, and the stack in it.
const POOL: u64 = 0x4_0000;
const STACK: u64 = POOL + 0x230;
const FRAMES: [u64; 2] = [0xffff_ffff_8100_0010, 0xffff_ffff_8100_0020];
/// A `struct codetag`.
const TAG: u64 = 0x6000;

/// How handles are made: the release that brought it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Depot {
    /// 4.6: slab index 21 bits, offset 10, valid.
    V4_6,
    /// 6.1: slab index 16 bits, offset 10, valid, 5 bits of users.
    V6_1,
    /// 6.9: pool index plus one 17 bits, offset 10, 5 bits of users.
    V6_9,
}

const DEPOTS: [Depot; 3] = [Depot::V4_6, Depot::V6_1, Depot::V6_9];

impl Depot {
    /// Handle of the stack at 0x230 of pool 1, with a user's bits.
    fn handle(self, extra: u64) -> u64 {
        let offset = 0x23;
        match self {
            Depot::V4_6 => 1 | offset << 21 | 1 << 31,
            Depot::V6_1 => 1 | offset << 16 | 1 << 26 | extra << 27,
            Depot::V6_9 => 2 | offset << 17 | extra << 27,
        }
    }

    fn describe(self, world: World) -> World {
        match self {
            Depot::V4_6 => world
                .variable("stack_slabs", direct(POOLS))
                .bit_field(Field::DepotPool, 0, (0, 21))
                .bit_field(Field::DepotOffset, 2, (5, 10))
                .bit_field(Field::DepotValid, 3, (7, 1)),
            Depot::V6_1 => world
                .variable("stack_slabs", direct(POOLS))
                .bit_field(Field::DepotPool, 0, (0, 16))
                .bit_field(Field::DepotOffset, 2, (0, 10))
                .bit_field(Field::DepotValid, 3, (2, 1)),
            Depot::V6_9 => world
                .variable("stack_pools", direct(POOLS))
                .bit_field(Field::DepotPoolPlusOne, 0, (0, 17))
                .bit_field(Field::DepotOffset, 2, (1, 10)),
        }
    }
}

/// A kernel with page_owner, a depot of that kind with one stack, and tags.
fn world(depot: Depot) -> World {
    let record = RECORDS + RECORD * PFN.0;
    let owner = record + OWNER_AT;
    let stack = |world: World| {
        let handle = depot.handle(0);
        FRAMES.iter().enumerate().fold(
            world
                .word(POOLS, direct(0x5_0000).0)
                .word(POOLS + 8, direct(POOL).0)
                .word(STACK, direct(POOL).0)
                .word(STACK + 8, (FRAMES.len() as u64) << 32)
                .word(STACK + 16, handle),
            |world, (index, &frame)| world.word(STACK + 24 + 8 * index as u64, frame),
        )
    };
    let world = World::new()
        .variable("page_ext_size", direct(SIZE_AT))
        .variable("page_owner_ops", direct(OWNER_OPS))
        .variable("page_alloc_tagging_ops", direct(TAG_OPS))
        .member(Field::PageExtFlags, 0, 8)
        .member(Field::PageExtOpsOffset, 0, 8)
        .size(Struct::PageOwner, 64)
        .member(Field::OwnerOrder, 0, 2)
        .member(Field::OwnerGfp, 4, 4)
        .member(Field::OwnerHandle, 8, 4)
        .member(Field::OwnerTime, 16, 8)
        .member(Field::OwnerComm, 32, 16)
        .member(Field::OwnerPid, 48, 4)
        .member(Field::OwnerTgid, 52, 4)
        .member(Field::StackSize, 12, 4)
        .member(Field::StackHandle, 16, 4)
        .member(Field::StackEntries, 24, 0)
        .member(Field::CodetagRefCt, 0, 8)
        .member(Field::CodetagLine, 4, 4)
        .member(Field::CodetagModule, 8, 8)
        .member(Field::CodetagFunction, 16, 8)
        .member(Field::CodetagFile, 24, 8)
        .word(SIZE_AT, RECORD)
        .word(OWNER_OPS, OWNER_AT)
        .word(TAG_OPS, TAG_AT)
        .word(record, 0b11)
        .word(owner, 0xcc0 << 32 | 2)
        .word(owner + 8, depot.handle(0))
        .word(owner + 16, 123_456_789)
        .word(owner + 32, u64::from_le_bytes(*b"insmod\0x"))
        .word(owner + 48, 41 << 32 | 42)
        .word(record + TAG_AT, direct(TAG).0)
        .word(TAG, 4513 << 32)
        .word(TAG + 8, direct(TAG + 0x40).0)
        .word(TAG + 16, direct(TAG + 0x50).0)
        .word(TAG + 24, direct(TAG + 0x60).0)
        .word(TAG + 0x40, u64::from_le_bytes(*b"e1000\0\0\0"))
        .word(TAG + 0x50, u64::from_le_bytes(*b"alloc_r\0"))
        .word(TAG + 0x60, u64::from_le_bytes(*b"main.c\0\0"));
    depot.describe(stack(world))
}

fn map(kernel: &Kernel<'_>) -> Pages {
    let mut pages = pages(kernel);
    pages.memmap = pages.memmap.with_extension(direct(RECORDS), RECORD);
    pages
}

/// What `look` finds in the records of that world.
fn found<T>(world: World, look: impl FnOnce(&Records<'_>) -> T) -> T {
    let kernel = world.kernel();
    let pages = map(&kernel);
    look(&kernel.records(&pages.memmap).unwrap())
}

fn owner(world: World) -> Option<Allocation> {
    found(world, |records| records.owner(PFN))
}

fn stack(world: World, handle: u64) -> Option<Vec<VirtAddr>> {
    let handle = u32::try_from(handle).unwrap();
    found(world, |records| records.stack(handle))
}

#[test]
fn every_depot_gives_the_stack_of_the_allocation() {
    for depot in DEPOTS {
        let allocation = owner(world(depot)).unwrap();
        assert_eq!(u64::from(allocation.stack), depot.handle(0), "{depot:?}");
        let frames = stack(world(depot), depot.handle(0));
        assert_eq!(frames, Some(FRAMES.map(VirtAddr).to_vec()), "{depot:?}");
    }
    // The user's bits are not the depot's.
    for depot in [Depot::V6_1, Depot::V6_9] {
        let frames = stack(world(depot), depot.handle(0x1f));
        assert_eq!(frames.map(|frames| frames.len()), Some(2), "{depot:?}");
    }
}

#[test]
fn an_allocation_has_all_that_the_kernel_notes() {
    let allocation = owner(world(Depot::V6_1)).unwrap();
    let expected = Allocation {
        allocated: true,
        order: 2,
        gfp: 0xcc0,
        stack: allocation.stack,
        pid: Some(42),
        tgid: Some(41),
        comm: Some("insmod".into()),
        ts_nsec: Some(123_456_789),
    };
    assert_eq!(allocation, expected);
}

#[test]
fn flags_tell_a_record_from_none_and_in_use_from_free() {
    let flags = RECORDS + RECORD * PFN.0;
    assert_eq!(owner(world(Depot::V6_1).word(flags, 0)), None);
    let free = owner(world(Depot::V6_1).word(flags, 0b01)).unwrap();
    assert!(!free.allocated);
    // A frame beyond the records, and one without a page for them.
    let others = found(world(Depot::V6_1), |records| {
        [Pfn(0x400), Pfn(u64::MAX), Pfn(0x3ff)].map(|pfn| records.owner(pfn))
    });
    assert_eq!(others, [None, None, None]);
}

#[test]
fn a_pointer_to_the_pools_is_followed() {
    for depot in DEPOTS {
        // The variable points to the array, which lies elsewhere.
        let world = world(depot)
            .word(POOLS, direct(0x7000).0)
            .word(POOLS + 8, 0)
            .word(0x7000, direct(0x5_0000).0)
            .word(0x7008, direct(POOL).0);
        let frames = stack(world, depot.handle(0));
        assert_eq!(frames.map(|frames| frames.len()), Some(2), "{depot:?}");
    }
}

#[test]
fn damaged_stacks_are_none() {
    for depot in DEPOTS {
        let good = depot.handle(0);
        // A record that is another's, too many frames, none, a pool that is none.
        let broken = [
            world(depot).word(STACK + 16, good ^ 1),
            world(depot).word(STACK + 8, 0xffff_ffff << 32),
            world(depot).word(STACK + 8, 257 << 32),
            world(depot).word(STACK + 8, 0),
            world(depot).word(POOLS + 8, 0),
            world(depot).word(POOLS + 8, u64::MAX - 0x100),
        ];
        for world in broken {
            assert_eq!(stack(world, good), None, "{depot:?}");
        }
        for handle in [0, 1, u64::from(u32::MAX), u64::from(u32::MAX >> 1)] {
            assert_eq!(stack(world(depot), handle), None, "{depot:?}, {handle:#x}");
        }
    }
}

#[test]
fn damaged_records_are_none() {
    let record = RECORDS + RECORD * PFN.0;
    let order = world(Depot::V6_1).word(record + OWNER_AT, 0xffff);
    assert_eq!(owner(order), None);
    // Records with no room for page_owner, or with a place beyond their end.
    let places = [(OWNER_OPS, u64::MAX), (OWNER_OPS, 17), (OWNER_OPS, 0)];
    for (at, word) in places.into_iter().chain([(SIZE_AT, 71), (SIZE_AT, 0)]) {
        let kernel = world(Depot::V6_1).word(at, word).kernel();
        let pages = map(&kernel);
        let records = kernel.records(&pages.memmap);
        let owners = records.is_some_and(|records| records.has_owners());
        assert!(!owners, "{at:#x}, {word:#x}");
    }
}

#[test]
fn a_kernel_without_either_keeps_no_records() {
    let kernel = World::new().kernel();
    let pages = map(&kernel);
    assert!(kernel.records(&pages.memmap).is_none());
}

fn site_of(world: World) -> Option<Site> {
    found(world, |records| records.site(records.tag(PFN)?))
}

fn driver() -> Site {
    Site {
        function: "alloc_r".into(),
        file: "main.c".into(),
        line: 4513,
        module: Some("e1000".into()),
    }
}

#[test]
fn a_tag_is_a_line_of_code() {
    assert_eq!(site_of(world(Depot::V6_9)), Some(driver()));
    let own = site_of(world(Depot::V6_9).word(TAG + 8, 0));
    assert_eq!(own.unwrap().module, None);
}

#[test]
fn what_is_no_tag_is_none() {
    let reference = RECORDS + RECORD * PFN.0 + TAG_AT;
    let broken = [
        // Taken back, or never set; an address of users; one that cannot be read.
        (reference, 1),
        (reference, 0),
        (reference, TAG),
        (reference, u64::MAX - 8),
        (TAG, 0),
        (TAG, u64::MAX),
        (TAG + 16, 0),
        (TAG + 16, u64::MAX),
        (TAG + 24, 0x10),
        (TAG + 0x50, u64::from_le_bytes(*b"a b\x1b[0m\0")),
        (TAG + 0x50, 0),
    ];
    for (at, word) in broken {
        let site = site_of(world(Depot::V6_9).word(at, word));
        assert_eq!(site, None, "{at:#x}, {word:#x}");
    }
}

/// Tags as numbers in `page->flags`, 16 bits from bit 20 on.
fn compressed(number: u64) -> World {
    // Where testing.rs has the struct pages.
    let page = 0x20_0000 + PFN.0 * 64;
    world(Depot::V6_9)
        .variable("mem_profiling_compressed", direct(0x1300))
        .variable("kernel_tags", direct(0x1310))
        .variable("module_tags", direct(0x1320))
        .variable("alloc_tag_ref_offs", direct(0x1330))
        .variable("alloc_tag_ref_mask", direct(0x1338))
        .member(Field::StaticKeyEnabled, 0, 4)
        .member(Field::KernelTagsFirst, 0, 8)
        .member(Field::KernelTagsCount, 8, 8)
        .member(Field::ModuleTagsFirst, 0, 8)
        .size(Struct::AllocTag, 40)
        .word(0x1300, 1)
        .word(0x1310, direct(0x9000).0)
        .word(0x1318, 10)
        .word(0x1320, direct(TAG - 3 * 40).0)
        .word(0x1330, 20)
        .word(0x1338, 0xffff)
        .word(page, number << 20 | 0xf_ffff | 0xff << 56)
}

#[test]
fn numbers_are_the_kernels_tags_first_then_those_of_modules() {
    let tag = |number| found(compressed(number), |records| records.tag(PFN));
    // 0 is none, 1 one that was taken back.
    assert_eq!([tag(0), tag(1)], [None, None]);
    assert_eq!(tag(2), Some(direct(0x9000)));
    assert_eq!(tag(11), Some(direct(0x9000 + 9 * 40)));
    assert_eq!(tag(12 + 3), Some(direct(TAG)));
    assert_eq!(site_of(compressed(15)), Some(driver()));
    // Off: the reference in the extension counts.
    assert_eq!(site_of(compressed(0).word(0x1300, 0)), Some(driver()));
}

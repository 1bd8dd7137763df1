//! Owners laid out by hand, and damaged ones.

use pagehound_vmcore::{Pfn, VirtAddr};

use super::{Claimant, Kind, Search};
use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::pagemap::{Class, Pages};
use crate::testing::{World, direct, pages};

/// The address of a frame's `struct page`.
fn page(kernel: &Kernel<'_>, pfn: u64) -> u64 {
    pages(kernel).memmap.page(Pfn(pfn)).0
}

/// Addresses of the `struct page`s of a world, which are the same in all.
fn page_at(pfn: u64) -> u64 {
    page(&World::new().kernel(), pfn)
}

/// What a walk claims: every owner, and the frames of the first that has some.
fn claimed(
    kernel: &Kernel<'_>,
    pages: &Pages,
    walk: impl for<'s> FnOnce(&mut Search<'s>),
) -> (Vec<Claimant>, Vec<u64>) {
    let mut search = Search::new(kernel, pages);
    walk(&mut search);
    let mut units: Vec<u64> = search.claims.units.keys().copied().collect();
    units.sort_unstable();
    (search.claims.claimants, units)
}

/// A pipe at 0x1000 with these counts, whose four buffers at 0x2000 are of frames
/// 0x10 to 0x13, and frame 0x30 to spare.
fn pipe(head: u64, tail: u64, slots: u64) -> Kernel<'static> {
    let mut world = World::new()
        .member(Field::PipeHead, 0, 4)
        .member(Field::PipeTail, 4, 4)
        .member(Field::PipeRingSize, 8, 4)
        .member(Field::PipeMaxUsage, 12, 4)
        .member(Field::PipeBufs, 16, 8)
        .member(Field::PipeTmpPage, 24, 16)
        .member(Field::PipeBufferPage, 0, 8)
        .size(Struct::PipeBuffer, 40)
        .word(0x1000, head | tail << 32)
        .word(0x1008, slots | 4 << 32)
        .word(0x1010, direct(0x2000).0)
        .word(0x1018, page_at(0x30))
        .word(0x1020, 0);
    for slot in 0..4 {
        world = world.word(0x2000 + slot * 40, page_at(0x10 + slot));
    }
    world.kernel()
}

fn pipe_claims(head: u64, tail: u64, slots: u64) -> (Vec<Claimant>, Vec<u64>) {
    let kernel = pipe(head, tail, slots);
    claimed(&kernel, &pages(&kernel), |search| {
        search.pipe(direct(0x1000), "dd");
    })
}

#[test]
fn a_pipe_has_what_was_not_read_and_its_spare_page() {
    let (owners, units) = pipe_claims(3, 1, 4);
    assert_eq!(units, [0x11, 0x12, 0x30]);
    assert_eq!((owners[0].kind, owners[0].pages), (Kind::Pipe, 3));
    assert_eq!(owners[0].name, "dd");
    // Four buffers, and room for two spare pages.
    assert_eq!(owners[0].most, Some(6));
}

#[test]
fn counts_of_a_pipe_run_over() {
    let (_, units) = pipe_claims(1, 0xffff_ffff, 4);
    assert_eq!(units, [0x10, 0x13, 0x30]);
}

#[test]
fn a_damaged_pipe_is_passed_over_or_bounded() {
    // More in use than there are slots: none counts twice.
    assert_eq!(pipe_claims(0x8000_0000, 0, 4).0[0].pages, 5);
    for slots in [0, 3, 1 << 31] {
        assert!(pipe_claims(3, 1, slots).0.is_empty(), "{slots} slots");
    }
    // Slots beyond what can be read end the walk.
    assert_eq!(pipe_claims(0, 4, 1 << 19).1, [0x30]);
}

/// A queue at 0x1000 with an `sk_buff` at 0x2000, whose head is at 0x3000 and its
/// shared part at 0x3100, with so many fragments; `next` follows it.
fn queue(frags: u64, next: u64, list: u64) -> Kernel<'static> {
    World::new()
        .member(Field::SkbNext, 0, 8)
        .member(Field::SkbHead, 8, 8)
        .member(Field::SkbEnd, 16, 4)
        .member(Field::SharedFrags, 0, 1)
        .member(Field::SharedFragList, 8, 8)
        .member(Field::SharedFragArray, 16, 48)
        .word(0x1000, direct(0x2000).0)
        .word(0x2000, next)
        .word(0x2008, direct(0x3000).0)
        .word(0x2010, 0x100)
        .word(0x3100, frags)
        .word(0x3108, list)
        .word(0x3110, page_at(0x10))
        // The lowest bit is set where it is no page but memory of a device.
        .word(0x3120, page_at(0x11) | 1)
        .word(0x3130, page_at(0x12))
        .kernel()
}

fn queue_claims(frags: u64, next: u64, list: u64) -> Vec<u64> {
    let kernel = queue(frags, next, list);
    let (_, units) = claimed(&kernel, &pages(&kernel), |search| {
        let owner = search.owner(Kind::SocketQueue, "tcp".into(), None);
        search.skb_queue(owner, direct(0x1000), "sk_receive_queue");
    });
    units
}

#[test]
fn a_queue_has_the_heads_and_fragments_of_its_buffers() {
    let end = direct(0x1000).0;
    assert_eq!(queue_claims(2, end, 0), [0x3, 0x10, 0x11]);
    assert_eq!(queue_claims(0, end, 0), [0x3]);
}

#[test]
fn a_damaged_queue_ends() {
    let (end, own) = (direct(0x1000).0, direct(0x2000).0);
    // More fragments than there is room for, and a buffer that follows itself, in the
    // queue and in its own list.
    assert_eq!(queue_claims(255, own, own), [0x3, 0x10, 0x11, 0x12]);
    assert_eq!(queue_claims(0, 0, 0), [0x3]);
    assert_eq!(queue_claims(0, 0xdead_beef, end), [0x3]);
}

#[test]
fn a_tree_of_buffers_with_a_loop_ends() {
    let kernel = World::new()
        .member(Field::SkbHead, 0x18, 8)
        .member(Field::SkbEnd, 0x20, 4)
        .word(0x1000, direct(0x2000).0)
        .word(0x2008, direct(0x2000).0)
        .word(0x2010, direct(0x2100).0)
        .word(0x2018, direct(0x3000).0)
        .word(0x2108, direct(0x2000).0)
        .word(0x2118, direct(0x4000).0)
        .word(0x2120, 0)
        .kernel();
    let (_, units) = claimed(&kernel, &pages(&kernel), |search| {
        let owner = search.owner(Kind::SocketQueue, "tcp".into(), None);
        search.skb_tree(owner, direct(0x1000), "tcp_rtx_queue");
    });
    assert_eq!(units, [0x3, 0x4]);
}

/// A pool at 0x1000 with a ring of so many slots, and frames 0x10 to 0x12 marked for it.
fn pool(slots: u64, order: u64) -> Vec<Claimant> {
    let mut world = World::new()
        .member(Field::PoolRingSize, 0, 4)
        .member(Field::PoolOrder, 4, 4)
        .word(0x1000, slots | order << 32);
    for pfn in 0x10..0x13 {
        world = world.lru_prev(Pfn(pfn), direct(0x1000).0);
    }
    let kernel = world.kernel();
    let mut pages = pages(&kernel);
    for pfn in 0x10..0x13 {
        pages.map.set(Pfn(pfn), Class::PagePool);
    }
    claimed(&kernel, &pages, |search| search.page_pools()).0
}

#[test]
fn a_pool_may_have_its_ring_twice_and_its_cache() {
    let owners = pool(512, 0);
    assert_eq!((owners.len(), owners[0].pages), (1, 3));
    assert_eq!(owners[0].most, Some(2 * 512 + 128));
    assert_eq!(pool(512, 2)[0].most, Some((2 * 512 + 128) * 4));
    for (slots, order) in [(0, 0), (0xffff_ffff, 0), (512, 0xffff_ffff)] {
        assert_eq!(pool(slots, order)[0].most, None, "{slots} of order {order}");
    }
}

/// A packet ring at 0x1000, whose array at 0x2000 has two blocks.
#[test]
fn a_packet_ring_with_a_wrong_count_ends_where_its_array_does() {
    let ring = |blocks: u64, order: u64| {
        let kernel = World::new()
            .member(Field::PacketRxRing, 0, 0)
            .member(Field::RingPgVec, 0, 8)
            .member(Field::RingPgVecLen, 8, 4)
            .member(Field::RingPgVecOrder, 12, 4)
            .member(Field::PgvBuffer, 0, 8)
            .size(Struct::Pgv, 8)
            .word(0x1000, direct(0x2000).0)
            .word(0x1008, blocks | order << 32)
            .word(0x2000, direct(0x1_0000).0)
            .word(0x2008, direct(0x1_2000).0)
            .kernel();
        claimed(&kernel, &pages(&kernel), |search| {
            search.packet_rings(direct(0x1000), "dumpcap (pid 9)");
        })
    };
    let (owners, units) = ring(2, 1);
    assert_eq!(units, [0x10, 0x11, 0x12, 0x13]);
    assert_eq!((owners[0].pages, owners[0].most), (4, Some(4)));
    // What lies behind the array names nothing.
    assert_eq!(ring(1 << 24, 1).1, units);
    assert!(ring(0xffff_ffff, 1).0.is_empty());
    assert!(ring(2, 64).0.is_empty());
}

/// A trace buffer's ring at 0x1000: the reader's page, then two that follow each other.
#[test]
fn the_pages_of_a_trace_ring_follow_each_other_round() {
    let kernel = World::new()
        .member(Field::BufferPageList, 0, 16)
        .member(Field::BufferPagePage, 16, 8)
        .member(Field::TraceCpuReader, 0, 8)
        .member(Field::TraceCpuPages, 8, 8)
        .member(Field::TraceCpuNrPages, 16, 8)
        .word(0x1000, direct(0x2000).0)
        .word(0x1008, direct(0x2100).0)
        .word(0x2010, direct(0x1_0000).0)
        // Flags at the bottom of a link.
        .word(0x2100, direct(0x2200).0 | 1)
        .word(0x2110, direct(0x1_1000).0)
        .word(0x2200, direct(0x2100).0)
        .word(0x2210, direct(0x1_2000).0)
        .kernel();
    let (_, units) = claimed(&kernel, &pages(&kernel), |search| {
        let owner = search.owner(Kind::TraceBuffer, "ftrace".into(), None);
        search.trace_ring(owner, direct(0x1000)).unwrap();
    });
    assert_eq!(units, [0x10, 0x11, 0x12]);
}

/// Units of an IOMMU: the list at 0x1000, the unit at 0x1100, its `intel_iommu` at
/// 0x1200; root table in frame 0x10, contexts of bus 2 in frame 0x11.
fn iommu(context: [u64; 2], top: u64) -> (Vec<Claimant>, Vec<u64>) {
    let kernel = World::new()
        .variable("dmar_drhd_units", direct(0x1000))
        .member(Field::DmarUnitList, 0, 16)
        .member(Field::DmarUnitIommu, 16, 8)
        .member(Field::IommuName, 0, 16)
        .member(Field::IommuRoot, 16, 8)
        .word(0x1000, direct(0x1100).0)
        .word(0x1100, direct(0x1000).0)
        .word(0x1110, direct(0x1200).0)
        .word(0x1200, u64::from_le_bytes(*b"dmar0\0\0\0"))
        .word(0x1210, direct(0x1_0000).0)
        .word(0x1_0000 + 2 * 16, 0x1_1001)
        // Device 3, function 1.
        .word(0x1_1000 + 25 * 16, context[0])
        .word(0x1_1000 + 25 * 16 + 8, context[1])
        // Three levels, the last of which maps frame 0x20.
        .word(0x1_2000, top)
        .word(0x1_3008, 0x1_4003)
        .word(0x1_4000, 0x2_0003)
        .kernel();
    claimed(&kernel, &pages(&kernel), |search| search.iommu_tables())
}

#[test]
fn tables_of_an_iommu_are_its_devices() {
    let (owners, units) = iommu([0x1_2001, 1], 0x1_3003);
    let named: Vec<_> = owners
        .iter()
        .map(|owner| (owner.name.as_str(), owner.pages))
        .collect();
    assert_eq!(named, [("of dmar0 itself", 2), ("of 0000:02:03.1", 3)]);
    assert_eq!(units, [0x10, 0x11, 0x12, 0x13, 0x14]);
    // A huge page is no table; a device that is passed through has none.
    assert_eq!(iommu([0x1_2001, 1], 0x1_3083).1, [0x10, 0x11, 0x12]);
    assert_eq!(iommu([0x1_2009, 1], 0x1_3003).1, [0x10, 0x11]);
}

#[test]
fn a_table_that_names_itself_ends() {
    assert_eq!(iommu([0x1_2001, 3], 0x1_2003).1, [0x10, 0x11, 0x12]);
    // No processor has addresses of that width.
    assert_eq!(iommu([0x1_2001, 7], 0x1_2003).1, [0x10, 0x11]);
    // Its own context table, and one beyond all memory.
    assert_eq!(iommu([0x1_1001, 0], 0).1, [0x10, 0x11]);
    assert_eq!(iommu([0xf_ffff_ffff_f001, 3], 0).1, [0x10, 0x11]);
}

/// A virtual machine at 0x1000: one table on its list, in frame 0x10, with an entry for
/// the table in frame 0x11 and one for a page of a guest, frame 0x20.
#[test]
fn tables_of_a_virtual_machine_are_those_that_say_so() {
    let kernel = World::new()
        .member(Field::KvmMmuPages, 0, 16)
        .member(Field::KvmMmuPageLink, 0, 16)
        .member(Field::KvmMmuPageSpt, 16, 8)
        .word(0x1000, direct(0x1100).0)
        .word(0x1100, direct(0x1000).0)
        .word(0x1110, direct(0x1_0000).0)
        .word(0x1210, direct(0x1_1000).0)
        .word(0x1_0000, 0x1_1007)
        .word(0x1_0008, 0x2_0007)
        // The table leads back to the one above it.
        .word(0x1_1000, 0x1_0007)
        .word(0x20_0000 + 0x10 * 64 + 40, direct(0x1100).0)
        .word(0x20_0000 + 0x11 * 64 + 40, direct(0x1200).0)
        // This one's word is of another table.
        .word(0x20_0000 + 0x20 * 64 + 40, direct(0x1200).0)
        .kernel();
    let (owners, units) = claimed(&kernel, &pages(&kernel), |search| {
        search.virtual_machine(direct(0x1000), "qemu");
    });
    assert_eq!(units, [0x10, 0x11]);
    assert_eq!((owners[0].kind, owners[0].pages), (Kind::KvmTables, 2));
}

#[test]
fn steps_run_out_where_there_is_no_end() {
    let kernel = World::new().kernel();
    let pages = pages(&kernel);
    let mut search = Search::new(&kernel, &pages);
    search.left = 3;
    let owner = search.owner(Kind::Pipe, "dd".into(), None);
    search.memory(owner, direct(0x1_0000), 1 << 20);
    assert_eq!(search.claims.claimants[0].pages, 3);
    search.below("more", VirtAddr(0), |_| panic!("no step is left"));
}

#[test]
fn a_unit_has_one_owner_and_only_what_is_unaccounted_has_any() {
    let kernel = World::new().kernel();
    let mut pages = pages(&kernel);
    pages.map.set(Pfn(0x11), Class::Slab);
    let (owners, units) = claimed(&kernel, &pages, |search| {
        let first = search.owner(Kind::Pipe, "a".into(), None);
        let second = search.owner(Kind::Pipe, "b".into(), None);
        search.memory(first, direct(0x1_0000), 0x2000);
        search.memory(second, direct(0x1_0000), 0x1000);
        search.frame(second, Pfn(u64::MAX));
    });
    assert_eq!(units, [0x10]);
    assert_eq!((owners[0].pages, owners[1].pages), (1, 0));
}

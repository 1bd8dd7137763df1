//! Rules 6 and 8 taken apart, on the repository's own dump.

use std::sync::atomic::AtomicBool;

use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, Kernel, Making, Options, Pages};
use pagehound_scan::{NoProgress, Pass};
use pagehound_testdata::{Damage, demo};
use pagehound_vmcore::{Pfn, PhysAddr, VirtAddr};

use super::bits::Bits;
use super::hardware::table;
use super::{Census, Fate, Ground, Naming, Run, Via, Without};
use crate::testing::DEMO;

fn words(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut page: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    page.resize(4096, 0);
    page
}

fn named(page: &[u8]) -> Vec<Pfn> {
    table(page, &DEMO.naming, &DEMO.pages)
}

#[test]
fn a_table_of_hardware_is_entries_and_nothing_else() {
    let raw = DEMO.of_kind("frames");
    let entries = || raw.iter().take(64).map(|pfn| pfn.0 << 12 | 3);
    assert_eq!(named(&words(entries())), raw[..64]);
    // An empty table, noise and text name nothing.
    assert_eq!(named(&[0; 4096]), []);
    assert_eq!(named(&[b'E'; 4096]), []);
    assert_eq!(
        named(&words(
            (1..512_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        )),
        []
    );
    // Half of it something else: no table.
    assert_eq!(named(&words(entries().chain((0..64).map(|n| n << 48)))), []);
    // One stray word in ten is forgiven.
    let stray = entries().chain([u64::MAX, 0x7465_7874]);
    assert_eq!(named(&words(stray)).len(), 64);
}

#[test]
fn entries_of_a_table_share_their_permissions() {
    let raw = DEMO.of_kind("frames");
    let mixed = raw.iter().take(64).enumerate();
    let mixed = mixed.map(|(index, pfn)| pfn.0 << 12 | (1 + index as u64 % 7));
    assert_eq!(named(&words(mixed)), []);
    // Bits above the lowest three may differ: accessed and dirty do.
    let used = raw.iter().take(64).enumerate();
    let used = used.map(|(index, pfn)| pfn.0 << 12 | 3 | (index as u64 % 4) << 5);
    assert_eq!(named(&words(used)).len(), 64);
}

#[test]
fn a_table_names_unaccounted_frames_alone() {
    let slabs: Vec<Pfn> = DEMO.pages.map.heads(Class::Slab).take(64).collect();
    assert_eq!(named(&words(slabs.iter().map(|pfn| pfn.0 << 12 | 3))), []);
}

fn census(without: Without) -> Census {
    census_of(&DEMO.kernel, &DEMO.pages, without)
}

fn census_of(kernel: &Kernel<'_>, pages: &Pages, without: Without) -> Census {
    let cancel = AtomicBool::new(false);
    let run = Run {
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        without,
    };
    Census::run(kernel, pages, &run)
}

fn unsettled(census: &Census) -> Vec<Pfn> {
    DEMO.pages
        .map
        .heads(Class::Raw)
        .filter(|&head| census.is_unsettled(head))
        .collect()
}

#[test]
fn runs_behind_held_pages_wait_for_their_content() {
    for (like_others, fate) in [(true, Fate::Orphan), (false, Fate::Held)] {
        let mut census = census(Without::default());
        // Frames were lost one by one beside pages that rings still hold.
        let runs = unsettled(&census);
        assert!(!runs.is_empty());
        for &pfn in &runs {
            assert_eq!(census.fate(&DEMO.pages, pfn), Fate::Orphan);
        }
        let through_cache = |pfn: &Pfn| {
            let before = (0..pfn.0).rev().map(Pfn).find(|pfn| !runs.contains(pfn));
            before.is_some_and(|head| census.is_lost_through_cache(head))
        };
        let lost_before: Vec<bool> = runs.iter().map(through_cache).collect();
        census.settle(|_| like_others, |_, _| false);
        assert!(unsettled(&census).is_empty());
        for (pfn, lost_before) in runs.into_iter().zip(lost_before) {
            let wanted = if lost_before { Fate::Orphan } else { fate };
            assert_eq!(census.fate(&DEMO.pages, pfn), wanted);
        }
    }
}

/// Whoever has the address of a block's first byte has what is alike behind it,
/// however much was lost that is alike. Each block has 13 pages.
#[test]
fn runs_behind_the_start_of_a_block_are_held_where_all_is_alike() {
    let blocks = DEMO.of_kind("split");
    for (alike, held) in [(true, blocks.len()), (false, blocks.len() / 13)] {
        let mut census = census(Without::default());
        census.settle(|_| true, |_, _| alike);
        let fates = blocks.iter().map(|&pfn| census.fate(&DEMO.pages, pfn));
        assert_eq!(fates.filter(|fate| *fate == Fate::Held).count(), held);
    }
}

/// A block of 13 pages lies in 16; what follows its first 8 is told apart.
#[test]
fn a_block_ends_where_pages_begin_that_were_lost_elsewhere() {
    let blocks = DEMO.of_kind("split");
    let mut census = census(Without::default());
    let behind = |pfn: Pfn| {
        blocks
            .iter()
            .position(|&other| other == pfn)
            .map(|at| at % 13)
    };
    census.settle(|pfn| behind(pfn).is_some_and(|at| at >= 8), |_, _| false);
    for &pfn in &blocks {
        let fate = match behind(pfn) {
            Some(0..8) => Fate::Held,
            _ => Fate::Orphan,
        };
        assert_eq!(census.fate(&DEMO.pages, pfn), fate, "{pfn:?}");
    }
}

#[test]
fn without_the_rule_all_but_the_first_page_is_orphaned() {
    let mut unsplit = census_without_split();
    unsplit.settle(|_| false, |_, _| true);
    let blocks = DEMO.of_kind("split");
    let fates = blocks.iter().map(|&pfn| unsplit.fate(&DEMO.pages, pfn));
    let orphans = fates.filter(|fate| *fate == Fate::Orphan).count();
    assert_eq!(orphans, blocks.len() / 13 * 12);
}

fn census_without_split() -> Census {
    census(Without {
        split: true,
        ..Without::default()
    })
}

/// Where the `struct page` of a frame lies, and its virtual address.
fn struct_page(pfn: Pfn) -> (PhysAddr, VirtAddr) {
    let at = DEMO.pages.memmap.page(pfn);
    (DEMO.kernel.phys(at).unwrap(), at)
}

fn offset(field: Field) -> u64 {
    DEMO.kernel.layouts.offset(field).unwrap()
}

/// The demo with other words in memory: the census, and what `look` makes of it.
fn with_words<T>(
    words: &[(PhysAddr, u64)],
    without: Without,
    look: impl FnOnce(Census, Ground<'_>) -> T,
) -> T {
    let dump = Damage::words(words).open(&demo());
    let kernel = Kernel::open(&dump, Options::default()).unwrap();
    let pages = Pages::of(&kernel, Making::default()).unwrap();
    let census = census_of(&kernel, &pages, without);
    let ground = Ground {
        kernel: &kernel,
        pages: &pages,
        naming: &Naming::new(&kernel, &pages),
        pass: &Pass::new(kernel.dump.memory.as_ref()),
        without,
    };
    look(census, ground)
}

/// All but the first page of each block of 13.
fn behind_the_first() -> Vec<Pfn> {
    let blocks = DEMO.of_kind("split");
    let inside = blocks.chunks(13).flat_map(|block| block.iter().skip(1));
    inside.copied().collect()
}

/// The pages of a block made at boot were never on a list: their lru still
/// points to itself, or has its first word cleared since.
#[test]
fn pages_that_were_never_on_a_list_came_with_the_page_before() {
    let inside = behind_the_first();
    let lru = offset(Field::PageLru);
    let mut words = Vec::new();
    for (&pfn, once_a_tail) in inside.iter().zip([false, true].into_iter().cycle()) {
        let (phys, virt) = struct_page(pfn);
        let own = virt.0 + lru;
        words.push((PhysAddr(phys.0 + lru), if once_a_tail { 0 } else { own }));
        words.push((PhysAddr(phys.0 + lru + 8), own));
    }
    let hold = |words: &[_], lost_elsewhere: bool| {
        with_words(words, Without::default(), |mut census, ground| {
            // To rule 8 they look lost.
            census.settle(|_| true, |_, _| false);
            for &pfn in &inside {
                assert_eq!(census.fate(ground.pages, pfn), Fate::Orphan);
            }
            let held = census.hold_interiors(ground, &inside, |_| lost_elsewhere);
            for &pfn in &held {
                assert_eq!(census.fate(ground.pages, pfn), Fate::Held);
                assert!(matches!(census.via(pfn), Some(Via::Split(_))));
            }
            held
        })
    };
    assert_eq!(hold(&words, false), inside);
    assert_eq!(hold(&words, true), []);
    assert_eq!(hold(&[], false), []);
}

/// The allocator clears a block before it counts the reference to it: until
/// then what follows the first page is no more in doubt than that page.
#[test]
fn a_block_in_preparation_is_held_with_its_first_page() {
    let blocks = DEMO.of_kind("split");
    let counts = offset(Field::PageMapcount);
    assert_eq!(counts + 4, offset(Field::PageRefcount));
    let unreferenced = |&pfn: &Pfn| {
        let at = PhysAddr(struct_page(pfn).0.0 + counts);
        (at, u64::from(u32::MAX))
    };
    let words: Vec<_> = blocks.iter().map(unreferenced).collect();
    let fates = |without| {
        with_words(&words, without, |census, ground| -> Vec<Fate> {
            let fates = blocks.iter().map(|&pfn| census.fate(ground.pages, pfn));
            fates.collect()
        })
    };
    let behind = |index: usize| index % 13;
    for (index, fate) in fates(Without::default()).into_iter().enumerate() {
        // Blocks come by powers of two.
        let held = behind(index) < 8;
        let wanted = if held { Fate::Held } else { Fate::InTransit };
        assert_eq!(fate, wanted, "page {} of a block", behind(index));
    }
    let without = Without {
        split: true,
        ..Without::default()
    };
    for (index, fate) in fates(without).into_iter().enumerate() {
        assert_eq!(fate == Fate::Held, behind(index) == 0);
    }
}

#[test]
fn bits_are_set_once_and_never_beyond_the_end() {
    let bits = Bits::new(Pfn(65));
    assert!(bits.set(Pfn(64)) && !bits.set(Pfn(64)));
    assert!(bits.get(Pfn(64)) && !bits.get(Pfn(63)) && !bits.get(Pfn(0)));
    assert!(!bits.set(Pfn(1 << 40)) && !bits.get(Pfn(1 << 40)));
    assert!(!Bits::new(Pfn(0)).set(Pfn(0)));
}

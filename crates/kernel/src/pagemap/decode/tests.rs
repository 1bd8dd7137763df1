//! `struct page`s made by hand, after include/linux/mm_types.h of 6.1: flags 0,
//! lru 8, mapping 24, index 32, private 40, _mapcount 48, _refcount 52.

use super::*;

const SIZE: usize = 64;

const LOCKED: u64 = 1;
const LRU: u64 = 1 << 4;
const SLAB: u64 = 1 << 9;
const SWAPCACHE: u64 = 1 << 10;
const RESERVED: u64 = 1 << 12;
const HEAD: u64 = 1 << 16;
const SWAPBACKED: u64 = 1 << 19;
const HWPOISON: u64 = 1 << 23;

/// An address_space somewhere in the direct map.
const MAPPING: u64 = 0xffff_8881_0123_4568;

fn types(lines: &str) -> PageTypes {
    let text = format!("OSRELEASE=test\nPAGESIZE=4096\n{lines}");
    let info = crate::vmcoreinfo::Vmcoreinfo::parse(text.as_bytes()).unwrap();
    crate::layouts::Layouts::resolve(&info, None).types
}

fn decoder() -> Decoder {
    Decoder {
        page_size: SIZE,
        flags: 0,
        refcount: 52,
        mapcount: 48,
        mapping: 24,
        lru: 8,
        private: 40,
        index: 32,
        pp_magic: Some(8),
        order: OrderPlace::Tail(17),
        dtor: Some(Dtor::Number(16, 2)),
        entire_mapcount: Some(20),
        slab_cache: 24,
        slab_freelist: 32,
        slab_objects: Some((40, 16, 15)),
        bits: PageFlags {
            locked: LOCKED,
            lru: LRU,
            slab: SLAB,
            reserved: RESERVED,
            private: 1 << 13,
            head: HEAD,
            swapcache: SWAPCACHE,
            swapbacked: SWAPBACKED,
            hwpoison: HWPOISON,
        },
        types: types(
            "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\n",
        ),
    }
}

/// The words of one page; unmapped and referenced once unless told otherwise.
struct Page([u8; SIZE]);

impl Page {
    fn new(flags: u64) -> Page {
        Page([0; SIZE]).u64(0, flags).u32(48, u32::MAX).u32(52, 1)
    }

    fn u64(mut self, at: usize, value: u64) -> Page {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn u32(mut self, at: usize, value: u32) -> Page {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn u8(mut self, at: usize, value: u8) -> Page {
        self.0[at] = value;
        self
    }

    fn mapping(self, value: u64) -> Page {
        self.u64(24, value)
    }

    fn mapcount(self, value: u32) -> Page {
        self.u32(48, value)
    }

    fn refcount(self, value: u32) -> Page {
        self.u32(52, value)
    }
}

fn class(page: &Page) -> Class {
    decoder().decode(Pfn(64), &page.0, None).class
}

fn with_tail(pfn: u64, head: &Page, tail: &Page) -> Decoded {
    decoder().decode(Pfn(pfn), &head.0, Some(&tail.0))
}

/// A first tail: compound_head in place of lru.next, then dtor and order.
fn tail(order: u8, dtor: u8) -> Page {
    Page::new(0)
        .u64(8, 0xffff_ea00_0000_1001)
        .u8(16, dtor)
        .u8(17, order)
        .refcount(0)
}

#[test]
fn a_page_taken_and_marked_by_nobody_is_raw() {
    assert_eq!(class(&Page::new(0)), Class::Raw);
    // A driver may keep a word of its own in private.
    assert_eq!(class(&Page::new(1 << 13).u64(40, 0xdead)), Class::Raw);
}

#[test]
fn free_blocks_have_their_order_in_private() {
    let free = |order: u64| Page::new(0).mapcount(!0x80).refcount(0).u64(40, order);
    let at = |pfn, order| decoder().decode(Pfn(pfn), &free(order).0, None);
    assert_eq!((at(64, 3).class, at(64, 3).order), (Class::Free, 3));
    assert_eq!((at(0, 10).class, at(0, 10).order), (Class::Free, 10));
    // A block is aligned to its size, and no block is larger than memory.
    assert_eq!((at(68, 3).class, at(68, 3).order), (Class::Free, 0));
    assert_eq!(
        (at(64, u64::MAX).class, at(64, u64::MAX).order),
        (Class::Free, 0)
    );
    assert!(!at(64, 3).zero_ref, "free is not in transit");
}

#[test]
fn slabs_are_told_first_since_they_use_the_other_words() {
    // _mapcount is no longer a count and mapping is the cache.
    let slab = Page::new(SLAB).mapping(MAPPING | 1).mapcount(!0x80);
    assert_eq!(class(&slab), Class::Slab);
    let words = decoder();
    // inuse 3, objects 21, frozen.
    let slab = slab.u64(40, 3 | 21 << 16 | 1 << 31);
    let words = words.words(&slab.0);
    assert_eq!(words.slab_objects(), 21);
    assert_eq!(words.slab_cache(), VirtAddr(MAPPING | 1));
}

#[test]
fn a_slab_is_a_unit_of_its_order() {
    let decoded = with_tail(64, &Page::new(SLAB | HEAD), &tail(3, 1));
    assert_eq!(
        (decoded.class, decoded.order, decoded.compound),
        (Class::Slab, 3, true)
    );
}

#[test]
fn orders_that_cannot_be_are_no_order() {
    for (pfn, order) in [(64, 7), (65, 1), (64, 0xff), (0, 19)] {
        let decoded = with_tail(pfn, &Page::new(HEAD), &tail(order, 1));
        assert_eq!(
            (decoded.order, decoded.compound),
            (0, true),
            "{pfn} {order}"
        );
    }
    // The last page of a batch has no next.
    assert_eq!(decoder().decode(Pfn(64), &Page::new(HEAD).0, None).order, 0);
}

#[test]
fn from_6_6_on_the_order_is_in_the_flags_of_the_first_tail() {
    let decoder = Decoder {
        order: OrderPlace::TailFlags,
        dtor: None,
        ..decoder()
    };
    let tail = Page::new(0x0200_0000_0000_0004).u64(8, 0xffff_ea00_0000_1001);
    let decoded = decoder.decode(Pfn(64), &Page::new(HEAD).0, Some(&tail.0));
    assert_eq!((decoded.class, decoded.order), (Class::Raw, 4));
}

#[test]
fn hugetlb_is_told_by_its_destructor_or_by_its_type() {
    let decoded = with_tail(512, &Page::new(HEAD), &tail(9, 2));
    assert_eq!((decoded.class, decoded.order), (Class::Hugetlb, 9));
    // NULL, compound, transparent: none of them is.
    for dtor in [0, 1, 3] {
        assert_eq!(
            with_tail(512, &Page::new(HEAD), &tail(9, dtor)).class,
            Class::Raw
        );
    }
    let typed = Decoder {
        dtor: None,
        types: types(
            "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\n\
             NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n",
        ),
        ..decoder()
    };
    let head = Page::new(HEAD).mapcount(0xf400_0000);
    let decoded = typed.decode(Pfn(512), &head.0, Some(&tail(9, 1).0));
    assert_eq!((decoded.class, decoded.order), (Class::Hugetlb, 9));
}

#[test]
fn anonymous_pages_have_the_low_bit_of_mapping() {
    let mapped = Page::new(LRU | SWAPBACKED).mapping(MAPPING | 1).mapcount(0);
    assert_eq!(class(&mapped), Class::Anon);
    // Merged by KSM: both low bits.
    assert_eq!(class(&mapped.mapping(MAPPING | 3)), Class::Anon);
    // Out of all processes but in the swap cache.
    let swapped = Page::new(LRU | SWAPBACKED | SWAPCACHE).mapping(MAPPING | 1);
    assert_eq!(class(&swapped), Class::Anon);
    // Out of both: a stray reference keeps it.
    let stray = Page::new(LRU | SWAPBACKED).mapping(MAPPING | 1);
    assert_eq!(class(&stray), Class::Detached);
    // Locked, it is on its way out of a huge page or to another place.
    let moving = Page::new(LOCKED | LRU | SWAPBACKED).mapping(MAPPING | 1);
    assert_eq!(class(&moving), Class::Anon);
    // PG_swapcache is PG_owner_priv_1 on file pages: alone it says nothing.
    let file = Page::new(LRU | SWAPCACHE).mapping(MAPPING);
    assert_eq!(class(&file), Class::File);
    // A transparent huge page keeps its map count elsewhere.
    let huge = Page::new(HEAD | LRU | SWAPBACKED).mapping(MAPPING | 1);
    assert_eq!(with_tail(512, &huge, &tail(9, 3)).class, Class::Anon);
}

/// The first tail counts how often a huge page is mapped whole, less one.
#[test]
fn a_huge_page_is_mapped_whole_or_part_by_part() {
    let decoder = decoder();
    assert!(decoder.is_mapped_whole(&tail(9, 3).u32(20, 0).0));
    assert!(!decoder.is_mapped_whole(&tail(9, 3).u32(20, u32::MAX).0));
    // Of a kernel whose count cannot be found it is taken to be.
    let unknown = Decoder {
        entire_mapcount: None,
        ..decoder.clone()
    };
    assert!(unknown.is_mapped_whole(&tail(9, 3).u32(20, u32::MAX).0));
}

#[test]
fn cache_pages_have_a_mapping_and_shared_memory_is_swap_backed() {
    assert_eq!(class(&Page::new(LRU).mapping(MAPPING)), Class::File);
    assert_eq!(
        class(&Page::new(LRU | SWAPBACKED).mapping(MAPPING)),
        Class::Shmem
    );
    // ramfs and pages just being read are on no LRU.
    assert_eq!(class(&Page::new(LOCKED).mapping(MAPPING)), Class::File);
    // perf's rings have a mapping and no flag.
    assert_eq!(class(&Page::new(0).mapping(MAPPING)), Class::Raw);
    // Truncated while somebody held it.
    assert_eq!(class(&Page::new(LRU)), Class::Detached);
    // Movable (2) is no cache: zsmalloc and balloons up to 6.17.
    assert_eq!(class(&Page::new(0).mapping(MAPPING | 2)), Class::Raw);
}

#[test]
fn page_pools_sign_their_pages() {
    let pool = |magic| class(&Page::new(0).u64(8, magic));
    assert_eq!(pool(0xdead_0000_0000_0040), Class::PagePool);
    // Two flags at the bottom, and from 6.16 on a DMA index in bits 7 to 38.
    assert_eq!(pool(0xdead_0000_0000_0043), Class::PagePool);
    assert_eq!(pool(0xdead_0012_3456_7840), Class::PagePool);
    assert_eq!(pool(0xdead_007f_ffff_ffc0), Class::PagePool);
    // A list that was poisoned on deletion: LIST_POISON1 and 2.
    assert_eq!(pool(0xdead_0000_0000_0100), Class::Raw);
    assert_eq!(pool(0xdead_0000_0000_0122), Class::Raw);
}

#[test]
fn reserved_and_poisoned_pages() {
    assert_eq!(class(&Page::new(RESERVED)), Class::Reserved);
    assert_eq!(class(&Page::new(HWPOISON)), Class::HwPoison);
    assert_eq!(class(&Page::new(0).mapcount(!0x100)), Class::Offline);
    // Never initialised: DEBUG_VM fills with ones.
    assert_eq!(class(&Page([0xff; SIZE])), Class::Hole);
}

#[test]
fn without_a_reference_and_on_no_list_a_page_is_in_transit() {
    let decoded = decoder().decode(Pfn(64), &Page::new(0).refcount(0).0, None);
    assert_eq!((decoded.class, decoded.zero_ref), (Class::Raw, true));
    // The struct page of a hole that was never written.
    let zero = decoder().decode(Pfn(64), &[0; SIZE], None);
    assert_eq!((zero.class, zero.zero_ref), (Class::Raw, true));
}

#[test]
fn bytes_that_end_too_early_read_as_zero() {
    let short = decoder().decode(Pfn(64), &[0; 10], Some(&[]));
    assert_eq!(short.class, Class::Raw);
    let empty = decoder();
    let words = empty.words(&[]);
    assert_eq!(
        (words.flags(), words.refcount(), words.lru()),
        (0, 0, [0, 0])
    );
    assert_eq!(
        (words.index(), words.private(), words.compound_word()),
        (0, 0, 0)
    );
    assert!(!words.is_page_pool());
}

/// `prep_compound_page()` of 3.10 and of 4.4, whose VMCOREINFO does not tell of tails.
#[test]
fn orders_that_nothing_is_exported_about() {
    const FREE_HUGE_PAGE: u64 = 0xffff_ffff_8119_5a30;
    let decoder = Decoder {
        order: OrderPlace::TailLru,
        dtor: Some(Dtor::Function(8, VirtAddr(FREE_HUGE_PAGE))),
        ..decoder()
    };
    let head = Page::new(HEAD);
    let decode = |first, second| {
        let tail = Page::new(1 << 17).u64(8, first).u64(16, second).refcount(0);
        let decoded = decoder.decode(Pfn(512), &head.0, Some(&tail.0));
        (decoded.class, decoded.order)
    };
    let free_compound_page = 0xffff_ffff_8115_8d70;
    assert_eq!(decode(free_compound_page, 3), (Class::Raw, 3));
    assert_eq!(decode(FREE_HUGE_PAGE, 9), (Class::Hugetlb, 9));
    // compound_head, then dtor and order of four bytes each.
    assert_eq!(decode(0xffff_ea00_0000_8001, 5 << 32 | 1), (Class::Raw, 5));
    // Not an order: a list that the page is on.
    assert_eq!(
        decode(0xffff_ea00_0000_8020, 0xffff_ea00_0000_8060),
        (Class::Raw, 0)
    );
}

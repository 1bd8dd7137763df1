//! Page types and flags of every era. Numbers: include/linux/page-flags.h (up
//! to 4.4 mm.h) of the releases named, and what their VMCOREINFO exports.

use super::*;

fn info(lines: &[&str]) -> Vmcoreinfo {
    let text = format!("OSRELEASE=test\nPAGESIZE=4096\n{}\n", lines.join("\n"));
    Vmcoreinfo::parse(text.as_bytes()).unwrap()
}

fn types(lines: &[&str]) -> PageTypes {
    PageTypes::resolve(&info(lines), None)
}

/// A BTF blob (include/uapi/linux/btf.h) with one enumeration.
fn btf(name: &str, values: &[(&str, i32)]) -> Btf {
    let mut strings = vec![0];
    let mut string = |text: &str| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    // BTF_KIND_ENUM is 6; the low half of info is the number of values.
    let mut words = vec![string(name), 6 << 24 | values.len() as u32, 4];
    for &(name, value) in values {
        words.extend([string(name), value as u32]);
    }
    let size = words.len() as u32 * 4;
    let header = [24, 0, size, size, strings.len() as u32];
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    for word in header.into_iter().chain(words) {
        blob.extend_from_slice(&word.to_le_bytes());
    }
    blob.extend_from_slice(&strings);
    Btf::parse(blob).unwrap()
}

/// No type: never mapped, mapped once, mapped by a thousand.
const COUNTS: [u32; 3] = [u32::MAX, 0, 999];

#[test]
fn up_to_4_17_the_whole_word_is_the_type() {
    // 3.10 to 4.17; PAGE_OFFLINE as RHEL 7 has it.
    let types = types(&[
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128",
        "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-512",
    ]);
    assert_eq!(types.of(-128_i32 as u32), Some(PageType::Buddy));
    assert_eq!(types.of(-512_i32 as u32), Some(PageType::Offline));
    // A balloon's -256 and anything near are no type of ours.
    for word in [-256_i32, -127, -129, -511] {
        assert_eq!(types.of(word as u32), None);
    }
    assert!(COUNTS.iter().all(|&word| types.of(word).is_none()));
}

#[test]
fn from_4_18_a_bit_is_cleared_for_each_type() {
    // 4.18 to 5.1 export the buddy alone; 5.2 adds offline.
    let old = types(&["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129"]);
    let new = types(&[
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129",
        "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257",
    ]);
    for types in [&old, &new] {
        assert_eq!(types.of(0xffff_ff7f), Some(PageType::Buddy));
        assert!(COUNTS.iter().all(|&word| types.of(word).is_none()));
    }
    assert_eq!(new.of(0xffff_feff), Some(PageType::Offline));
    assert_eq!(old.of(0xffff_feff), None);
    // Guard (0x400 cleared since 5.11) is none of ours.
    assert_eq!(new.of(0xffff_fbff), None);
}

#[test]
fn tables_moved_when_kmemcg_left() {
    let lines = ["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129"];
    // Up to 5.10: table 0x400, beside kmemcg 0x200.
    let old = btf("zone_type", &[("ZONE_DMA", 0)]);
    let old = PageTypes::resolve(&info(&lines), Some(&old));
    assert_eq!(old.of(!0x400), Some(PageType::Table));
    assert_eq!(old.of(!0x600), Some(PageType::Table));
    assert_eq!(old.of(!0x200), None);
}

#[test]
fn from_6_9_hugetlb_and_from_6_10_slab_are_types() {
    let types = types(&[
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129",
        "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257",
        "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-2049",
        "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-4097",
    ]);
    assert_eq!(types.of(!0x800), Some(PageType::Hugetlb));
    assert_eq!(types.of(!0x1000), Some(PageType::Slab));
    assert_eq!(types.of(!0x80), Some(PageType::Buddy));
    assert!(COUNTS.iter().all(|&word| types.of(word).is_none()));
}

#[test]
fn in_6_11_the_base_is_the_sign_bit() {
    let kernel = [
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-1073741825",
        "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-536870913",
        "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-67108865",
        "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-33554433",
    ];
    let btf = btf(
        "pagetype",
        &[
            ("PG_buddy", 0x4000_0000),
            ("PG_table", 0x1000_0000),
            ("PG_zsmalloc", 0x0100_0000),
        ],
    );
    let types = PageTypes::resolve(&info(&kernel), Some(&btf));
    assert_eq!(types.of(!0x4000_0000), Some(PageType::Buddy));
    assert_eq!(types.of(!0x2000_0000), Some(PageType::Offline));
    assert_eq!(types.of(!0x1000_0000), Some(PageType::Table));
    assert_eq!(types.of(!0x0400_0000), Some(PageType::Hugetlb));
    assert_eq!(types.of(!0x0200_0000), Some(PageType::Slab));
    // The low half is zsmalloc's own.
    assert_eq!(types.of(0xfeff_0123), Some(PageType::Zsmalloc));
    assert!(COUNTS.iter().all(|&word| types.of(word).is_none()));
}

#[test]
fn from_6_12_the_top_byte_is_the_type() {
    let kernel = [
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456",
        "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240",
        "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592",
        "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376",
        "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944",
    ];
    let btf = btf(
        "pagetype",
        &[
            ("PGTY_buddy", 0xf0),
            ("PGTY_table", 0xf2),
            ("PGTY_zsmalloc", 0xf6),
            ("PGTY_large_kmalloc", 0xf8),
        ],
    );
    let types = PageTypes::resolve(&info(&kernel), Some(&btf));
    let expected = [
        (0xf000_0000, Some(PageType::Buddy)),
        (0xf100_0000, Some(PageType::Offline)),
        (0xf200_0000, Some(PageType::Table)),
        // Guard.
        (0xf300_0000, None),
        (0xf400_0000, Some(PageType::Hugetlb)),
        (0xf500_0000, Some(PageType::Slab)),
        (0xf600_0000, Some(PageType::Zsmalloc)),
        (0xf700_0000, Some(PageType::Unaccepted)),
        (0xf800_0000, Some(PageType::LargeKmalloc)),
    ];
    for (word, kind) in expected {
        assert_eq!(types.of(word), kind, "{word:#x}");
        // Three bytes are the owner's.
        assert_eq!(types.of(word | 0x0012_3456), kind, "{word:#x}");
    }
    // Counts that overflow, and none at all.
    for word in [0x8000_0000, 0xefff_ffff, 0xff00_0000, 0x00f0_0000] {
        assert_eq!(types.of(word), None, "{word:#x}");
    }
    assert!(COUNTS.iter().all(|&word| types.of(word).is_none()));
}

#[test]
fn flags_come_from_numbers_and_reserved_from_its_neighbour() {
    // As the VMCOREINFO of a 6.1 kernel has them.
    let layouts = Layouts::resolve(
        &info(&[
            "NUMBER(PG_lru)=4",
            "NUMBER(PG_private)=13",
            "NUMBER(PG_swapcache)=10",
            "NUMBER(PG_swapbacked)=19",
            "NUMBER(PG_slab)=9",
            "NUMBER(PG_hwpoison)=23",
            "NUMBER(PG_head_mask)=65536",
        ]),
        None,
    );
    assert_eq!(
        layouts.flags,
        PageFlags {
            locked: 1,
            lru: 1 << 4,
            slab: 1 << 9,
            reserved: 1 << 12,
            private: 1 << 13,
            head: 1 << 16,
            swapcache: 1 << 10,
            swapbacked: 1 << 19,
            hwpoison: 1 << 23,
        }
    );
}

/// `enum pageflags` (include/linux/page-flags.h) of 3.13, which has PG_tail after
/// PG_head, 4.9, and 4.13; none of them exports PG_swapbacked.
#[test]
fn swapbacked_comes_from_its_neighbours_where_nothing_tells_it() {
    for (private, head, swapcache, swapbacked) in
        [(11, 14, 16, 19), (11, 14, 15, 18), (12, 15, 9, 18)]
    {
        let [private, head, swapcache] = [
            format!("NUMBER(PG_private)={private}"),
            format!("NUMBER(PG_head_mask)={}", 1 << head),
            format!("NUMBER(PG_swapcache)={swapcache}"),
        ];
        let layouts = Layouts::resolve(&info(&[&private, &head, &swapcache]), None);
        assert_eq!(layouts.flags.swapbacked, 1 << swapbacked);
    }
    assert_eq!(Layouts::resolve(&info(&[]), None).flags.swapbacked, 0);
}

#[test]
fn flag_numbers_that_cannot_be_are_no_flags() {
    let layouts = Layouts::resolve(
        &info(&[
            "NUMBER(PG_lru)=64",
            "NUMBER(PG_slab)=-1",
            "NUMBER(PG_head)=16",
        ]),
        None,
    );
    assert_eq!((layouts.flags.lru, layouts.flags.slab), (0, 0));
    assert_eq!(layouts.flags.head, 1 << 16);
}

#[test]
fn members_are_found_by_any_of_their_names() {
    // 3.10 to 4.5 exported _count, 4.6 and later _refcount.
    for key in ["page._count", "page._refcount"] {
        let layouts = Layouts::resolve(&info(&[&format!("OFFSET({key})=28")]), None);
        let place = layouts.place(Field::PageRefcount).unwrap();
        assert_eq!((place.offset, place.size, place.bits), (28, 4, None));
    }
    let layouts = Layouts::resolve(&info(&["SIZE(page)=64"]), None);
    assert_eq!(layouts.size(Struct::Page), Ok(64));
    assert_eq!(
        layouts.offset(Field::PageLru),
        Err(Unknown("page.lru")),
        "absent members are named"
    );
    assert!(Unknown("page.lru").to_string().contains("page.lru"));
}

#[test]
fn no_structure_is_as_large_as_damage_says() {
    let layouts = Layouts::resolve(
        &info(&[
            "SIZE(page)=1099511627776",
            "SIZE(mem_section)=18446744073709551615",
            "OFFSET(page.lru)=18446744073709551608",
        ]),
        None,
    );
    assert!(layouts.size(Struct::Page).is_err());
    assert!(layouts.size(Struct::MemSection).is_err());
    assert_eq!(layouts.get(Field::PageLru), None);
}

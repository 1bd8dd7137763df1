//! What differs between the kernels a machine may have, in their own source: 3.10 and
//! 4.13 come from before page tables were marked and the direct map moved, 5.4 from
//! after both and before any of BTF was usual.

use super::addresses::{KERNEL_MAP, PAGE};

/// One kernel.
pub(super) struct Era {
    /// `uname -r` where nothing else is wanted.
    pub(super) release: &'static str,
    /// `__PAGE_OFFSET_BASE`: moved by d52888aa2753 (4.20).
    pub(super) direct_map: u64,
    /// `KERNEL_IMAGE_SIZE`, behind which modules are.
    pub(super) image_size: u64,
    /// `init_level4_pgt`, `init_top_pgt` since 65ade2f872b4 (4.13).
    pub(super) root: &'static str,
    pub(super) page: PageLayout,
    pub(super) flags: Flags,
    /// `PAGE_BUDDY_MAPCOUNT_VALUE`.
    pub(super) buddy: i32,
    /// What `_mapcount` of a process' lowest tables is: 1d40a5ea01d5 (4.18).
    pub(super) table: i32,
    /// `MAX_NR_ZONES`, and the bits it takes in flags.
    pub(super) zones: u64,
    pub(super) zone_bits: u32,
    pub(super) zone: ZoneLayout,
    pub(super) node: NodeLayout,
    pub(super) counters: Counters,
    /// `sizeof(struct mem_section)`, and flags in its first word.
    pub(super) section: u64,
    pub(super) section_flags: u64,
    /// `mem_section` is a pointer to what it was itself: 83e3c48729d9 (4.14).
    pub(super) allocated_sections: bool,
    /// Where a `vmap_area` has its list and its `vm_struct`, and its flags if any.
    pub(super) area_list: u64,
    pub(super) area_vm: u64,
    pub(super) area_flags: Option<u64>,
    /// Where a node of the tree of a file has its slots.
    pub(super) tree_slots: u64,
    /// Tables of symbols have addresses; offsets since 2213e9a66bb8 (4.6).
    pub(super) absolute_symbols: bool,
    /// Bytes of a number in them: 80ffbaa5b1bd (4.20).
    pub(super) symbol_word: u64,
    /// Stacks are in vmalloc memory: e37e43a497d5 (4.9). Else blocks of two pages.
    pub(super) mapped_stacks: bool,
    /// The text of VMCOREINFO is in a page of its own: 203e9e41219b (4.13).
    pub(super) vmcoreinfo_pages: bool,
    pub(super) vmcoreinfo: Vmcoreinfo,
}

/// `struct page`.
pub(super) struct PageLayout {
    pub(super) mapping: usize,
    pub(super) index: usize,
    pub(super) mapcount: usize,
    pub(super) refcount: usize,
    pub(super) lru: usize,
    pub(super) private: usize,
    pub(super) slab_cache: usize,
    /// `inuse` and `objects` of a slab.
    pub(super) slab_counts: usize,
    pub(super) tails: Tails,
}

/// How a tail of a compound page says so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tails {
    /// `PG_tail` and `first_page`, in place of `private`; the first one has a function
    /// and the order in `lru`.
    Flag,
    /// `compound_head`, in place of `lru`, since 1d798ca3f164 (4.4); numbers of four
    /// bytes follow it.
    Head,
    /// The same with numbers of one byte, since 036e7aa49fb2 (4.16).
    HeadInBytes,
}

/// Bits of `page->flags`.
pub(super) struct Flags {
    pub(super) referenced: u32,
    pub(super) uptodate: u32,
    pub(super) lru: u32,
    pub(super) slab: u32,
    pub(super) reserved: u32,
    pub(super) head: u32,
    pub(super) tail: Option<u32>,
    pub(super) swapbacked: u32,
}

/// `struct zone`.
pub(super) struct ZoneLayout {
    pub(super) size: u64,
    pub(super) pgdat: u64,
    pub(super) pageset: u64,
    pub(super) start: u64,
    pub(super) managed: u64,
    pub(super) spanned: u64,
    pub(super) present: u64,
    pub(super) name: u64,
    pub(super) free_area: u64,
    pub(super) vm_stat: u64,
    /// `MIGRATE_MOVABLE`, which came before `MIGRATE_RECLAIMABLE` later.
    pub(super) movable: u64,
    /// `NR_PAGETABLE`.
    pub(super) tables: u64,
}

/// `pg_data_t`.
pub(super) struct NodeLayout {
    pub(super) size: u64,
    pub(super) nr_zones: u64,
    pub(super) start: u64,
    pub(super) present: u64,
    pub(super) spanned: u64,
    pub(super) id: u64,
}

/// LRU lists, and what counts their pages: of a node since 599d0c954f91 and 75ef71840539
/// (4.8), of a zone before.
pub(super) struct Counters {
    pub(super) of_node: bool,
    pub(super) lists: u64,
    pub(super) vm_stat: u64,
    /// Of a node, what its CPUs have yet to add.
    pub(super) differences: u64,
    /// `NR_LRU_BASE`.
    pub(super) lru: u64,
    /// `NR_ANON_MAPPED` (`NR_ANON_PAGES` before), `NR_FILE_PAGES`, `NR_SHMEM`.
    pub(super) anon: u64,
    pub(super) file: u64,
    pub(super) shmem: u64,
}

/// What VMCOREINFO says that depends on the kernel alone.
pub(super) struct Vmcoreinfo {
    pub(super) offsets: &'static str,
    /// The record of the log, and variables beside those all have.
    pub(super) log: &'static str,
    pub(super) log_symbols: &'static [&'static str],
    pub(super) numbers: &'static str,
    pub(super) symbols: &'static [&'static str],
    /// `KERNELOFFSET` and what came after it.
    pub(super) end: &'static str,
}

impl Era {
    /// Address of a frame in the direct map.
    pub(super) fn direct(&self, pfn: u64) -> u64 {
        self.direct_map + pfn * PAGE
    }

    /// Physical address of a variable, or of what lies in the direct map.
    pub(super) fn phys(&self, address: u64) -> u64 {
        match address.checked_sub(KERNEL_MAP) {
            Some(offset) => offset,
            None => address - self.direct_map,
        }
    }
}

pub(super) static V3_10: Era = Era {
    release: "3.10.108",
    direct_map: 0xffff_8800_0000_0000,
    image_size: 512 << 20,
    root: "init_level4_pgt",
    page: PageLayout {
        mapping: 8,
        index: 16,
        mapcount: 24,
        refcount: 28,
        lru: 32,
        private: 48,
        slab_cache: 48,
        slab_counts: 24,
        tails: Tails::Flag,
    },
    flags: Flags {
        referenced: 2,
        uptodate: 3,
        lru: 5,
        slab: 7,
        reserved: 10,
        head: 14,
        tail: Some(15),
        swapbacked: 19,
    },
    buddy: -128,
    table: -1,
    zones: 4,
    zone_bits: 2,
    zone: ZoneLayout {
        size: 1920,
        pgdat: 1688,
        pageset: 96,
        start: 1696,
        spanned: 1704,
        present: 1712,
        managed: 1720,
        name: 1728,
        free_area: 144,
        vm_stat: 1328,
        movable: 2,
        tables: 14,
    },
    node: NodeLayout {
        size: 158_720,
        nr_zones: 157_792,
        start: 157_800,
        present: 157_808,
        spanned: 157_816,
        id: 157_824,
    },
    counters: Counters {
        of_node: false,
        lists: 1216,
        vm_stat: 1328,
        differences: 0,
        lru: 1,
        anon: 7,
        file: 9,
        shmem: 23,
    },
    // With the page_cgroup pointer of CONFIG_MEMCG.
    section: 32,
    section_flags: 3,
    allocated_sections: false,
    area_list: 48,
    area_vm: 80,
    area_flags: Some(16),
    tree_slots: 24,
    absolute_symbols: true,
    symbol_word: 8,
    mapped_stacks: false,
    vmcoreinfo_pages: false,
    vmcoreinfo: Vmcoreinfo {
        offsets: "\
SIZE(mem_section)=32
OFFSET(mem_section.section_mem_map)=0
SIZE(page)=64
SIZE(pglist_data)=158720
SIZE(zone)=1920
SIZE(free_area)=88
SIZE(list_head)=16
SIZE(nodemask_t)=8
OFFSET(page.flags)=0
OFFSET(page._count)=28
OFFSET(page.mapping)=8
OFFSET(page.lru)=32
OFFSET(page._mapcount)=24
OFFSET(page.private)=48
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=157792
OFFSET(pglist_data.node_start_pfn)=157800
OFFSET(pglist_data.node_spanned_pages)=157816
OFFSET(pglist_data.node_id)=157824
OFFSET(zone.free_area)=144
OFFSET(zone.vm_stat)=1328
OFFSET(zone.spanned_pages)=1704
OFFSET(free_area.free_list)=0
OFFSET(list_head.next)=0
OFFSET(list_head.prev)=8
OFFSET(vmap_area.va_start)=0
OFFSET(vmap_area.list)=48
LENGTH(zone.free_area)=11
",
        log: "\
SIZE(log)=16
OFFSET(log.ts_nsec)=0
OFFSET(log.len)=8
OFFSET(log.text_len)=10
OFFSET(log.dict_len)=12
",
        log_symbols: &[],
        numbers: "\
LENGTH(free_area.free_list)=5
NUMBER(NR_FREE_PAGES)=0
NUMBER(PG_lru)=5
NUMBER(PG_private)=11
NUMBER(PG_swapcache)=16
NUMBER(PG_slab)=7
NUMBER(PG_hwpoison)=23
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128
",
        symbols: &["phys_base", "init_level4_pgt", "node_data"],
        end: "",
    },
};

pub(super) static V4_13: Era = Era {
    release: "4.13.9",
    direct_map: 0xffff_8800_0000_0000,
    image_size: 1 << 30,
    root: "init_top_pgt",
    page: PageLayout {
        mapping: 8,
        index: 16,
        mapcount: 24,
        refcount: 28,
        lru: 32,
        private: 48,
        slab_cache: 48,
        slab_counts: 24,
        tails: Tails::Head,
    },
    flags: Flags {
        referenced: 2,
        uptodate: 3,
        lru: 5,
        slab: 8,
        reserved: 11,
        head: 15,
        tail: None,
        swapbacked: 18,
    },
    buddy: -128,
    table: -1,
    zones: 5,
    zone_bits: 3,
    zone: ZoneLayout {
        size: 1472,
        pgdat: 80,
        pageset: 88,
        start: 96,
        managed: 104,
        spanned: 112,
        present: 120,
        name: 128,
        free_area: 192,
        vm_stat: 1280,
        movable: 1,
        tables: 8,
    },
    node: NodeLayout {
        size: 18304,
        nr_zones: 17632,
        start: 17640,
        present: 17648,
        spanned: 17656,
        id: 17664,
    },
    counters: Counters {
        of_node: true,
        lists: 17888,
        vm_stat: 18056,
        differences: 18048,
        lru: 0,
        anon: 12,
        file: 14,
        shmem: 18,
    },
    section: 16,
    section_flags: 7,
    allocated_sections: false,
    area_list: 48,
    area_vm: 72,
    area_flags: Some(16),
    tree_slots: 40,
    absolute_symbols: false,
    symbol_word: 8,
    mapped_stacks: true,
    vmcoreinfo_pages: true,
    vmcoreinfo: Vmcoreinfo {
        offsets: "\
SIZE(mem_section)=16
OFFSET(mem_section.section_mem_map)=0
SIZE(page)=64
SIZE(pglist_data)=18304
SIZE(zone)=1472
SIZE(free_area)=88
SIZE(list_head)=16
SIZE(nodemask_t)=8
OFFSET(page.flags)=0
OFFSET(page._refcount)=28
OFFSET(page.mapping)=8
OFFSET(page.lru)=32
OFFSET(page._mapcount)=24
OFFSET(page.private)=48
OFFSET(page.compound_dtor)=40
OFFSET(page.compound_order)=44
OFFSET(page.compound_head)=32
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=17632
OFFSET(pglist_data.node_start_pfn)=17640
OFFSET(pglist_data.node_spanned_pages)=17656
OFFSET(pglist_data.node_id)=17664
OFFSET(zone.free_area)=192
OFFSET(zone.vm_stat)=1280
OFFSET(zone.spanned_pages)=112
OFFSET(free_area.free_list)=0
OFFSET(list_head.next)=0
OFFSET(list_head.prev)=8
OFFSET(vmap_area.va_start)=0
OFFSET(vmap_area.list)=48
LENGTH(zone.free_area)=11
",
        log: PRINTK_LOG,
        log_symbols: &["clear_idx"],
        numbers: "\
LENGTH(free_area.free_list)=5
NUMBER(NR_FREE_PAGES)=0
NUMBER(PG_lru)=5
NUMBER(PG_private)=12
NUMBER(PG_swapcache)=9
NUMBER(PG_slab)=8
NUMBER(PG_hwpoison)=22
NUMBER(PG_head_mask)=32768
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128
NUMBER(HUGETLB_PAGE_DTOR)=2
NUMBER(phys_base)=0
",
        symbols: &["init_top_pgt", "node_data"],
        end: "KERNELOFFSET=0\nNUMBER(KERNEL_IMAGE_SIZE)=1073741824\n",
    },
};

pub(super) static V5_4: Era = Era {
    release: "5.4.292",
    direct_map: 0xffff_8880_0000_0000,
    image_size: 1 << 30,
    root: "init_top_pgt",
    page: PageLayout {
        lru: 8,
        mapping: 24,
        index: 32,
        private: 40,
        mapcount: 48,
        refcount: 52,
        slab_cache: 24,
        slab_counts: 40,
        tails: Tails::HeadInBytes,
    },
    flags: Flags {
        referenced: 1,
        uptodate: 2,
        lru: 4,
        slab: 9,
        reserved: 12,
        head: 16,
        tail: None,
        swapbacked: 19,
    },
    // All but PG_buddy and PG_table (6e292b9be7f4, 4.18).
    buddy: !0x80,
    table: !0x400,
    zones: 5,
    zone_bits: 3,
    zone: ZoneLayout {
        size: 1472,
        pgdat: 88,
        pageset: 96,
        start: 104,
        managed: 112,
        spanned: 120,
        present: 128,
        name: 136,
        free_area: 192,
        vm_stat: 1280,
        movable: 1,
        tables: 8,
    },
    node: NodeLayout {
        size: 172_032,
        nr_zones: 171_296,
        start: 171_304,
        present: 171_312,
        spanned: 171_320,
        id: 171_328,
    },
    counters: Counters {
        of_node: true,
        lists: 171_584,
        vm_stat: 171_784,
        differences: 171_776,
        lru: 0,
        anon: 14,
        file: 16,
        shmem: 20,
    },
    section: 16,
    // Early sections too: 326e1b8f83a4 (5.3).
    section_flags: 15,
    allocated_sections: true,
    area_list: 40,
    area_vm: 56,
    area_flags: None,
    tree_slots: 40,
    absolute_symbols: false,
    symbol_word: 4,
    mapped_stacks: true,
    vmcoreinfo_pages: true,
    vmcoreinfo: Vmcoreinfo {
        offsets: "\
SIZE(mem_section)=16
OFFSET(mem_section.section_mem_map)=0
SIZE(page)=64
SIZE(pglist_data)=172032
SIZE(zone)=1472
SIZE(free_area)=88
SIZE(list_head)=16
SIZE(nodemask_t)=8
OFFSET(page.flags)=0
OFFSET(page._refcount)=52
OFFSET(page.mapping)=24
OFFSET(page.lru)=8
OFFSET(page._mapcount)=48
OFFSET(page.private)=40
OFFSET(page.compound_dtor)=16
OFFSET(page.compound_order)=17
OFFSET(page.compound_head)=8
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=171296
OFFSET(pglist_data.node_start_pfn)=171304
OFFSET(pglist_data.node_spanned_pages)=171320
OFFSET(pglist_data.node_id)=171328
OFFSET(zone.free_area)=192
OFFSET(zone.vm_stat)=1280
OFFSET(zone.spanned_pages)=120
OFFSET(free_area.free_list)=0
OFFSET(list_head.next)=0
OFFSET(list_head.prev)=8
OFFSET(vmap_area.va_start)=0
OFFSET(vmap_area.list)=40
LENGTH(zone.free_area)=11
",
        log: PRINTK_LOG,
        log_symbols: &["clear_idx"],
        numbers: "\
LENGTH(free_area.free_list)=5
NUMBER(NR_FREE_PAGES)=0
NUMBER(PG_lru)=4
NUMBER(PG_private)=13
NUMBER(PG_swapcache)=10
NUMBER(PG_swapbacked)=19
NUMBER(PG_slab)=9
NUMBER(PG_hwpoison)=23
NUMBER(PG_head_mask)=65536
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
NUMBER(HUGETLB_PAGE_DTOR)=2
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257
NUMBER(phys_base)=0
",
        symbols: &["init_top_pgt", "node_data"],
        end: "\
NUMBER(pgtable_l5_enabled)=0
NUMBER(sme_mask)=0
KERNELOFFSET=0
NUMBER(KERNEL_IMAGE_SIZE)=1073741824
",
    },
};

/// `struct printk_log`, `struct log` before 62e32ac3505a (3.11).
const PRINTK_LOG: &str = "\
SIZE(printk_log)=16
OFFSET(printk_log.ts_nsec)=0
OFFSET(printk_log.len)=8
OFFSET(printk_log.text_len)=10
OFFSET(printk_log.dict_len)=12
";

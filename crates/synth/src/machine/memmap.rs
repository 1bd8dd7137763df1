//! `struct page` (`include/linux/mm_types.h`), its flags (`include/linux/page-flags.h`)
//! and what lies above them (`include/linux/page-flags-layout.h`).

use super::addresses::page;

/// `sizeof(struct page)` with `CONFIG_MEMCG`.
pub(super) const STRUCT_PAGE: u64 = 64;

const PG_REFERENCED: u64 = 1 << 2;
const PG_UPTODATE: u64 = 1 << 3;
const PG_LRU: u64 = 1 << 5;
const PG_SLAB: u64 = 1 << 8;
const PG_RESERVED: u64 = 1 << 11;
const PG_HEAD: u64 = 1 << 15;
const PG_SWAPBACKED: u64 = 1 << 18;

/// Zones take three bits below the six of the node, `last_cpupid` 21 below those.
const ZONE_SHIFT: u32 = 64 - 6 - 3;
const NO_CPUPID: u64 = ((1 << 21) - 1) << (ZONE_SHIFT - 21);

/// `LIST_POISON1` and `LIST_POISON2`: what `list_del()` leaves behind.
const POISON: [u64; 2] = [0xdead_0000_0000_0100, 0xdead_0000_0000_0200];

/// `PAGE_BUDDY_MAPCOUNT_VALUE`.
const BUDDY: i32 = -128;

/// First frame of `ZONE_DMA32`; those before are `ZONE_DMA`.
pub(super) const DMA32: u64 = 0x1000;

/// One `struct page`.
#[derive(Clone, Copy)]
pub(super) struct StructPage {
    flags: u64,
    mapping: u64,
    index: u64,
    mapcount: i32,
    refcount: i32,
    pub(super) lru: [u64; 2],
    private: u64,
}

impl StructPage {
    fn new(pfn: u64) -> StructPage {
        StructPage {
            flags: u64::from(pfn >= DMA32) << ZONE_SHIFT | NO_CPUPID,
            mapping: 0,
            index: 0,
            mapcount: -1,
            refcount: 0,
            lru: POISON,
            private: 0,
        }
    }

    /// Taken by `memblock`: `init_reserved_page()` and `SetPageReserved()`.
    pub(super) fn reserved(pfn: u64) -> StructPage {
        let new = StructPage::new(pfn);
        StructPage {
            flags: new.flags | PG_RESERVED,
            refcount: 1,
            lru: [page(pfn) + 32; 2],
            ..new
        }
    }

    /// Inside a free block, or behind the first page of one that is not compound.
    pub(super) fn inside(pfn: u64) -> StructPage {
        StructPage::new(pfn)
    }

    /// The first page of a free block (`set_page_order()`).
    pub(super) fn buddy(pfn: u64, order: u32) -> StructPage {
        StructPage {
            mapcount: BUDDY,
            private: u64::from(order),
            ..StructPage::new(pfn)
        }
    }

    /// From `alloc_pages()`.
    pub(super) fn raw(pfn: u64, refcount: i32) -> StructPage {
        StructPage {
            refcount,
            ..StructPage::new(pfn)
        }
    }

    /// A slab of SLUB: `freelist` takes the place of `index`, the number of objects in
    /// use, that of all and whether it is a CPU's that of `_mapcount`, and the cache
    /// that of `private`.
    pub(super) fn slab(pfn: u64, cache: u64, freelist: u64, used: u16, all: u16) -> StructPage {
        let new = StructPage::new(pfn);
        StructPage {
            flags: new.flags | PG_SLAB,
            index: freelist,
            mapcount: i32::from(all) << 16 | i32::from(used),
            refcount: 1,
            private: cache,
            ..new
        }
    }

    /// The same page at the head of a compound page.
    pub(super) fn head(self) -> StructPage {
        StructPage {
            flags: self.flags | PG_HEAD,
            ..self
        }
    }

    /// A tail of the compound page at `head` (`prep_compound_page()`): `compound_head`,
    /// and in the first one `compound_dtor` (1 for `free_compound_page()`) and
    /// `compound_order`, of four bytes each, lie over `lru`.
    pub(super) fn tail(pfn: u64, head: u64, order: u32) -> StructPage {
        let first = pfn == head + 1;
        let dtor_and_order = u64::from(order) << 32 | 1;
        StructPage {
            // TAIL_MAPPING
            mapping: 0xdead_0000_0000_0400,
            lru: [
                page(head) + 1,
                if first { dtor_and_order } else { POISON[1] },
            ],
            ..StructPage::new(pfn)
        }
    }

    /// Page `index` of the file that `mapping` belongs to.
    pub(super) fn file(pfn: u64, mapping: u64, index: u64) -> StructPage {
        let new = StructPage::new(pfn);
        StructPage {
            flags: new.flags | PG_REFERENCED | PG_UPTODATE | PG_LRU,
            mapping,
            index,
            refcount: 1,
            ..new
        }
    }

    /// The same of a file in memory (`shmem_add_to_page_cache()`).
    pub(super) fn shmem(pfn: u64, mapping: u64, index: u64) -> StructPage {
        let file = StructPage::file(pfn, mapping, index);
        StructPage {
            flags: file.flags | PG_SWAPBACKED,
            ..file
        }
    }

    /// An anonymous page that one process maps (`PAGE_MAPPING_ANON`).
    pub(super) fn anon(pfn: u64, anon_vma: u64, index: u64) -> StructPage {
        let new = StructPage::new(pfn);
        StructPage {
            flags: new.flags | PG_UPTODATE | PG_LRU | PG_SWAPBACKED,
            mapping: anon_vma | 1,
            index,
            mapcount: 0,
            refcount: 1,
            ..new
        }
    }

    pub(super) fn bytes(&self) -> [u8; STRUCT_PAGE as usize] {
        let counts = u64::from(self.refcount.cast_unsigned()) << 32
            | u64::from(self.mapcount.cast_unsigned());
        let [next, prev] = self.lru;
        let words = [
            self.flags,
            self.mapping,
            self.index,
            counts,
            next,
            prev,
            self.private,
            // mem_cgroup
            0,
        ];
        let mut bytes = [0; STRUCT_PAGE as usize];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

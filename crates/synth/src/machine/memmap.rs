//! `struct page` (`include/linux/mm_types.h`), its flags (`include/linux/page-flags.h`)
//! and what lies above them (`include/linux/page-flags-layout.h`).

use super::addresses::page;
use super::era::{Era, Tails};
use super::variables::IMAGE;

/// `sizeof(struct page)` with `CONFIG_MEMCG`.
pub(super) const STRUCT_PAGE: u64 = 64;

/// What may be said of a page, in no kernel's order.
const REFERENCED: u32 = 1 << 0;
const UPTODATE: u32 = 1 << 1;
const LRU: u32 = 1 << 2;
const SLAB: u32 = 1 << 3;
const RESERVED: u32 = 1 << 4;
const HEAD: u32 = 1 << 5;
const TAIL: u32 = 1 << 6;
const SWAPBACKED: u32 = 1 << 7;

/// Bits of the node, above those of the zone.
const NODE_BITS: u32 = 6;
/// `last_cpupid` has so many below those.
const CPUPID_BITS: u32 = 21;

/// `LIST_POISON1` and `LIST_POISON2`: what `list_del()` leaves behind.
const POISON: [u64; 2] = [0xdead_0000_0000_0100, 0xdead_0000_0000_0200];
/// Stands for a list of nothing but itself.
const SELF: [u64; 2] = [0; 2];

/// `TAIL_MAPPING`.
const TAIL_MAPPING: u64 = 0xdead_0000_0000_0400;
/// `free_compound_page()`, somewhere in the code.
const FREE_COMPOUND_PAGE: u64 = IMAGE.start + 0x15_8d70;

/// First frame of `ZONE_DMA32`; those before are `ZONE_DMA`.
pub(super) const DMA32: u64 = 0x1000;

/// One `struct page`.
#[derive(Clone, Copy)]
pub(super) struct StructPage {
    flags: u32,
    /// Its zone: 0 for `ZONE_DMA`.
    zone: u64,
    mapping: u64,
    index: u64,
    use_: Use,
    refcount: i32,
    pub(super) lru: [u64; 2],
    private: u64,
}

/// What takes the place of `_mapcount` or more.
#[derive(Clone, Copy)]
enum Use {
    Mapped(i32),
    Buddy,
    Table,
    Slab {
        cache: u64,
        freelist: u64,
        counts: u32,
    },
    /// Head, order, whether it is the first.
    Tail(u64, u32, bool),
}

impl StructPage {
    fn new(pfn: u64) -> StructPage {
        StructPage {
            flags: 0,
            zone: u64::from(pfn >= DMA32),
            mapping: 0,
            index: 0,
            use_: Use::Mapped(-1),
            refcount: 0,
            lru: POISON,
            private: 0,
        }
    }

    /// Taken by `memblock`: `init_reserved_page()` and `SetPageReserved()`.
    pub(super) fn reserved(pfn: u64) -> StructPage {
        StructPage {
            flags: RESERVED,
            refcount: 1,
            lru: SELF,
            ..StructPage::new(pfn)
        }
    }

    /// Inside a free block, or behind the first page of one that is not compound.
    pub(super) fn inside(pfn: u64) -> StructPage {
        StructPage::new(pfn)
    }

    /// The first page of a free block (`set_page_order()`).
    pub(super) fn buddy(pfn: u64, order: u32) -> StructPage {
        StructPage {
            use_: Use::Buddy,
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

    /// A page of a process' lowest tables (`pgtable_page_ctor()`).
    pub(super) fn table(pfn: u64) -> StructPage {
        StructPage {
            use_: Use::Table,
            ..StructPage::raw(pfn, 1)
        }
    }

    /// A slab of SLUB: its cache, free objects, the number of objects in use and that
    /// of all, and whether it is a CPU's.
    pub(super) fn slab(pfn: u64, cache: u64, freelist: u64, used: u16, all: u16) -> StructPage {
        StructPage {
            flags: SLAB,
            use_: Use::Slab {
                cache,
                freelist,
                counts: u32::from(all) << 16 | u32::from(used),
            },
            refcount: 1,
            ..StructPage::new(pfn)
        }
    }

    /// The same page at the head of a compound page.
    pub(super) fn head(self) -> StructPage {
        StructPage {
            flags: self.flags | HEAD,
            ..self
        }
    }

    /// A tail of the compound page at `head` (`prep_compound_page()`).
    pub(super) fn tail(pfn: u64, head: u64, order: u32) -> StructPage {
        StructPage {
            flags: TAIL,
            use_: Use::Tail(head, order, pfn == head + 1),
            ..StructPage::new(pfn)
        }
    }

    /// Page `index` of the file that `mapping` belongs to.
    pub(super) fn file(pfn: u64, mapping: u64, index: u64) -> StructPage {
        StructPage {
            flags: REFERENCED | UPTODATE | LRU,
            mapping,
            index,
            refcount: 1,
            ..StructPage::new(pfn)
        }
    }

    /// The same of a file in memory (`shmem_add_to_page_cache()`).
    pub(super) fn shmem(pfn: u64, mapping: u64, index: u64) -> StructPage {
        let file = StructPage::file(pfn, mapping, index);
        StructPage {
            flags: file.flags | SWAPBACKED,
            ..file
        }
    }

    /// An anonymous page that one process maps (`PAGE_MAPPING_ANON`).
    pub(super) fn anon(pfn: u64, anon_vma: u64, index: u64) -> StructPage {
        StructPage {
            flags: UPTODATE | LRU | SWAPBACKED,
            mapping: anon_vma | 1,
            index,
            use_: Use::Mapped(0),
            refcount: 1,
            ..StructPage::new(pfn)
        }
    }

    pub(super) fn bytes(&self, pfn: u64, era: &Era) -> [u8; STRUCT_PAGE as usize] {
        let at = &era.page;
        let mut bytes = [0; STRUCT_PAGE as usize];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let word = u64::to_le_bytes;
        put(0, &word(self.flags(era)));
        put(at.mapping, &word(self.mapping));
        put(at.index, &word(self.index));
        put(at.mapcount, &(-1_i32).to_le_bytes());
        put(at.refcount, &self.refcount.to_le_bytes());
        let lru = match self.lru {
            SELF => [page(pfn) + at.lru as u64; 2],
            lru => lru,
        };
        put(at.lru, &word(lru[0]));
        put(at.lru + 8, &word(lru[1]));
        put(at.private, &word(self.private));
        match self.use_ {
            Use::Mapped(count) => put(at.mapcount, &count.to_le_bytes()),
            Use::Buddy => put(at.mapcount, &era.buddy.to_le_bytes()),
            Use::Table => put(at.mapcount, &era.table.to_le_bytes()),
            Use::Slab {
                cache,
                freelist,
                counts,
            } => {
                put(at.index, &word(freelist));
                put(at.slab_cache, &word(cache));
                put(at.slab_counts, &counts.to_le_bytes());
            }
            Use::Tail(head, order, is_first) => match at.tails {
                Tails::Flag => {
                    put(at.private, &word(page(head)));
                    if is_first {
                        put(at.lru, &word(FREE_COMPOUND_PAGE));
                        put(at.lru + 8, &word(order.into()));
                    }
                }
                // 1 is the number of free_compound_page().
                tails => {
                    put(at.mapping, &word(TAIL_MAPPING));
                    put(at.lru, &word(page(head) + 1));
                    if is_first && tails == Tails::Head {
                        put(at.lru + 8, &word(u64::from(order) << 32 | 1));
                    } else if is_first {
                        // And how often all of it is mapped, less one.
                        put(at.lru + 8, &[1, order as u8, 0, 0, 0xff, 0xff, 0xff, 0xff]);
                    }
                }
            },
        }
        bytes
    }

    /// Flags of this kernel, last_cpupid, zone and node 0.
    fn flags(&self, era: &Era) -> u64 {
        let bits = &era.flags;
        let names = [
            (REFERENCED, Some(bits.referenced)),
            (UPTODATE, Some(bits.uptodate)),
            (LRU, Some(bits.lru)),
            (SLAB, Some(bits.slab)),
            (RESERVED, Some(bits.reserved)),
            (HEAD, Some(bits.head)),
            (TAIL, bits.tail),
            (SWAPBACKED, Some(bits.swapbacked)),
        ];
        let shift = 64 - NODE_BITS - era.zone_bits;
        let no_cpupid = ((1 << CPUPID_BITS) - 1) << (shift - CPUPID_BITS);
        let set = names.into_iter().filter(|(flag, _)| self.flags & flag != 0);
        set.filter_map(|(_, bit)| bit)
            .fold(self.zone << shift | no_cpupid, |flags, bit| {
                flags | 1 << bit
            })
    }
}

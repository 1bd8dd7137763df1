//! One `struct page`: from its bytes to a class and an order.

#[cfg(test)]
mod tests;

use pagehound_vmcore::{Pfn, VirtAddr};

use super::class::Class;
use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, PageFlags, PageType, PageTypes, Struct};

/// `PP_SIGNATURE`: 0x40 on top of `POISON_POINTER_DELTA`, which is
/// 0xdead000000000000 on both architectures (c07aea3ef4d4, 5.14).
const PP_SIGNATURE: u64 = 0xdead_0000_0000_0040;
/// Bits of `pp_magic` with another meaning: two flags at the bottom, and since
/// 6.16 (ee62ce7a1d90) a DMA index, which 6.12.y has by backport.
const PP_MAGIC_MASK: u64 = !(0x3 | (0xffff_ffff << 7));
/// The lowest flags, of which a page of the page cache has at least one (locked
/// while it is read, up to date and on the LRU after); section, node and zone
/// are above them in every release.
const STATE_FLAGS: u64 = (1 << 20) - 1;
/// A block larger than this is no block (16 GiB pages of 64 KiB are order 18).
pub(super) const MAX_ORDER: u32 = 18;

/// Offsets into a `struct page`, ready for use on many.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub(super) page_size: usize,
    flags: usize,
    refcount: usize,
    mapcount: usize,
    mapping: usize,
    pub(super) lru: usize,
    private: usize,
    index: usize,
    pp_magic: Option<usize>,
    order: OrderPlace,
    dtor: Option<Dtor>,
    /// Where the first tail of a compound page has how often it is mapped whole.
    entire_mapcount: Option<usize>,
    slab_cache: usize,
    slab_freelist: usize,
    slab_objects: Option<(usize, u32, u32)>,
    bits: PageFlags,
    types: PageTypes,
}

/// Where a compound page keeps its order.
#[derive(Clone, Copy, Debug)]
enum OrderPlace {
    /// A byte of the first tail page.
    Tail(usize),
    /// The low byte of the first tail's flags (ebc1baf5c9b4, 6.6).
    TailFlags,
    /// The first tail's `lru.prev` (41d78ba55037, 2.6.16). Its second half where it is a
    /// number of its own (f1e61557f023, 4.4), which VMCOREINFO tells later: its key is
    /// not in 4.4, and is in 4.9.
    TailLru,
}

/// How the first tail of a hugetlb page says that it is one.
#[derive(Clone, Copy, Debug)]
enum Dtor {
    /// A byte with this number.
    Number(usize, u8),
    /// A word with the address of `free_huge_page()`, until numbers took the place of
    /// addresses (f1e61557f023, 4.4).
    Function(usize, VirtAddr),
}

/// The words of one `struct page`.
#[derive(Clone, Copy, Debug)]
pub struct PageWords<'a> {
    bytes: &'a [u8],
    decoder: &'a Decoder,
}

/// What one `struct page` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) class: Class,
    pub(super) order: u32,
    pub(super) compound: bool,
    pub(super) zero_ref: bool,
    pub(super) typed_table: bool,
}

impl Decoder {
    /// Resolves the offsets.
    pub fn new(kernel: &Kernel<'_>) -> Result<Decoder, KernelError> {
        let layouts = &kernel.layouts;
        let at = |field| layouts.offset(field).map(|offset| offset as usize);
        let page_size = layouts.size(Struct::Page)? as usize;
        // In the first tail, by the name it has in struct page or in struct folio,
        // whose offsets count from the head page.
        let in_tail = |page, folio| match layouts.get(page) {
            Some(place) => Some(place.offset as usize),
            None => {
                let offset = layouts.get(folio)?.offset as usize;
                Some(offset.saturating_sub(page_size))
            }
        };
        let dtor_place = in_tail(Field::PageCompoundDtor, Field::FolioDtor);
        let order = in_tail(Field::PageCompoundOrder, Field::FolioOrder).map(OrderPlace::Tail);
        let by_head = layouts.get(Field::PageCompoundHead).is_some();
        let order = order.unwrap_or(match by_head {
            true => OrderPlace::TailFlags,
            false => OrderPlace::TailLru,
        });
        // HUGETLB_PAGE_DTOR is 2 in every release that has it.
        let dtor_value = kernel.vmcoreinfo.number("HUGETLB_PAGE_DTOR").unwrap_or(2) as u8;
        let mapping = at(Field::PageMapping)?;
        let lru = at(Field::PageLru)?;
        Ok(Decoder {
            page_size,
            flags: at(Field::PageFlagsWord)?,
            refcount: at(Field::PageRefcount)?,
            mapcount: at(Field::PageMapcount)?,
            mapping,
            lru,
            private: at(Field::PagePrivate)?,
            // Between mapping and private in every release.
            index: at(Field::PageIndex).unwrap_or(mapping + 8),
            pp_magic: at(Field::PagePpMagic).ok(),
            order,
            dtor: match dtor_place {
                Some(place) => Some(Dtor::Number(place, dtor_value)),
                None if by_head => None,
                None => kernel
                    .symbol("free_huge_page")
                    .ok()
                    .map(|function| Dtor::Function(lru, function)),
            },
            entire_mapcount: in_tail(Field::PageCompoundMapcount, Field::FolioEntireMapcount),
            // Without BTF: private up to 4.17, mapping up to 6.1, lru later.
            slab_cache: at(Field::SlabCache).unwrap_or(mapping),
            slab_freelist: at(Field::SlabFreelist).unwrap_or(lru + 16),
            slab_objects: layouts
                .get(Field::SlabObjects)
                .map(|place| match place.bits {
                    Some((shift, width)) => (place.offset as usize, shift, width),
                    None => (place.offset as usize, 0, 16),
                }),
            bits: layouts.flags,
            types: layouts.types.clone(),
        })
    }

    /// The words of the `struct page` in `bytes`.
    pub fn words<'a>(&'a self, bytes: &'a [u8]) -> PageWords<'a> {
        PageWords {
            bytes,
            decoder: self,
        }
    }

    /// Class and order of the page at `pfn`; `next` is the `struct page` after
    /// it, where a compound page keeps its order.
    pub(super) fn decode(&self, pfn: Pfn, page: &[u8], next: Option<&[u8]>) -> Decoded {
        let words = self.words(page);
        let flags = words.flags();
        let single = |class| Decoded {
            class,
            order: 0,
            compound: false,
            zero_ref: false,
            typed_table: false,
        };
        // Never initialised (poisoned by DEBUG_VM).
        if flags == u64::MAX {
            return single(Class::Hole);
        }
        let compound = flags & self.bits.head != 0 && self.bits.head != 0;
        let order = if compound {
            self.order(pfn, next).unwrap_or(0)
        } else {
            0
        };
        let whole = |class| Decoded {
            class,
            order,
            compound,
            zero_ref: false,
            typed_table: false,
        };
        // Slabs first: they reuse mapping and _mapcount for themselves.
        let kind = self.types.of(words.mapcount_word());
        if flags & self.bits.slab != 0 || kind == Some(PageType::Slab) {
            return whole(Class::Slab);
        }
        if kind == Some(PageType::Buddy) {
            let order = words.private();
            let fits = order <= u64::from(MAX_ORDER) && u64::from(pfn.0.trailing_zeros()) >= order;
            return Decoded {
                order: if fits { order as u32 } else { 0 },
                ..single(Class::Free)
            };
        }
        if flags & self.bits.hwpoison != 0 {
            return whole(Class::HwPoison);
        }
        if flags & self.bits.reserved != 0 {
            return single(Class::Reserved);
        }
        match kind {
            Some(PageType::Offline | PageType::Unaccepted) => return whole(Class::Offline),
            Some(PageType::Table) => {
                return Decoded {
                    typed_table: true,
                    ..whole(Class::PageTable)
                };
            }
            Some(PageType::Hugetlb) => return whole(Class::Hugetlb),
            Some(PageType::LargeKmalloc) => return whole(Class::LargeKmalloc),
            Some(PageType::Zsmalloc) => return whole(Class::Zsmalloc),
            Some(PageType::Netpp) => return whole(Class::PagePool),
            Some(PageType::Slab | PageType::Buddy) | None => {}
        }
        if compound && self.is_hugetlb(next) {
            return whole(Class::Hugetlb);
        }
        if words.is_page_pool() {
            return whole(Class::PagePool);
        }
        if words.refcount() == 0 {
            return Decoded {
                zero_ref: true,
                ..whole(Class::Raw)
            };
        }
        whole(self.by_mapping(&words, flags, compound))
    }

    fn by_mapping(&self, words: &PageWords<'_>, flags: u64, compound: bool) -> Class {
        let mapping = words.mapping();
        let swapcache = self.is_in_swap_cache(flags);
        let lru = flags & self.bits.lru != 0;
        match mapping & 3 {
            // Anonymous (1) or KSM (3). Whether parts of a huge page are mapped
            // stands in its tails.
            1 | 3 if compound || words.is_mapped() || self.is_kept_unmapped(words) => Class::Anon,
            1 | 3 => Class::Detached,
            // Memory that a driver maps like a file's: fault handlers such as those
            // of perf's rings (until b709eb872e19, 6.14) and of intel_th set the
            // mapping, and nothing else of the page cache.
            0 if mapping >> 63 == 1 && flags & STATE_FLAGS == 0 => Class::Raw,
            0 if mapping >> 63 == 1 => {
                if self.bits.swapbacked != 0 && flags & self.bits.swapbacked != 0 {
                    Class::Shmem
                } else {
                    Class::File
                }
            }
            0 if swapcache => Class::Anon,
            // Truncated from its file, and still referenced.
            0 if lru => Class::Detached,
            _ => Class::Raw,
        }
    }

    fn is_in_swap_cache(&self, flags: u64) -> bool {
        let both = self.bits.swapcache | self.bits.swapbacked;
        self.bits.swapcache != 0 && flags & both == both
    }

    /// Whether an anonymous page that no process maps has an owner: the swap
    /// cache, or whoever will unlock it, since it is being migrated or split off
    /// a huge page. Any other is kept by a stray reference alone.
    pub(super) fn is_kept_unmapped(&self, words: &PageWords<'_>) -> bool {
        let flags = words.flags();
        self.is_in_swap_cache(flags) || flags & self.bits.locked != 0
    }

    /// Whether a compound page is mapped as a whole, by its first tail; where the
    /// kernel has no such count, it is taken to be.
    pub(super) fn is_mapped_whole(&self, tail: &[u8]) -> bool {
        self.entire_mapcount
            .is_none_or(|at| self.words(tail).u32(at) != u32::MAX)
    }

    fn order(&self, pfn: Pfn, next: Option<&[u8]>) -> Option<u32> {
        let next = next?;
        let order = match self.order {
            OrderPlace::Tail(at) => next.get(at).copied()?,
            OrderPlace::TailFlags => self.words(next).flags() as u8,
            OrderPlace::TailLru => match self.words(next).lru() {
                [head, numbers] if head & 1 == 1 => (numbers >> 32) as u8,
                [_, order] => u8::try_from(order).ok()?,
            },
        };
        let order = u32::from(order);
        (order <= MAX_ORDER && pfn.0.trailing_zeros() >= order).then_some(order)
    }

    fn is_hugetlb(&self, next: Option<&[u8]>) -> bool {
        match (self.dtor, next) {
            (Some(Dtor::Number(at, value)), Some(next)) => next.get(at) == Some(&value),
            (Some(Dtor::Function(at, function)), Some(next)) => {
                self.words(next).u64(at) == function.0
            }
            _ => false,
        }
    }
}

impl PageWords<'_> {
    fn u64(&self, at: usize) -> u64 {
        self.bytes
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    }

    fn u32(&self, at: usize) -> u32 {
        self.bytes
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    }

    /// `page.flags`.
    pub fn flags(&self) -> u64 {
        self.u64(self.decoder.flags)
    }

    /// `page._refcount`.
    pub fn refcount(&self) -> i32 {
        self.u32(self.decoder.refcount) as i32
    }

    /// `page._mapcount`: a count less one, or a page type.
    pub fn mapcount_word(&self) -> u32 {
        self.u32(self.decoder.mapcount)
    }

    /// Whether an entry of a process' page table maps the page for itself.
    pub fn is_mapped(&self) -> bool {
        self.mapcount_word() != u32::MAX
    }

    /// `page.mapping`, low bits included.
    pub fn mapping(&self) -> u64 {
        self.u64(self.decoder.mapping)
    }

    /// `page.private`.
    pub fn private(&self) -> u64 {
        self.u64(self.decoder.private)
    }

    /// `page.index`.
    pub fn index(&self) -> u64 {
        self.u64(self.decoder.index)
    }

    /// The two words of `page.lru`.
    pub fn lru(&self) -> [u64; 2] {
        [self.u64(self.decoder.lru), self.u64(self.decoder.lru + 8)]
    }

    /// The word in which a tail page names its head (`compound_head`, since
    /// 7.1 `compound_info`); it has been the first of lru since 4.4.
    pub fn compound_word(&self) -> u64 {
        self.u64(self.decoder.lru)
    }

    /// Whether the page belongs to a page_pool.
    pub fn is_page_pool(&self) -> bool {
        self.decoder
            .pp_magic
            .is_some_and(|at| self.u64(at) & PP_MAGIC_MASK == PP_SIGNATURE)
    }

    /// `slab_cache` of a slab.
    pub fn slab_cache(&self) -> VirtAddr {
        VirtAddr(self.u64(self.decoder.slab_cache))
    }

    /// `freelist` of a slab.
    pub fn slab_freelist(&self) -> VirtAddr {
        VirtAddr(self.u64(self.decoder.slab_freelist))
    }

    /// Objects in a slab.
    pub fn slab_objects(&self) -> u32 {
        self.decoder.slab_objects.map_or(0, |(at, shift, width)| {
            (self.u32(at) >> shift) & ((1u32 << width.min(31)) - 1)
        })
    }
}

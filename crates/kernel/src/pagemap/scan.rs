//! From the `struct page`s to the page map, before what only walks can tell.

use pagehound_vmcore::{Pfn, PfnRange, VirtAddr};

use super::decode::{Decoded, Decoder, MAX_ORDER};
use super::{COMPOUND, Class, PageMap, TAIL, ZERO_REF};
use crate::kernel::Kernel;
use crate::memmap::MemMap;
use crate::slab::SlabHead;

/// Largest block a driver can have without `__GFP_COMP` (MAX_ORDER - 1 is 10
/// with 4 KiB pages in every release).
pub const MAX_PLAIN_ORDER: u32 = 10;

/// `struct page`s read at a time: a power of two, so that no block up to its
/// size crosses from one batch to the next.
const BATCH: u64 = 1 << 15;

pub(super) struct Scan {
    pub(super) map: PageMap,
    pub(super) slabs: Vec<SlabHead>,
    pub(super) typed_tables: u64,
    pub(super) mapped_anon: u64,
}

/// Classifies every frame by its `struct page` alone.
pub(super) fn scan(kernel: &Kernel<'_>, memmap: &MemMap, decoder: &Decoder) -> Scan {
    let mut out = Scan {
        map: PageMap::new(memmap.end()),
        slabs: Vec::new(),
        typed_tables: 0,
        mapped_anon: 0,
    };
    let mut bytes = Vec::new();
    for section in &memmap.sections {
        let mut start = section.start;
        while start < section.end {
            let end = Pfn((start.0 + BATCH).min(section.end.0));
            let batch = PfnRange { start, end };
            bytes.clear();
            bytes.resize(batch.len() as usize * decoder.page_size, 0);
            let missing = memmap.read(kernel, batch, &mut bytes);
            out.batch(kernel, memmap, decoder, batch, &bytes);
            for range in missing {
                for pfn in range.start.0..range.end.0.min(batch.end.0) {
                    if let Some(cell) = out.map.cells.get_mut(pfn as usize) {
                        *cell = Class::Unknown as u8;
                    }
                }
            }
            start = end;
        }
    }
    out
}

impl Scan {
    fn batch(
        &mut self,
        kernel: &Kernel<'_>,
        memmap: &MemMap,
        decoder: &Decoder,
        batch: PfnRange,
        bytes: &[u8],
    ) {
        let size = decoder.page_size;
        let page = |pfn: Pfn| {
            let at = (pfn.0 - batch.start.0) as usize * size;
            bytes.get(at..at + size)
        };
        let mut pfn = batch.start;
        while pfn < batch.end {
            let Some(this) = page(pfn) else { break };
            let next = page(Pfn(pfn.0 + 1));
            let words = decoder.words(this);
            let tail = words.compound_word();
            let (mut decoded, length) = if tail & 1 == 1 && !words.is_page_pool() {
                self.stray_tail(kernel, memmap, decoder, pfn, tail)
            } else {
                let decoded = decoder.decode(pfn, this, next);
                (decoded, 1 << decoded.order)
            };
            let end = Pfn((pfn.0 + length).min(batch.end.0));
            if decoded.class == Class::Slab {
                self.slabs.push(SlabHead {
                    pfn,
                    page: memmap.page(pfn),
                    cache: words.slab_cache(),
                    freelist: words.slab_freelist(),
                    objects: words.slab_objects(),
                    order: decoded.order,
                });
            }
            if decoded.class == Class::Anon {
                let frames = (pfn.0..end.0).map(Pfn).filter_map(page);
                let mapped = mapped(decoder, frames, next.filter(|_| decoded.compound));
                if mapped == 0 && !decoder.is_kept_unmapped(&words) {
                    decoded.class = Class::Detached;
                }
                self.mapped_anon += mapped;
            }
            if decoded.typed_table {
                self.typed_tables += end.0 - pfn.0;
            }
            self.fill(pfn, end, decoded);
            pfn = end;
        }
    }

    fn fill(&mut self, start: Pfn, end: Pfn, decoded: Decoded) {
        let cells = self
            .map
            .cells
            .get_mut(start.0 as usize..end.0 as usize)
            .unwrap_or_default();
        let mut cell = decoded.class as u8;
        if decoded.compound {
            cell |= COMPOUND;
        }
        if decoded.zero_ref {
            cell |= ZERO_REF;
        }
        for (index, slot) in cells.iter_mut().enumerate() {
            *slot = if index == 0 { cell } else { cell | TAIL };
        }
    }

    /// A tail page whose head lies in an earlier batch (1 GiB pages): class
    /// and remaining length come from that head.
    fn stray_tail(
        &self,
        kernel: &Kernel<'_>,
        memmap: &MemMap,
        decoder: &Decoder,
        pfn: Pfn,
        word: u64,
    ) -> (Decoded, u64) {
        let lone = Decoded {
            class: Class::Unknown,
            order: 0,
            compound: true,
            zero_ref: false,
            typed_table: false,
        };
        // 7.1 (d50569612c29) may store a mask instead of head + 1; pointers
        // into vmemmap stay below the last gigabyte of addresses, masks do not.
        let head = if word >= 0xffff_ffff_c000_0001 {
            memmap.pfn(VirtAddr(memmap.page(pfn).0 & word))
        } else {
            memmap.pfn(VirtAddr(word - 1))
        };
        let Some(head) = head.filter(|head| *head < pfn) else {
            return (lone, 1);
        };
        let mut two = vec![0; decoder.page_size * 2];
        let range = PfnRange {
            start: head,
            end: Pfn(head.0 + 2),
        };
        if !memmap.read(kernel, range, &mut two).is_empty() {
            return (lone, 1);
        }
        let (first, second) = two.split_at(decoder.page_size);
        let decoded = decoder.decode(head, first, Some(second));
        let end = head.0 + (1 << decoded.order);
        if end <= pfn.0 {
            return (lone, 1);
        }
        // A unit of its own here, which must be aligned to its length.
        let most = 1 << pfn.0.trailing_zeros().min(MAX_ORDER);
        (decoded, (end - pfn.0).min(most))
    }
}

/// How many of the frames of an anonymous unit processes map; `tail` is the first
/// tail of a compound page.
fn mapped<'a>(
    decoder: &Decoder,
    frames: impl Iterator<Item = &'a [u8]>,
    tail: Option<&[u8]>,
) -> u64 {
    let whole = tail.is_some_and(|tail| decoder.is_mapped_whole(tail));
    let counted = frames.filter(|page| whole || decoder.words(page).is_mapped());
    counted.count() as u64
}

impl PageMap {
    /// Joins the frames of allocations that are not compound: only the first
    /// has a reference count, the others look as if they were free (post_alloc_hook
    /// in every release). Call after the per-CPU lists have been taken out.
    pub(super) fn join_plain_blocks(&mut self) {
        let raw = Class::Raw as u8;
        let mut at = 0;
        while at < self.cells.len() {
            if self.cells.get(at) != Some(&raw) {
                at += 1;
                continue;
            }
            let order = at.trailing_zeros().min(MAX_PLAIN_ORDER);
            let limit = (at + (1 << order)).min(self.cells.len());
            let mut end = at + 1;
            while end < limit && self.cells.get(end) == Some(&(raw | ZERO_REF)) {
                if let Some(cell) = self.cells.get_mut(end) {
                    *cell |= TAIL;
                }
                end += 1;
            }
            at = end;
        }
    }

    /// Marks a block found on a per-CPU free list; of one that is not aligned,
    /// as no block is, the first frame.
    pub(super) fn set_pcp(&mut self, pfn: Pfn, order: u32) {
        let order = if pfn.0.trailing_zeros() >= order {
            order
        } else {
            0
        };
        let start = pfn.0 as usize;
        let block = self.cells.get_mut(start..start + (1 << order));
        for (index, cell) in block.unwrap_or_default().iter_mut().enumerate() {
            let tail = if index == 0 { 0 } else { TAIL };
            *cell = Class::FreePcp as u8 | tail;
        }
    }
}

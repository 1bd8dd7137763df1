//! From the `struct page`s to the page map, before what only walks can tell.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread;

use pagehound_vmcore::{Pfn, PfnRange, VirtAddr};

use super::decode::{Decoded, Decoder, MAX_ORDER};
use super::make::Making;
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

/// What the `struct page`s tell besides the map.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) slabs: Vec<SlabHead>,
    pub(super) typed_tables: u64,
    pub(super) mapped_anon: u64,
}

/// Classifies the frames of `ranges`, ascending and disjoint, by their `struct
/// page`s alone, as `making` says. No block may cross from one of the ranges
/// to the next but those that cross from one section to the next. Where it is
/// cancelled, the rest stays as it is.
pub(super) fn scan(
    kernel: &Kernel<'_>,
    memmap: &MemMap,
    decoder: &Decoder,
    map: &mut PageMap,
    ranges: &[PfnRange],
    making: Making<'_>,
) -> Scanned {
    let batches = Mutex::new(batches(map, ranges).into_iter());
    let work = || {
        let mut found = Vec::new();
        let mut bytes = Vec::new();
        loop {
            let next = batches
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            let Some((range, cells)) = next else {
                return found;
            };
            if making.cancel.load(Ordering::Relaxed) {
                return found;
            }
            bytes.clear();
            bytes.resize(range.len() as usize * decoder.page_size, 0);
            let missing = memmap.read(kernel, range, &mut bytes);
            let mut batch = Batch {
                kernel,
                memmap,
                decoder,
                range,
                bytes: &bytes,
                cells,
                out: Scanned::default(),
            };
            batch.classify();
            for pfn in missing.iter().flat_map(|range| range.start.0..range.end.0) {
                batch.set(Pfn(pfn), Class::Unknown as u8);
            }
            found.push((range.start, batch.out));
        }
    };
    let mut found = thread::scope(|scope| {
        // A system that grants no further thread only makes this slower.
        let others: Vec<_> = (1..making.threads.get())
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut found = work();
        for other in others {
            match other.join() {
                Ok(more) => found.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    found.sort_unstable_by_key(|(start, _)| *start);
    let mut all = Scanned::default();
    for (_, batch) in found {
        all.slabs.extend(batch.slabs);
        all.typed_tables += batch.typed_tables;
        all.mapped_anon += batch.mapped_anon;
    }
    all
}

/// The ranges in pieces of [`BATCH`], each with its part of the map.
fn batches<'m>(map: &'m mut PageMap, ranges: &[PfnRange]) -> Vec<(PfnRange, &'m mut [u8])> {
    let mut batches = Vec::new();
    let mut rest = map.cells.as_mut_slice();
    let mut done = 0;
    for range in ranges {
        let mut start = range.start.0;
        while start < range.end.0 {
            let end = (start - start % BATCH + BATCH).min(range.end.0);
            let Some(skip) = start.checked_sub(done) else {
                return batches;
            };
            let Some((_, from)) = rest.split_at_mut_checked(skip as usize) else {
                return batches;
            };
            let Some((cells, after)) = from.split_at_mut_checked((end - start) as usize) else {
                return batches;
            };
            let range = PfnRange {
                start: Pfn(start),
                end: Pfn(end),
            };
            batches.push((range, cells));
            (rest, done, start) = (after, end, end);
        }
    }
    batches
}

/// `struct page`s that were read together, and their part of the map.
struct Batch<'a> {
    kernel: &'a Kernel<'a>,
    memmap: &'a MemMap,
    decoder: &'a Decoder,
    range: PfnRange,
    bytes: &'a [u8],
    cells: &'a mut [u8],
    out: Scanned,
}

impl<'a> Batch<'a> {
    /// The `struct page` of a frame of the batch.
    fn page(&self, pfn: Pfn) -> Option<&'a [u8]> {
        let size = self.decoder.page_size;
        let at = (pfn.0 - self.range.start.0) as usize * size;
        self.bytes.get(at..at + size)
    }

    fn classify(&mut self) {
        let decoder = self.decoder;
        let mut pfn = self.range.start;
        while pfn < self.range.end {
            let Some(this) = self.page(pfn) else { break };
            let next = self.page(Pfn(pfn.0 + 1));
            let words = decoder.words(this);
            let tail = words.compound_word();
            let (mut decoded, length) = if tail & 1 == 1 && !words.is_page_pool() {
                self.stray_tail(pfn, tail)
            } else {
                let decoded = decoder.decode(pfn, this, next);
                (decoded, 1 << decoded.order)
            };
            let end = Pfn((pfn.0 + length).min(self.range.end.0));
            if decoded.class == Class::Slab {
                self.out.slabs.push(SlabHead {
                    pfn,
                    page: self.memmap.page(pfn),
                    cache: words.slab_cache(),
                    freelist: words.slab_freelist(),
                    objects: words.slab_objects(),
                    order: decoded.order,
                });
            }
            if decoded.class == Class::Anon {
                let frames = (pfn.0..end.0).map(Pfn).filter_map(|pfn| self.page(pfn));
                let mapped = mapped(decoder, frames, next.filter(|_| decoded.compound));
                if mapped == 0 && !decoder.is_kept_unmapped(&words) {
                    decoded.class = Class::Detached;
                }
                self.out.mapped_anon += mapped;
            }
            if decoded.typed_table {
                self.out.typed_tables += end.0 - pfn.0;
            }
            let mut cell = decoded.class as u8;
            if decoded.compound {
                cell |= COMPOUND;
            }
            if decoded.zero_ref {
                cell |= ZERO_REF;
            }
            self.set(pfn, cell);
            for tail in pfn.0 + 1..end.0 {
                self.set(Pfn(tail), cell | TAIL);
            }
            pfn = end;
        }
    }

    fn set(&mut self, pfn: Pfn, cell: u8) {
        let at = (pfn.0 - self.range.start.0) as usize;
        if let Some(slot) = self.cells.get_mut(at) {
            *slot = cell;
        }
    }

    /// A tail page whose head lies in an earlier batch (1 GiB pages): class
    /// and remaining length come from that head.
    fn stray_tail(&self, pfn: Pfn, word: u64) -> (Decoded, u64) {
        let (memmap, decoder) = (self.memmap, self.decoder);
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
        if !memmap.read(self.kernel, range, &mut two).is_empty() {
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

//! The page map: one class a frame, and which frames form a unit.

mod class;
mod decode;
mod linked;
mod make;
mod overlay;
mod scan;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use pagehound_vmcore::{Pfn, PfnRange, VirtAddr};

pub use class::Class;
pub use decode::{Decoder, PageWords};
pub use make::{Making, Sampler};
pub use scan::MAX_PLAIN_ORDER;

use crate::claims::Claims;
use crate::memmap::MemMap;
use crate::slab::SlabIndex;
use crate::stale::Stale;
use crate::tasks::Task;
use crate::vmalloc::VmapArea;
use crate::zones::Node;

const CLASS: u8 = 0x1f;
/// Not first of a compound page, and not alone either: see [`PageMap::unit`].
const TAIL: u8 = 0x80;
const COMPOUND: u8 = 0x40;
/// Reference count zero although on no free list.
const ZERO_REF: u8 = 0x20;

/// One class a frame, from frame 0 to the end of the memory map.
#[derive(Clone, Debug)]
pub struct PageMap {
    cells: Vec<u8>,
}

/// What the page map was made from, and what making it turned up.
pub struct Pages {
    /// Class and unit of every frame.
    pub map: PageMap,
    /// `struct page`s.
    pub memmap: MemMap,
    /// How to read them.
    pub decoder: Decoder,
    /// Nodes and zones.
    pub nodes: Vec<Node>,
    /// Slab caches and slabs.
    pub slabs: SlabIndex,
    /// vmalloc areas by address.
    pub areas: Vec<VmapArea>,
    /// All threads.
    pub tasks: Vec<Task>,
    /// Frames of censused classes that a leaf entry of a page table maps (outside
    /// the direct map, the kernel image and identity mappings), and where.
    pub mapped: Vec<(Pfn, VirtAddr)>,
    /// Unaccounted frames that the kernel image's mapping covers: freed `__init`
    /// memory, which stays mapped there and is not held by it.
    pub mapped_by_image: Vec<(Pfn, VirtAddr)>,
    /// Frames of vmalloc memory, kernel stacks and per-CPU chunks, and where
    /// each is mapped; by ascending frame.
    pub vmalloc_frames: Vec<(Pfn, VirtAddr)>,
    /// Kernel stacks lie in the direct map (no VMAP_STACK).
    pub stacks_in_direct_map: bool,
    /// Kernel page tables: their leaves are in `mapped` already, so a bulk
    /// pass must not read them as tables of a process.
    pub kernel_tables: HashSet<u64>,
    /// Frames of page tables that carry the type mark, which the kernel's
    /// counter counts.
    pub typed_tables: u64,
    /// Anonymous frames that processes map, which the kernel's counter counts:
    /// not those in the swap cache alone, nor the unmapped parts of huge pages.
    pub mapped_anon: u64,
    /// Memory in use whose words mean nothing any more.
    pub stale: Stale,
    /// Whose pages are by the kernel's own structures.
    pub claims: Claims,
    /// The memory is that of a host that runs.
    pub moving: bool,
    /// Something does not hold together: the memory is damaged, or read by a
    /// wrong layout, and references may be among what was missed.
    pub damaged: bool,
    /// What could not be had, a sentence each.
    pub warnings: Vec<String>,
}

impl Pages {
    /// What the `struct page`s alone tell.
    pub(crate) fn unwalked(map: PageMap, memmap: MemMap, decoder: Decoder) -> Pages {
        Pages {
            map,
            memmap,
            decoder,
            nodes: Vec::new(),
            slabs: SlabIndex::default(),
            areas: Vec::new(),
            tasks: Vec::new(),
            mapped: Vec::new(),
            mapped_by_image: Vec::new(),
            vmalloc_frames: Vec::new(),
            stacks_in_direct_map: false,
            kernel_tables: HashSet::new(),
            typed_tables: 0,
            mapped_anon: 0,
            stale: Stale::default(),
            claims: Claims::default(),
            moving: false,
            damaged: false,
            warnings: Vec::new(),
        }
    }

    /// Whether a `struct page` that was read after the map was made is still one the
    /// census decides over: in use, and in no counter.
    pub fn is_still_censused(&self, pfn: Pfn, page: &[u8]) -> bool {
        let now = self.decoder.decode(pfn, page, None);
        now.class.is_censused() && !now.zero_ref
    }

    /// Whether words in the unit that begins with `head` are references once it is
    /// itself held (census rule 5).
    pub fn is_read_when_held(&self, head: Pfn) -> bool {
        self.map.class(head).is_read_when_held() && !self.claims.is_data(head)
    }

    /// Where a frame of vmalloc memory, a kernel stack or a per-CPU chunk is mapped.
    pub fn vmalloc_address(&self, pfn: Pfn) -> Option<VirtAddr> {
        let after = self.vmalloc_frames.partition_point(|&(at, _)| at <= pfn);
        let &(at, virt) = self.vmalloc_frames.get(after.checked_sub(1)?)?;
        (at == pfn).then_some(virt)
    }
}

impl PageMap {
    pub(crate) fn new(end: Pfn) -> PageMap {
        PageMap {
            cells: vec![Class::Hole as u8; end.0 as usize],
        }
    }

    /// First frame after the map.
    pub fn end(&self) -> Pfn {
        Pfn(self.cells.len() as u64)
    }

    /// Makes all these frames [`Class::Unknown`].
    fn forget(&mut self, ranges: &[PfnRange]) {
        for range in ranges {
            let cells = range.start.0 as usize..range.end.0 as usize;
            if let Some(cells) = self.cells.get_mut(cells) {
                cells.fill(Class::Unknown as u8);
            }
        }
    }

    fn cell(&self, pfn: Pfn) -> u8 {
        self.cells
            .get(pfn.0 as usize)
            .copied()
            .unwrap_or(Class::Hole as u8)
    }

    /// Class of a frame; [`Class::Hole`] beyond the map.
    pub fn class(&self, pfn: Pfn) -> Class {
        Class::from_code(self.cell(pfn) & CLASS)
    }

    /// Whether a frame belongs to the unit of a frame before it.
    pub fn is_tail(&self, pfn: Pfn) -> bool {
        self.cell(pfn) & TAIL != 0
    }

    /// Whether a frame belongs to a compound page.
    pub fn is_compound(&self, pfn: Pfn) -> bool {
        self.cell(pfn) & COMPOUND != 0
    }

    /// Takes a frame for itself out of whatever it was in: it changed hands.
    fn set_moving(&mut self, pfn: Pfn) {
        if let Some(cell) = self.cells.get_mut(pfn.0 as usize) {
            *cell = Class::Moving as u8;
        }
    }

    /// Whether a frame has no reference and yet is on no free list: caught in
    /// the middle of being allocated or freed.
    pub fn is_in_transit(&self, pfn: Pfn) -> bool {
        self.cell(pfn) & (ZERO_REF | TAIL) == ZERO_REF
    }

    /// First frame of the unit `pfn` belongs to. Units begin at a multiple of
    /// their length rounded up to a power of two, so only frames with ever
    /// more low bits cleared can be it.
    pub fn head(&self, pfn: Pfn) -> Pfn {
        let mut head = pfn;
        while head.0 > 0 && self.is_tail(head) {
            head = Pfn(head.0 & (head.0 - 1));
        }
        head
    }

    /// The whole unit `pfn` belongs to: a compound page, or the frames of one
    /// allocation that is not compound. Half-open.
    pub fn unit(&self, pfn: Pfn) -> PfnRange {
        let start = self.head(pfn);
        let mut end = Pfn(start.0 + 1);
        while end < self.end() && self.is_tail(end) {
            end = Pfn(end.0 + 1);
        }
        PfnRange { start, end }
    }

    /// Frames by class, indexed by `Class as usize`.
    pub fn counts(&self) -> Vec<u64> {
        let mut by_code = [0u64; CLASS as usize + 1];
        for cell in &self.cells {
            if let Some(count) = by_code.get_mut((cell & CLASS) as usize) {
                *count += 1;
            }
        }
        by_code.to_vec()
    }

    /// Frames of a class.
    pub fn count(&self, class: Class) -> u64 {
        self.counts().get(class as usize).copied().unwrap_or(0)
    }

    /// First frames of the units of a class, ascending.
    pub fn heads(&self, class: Class) -> impl Iterator<Item = Pfn> + '_ {
        self.cells
            .iter()
            .enumerate()
            .filter(move |(_, cell)| **cell & CLASS == class as u8 && **cell & TAIL == 0)
            .map(|(index, _)| Pfn(index as u64))
    }

    /// Sets the class of a frame, leaving the shape of its unit as it is.
    pub(crate) fn set(&mut self, pfn: Pfn, class: Class) {
        if let Some(cell) = self.cells.get_mut(pfn.0 as usize) {
            *cell = *cell & !CLASS | class as u8;
        }
    }

    /// Sets the class of the whole unit of `pfn`.
    pub(crate) fn set_unit(&mut self, pfn: Pfn, class: Class) {
        let unit = self.unit(pfn);
        for pfn in unit.start.0..unit.end.0 {
            self.set(Pfn(pfn), class);
        }
    }

    /// Makes the unit of `head` raw: the mark of its owner is still on it, but
    /// it belongs to nobody any more.
    pub fn disown(&mut self, head: Pfn) {
        self.set_unit(head, Class::Raw);
    }

    /// Sets the class of `pfn`'s unit if it is raw so far.
    pub(crate) fn claim(&mut self, pfn: Pfn, class: Class) -> bool {
        let raw = pfn < self.end() && self.class(pfn) == Class::Raw;
        if raw {
            self.set_unit(pfn, class);
        }
        raw
    }
}

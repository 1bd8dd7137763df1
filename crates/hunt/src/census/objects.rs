//! Rule 12, second half: pages lost through a slab cache.
//!
//! The census takes live slab objects for roots, so a lost `sk_buff` holds its
//! fragments. Here objects are nodes like raw units: what cannot be reached
//! without already being in a slab is reached by nobody. A raw unit that only
//! such objects name is lost through their cache.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_vmcore::{Pfn, PhysAddr};

use super::bits::Bits;
use super::{Census, Naming, Via};

/// Slab memory beyond which objects are not followed: the walk is as random as
/// the heap is, and each step may decompress a page.
const SLAB_LIMIT: u64 = 8 << 30;

/// Numbers for all objects of all slabs.
pub(super) struct Numbering {
    first: HashMap<u64, u64>,
    total: u64,
}

impl Numbering {
    pub(super) fn new(pages: &Pages) -> Numbering {
        let mut first = HashMap::new();
        let mut total = 0;
        for (head, slab) in pages.slabs.iter() {
            first.insert(head.0, total);
            total += u64::from(slab.objects);
        }
        Numbering { first, total }
    }

    pub(super) fn bits(&self) -> Bits<u64> {
        Bits::new(self.total)
    }

    /// The live object that contains a physical address in a slab page.
    pub(super) fn object(&self, pages: &Pages, at: PhysAddr, shift: u32) -> Option<Object> {
        let object = pages.slabs.object_at(&pages.map, at, shift)?;
        let number = self.first.get(&object.head.0)? + u64::from(object.index);
        (!object.free).then_some(Object {
            number,
            at: object.start,
            size: object.size,
        })
    }
}

/// A live slab object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    number: u64,
    at: PhysAddr,
    size: u64,
}

/// What is reachable without starting in a slab.
pub(super) struct Strict<'a> {
    numbering: &'a Numbering,
    objects: Bits<u64>,
    units: Bits,
}

/// Something newly reached.
#[derive(Clone, Copy)]
pub(super) enum Node {
    Object(Object),
    Unit(Pfn),
}

impl<'a> Strict<'a> {
    pub(super) fn new(numbering: &'a Numbering, pages: &Pages) -> Strict<'a> {
        Strict {
            numbering,
            objects: numbering.bits(),
            units: Bits::new(pages.map.end()),
        }
    }

    /// Marks what a word that names a page names there, if it is an object or a
    /// censused unit.
    pub(super) fn reach(
        &self,
        pages: &Pages,
        naming: &Naming,
        word: u64,
        named: Pfn,
        shift: u32,
    ) -> Option<Node> {
        match pages.map.class(named) {
            Class::Slab => {
                let at = naming.phys(word)?;
                let object = self.numbering.object(pages, at, shift)?;
                self.objects
                    .set(object.number)
                    .then_some(Node::Object(object))
            }
            _ => self.unit(pages, named),
        }
    }

    /// Marks the unit a frame belongs to, if the census decides over it.
    pub(super) fn unit(&self, pages: &Pages, pfn: Pfn) -> Option<Node> {
        // Most words name something else, and looking for the first frame of a
        // free block is costly.
        if !pages.map.class(pfn).is_censused() {
            return None;
        }
        let head = pages.map.head(pfn);
        self.units.set(head).then_some(Node::Unit(head))
    }

    fn reached_unit(&self, head: Pfn) -> bool {
        self.units.get(head)
    }

    /// Follows everything from `nodes` on; `false` if that was ended early.
    fn follow(
        &self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        nodes: Vec<Node>,
        cancel: &AtomicBool,
    ) -> bool {
        let shift = kernel.page_shift();
        let mut wave = nodes;
        let mut bytes = Vec::new();
        while !wave.is_empty() {
            if cancel.load(Ordering::Relaxed) {
                return false;
            }
            // In the order of memory, so that a page is decompressed once a wave.
            wave.sort_unstable_by_key(|node| match node {
                Node::Object(object) => object.at.0,
                Node::Unit(head) => head.addr(shift).0,
            });
            let mut next = Vec::new();
            let mut structs = pages.memmap.struct_pages(kernel);
            for node in wave {
                let mut look = |bytes: &[u8], stale: &[(Range<u64>, &str)], at: u64| {
                    naming.names(bytes, |index, word, named| {
                        let at = at + index as u64 * 8;
                        if !stale.iter().any(|(range, _)| range.contains(&at)) {
                            next.extend(self.reach(pages, naming, word, named, shift));
                        }
                    });
                };
                match node {
                    Node::Object(object) => {
                        bytes.resize(object.size as usize, 0);
                        if kernel.memory.cache.read(object.at, &mut bytes).is_ok() {
                            let end = object.at.0 + object.size;
                            let stale = pages.stale.within(&(object.at.0..end));
                            look(&bytes, stale, object.at.0);
                        }
                    }
                    Node::Unit(head) if pages.map.class(head).is_read_when_held() => {
                        let unit = pages.map.unit(head);
                        for pfn in (unit.start.0..unit.end.0).map(Pfn) {
                            if let Ok(page) = kernel.memory.cache.page(pfn) {
                                look(&page, &[], 0);
                            }
                        }
                        if let Some(bytes) = structs.get(head) {
                            look(bytes, &[], 0);
                        }
                    }
                    Node::Unit(_) => {}
                }
            }
            wave = next;
        }
        true
    }
}

impl Census {
    /// Finds the held units that only unreachable slab objects name; `nodes`
    /// are what roots outside slabs name.
    pub(super) fn through_caches(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        strict: &Strict<'_>,
        mut nodes: Vec<Node>,
        cancel: &AtomicBool,
    ) {
        for &(pfn, _) in &pages.mapped {
            let head = pages.map.head(pfn);
            if strict.units.set(head) {
                nodes.push(Node::Unit(head));
            }
        }
        if !strict.follow(kernel, pages, naming, nodes, cancel) {
            self.cancelled = true;
            return;
        }
        let lost = Bits::new(pages.map.end());
        for head in self.units().heads() {
            // Tables of hardware are followed by what their entries are, not by
            // words, and so never strictly.
            let by_word = !matches!(self.via(head), Some(Via::Hardware(_)));
            if self.held.get(head) && !strict.reached_unit(head) && by_word {
                lost.set(head);
            }
        }
        let live: u64 = pages
            .slabs
            .iter()
            .map(|(_, slab)| u64::from(slab.objects - slab.free_count().min(slab.objects)))
            .sum();
        self.objects_live = live;
        self.objects_reached = (0..strict.numbering.total)
            .filter(|&number| strict.objects.get(number))
            .count() as u64;
        self.through = Some(lost);
    }

    /// Whether a held unit is named by unreachable slab objects alone.
    pub fn is_lost_through_cache(&self, head: Pfn) -> bool {
        self.through.as_ref().is_some_and(|lost| lost.get(head))
    }
}

/// Whether the heap is small enough to be followed object by object.
pub(super) fn is_small_enough(kernel: &Kernel<'_>, pages: &Pages) -> bool {
    pages.map.count(Class::Slab) * kernel.page_size() <= SLAB_LIMIT
}

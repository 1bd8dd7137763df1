//! Rule 12, second half: pages lost through a slab cache.
//!
//! The census takes live slab objects for roots, so a lost `sk_buff` holds its
//! fragments. Here objects are nodes like raw units: what cannot be reached
//! without already being in a slab is reached by nobody. A raw unit that only
//! such objects name is lost through their cache.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, Kernel, Pages, StructPages};
use pagehound_vmcore::Pfn;

use super::bits::{Bits, Number};
use super::{Census, Naming, Via};

/// Slab memory beyond which objects are not followed: the walk is as random as
/// the heap is, and each step may decompress a page.
const SLAB_LIMIT: u64 = 8 << 30;

/// What is reachable without starting in a slab.
pub(super) struct Strict {
    /// By number.
    objects: Bits<u64>,
    /// By first frame.
    units: Bits,
}

/// Something newly reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// A live slab object, by its number.
    Object(u64),
    /// A censused unit.
    Unit(Pfn),
}

impl Strict {
    pub(super) fn new(pages: &Pages) -> Strict {
        Strict {
            objects: Bits::new(pages.slabs.objects()),
            units: Bits::new(pages.map.end()),
        }
    }

    /// Marks what a word that names a page names there, if it is a live object or
    /// a censused unit.
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
                let object = pages.slabs.object_at(&pages.map, at, shift)?;
                let new = !object.free && self.objects.set(object.number);
                new.then_some(Node::Object(object.number))
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

    /// Marks the vectors that slabs have for their objects, whose control groups and
    /// allocations they tell: only the slab's `struct page` names one
    /// (`slab->obj_exts`, before 6.10 `memcg_data`).
    fn vectors(&self, kernel: &Kernel<'_>, pages: &Pages, naming: &Naming) {
        let Some(place) = kernel.layouts.get(Field::SlabObjExts) else {
            return;
        };
        let mut structs = pages.memmap.struct_pages(kernel);
        for (head, _) in pages.slabs.iter() {
            let bytes = structs.get(head);
            let word = bytes.and_then(|bytes| bytes.get(place.offset as usize..)?.first_chunk());
            let word = word.map_or(0, |word| u64::from_le_bytes(*word));
            if let Some(named) = naming.page(word) {
                // Flags are in its low bits, which does not lead out of the object.
                self.reach(pages, naming, word, named, kernel.page_shift());
            }
        }
    }

    fn reached_unit(&self, head: Pfn) -> bool {
        self.units.get(head)
    }

    /// Follows everything that is marked; `false` if that was ended early.
    fn follow(
        &self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        cancel: &AtomicBool,
    ) -> bool {
        let mut ahead = Ahead::of(self, pages);
        let mut look = Look {
            strict: self,
            kernel,
            pages,
            naming,
            structs: pages.memmap.struct_pages(kernel),
            bytes: Vec::new(),
        };
        while let Some(node) = ahead.next() {
            if cancel.load(Ordering::Relaxed) {
                return false;
            }
            look.at(node, &mut ahead);
        }
        true
    }
}

/// What is still to be followed. Of what was reached lately a list is kept; what it
/// has no room for waits as bits, which are swept again and again: a list of all
/// that a large heap's roots reach would be larger than all else.
struct Ahead {
    lately: Vec<Node>,
    /// A part of what was `lately` reached, in descending order of memory, so that
    /// a page is decompressed once.
    now: Vec<Node>,
    objects: Sweep<u64>,
    units: Sweep<Pfn>,
}

/// Nodes in a list; some MiB.
const LISTED: usize = 1 << 16;

impl Ahead {
    /// All that is marked.
    fn of(strict: &Strict, pages: &Pages) -> Ahead {
        Ahead {
            lately: Vec::new(),
            now: Vec::new(),
            objects: Sweep::of(&strict.objects, pages.slabs.objects()),
            units: Sweep::of(&strict.units, pages.map.end()),
        }
    }

    fn push(&mut self, node: Node) {
        if self.lately.len() < LISTED {
            self.lately.push(node);
            return;
        }
        match node {
            Node::Object(number) => self.objects.push(number),
            Node::Unit(head) => self.units.push(head),
        }
    }

    fn next(&mut self) -> Option<Node> {
        if self.now.is_empty() {
            if let Some(number) = self.objects.next() {
                return Some(Node::Object(number));
            }
            if let Some(head) = self.units.next() {
                return Some(Node::Unit(head));
            }
            std::mem::swap(&mut self.now, &mut self.lately);
            self.now.sort_unstable_by(|one, other| other.cmp(one));
        }
        self.now.pop()
    }
}

/// Bits that wait, and how far they were looked through.
struct Sweep<N> {
    waiting: Bits<N>,
    at: N,
    end: N,
    /// Some wait below `at`.
    again: bool,
}

impl<N: Number> Sweep<N> {
    fn of(marked: &Bits<N>, end: N) -> Sweep<N> {
        let waiting = Bits::new(end);
        waiting.set_all(marked);
        Sweep {
            waiting,
            at: N::of(0),
            end,
            again: false,
        }
    }

    fn push(&mut self, bit: N) {
        self.waiting.set(bit);
        self.again |= bit.number() < self.at.number();
    }

    fn next(&mut self) -> Option<N> {
        loop {
            if let Some(found) = self.waiting.take_from(self.at) {
                self.at = N::of(found.number() + 1);
                return Some(found);
            }
            // What is set below from now on is told of; what is not, need not be
            // looked for again.
            self.at = self.end;
            if !std::mem::take(&mut self.again) {
                return None;
            }
            self.at = N::of(0);
        }
    }
}

/// Reads nodes for what they name.
struct Look<'a> {
    strict: &'a Strict,
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    naming: &'a Naming,
    structs: StructPages<'a>,
    bytes: Vec<u8>,
}

impl Look<'_> {
    fn at(&mut self, node: Node, ahead: &mut Ahead) {
        let Look {
            strict,
            kernel,
            pages,
            naming,
            ..
        } = *self;
        let shift = kernel.page_shift();
        let cache = &kernel.memory.cache;
        let mut look = |bytes: &[u8], stale: &[(Range<u64>, &str)], at: u64| {
            naming.names(bytes, |index, word, named| {
                let at = at + index as u64 * 8;
                if !stale.iter().any(|(range, _)| range.contains(&at))
                    && let Some(node) = strict.reach(pages, naming, word, named, shift)
                {
                    ahead.push(node);
                }
            });
        };
        match node {
            Node::Object(number) => {
                let Some(object) = pages.slabs.object(&pages.map, number, shift) else {
                    return;
                };
                self.bytes.resize(object.size as usize, 0);
                if cache.read(object.start, &mut self.bytes).is_ok() {
                    let start = object.start.0;
                    let stale = pages.stale.within(&(start..start + object.size));
                    look(&self.bytes, stale, start);
                }
            }
            Node::Unit(head) if pages.map.class(head).is_read_when_held() => {
                let unit = pages.map.unit(head);
                let read = pages.is_read_when_held(head);
                for pfn in (unit.start.0..unit.end.0).map(Pfn).filter(|_| read) {
                    if let Ok(page) = cache.page(pfn) {
                        look(&page, &[], 0);
                    }
                }
                if let Some(bytes) = self.structs.get(head) {
                    look(bytes, &[], 0);
                }
            }
            Node::Unit(_) => {}
        }
    }
}

impl Census {
    /// Finds the held units that only unreachable slab objects name; marked are
    /// what roots outside slabs name.
    pub(super) fn through_caches(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        strict: Strict,
        cancel: &AtomicBool,
    ) {
        for &(pfn, _) in &pages.mapped {
            strict.units.set(pages.map.head(pfn));
        }
        strict.vectors(kernel, pages, naming);
        if !strict.follow(kernel, pages, naming, cancel) {
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
        self.objects_reached = strict.objects.count();
        self.through = Some(lost);
        self.objects = Some(strict.objects);
    }

    /// Whether a slab object can be reached from outside the slabs; `None` where
    /// that was not found out.
    pub(crate) fn is_object_reached(&self, number: u64) -> Option<bool> {
        self.objects.as_ref().map(|reached| reached.get(number))
    }

    /// Whether a held unit is named by unreachable slab objects alone.
    pub fn is_lost_through_cache(&self, head: Pfn) -> bool {
        self.through.as_ref().is_some_and(|lost| lost.get(head)) && !self.moving.get(head)
    }
}

/// Whether the heap is small enough to be followed object by object.
pub(super) fn is_small_enough(kernel: &Kernel<'_>, pages: &Pages) -> bool {
    pages.map.count(Class::Slab) * kernel.page_size() <= SLAB_LIMIT
}

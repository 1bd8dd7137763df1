//! Rule 8: blocks split after allocation. `alloc_pages_exact` and `split_page`
//! give every frame a reference count of one, and the owner keeps one
//! pointer, to the first.
//!
//! A run of orphans behind a held page can also be chance: pages lost one by
//! one lie beside pages in use. So a run is unsettled until the content of its
//! pages is known: pages like many others that were lost elsewhere were lost
//! with them, unless the owner has the address of the first byte, as
//! `alloc_pages_exact` returns it, and the first page is alike too. Receive
//! rings hold `struct page` pointers by the thousand, and pages alike.

use std::sync::Arc;

use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, MAX_PLAIN_ORDER, Pages, StructPages};
use pagehound_vmcore::{Pfn, PfnRange};

use super::{Census, Fate, Ground, Via};

const MAX_RUN: u64 = 1 << MAX_PLAIN_ORDER;

impl Census {
    /// Finds the runs behind held pages whose fate waits for [`settle`](Self::settle).
    pub(crate) fn split_blocks(&mut self, pages: &Pages) {
        let single = |pfn: Pfn| {
            pages.map.class(pfn) == Class::Raw
                && !pages.map.is_tail(pfn)
                && !pages.map.is_tail(Pfn(pfn.0 + 1))
                && !pages.map.is_compound(pfn)
        };
        let mut pfn = Pfn(0);
        while pfn < pages.map.end() {
            let head = pfn;
            pfn = Pfn(pfn.0 + 1);
            if !single(head) || !self.held.get(head) {
                continue;
            }
            let mut end = pfn;
            while end.0 - head.0 < MAX_RUN && single(end) && self.fate(pages, end) == Fate::Orphan {
                end = Pfn(end.0 + 1);
            }
            // Whoever has the first byte has what its alignment allows, and lost
            // pages may lie right behind that.
            if self.started.get(head) {
                end = end.min(largest_block(head).end);
            }
            let length = end.0 - head.0;
            if length > 1 && head.0.is_multiple_of(length.next_power_of_two()) {
                self.unsettled.push(PfnRange { start: pfn, end });
            }
            pfn = end;
        }
    }

    /// Holds the orphans that are the inside of a held block made at boot, such
    /// as a hash table of `alloc_large_system_hash`. A page whose `page->lru`
    /// still points to itself, as `__init_single_page` left it, was never on a
    /// free list by itself, so it came with the page before it; the page a block
    /// begins with was taken off a list, which leaves its mark. Nothing lies
    /// further behind that than its alignment allows. Returns the units newly held.
    pub(crate) fn hold_interiors(
        &mut self,
        ground: Ground<'_>,
        units: impl Iterator<Item = Pfn>,
        lost_elsewhere: impl Fn(Pfn) -> bool,
    ) -> Vec<Pfn> {
        let pages = ground.pages;
        let mut held = Vec::new();
        let mut traces = Traces::of(ground);
        // The last inside page that was looked at, and the page its block begins
        // with; units ascend.
        let mut last: Option<(Pfn, Option<Pfn>)> = None;
        for orphan in units {
            let waits = self.fate(pages, orphan) == Fate::Orphan && !lost_elsewhere(orphan);
            if !waits || traces.of_page(orphan) != Trace::Untouched {
                continue;
            }
            let mut begin = None;
            let mut at = orphan;
            while let Some(before) = at.0.checked_sub(1).map(Pfn) {
                if let Some((known, of)) = last
                    && known == before
                {
                    begin = of;
                    break;
                }
                let raw = pages.map.class(before) == Class::Raw && !pages.map.is_compound(before);
                if orphan.0 - before.0 >= MAX_RUN || !raw {
                    break;
                }
                if traces.of_page(before) == Trace::Listed {
                    begin = Some(pages.map.head(before));
                    break;
                }
                at = before;
            }
            begin = begin.filter(|&begin| orphan < largest_block(begin).end);
            last = Some((orphan, begin));
            if let Some(begin) = begin.filter(|begin| self.held.get(*begin))
                && !self.is_lost_through_cache(begin)
                && self.held.set(orphan)
            {
                self.via.note(orphan, Via::Split(begin));
                held.push(orphan);
            }
        }
        held
    }

    /// Holds blocks that a task is just being given: the allocator sets the
    /// reference count, and makes the block compound, after it has cleared its
    /// pages, which with `init_on_alloc` takes a while for a huge one. Until then
    /// the stack of the task has the first page.
    pub(crate) fn hold_in_preparation(&mut self, pages: &Pages, shift: u32) {
        let map = &pages.map;
        let units = Arc::clone(self.units());
        for head in units.heads().filter(|&head| map.is_in_transit(head)) {
            // One of the stacks kept for the next process may name it too.
            let on_stack = matches!(
                self.via.get(head),
                Some(Via::Root(at))
                    if matches!(map.class(at.pfn(shift)), Class::KernelStack | Class::Vmalloc)
            );
            if !on_stack {
                continue;
            }
            let limit = largest_block(head).len();
            let caught = (1..limit).take_while(|&next| map.is_in_transit(Pfn(head.0 + next)));
            let length = 1 << (1 + caught.count()).ilog2();
            for pfn in (head.0 + 1..head.0 + length).map(Pfn) {
                if self.held.set(pfn) {
                    self.via.note(pfn, Via::Split(head));
                }
            }
        }
    }

    /// Whether a unit's fate waits for [`settle`](Self::settle).
    pub fn is_unsettled(&self, head: Pfn) -> bool {
        // Runs are in ascending order.
        let after = self.unsettled.partition_point(|run| run.start <= head);
        after
            .checked_sub(1)
            .and_then(|index| self.unsettled.get(index))
            .is_some_and(|run| run.contains(head))
    }

    /// Decides the unsettled runs, from the first page on by powers of two, as
    /// blocks come: pages that are mostly `lost_elsewhere` end the block, what
    /// is before them is held with the held page. `alike` tells whether two
    /// pages hold the same. Returns the units newly held.
    pub(crate) fn settle(
        &mut self,
        lost_elsewhere: impl Fn(Pfn) -> bool,
        alike: impl Fn(Pfn, Pfn) -> bool,
    ) -> Vec<Pfn> {
        let mut held = Vec::new();
        for run in std::mem::take(&mut self.unsettled) {
            let head = Pfn(run.start.0 - 1);
            // Nobody has what only lost objects name.
            if self.is_lost_through_cache(head) {
                continue;
            }
            let mut end = run.start;
            while end < run.end {
                let next = Pfn((head.0 + 2 * (end.0 - head.0)).min(run.end.0));
                let strange = |&pfn: &u64| {
                    let pfn = Pfn(pfn);
                    lost_elsewhere(pfn) && !(self.started.get(head) && alike(head, pfn))
                };
                let strangers = (end.0..next.0).filter(strange).count() as u64;
                if strangers * 2 > next.0 - end.0 {
                    break;
                }
                end = next;
            }
            for pfn in (run.start.0..end.0).map(Pfn) {
                self.held.set(pfn);
                self.via.note(pfn, Via::Split(head));
                held.push(pfn);
            }
        }
        held
    }
}

/// The largest block of the allocator that could begin at a frame.
fn largest_block(head: Pfn) -> PfnRange {
    let order = head.0.trailing_zeros().min(MAX_PLAIN_ORDER);
    PfnRange {
        start: head,
        end: Pfn(head.0 + (1 << order)),
    }
}

/// What the `lru` of a page tells of where it has been.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// It still points to itself: the page was never on a list.
    Untouched,
    /// The page was a tail of a compound page, whose first ones have counts and a
    /// list there: the first word was cleared (`clear_compound_head`), and the
    /// second is not what `list_del` leaves.
    Tail,
    /// On a list, or taken off one.
    Listed,
}

/// `LIST_POISON2` on top of `POISON_POINTER_DELTA`, the same on both
/// architectures.
const LIST_POISON2: u64 = 0xdead_0000_0000_0122;

/// Tells traces; frames best ascend.
struct Traces<'a> {
    pages: &'a Pages,
    structs: StructPages<'a>,
    /// Offset of `page->lru`.
    lru: Option<u64>,
}

impl<'a> Traces<'a> {
    fn of(ground: Ground<'a>) -> Traces<'a> {
        Traces {
            pages: ground.pages,
            structs: ground.pages.memmap.struct_pages(ground.kernel),
            lru: ground.kernel.layouts.offset(Field::PageLru).ok(),
        }
    }

    fn of_page(&mut self, pfn: Pfn) -> Trace {
        let (Some(bytes), Some(offset)) = (self.structs.get(pfn), self.lru) else {
            return Trace::Listed;
        };
        let own = self.pages.memmap.page(pfn).add(offset).0;
        match self.pages.decoder.words(bytes).lru() {
            [next, prev] if prev == own && (next == own || next == 0) => Trace::Untouched,
            [0, prev] if prev != LIST_POISON2 => Trace::Tail,
            _ => Trace::Listed,
        }
    }
}

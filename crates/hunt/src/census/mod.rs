//! The orphan census: which pages that no owner is known of nothing in memory
//! points to. It decides over the classes of [`Class::is_censused`]: what no
//! counter shows, and pages of page_pools.
//!
//! A page somebody owns is pointed to from somewhere. Words of all memory that
//! has an owner are the roots (rule 1); what never counts as a referrer is
//! barred (rule 2); what roots name is held, and so is what held raw pages
//! name in turn (rules 4 and 5). What is left is orphaned. ARCHITECTURE.md
//! numbers the rules.

mod bars;
mod bits;
mod control;
mod hardware;
mod mark;
mod objects;
mod roots;
mod split;
mod via;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_model::Control;
use pagehound_scan::{Pass, Progress};
use pagehound_vmcore::{PageState, Pfn, PfnRange, PhysAddr};

pub(crate) use bars::Bars;
pub(crate) use bits::Bits;
pub(crate) use hardware::NAMED_PART;
pub(crate) use mark::Ground;
use objects::Strict;
pub use via::Via;
use via::Vias;
pub use words::Naming;

use crate::units::Units;

/// What the census says of one unit it decides over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Something refers to it.
    Held,
    /// Nothing refers to it.
    Orphan,
    /// Its reference count is zero although it is on no free list: it was
    /// being allocated or freed.
    InTransit,
}

/// Switches that take a rule out, for the tests that show each is needed. The
/// main pass is that over the roots and the marking from what they name; the
/// walk through slab objects (rule 12) keeps to all rules whatever is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without {
    /// Rule 1: no root is read, nor are the tables of processes. What the
    /// kernel's own tables map is held all the same.
    pub roots: bool,
    /// Rule 2, in the pass over the roots: what lies in free slab objects, behind
    /// the last object of a slab, in free pages and where words are stale counts
    /// as a referrer.
    pub bars: bool,
    /// Rule 2, in the marking: words in data that somebody keeps are references like
    /// others.
    pub data: bool,
    /// Rule 4, in the marking: `struct page` words make no edges.
    pub page_struct: bool,
    /// Rule 5, in the marking: raw units that were reached are not read, and so
    /// no tables of hardware are found among them.
    pub content: bool,
    /// Rule 6: leaves of the kernel image hold what they map, in the main pass.
    pub leaves: bool,
    /// Rule 6: tables of hardware are not followed, and so no group is held for
    /// what they name of it.
    pub hardware: bool,
    /// Rule 7, in the pass over the roots: only a reference to a unit's first
    /// frame holds it. What holds a unit in the marking still holds all of it.
    pub units: bool,
    /// Rule 8: nothing is kept together, neither split blocks nor blocks made at
    /// boot nor blocks that are being cleared.
    pub split: bool,
    /// Rule 12, its walk: slab objects are roots and no more.
    pub objects: bool,
}

/// What a run of the census is given besides the dump.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Told how far the bulk pass is.
    pub progress: &'a dyn Progress,
    /// Raised to end early.
    pub cancel: &'a AtomicBool,
    /// Threads, or as many as there are cores.
    pub threads: Option<std::num::NonZeroUsize>,
    /// Rules left out.
    pub without: Without,
}

/// The result: a fate for every unit of a censused class.
pub struct Census {
    held: Bits,
    named: Bits,
    /// Frames whose first byte an address in the direct map names.
    started: Bits,
    unsettled: Vec<PfnRange>,
    /// Units that a table of hardware names.
    in_hardware: Bits,
    via: Vias,
    /// Held units that only unreachable slab objects name; `None` where the
    /// objects were not followed.
    through: Option<Bits>,
    /// The slabs were too large to be followed object by object: what is lost
    /// through a cache counts as held.
    pub heap_too_large: bool,
    /// Slab objects that can be reached from outside the slabs; `None` where the
    /// objects were not followed.
    objects: Option<Bits<u64>>,
    /// Live slab objects, and how many of them can be reached from outside the
    /// slabs; both zero where the objects were not followed.
    pub objects_live: u64,
    /// See [`objects_live`](Self::objects_live).
    pub objects_reached: u64,
    /// Units that nothing referred to in the last look, and that have an owner, or were
    /// referred to or others in a look before.
    moving: Bits,
    /// Pages known to be held, put through the same pass (rule 10).
    pub control: Control,
    /// Pages that could bear pointers and cannot be read (rule 11).
    pub missing: u64,
    /// First frame of a block that an image left out as if it were zero, and that is
    /// in use: what such an image does not have is missing.
    pub missing_block: Option<Pfn>,
    /// Pages that were to be read, that the container lists, and whose data in it is
    /// damaged.
    pub broken: u64,
    /// Why what the search went by does not hold together; empty where it does.
    doubts: Vec<String>,
    /// Bytes of memory with an owner that were searched for references.
    pub roots_bytes: u64,
    /// Bytes of content read in all.
    pub bytes_read: u64,
    /// The pass was ended early.
    pub cancelled: bool,
}

impl Census {
    /// Runs the census.
    pub fn run(kernel: &Kernel<'_>, pages: &Pages, run: &Run<'_>) -> Census {
        let units = Arc::new(Units::of(&pages.map));
        let naming = Naming::new(kernel, pages);
        let end = pages.map.end();
        let missing_block = block_in_use(kernel, pages);
        let zeroes_left_out = kernel.dump.info.leaves_out_zeroes() && missing_block.is_none();
        let mut census = Census {
            held: Bits::new(end),
            named: Bits::new(end),
            started: Bits::new(end),
            unsettled: Vec::new(),
            in_hardware: Bits::new(end),
            via: Vias::new(units),
            through: None,
            objects: None,
            heap_too_large: !run.without.objects && !objects::is_small_enough(kernel, pages),
            objects_live: 0,
            objects_reached: 0,
            moving: Bits::new(end),
            control: Control::default(),
            missing: missing_referrers(kernel, pages, zeroes_left_out),
            missing_block,
            broken: 0,
            doubts: Vec::from_iter(pages.damaged.then(|| {
                "struct pages, lists or tables contradict each other (see the notes)".to_owned()
            })),
            roots_bytes: 0,
            bytes_read: 0,
            cancelled: false,
        };
        let mut pass = Pass {
            progress: run.progress,
            cancel: run.cancel,
            ..Pass::new(kernel.dump.memory.as_ref())
        };
        if let Some(threads) = run.threads {
            pass.threads = threads;
        }
        let follow = !run.without.objects && objects::is_small_enough(kernel, pages);
        let strict = (follow && !pages.slabs.is_empty()).then(|| Strict::new(pages));
        census.roots(kernel, pages, &naming, &pass, strict.as_ref(), run.without);
        let ground = Ground {
            kernel,
            pages,
            naming: &naming,
            pass: &pass,
            without: run.without,
        };
        census.owned_tables(pages, strict.as_ref());
        let heads = census.units().heads();
        let seeds = heads.filter(|&head| census.held.get(head)).collect();
        census.mark(ground, seeds);
        if let Some(strict) = strict {
            census.through_caches(kernel, pages, &naming, strict, run.cancel);
        }
        if !run.without.split {
            census.split_blocks(pages);
            census.hold_in_preparation(pages, kernel.page_shift());
        }
        census.control = census.check_control(pages);
        census
    }

    /// The fate of the unit that begins with `head`, a unit of a censused class.
    pub fn fate(&self, pages: &Pages, head: Pfn) -> Fate {
        if self.held.get(head) {
            Fate::Held
        } else if pages.map.is_in_transit(head) || self.moving.get(head) {
            Fate::InTransit
        } else {
            Fate::Orphan
        }
    }

    /// The units whose fates these are.
    pub(crate) fn units(&self) -> &Arc<Units> {
        self.via.units()
    }

    /// Whether nothing that is in use refers to a unit: not even what only lost objects
    /// name is referred to by it.
    pub(crate) fn is_lost(&self, pages: &Pages, head: Pfn) -> bool {
        self.fate(pages, head) == Fate::Orphan || self.is_lost_through_cache(head)
    }

    /// Takes a unit for one that changes hands, whatever was found of it.
    pub(crate) fn set_moving(&self, head: Pfn) {
        self.moving.set(head);
    }

    /// How a held unit was reached.
    pub fn via(&self, head: Pfn) -> Option<Via> {
        self.via.get(head)
    }

    /// The words that hold those of the units that a word holds.
    pub(crate) fn roots_of(
        &self,
        units: impl Iterator<Item = Pfn>,
    ) -> impl Iterator<Item = PhysAddr> {
        units.filter_map(|head| match self.via(head) {
            Some(Via::Root(at)) if self.held.get(head) => Some(at),
            _ => None,
        })
    }

    /// Whether words in a frame are references: it has an owner, or is held and no
    /// data.
    pub(crate) fn is_referrer(&self, pages: &Pages, pfn: Pfn) -> bool {
        let class = pages.map.class(pfn);
        let held = || {
            let head = pages.map.head(pfn);
            self.held.get(head) && pages.is_read_when_held(head)
        };
        class.is_root() || class.is_read_when_held() && held()
    }

    /// Notes why the page map is in doubt, so that no orphan may be called lost.
    pub(crate) fn doubt(&mut self, why: impl Into<String>) {
        self.doubts.push(why.into());
    }

    /// Why what the search went by does not hold together, a clause each.
    pub(crate) fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// Whether every orphan may be called lost: nothing that could bear
    /// pointers was missing or damaged, and the control group passed.
    pub fn is_proof(&self) -> bool {
        self.missing == 0
            && self.doubts.is_empty()
            && !self.cancelled
            && self.control.checked > 0
            && self.control.missed * 1000 <= self.control.checked
    }
}

/// Rule 11: pages that could bear pointers and cannot be read. A page left out
/// for being zero is zero; dump level 1 leaves out just those, and the higher
/// levels only pages that bear no pointers.
fn missing_referrers(kernel: &Kernel<'_>, pages: &Pages, zeroes_left_out: bool) -> u64 {
    let memory = kernel.dump.memory.as_ref();
    (0..pages.map.end().0)
        .map(Pfn)
        .filter(|&pfn| match pages.map.class(pfn) {
            Class::Unknown => true,
            // Boot memory the dump does not cover is firmware's.
            Class::Reserved => memory.state(pfn) == PageState::Unreadable,
            class if class.is_root() || class == Class::Raw => match memory.state(pfn) {
                PageState::Present => false,
                PageState::Excluded => !zeroes_left_out,
                PageState::Absent | PageState::Unreadable => true,
            },
            _ => false,
        })
        .count() as u64
}

/// Slabs and stacks near each other of which not all hold nothing but zeroes.
const IN_USE: u64 = 16;

/// The first frame of a block of 16 MiB, as AVML leaves them out, that is in use: slabs
/// and stacks lie in it that the image does not have. It has lost the block, or its
/// writer leaves out other things than zeroes.
fn block_in_use(kernel: &Kernel<'_>, pages: &Pages) -> Option<Pfn> {
    if !kernel.dump.info.gaps_are_zeroes_or_no_memory {
        return None;
    }
    let memory = kernel.dump.memory.as_ref();
    let block = (16 << 20) / kernel.page_size();
    (0..pages.map.end().0)
        .step_by(block as usize)
        .find_map(|first| {
            let in_use = (first..first + block).map(Pfn).filter(|&pfn| {
                matches!(pages.map.class(pfn), Class::Slab | Class::KernelStack)
                    && memory.state(pfn) == PageState::Excluded
            });
            (in_use.count() as u64 >= IN_USE).then_some(Pfn(first))
        })
}

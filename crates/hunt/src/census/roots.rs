//! The one pass over all memory that has an owner (rules 1 to 3, and 6 for
//! the tables of processes).

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_scan::Pass;
use pagehound_vmcore::{Pfn, PhysAddr};

use super::bars::Bars;
use super::objects::Strict;
use super::via::Worth;
use super::{Census, Naming, Via, Without};

impl Census {
    /// Marks what the roots name, and in `strict` what roots outside the slabs name.
    pub(super) fn roots(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        pass: &Pass<'_>,
        strict: Option<&Strict>,
        without: Without,
    ) {
        let shift = kernel.page_shift();
        let geometry = &kernel.memory.space.geometry;
        let this = &*self;
        let select = |pfn: Pfn| {
            let class = pages.map.class(pfn);
            let barred_free = matches!(class, Class::Free | Class::FreePcp);
            !without.roots && (class.is_root() || without.bars && barred_free)
        };
        let outcome = pass.fold(
            select,
            || (),
            |(), pfn, page| {
                let class = pages.map.class(pfn);
                let start = pfn.addr(shift).0;
                let bars = (!without.bars).then(|| Bars::of(pages, pfn, shift));
                naming.names(page, |index, word, named| {
                    let at = PhysAddr(start + index as u64 * 8);
                    if bars.as_ref().is_some_and(|bars| bars.bar(at)) {
                        return;
                    }
                    if naming.is_start(word) {
                        this.started.set(named);
                    }
                    if class != Class::Slab
                        && let Some(strict) = strict
                    {
                        strict.reach(pages, naming, word, named, shift);
                    }
                    let whole = naming.is_whole(word);
                    this.name(pages, named, Way::Root { at, class, whole }, without);
                });
                if class == Class::PageTable && !pages.kernel_tables.contains(&pfn.0) {
                    for entry in page.chunks_exact(8) {
                        let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
                        for target in geometry.user_leaf(entry) {
                            if pages.map.class(target).is_censused() {
                                // A process that maps it needs no slab for that.
                                strict.and_then(|strict| strict.unit(pages, target));
                                this.name(pages, target, Way::Mapped, without);
                            }
                        }
                    }
                }
            },
        );
        self.roots_bytes = outcome.tally.bytes;
        self.bytes_read += outcome.tally.bytes;
        self.missing += outcome.tally.unreadable;
        self.broken += outcome.tally.unreadable;
        self.cancelled |= outcome.tally.end != pagehound_scan::End::Complete;
        let image: &[_] = if without.leaves {
            &pages.mapped_by_image
        } else {
            &[]
        };
        for &(pfn, _) in pages.mapped.iter().chain(image) {
            let head = pages.map.head(pfn);
            self.held.set(head);
            self.via.note(head, Via::Mapped);
        }
    }

    fn name(&self, pages: &Pages, pfn: Pfn, way: Way, without: Without) {
        self.named.set(pfn);
        if !pages.map.class(pfn).is_censused() {
            return;
        }
        // Rule 7: a reference to any frame of a unit holds all of it.
        let head = pages.map.head(pfn);
        if without.units && head != pfn {
            return;
        }
        match way {
            Way::Root { at, class, whole } => {
                let worth = worth(class, whole && head == pfn);
                self.via.note_root(head, at, worth);
            }
            Way::Mapped => self.via.note(head, Via::Mapped),
        }
        self.held.set(head);
    }
}

/// What the pass finds a unit by.
#[derive(Clone, Copy)]
enum Way {
    /// A word in a page of `class`, which names a page as a whole or within.
    Root {
        at: PhysAddr,
        class: Class,
        whole: bool,
    },
    Mapped,
}

/// How much a word in a page of `class` says, which names the begin of a unit or not.
fn worth(class: Class, start: bool) -> Worth {
    match (class, start) {
        (Class::KernelStack, _) => Worth::Stack,
        (Class::KernelImage | Class::Vmalloc | Class::PerCpu, true) => Worth::Variable,
        (Class::KernelImage | Class::Vmalloc | Class::PerCpu, false) => Worth::Within,
        (_, true) => Worth::Object,
        (_, false) => Worth::Neighbour,
    }
}

//! Who has the objects that name pages. That a page is named by an object of
//! kmalloc-256 says little: whoever names that object says more, and so on up to
//! something with a name of its own.

use std::collections::HashMap;

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_scan::Pass;
use pagehound_vmcore::PhysAddr;

use crate::census::{Bars, Bits, Census, Naming};

/// Steps up at most; each is another pass over what has an owner.
const LEVELS: usize = 4;

/// The word that names an object, by the object's number.
#[derive(Default)]
pub struct Climb {
    above: HashMap<u64, (Rank, PhysAddr)>,
}

/// The part of all objects, one of so many, for which another step up is not made.
const WORTH_IT: usize = 8;

/// Objects that are climbed from at most: there may be as many as held pages, and
/// each takes some forty bytes.
const MOST: usize = 1 << 16;

/// How much a place says about whose an object is; the least says most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    /// A variable of the kernel or of a module, or what the page table of one has.
    Named,
    /// A slab cache of one sort of object.
    Typed,
    /// A slab cache of sizes, or of several sorts.
    Sized,
    /// A word on a stack may have been left there.
    Stack,
    /// The cache the object is itself in: often only its neighbour on a list.
    Same,
}

impl Climb {
    /// Climbs from the words at `from`, which lie in slab objects or not.
    pub fn from(
        kernel: &Kernel<'_>,
        pages: &Pages,
        census: &Census,
        pass: &Pass<'_>,
        from: impl Iterator<Item = PhysAddr>,
    ) -> Climb {
        let shift = kernel.page_shift();
        let number = |at| {
            let object = pages.slabs.object_at(&pages.map, at, shift)?;
            (!object.free && !is_typed(pages, at, shift)).then_some(object.number)
        };
        let mut climb = Climb::default();
        let mut wanted: Vec<u64> = from.filter_map(number).collect();
        wanted.sort_unstable();
        wanted.dedup();
        // Of too many, those from everywhere.
        let step = wanted.len().div_ceil(MOST).max(1);
        wanted = wanted.into_iter().step_by(step).collect();
        let all = wanted.len();
        for _ in 0..LEVELS {
            // For the last few another pass is not worth it.
            if wanted.len() * WORTH_IT <= all || pass.is_cancelled() {
                break;
            }
            let found = climb.level(kernel, pages, census, pass, &wanted);
            wanted = found.into_iter().filter_map(number).collect();
            wanted.retain(|number| !climb.above.contains_key(number));
            wanted.sort_unstable();
            wanted.dedup();
        }
        climb
    }

    /// Finds the best word for each of `wanted`; returns where they lie.
    fn level(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        census: &Census,
        pass: &Pass<'_>,
        wanted: &[u64],
    ) -> Vec<PhysAddr> {
        let shift = kernel.page_shift();
        let naming = Naming::new(kernel, pages);
        let objects: Bits<u64> = Bits::new(pages.slabs.objects());
        let frames = Bits::new(pages.map.end());
        for &number in wanted {
            objects.set(number);
            if let Some(object) = pages.slabs.object(&pages.map, number, shift) {
                let last = PhysAddr(object.start.0 + object.size.saturating_sub(1));
                for pfn in object.start.pfn(shift).0..=last.pfn(shift).0 {
                    frames.set(pagehound_vmcore::Pfn(pfn));
                }
            }
        }
        let outcome = pass.fold(
            |pfn| census.is_referrer(pages, pfn),
            HashMap::new,
            |above: &mut HashMap<u64, (Rank, PhysAddr)>, pfn, page| {
                let class = pages.map.class(pfn);
                let start = pfn.addr(shift).0;
                let bars = Bars::of(pages, pfn, shift);
                naming.names(page, |index, word, named| {
                    if !frames.get(named) {
                        return;
                    }
                    let Some(to) = naming.phys(word) else { return };
                    let Some(object) = pages.slabs.object_at(&pages.map, to, shift) else {
                        return;
                    };
                    let at = PhysAddr(start + index as u64 * 8);
                    let own = object.start.0..object.start.0 + object.size;
                    let useless =
                        !objects.get(object.number) || own.contains(&at.0) || bars.bar(at);
                    if useless {
                        return;
                    }
                    let best = (rank(pages, class, at, to, shift), at);
                    let known = above.entry(object.number).or_insert(best);
                    *known = best.min(*known);
                });
            },
        );
        let mut best: HashMap<u64, (Rank, PhysAddr)> = HashMap::new();
        for state in outcome.states {
            for (number, place) in state {
                let known = best.entry(number).or_insert(place);
                *known = place.min(*known);
            }
        }
        let found = best.values().map(|&(_, at)| at).collect();
        self.above.extend(best);
        found
    }

    /// Where the climb from a word ends: in something with a name, or where nobody
    /// was found above.
    pub fn top(&self, pages: &Pages, shift: u32, from: PhysAddr) -> PhysAddr {
        self.path(pages, shift, from).pop().unwrap_or(from)
    }

    /// The words on the way up from the object that a word lies in, the last of them
    /// where the climb ends; none where that word has a name itself.
    pub fn path(&self, pages: &Pages, shift: u32, from: PhysAddr) -> Vec<PhysAddr> {
        let mut path = Vec::new();
        let mut at = from;
        for _ in 0..LEVELS {
            let object = pages.slabs.object_at(&pages.map, at, shift);
            let above = object.and_then(|object| self.above.get(&object.number));
            match above {
                Some(&(rank, above)) if rank < Rank::Stack => at = above,
                _ => break,
            }
            path.push(at);
        }
        path
    }
}

/// Whether the object at an address is of a cache for one sort of objects.
fn is_typed(pages: &Pages, at: PhysAddr, shift: u32) -> bool {
    let head = pages.map.head(at.pfn(shift));
    let slab = pages.slabs.slab(head);
    let cache = slab.and_then(|slab| pages.slabs.cache(slab));
    cache.is_some_and(|cache| cache.aliases == 0 && !cache.is_of_sizes())
}

fn rank(pages: &Pages, class: Class, at: PhysAddr, to: PhysAddr, shift: u32) -> Rank {
    match class {
        Class::KernelStack => Rank::Stack,
        Class::Slab if is_typed(pages, at, shift) => Rank::Typed,
        Class::Slab => {
            let cache = |at: PhysAddr| {
                let slab = pages.slabs.slab(pages.map.head(at.pfn(shift)));
                slab.map(|slab| slab.cache)
            };
            if cache(at) == cache(to) {
                Rank::Same
            } else {
                Rank::Sized
            }
        }
        Class::KernelImage | Class::Vmalloc | Class::PerCpu => Rank::Named,
        // What has no name of its own.
        _ => Rank::Sized,
    }
}

//! Making the page map: the memory map first, then what only walks can tell.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pagehound_vmcore::{Pfn, PfnRange};

use super::decode::Decoder;
use super::scan::scan;
use super::{Class, PageMap, Pages};
use crate::claims::Claims;
use crate::kernel::{Kernel, KernelError};
use crate::memmap::MemMap;
use crate::slab::SlabHead;

/// Frames of the largest machine that is looked at, 32 TiB with 4 KiB pages: the
/// map has a byte a frame, and an ELF core may claim frames for nothing.
const MAX_FRAMES: u64 = 1 << 33;

/// Given the frames that have a `struct page`, ascending, tells which of them to
/// look at: ascending, disjoint, in blocks of the largest order.
pub type Sampler<'a> = dyn Fn(&[PfnRange]) -> Vec<PfnRange> + 'a;

/// How a page map is made.
#[derive(Clone, Copy)]
pub struct Making<'a> {
    /// Threads that read the memory map.
    pub threads: NonZeroUsize,
    /// Raised to end early, with [`KernelError::Interrupted`].
    pub cancel: &'a AtomicBool,
    /// Which frames to look at; all others are [`Class::Unknown`](super::Class::Unknown),
    /// and slabs and what is stale are not gone into. Without it all are looked at.
    pub sample: Option<&'a Sampler<'a>>,
    /// The memory is that of a host that runs: what breaks may have been changed while
    /// it was read, and is read again.
    pub moving: bool,
}

impl Default for Making<'_> {
    fn default() -> Self {
        Making {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            cancel: &NEVER,
            sample: None,
            moving: false,
        }
    }
}

/// How often what may have been changed while it was read is read.
const TRIES: usize = 4;

/// One in so many slabs of a host that runs may change while it is read: all objects of
/// such a slab count as live, so more is held for it and nothing less.
const MOVING_PART: u64 = 200;

static NEVER: AtomicBool = AtomicBool::new(false);

impl Making<'_> {
    fn go_on(&self) -> Result<(), KernelError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(KernelError::Interrupted);
        }
        Ok(())
    }
}

impl Pages {
    /// Makes the page map of a dump.
    ///
    /// # Errors
    /// Without memory map or layout of `struct page`, and where it was ended early:
    /// part of a map answers nothing. What else is missing is a warning.
    pub fn of(kernel: &Kernel<'_>, making: Making<'_>) -> Result<Pages, KernelError> {
        let mut warnings = Vec::new();
        let mut damaged = false;
        // Where zones cannot be read, the map ends where the dump does.
        let nodes = kernel.nodes().unwrap_or_else(|error| {
            damaged |= error.is_doubtful();
            warnings.push(format!("zones: {error}"));
            Vec::new()
        });
        let end = nodes
            .iter()
            .flat_map(|node| &node.zones)
            .map(|zone| zone.start.0.saturating_add(zone.spanned))
            .max()
            .unwrap_or(u64::MAX);
        // No machine has more frames than the container knows of and a
        // section; a broken zone must not ask for a map of 2^52 frames.
        let known = kernel.dump.memory.end_pfn().0.min(MAX_FRAMES);
        let end = end.min(known.next_multiple_of(1 << 18));
        let memmap = MemMap::discover(kernel, Pfn(end))?;
        warnings.extend(memmap.warning.clone());
        let decoder = Decoder::new(kernel)?;
        let mut map = PageMap::new(memmap.end());
        let frames = making.sample.map(|sample| {
            map.forget(&memmap.sections);
            sample(&memmap.sections)
        });
        let frames = frames.as_ref().unwrap_or(&memmap.sections);
        let scanned = scan(kernel, &memmap, &decoder, &mut map, frames, making);
        making.go_on()?;
        let mut pages = Pages {
            moving: making.moving,
            nodes,
            typed_tables: scanned.typed_tables,
            mapped_anon: scanned.mapped_anon,
            damaged,
            warnings,
            ..Pages::unwalked(map, memmap, decoder)
        };
        pages.per_cpu_lists(kernel);
        pages.map.join_plain_blocks();
        match pages.steady(kernel, || kernel.vmap_areas(), Result::is_ok) {
            Ok(areas) => pages.areas = areas,
            Err(error) => pages.doubt("vmalloc areas", &error),
        }
        pages.reserved(kernel);
        making.go_on()?;
        if making.sample.is_none() {
            pages.slabs(kernel, scanned.slabs);
            making.go_on()?;
        }
        let whole = |tasks: &Result<(_, Vec<_>), _>| {
            tasks.as_ref().is_ok_and(|(_, breaks)| breaks.is_empty())
        };
        match pages.steady(kernel, || kernel.tasks(), whole) {
            Ok((tasks, breaks)) => {
                pages.tasks = tasks;
                if let Some(first) = breaks.first() {
                    let what = format!("{} breaks in the lists of tasks, the first", breaks.len());
                    pages.doubt(&what, first);
                }
            }
            Err(error) => pages.doubt("tasks", &error),
        }
        pages.kernel_tables(kernel);
        making.go_on()?;
        pages.process_tables(kernel);
        making.go_on()?;
        pages.direct_stacks(kernel);
        // Stable: of several places the last that was found comes last.
        pages.vmalloc_frames.sort_by_key(|&(pfn, _)| pfn);
        if making.sample.is_none() {
            pages.stale = kernel.stale(&pages);
            pages.claims = Claims::of(kernel, &pages);
        }
        if making.moving {
            pages.resettle(kernel);
        }
        Ok(pages)
    }

    /// What `read` reads. Of a host that runs, what is not `whole` is read again: it may
    /// have been changed meanwhile.
    fn steady<T>(
        &self,
        kernel: &Kernel<'_>,
        read: impl Fn() -> T,
        whole: impl Fn(&T) -> bool,
    ) -> T {
        let mut found = read();
        for _ in 1..if self.moving { TRIES } else { 1 } {
            if whole(&found) {
                break;
            }
            kernel.forget();
            found = read();
        }
        found
    }

    /// Looks again at frames that were neither free nor in use, or could not be told.
    /// Those that are something else by now changed hands.
    fn resettle(&mut self, kernel: &Kernel<'_>) {
        kernel.forget();
        let caught = |&pfn: &Pfn| {
            let class = self.map.class(pfn);
            class.is_censused() && self.map.is_in_transit(pfn) || class == Class::Unknown
        };
        let caught: Vec<Pfn> = (0..self.map.end().0).map(Pfn).filter(caught).collect();
        let mut structs = self.memmap.struct_pages(kernel);
        for pfn in caught {
            let Some(page) = structs.get(pfn) else {
                continue;
            };
            let now = self.decoder.decode(pfn, page, None);
            if now.class != self.map.class(pfn) || !now.zero_ref {
                self.map.set_moving(pfn);
            }
        }
    }

    /// Takes out the free pages on per-CPU lists.
    fn per_cpu_lists(&mut self, kernel: &Kernel<'_>) {
        if self.nodes.is_empty() || !kernel.knows_pcp_lists() {
            self.free_by_links(kernel);
            return;
        }
        if self.moving {
            // As soon after the memory map as may be, and not from before it.
            kernel.forget();
        }
        let (pcp, problems) = self.steady(
            kernel,
            || kernel.pcp_pages(&self.nodes),
            |(_, problems)| problems.is_empty(),
        );
        self.damaged |= !problems.is_empty();
        self.warnings.extend(problems);
        for (page, order) in pcp {
            if let Some(pfn) = self.memmap.pfn(page) {
                self.map.set_pcp(pfn, order);
            }
        }
    }

    fn slabs(&mut self, kernel: &Kernel<'_>, heads: Vec<SlabHead>) {
        match kernel.slab_caches() {
            Ok(mut slabs) => {
                let strangers = slabs.add_all(kernel, &self.map, heads);
                if strangers > 0 {
                    self.warnings
                        .push(format!("{strangers} slabs belong to no known cache"));
                }
                slabs.add_free_elsewhere(kernel, &self.map, &self.memmap);
                if slabs.astray > 0 {
                    self.warnings.push(format!(
                        "{} free objects in sheaves, and slabs of CPUs, are none of their cache's",
                        slabs.astray
                    ));
                }
                // A cache that is being destroyed is on no list any more.
                let broken = slabs.broken + slabs.astray;
                let tolerated = if self.moving {
                    slabs.len() as u64 / MOVING_PART
                } else {
                    0
                };
                self.damaged |= broken > tolerated || strangers * 100 > slabs.len();
                self.slabs = slabs;
            }
            Err(error) => self.doubt("free slab objects cannot be told from live ones", &error),
        }
    }
}

//! The bulk pass: every present page once, in file order, on all cores.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use pagehound_vmcore::{Pfn, PhysicalMemory};

use crate::layout::Layout;
use crate::ordered;
use crate::progress::{NoProgress, Progress};
use crate::tally::{End, Tally};

static NEVER: AtomicBool = AtomicBool::new(false);

/// A pass over the present pages of a memory. Build one with [`Pass::new`] and
/// change what differs:
///
/// ```
/// # use pagehound_scan::Pass;
/// # use std::sync::atomic::AtomicBool;
/// fn pages(memory: &dyn pagehound_vmcore::PhysicalMemory, interrupted: &AtomicBool) -> u64 {
///     let pass = Pass { cancel: interrupted, ..Pass::new(memory) };
///     pass.fold(|_pfn| true, || (), |(), _pfn, _page| ()).tally.seen
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Pass<'m> {
    /// The memory to go over.
    pub memory: &'m dyn PhysicalMemory,
    /// Threads to use at most.
    pub threads: NonZeroUsize,
    /// Told how far the pass is.
    pub progress: &'m dyn Progress,
    /// Raised from outside to end the pass early; looked at before every page.
    pub cancel: &'m AtomicBool,
}

/// The result of [`Pass::fold`].
#[derive(Clone, Debug)]
pub struct Outcome<S> {
    /// One state a thread, in no particular order.
    pub states: Vec<S>,
    /// What was seen.
    pub tally: Tally,
}

impl<'m> Pass<'m> {
    /// A pass with as many threads as the machine has cores for us, that
    /// reports to nobody and is never cancelled.
    pub fn new(memory: &'m dyn PhysicalMemory) -> Pass<'m> {
        Pass {
            memory,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            progress: &NoProgress,
            cancel: &NEVER,
        }
    }

    /// Gives every present page for which `select` says yes to `visit`, once,
    /// together with the state of the thread that came by it.
    ///
    /// Each thread goes through its pages in file order; which pages are
    /// whose is left to chance, so states must be of a kind that can be
    /// merged in any order.
    pub fn fold<S: Send>(
        &self,
        select: impl Fn(Pfn) -> bool + Sync,
        init: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, Pfn, &[u8]) + Sync,
    ) -> Outcome<S> {
        let layout = Layout::of(self.memory);
        self.progress.begin(layout.pages());
        let next = AtomicU64::new(0);
        let work = || {
            let mut state = init();
            let mut tally = Tally::default();
            let mut reader = Reader::new(*self);
            while tally.end == End::Complete {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= layout.chunks() {
                    break;
                }
                let seen = reader.chunk(&layout, index, &select, &mut |pfn, page| {
                    visit(&mut state, pfn, page);
                });
                tally.merge(seen);
            }
            (state, tally)
        };

        let mut outcome = Outcome {
            states: Vec::new(),
            tally: Tally {
                total: layout.pages(),
                ..Tally::default()
            },
        };
        thread::scope(|scope| {
            // The calling thread is one of the workers, so a system that
            // grants no further thread only makes the pass slower.
            let others: Vec<_> = (1..self.threads_for(&layout))
                .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let mut add = |(state, tally)| {
                outcome.states.push(state);
                outcome.tally.merge(tally);
            };
            add(work());
            for other in others {
                match other.join() {
                    Ok(result) => add(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        outcome
    }

    /// As [`fold`](Self::fold), with results in file order: pages are worked
    /// on in chunks of 256 KiB on all threads; `take` turns what `visit`
    /// gathered from one chunk into a result and leaves the thread's state
    /// ready for the next; `sink` gets the results in file order, on the
    /// calling thread, until it breaks.
    ///
    /// Within a chunk `visit` gets the pages in file order. At most two results
    /// a thread wait for `sink`. When the pass is cancelled, `sink` still gets
    /// everything found up to then.
    pub fn ordered<S, C: Send>(
        &self,
        select: impl Fn(Pfn) -> bool + Sync,
        init: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, Pfn, &[u8]) + Sync,
        take: impl Fn(&mut S) -> C + Sync,
        mut sink: impl FnMut(C) -> ControlFlow<()>,
    ) -> Tally {
        let layout = Layout::of(self.memory);
        self.progress.begin(layout.pages());
        let mut tally = Tally {
            total: layout.pages(),
            ..Tally::default()
        };
        ordered::run(
            layout.chunks(),
            self.threads_for(&layout),
            || (init(), Reader::new(*self)),
            |(state, reader), index| {
                let seen = reader.chunk(&layout, index, &select, &mut |pfn, page| {
                    visit(state, pfn, page);
                });
                let go_on = seen.end == End::Complete;
                ((take(state), seen), go_on)
            },
            |(result, seen)| {
                tally.merge(seen);
                let flow = sink(result);
                if flow.is_break() {
                    tally.end = End::Stopped;
                }
                flow
            },
        );
        tally
    }

    fn threads_for(&self, layout: &Layout) -> usize {
        let chunks = usize::try_from(layout.chunks()).unwrap_or(usize::MAX);
        self.threads.get().min(chunks.max(1))
    }
}

/// Reads pages for one thread, into one buffer where they have to be copied.
struct Reader<'m> {
    pass: Pass<'m>,
    buffer: Vec<u8>,
}

impl<'m> Reader<'m> {
    fn new(pass: Pass<'m>) -> Reader<'m> {
        Reader {
            pass,
            buffer: vec![0; pass.memory.page_size()],
        }
    }

    fn chunk(
        &mut self,
        layout: &Layout,
        index: u64,
        select: &impl Fn(Pfn) -> bool,
        visit: &mut impl FnMut(Pfn, &[u8]),
    ) -> Tally {
        let mut tally = Tally::default();
        for pfn in layout
            .chunk(index)
            .flat_map(|range| range.start.0..range.end.0)
            .map(Pfn)
        {
            if self.pass.cancel.load(Ordering::Relaxed) {
                tally.end = End::Cancelled;
                break;
            }
            if !select(pfn) {
                tally.skipped += 1;
                continue;
            }
            let page = match self.pass.memory.page_slice(pfn) {
                Some(page) => page,
                None => match self.pass.memory.read_page(pfn, &mut self.buffer) {
                    Ok(()) => &self.buffer,
                    Err(fault) => {
                        tally.fault(pfn, fault);
                        continue;
                    }
                },
            };
            tally.seen += 1;
            tally.bytes += page.len() as u64;
            visit(pfn, page);
        }
        if tally.seen > 0 {
            for range in layout.chunk(index) {
                self.pass.memory.release(range);
            }
        }
        self.pass
            .progress
            .advance(tally.seen + tally.unreadable, tally.skipped);
        tally
    }
}

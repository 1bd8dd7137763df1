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
    /// Raised from outside to end the pass early; looked at before every read, of
    /// 256 KiB at most.
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

    /// Whether it is to end early.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
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
        let page_size = self.memory.page_size();
        let work = || {
            let mut state = init();
            let mut tally = Tally::default();
            let mut reader = Reader::new(*self);
            while tally.end == End::Complete {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= layout.chunks() {
                    break;
                }
                let seen = reader.chunk(&layout, index, &select, &mut |first, run| {
                    for (pfn, page) in (first.0..).zip(run.chunks_exact(page_size)) {
                        visit(&mut state, Pfn(pfn), page);
                    }
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
    /// ready for the next; `sink` gets the results in file order, one at a time,
    /// on whichever thread has brought the next one, until it breaks.
    ///
    /// `visit` gets runs of consecutive pages, by the first of them, within a
    /// chunk in file order; it may use their buffer as it likes. At most sixteen
    /// results a thread wait for `sink`. When the pass is cancelled, `sink` still
    /// gets everything found up to then.
    pub fn ordered<S, C: Send>(
        &self,
        select: impl Fn(Pfn) -> bool + Sync,
        init: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, Pfn, &mut Vec<u8>) + Sync,
        take: impl Fn(&mut S) -> C + Sync,
        mut sink: impl FnMut(C) -> ControlFlow<()> + Send,
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
                let seen = reader.chunk(&layout, index, &select, &mut |first, run| {
                    visit(state, first, run);
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

/// Reads runs of pages for one thread, into one buffer.
struct Reader<'m> {
    pass: Pass<'m>,
    buffer: Vec<u8>,
}

impl<'m> Reader<'m> {
    fn new(pass: Pass<'m>) -> Reader<'m> {
        Reader {
            pass,
            buffer: Vec::new(),
        }
    }

    fn chunk(
        &mut self,
        layout: &Layout,
        index: u64,
        select: &impl Fn(Pfn) -> bool,
        visit: &mut impl FnMut(Pfn, &mut Vec<u8>),
    ) -> Tally {
        let mut tally = Tally::default();
        'chunk: for range in layout.chunk(index) {
            let mut at = range.start;
            while at < range.end {
                if self.pass.cancel.load(Ordering::Relaxed) {
                    tally.end = End::Cancelled;
                    break 'chunk;
                }
                let rest = (at.0..range.end.0).map(Pfn);
                let wanted = rest.take_while(|&pfn| select(pfn)).count() as u64;
                if wanted == 0 {
                    tally.skipped += 1;
                    at.0 += 1;
                    continue;
                }
                at.0 += self.run(at, wanted, &mut tally, visit);
            }
        }
        self.pass
            .progress
            .advance(tally.seen + tally.unreadable, tally.skipped);
        tally
    }

    /// Visits the pages from `first` on, up to the first that cannot be read;
    /// returns how many are done with.
    fn run(
        &mut self,
        first: Pfn,
        pages: u64,
        tally: &mut Tally,
        visit: &mut impl FnMut(Pfn, &mut Vec<u8>),
    ) -> u64 {
        let memory = self.pass.memory;
        let shift = memory.page_shift();
        self.buffer.resize((pages as usize) << shift, 0);
        let fault = memory.read_pages(first, &mut self.buffer).err();
        let read = match &fault {
            None => pages,
            Some(fault) => {
                let read = fault.addr.pfn(shift).0.saturating_sub(first.0);
                read.min(pages - 1)
            }
        };
        let bytes = read << shift;
        tally.seen += read;
        tally.bytes += bytes;
        if read > 0 {
            self.buffer.truncate(bytes as usize);
            visit(first, &mut self.buffer);
        }
        match fault {
            None => pages,
            Some(fault) => {
                tally.fault(Pfn(first.0 + read), fault);
                read + 1
            }
        }
    }
}

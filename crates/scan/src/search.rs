//! Searching a memory, with matches in file order.

use std::ops::ControlFlow;

use pagehound_vmcore::{PageState, Pfn, PhysicalMemory};

use crate::pass::Pass;
use crate::set::{Match, PatternSet, sort};
use crate::tally::Tally;

/// Gives `sink` the matches in the pages for which `select` says yes, one batch
/// at a time but on changing threads, by file order of their pages, then by offset, then by
/// pattern, until it breaks; a batch holds the matches of up to 256 KiB of
/// memory and is never empty. The pass's progress is told of matches before
/// `sink` sees them.
///
/// Bytes also match across a page boundary when the physically next page is
/// present, whether it is selected or not; the match belongs to the page in which
/// it starts. A regular expression sees each page as a text of its own: where it
/// begins and ends must not depend on what is read together.
pub fn search(
    pass: &Pass<'_>,
    set: &PatternSet,
    select: impl Fn(Pfn) -> bool + Sync,
    mut sink: impl FnMut(&[Match]) -> ControlFlow<()> + Send,
) -> Tally {
    pass.ordered(
        select,
        || Finder::new(set, pass.memory),
        Finder::run,
        |finder| std::mem::take(&mut finder.out),
        |matches: Vec<Match>| {
            if matches.is_empty() {
                return ControlFlow::Continue(());
            }
            pass.progress.matched(matches.len() as u64);
            sink(&matches)
        },
    )
}

/// One thread's share of a search.
struct Finder<'s> {
    set: &'s PatternSet,
    memory: &'s dyn PhysicalMemory,
    /// Matches of the chunk.
    out: Vec<Match>,
}

impl<'s> Finder<'s> {
    fn new(set: &'s PatternSet, memory: &'s dyn PhysicalMemory) -> Self {
        Finder {
            set,
            memory,
            out: Vec::new(),
        }
    }

    /// Searches consecutive pages.
    fn run(&mut self, first: Pfn, run: &mut Vec<u8>) {
        let page_size = self.memory.page_size();
        let sorted = self.out.len();
        let own = run.len();
        for (pfn, page) in (first.0..).zip(run.chunks_exact(page_size)) {
            self.set.find_words(page, Pfn(pfn), &mut self.out);
        }
        let ahead = self.set.look_ahead(page_size);
        if ahead > 0 {
            let next = Pfn(first.0.saturating_add((own / page_size) as u64));
            if self.memory.state(next) == PageState::Present {
                run.resize(own + page_size, 0);
                let page = run.get_mut(own..).unwrap_or_default();
                // A next page that cannot be read is reported by its own visit.
                let seen = match self.memory.read_pages(next, page) {
                    Ok(()) => ahead,
                    Err(_) => 0,
                };
                run.truncate(own + seen);
            }
        }
        self.set
            .find_bytes(run, own, page_size, first, &mut self.out);
        sort(&mut self.out, sorted);
    }
}

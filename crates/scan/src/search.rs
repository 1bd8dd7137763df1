//! Searching a memory, with matches in file order.

use std::ops::ControlFlow;

use pagehound_vmcore::{PageState, Pfn, PhysicalMemory};

use crate::pass::Pass;
use crate::set::{Found, Match, PatternSet, sort};
use crate::tally::Tally;

/// Gives `sink` the matches in the pages for which `select` says yes, one batch
/// at a time but on changing threads, by file order of their pages, then by offset, then by
/// pattern, until it breaks; a batch holds the matches of up to 256 KiB of
/// memory and is never empty. The pass's progress is told of matches before
/// `sink` sees them.
///
/// Bytes and regular expressions also match across a page boundary when the
/// physically next page is present, whether it is selected or not; the match
/// belongs to the page in which it starts. A match of a regular expression
/// that ends neither in its own 256 KiB nor in the page after them is cut there
/// or missed; bytes are never cut.
pub fn search(
    pass: &Pass<'_>,
    set: &PatternSet,
    select: impl Fn(Pfn) -> bool + Sync,
    mut sink: impl FnMut(&[Match]) -> ControlFlow<()> + Send,
) -> Tally {
    let mut overlaps = Overlaps::new(set, pass.memory.page_shift());
    pass.ordered(
        select,
        || Finder::new(set, pass.memory),
        Finder::run,
        |finder| std::mem::take(&mut finder.out),
        |mut matches: Vec<Match>| {
            matches.retain(|found| overlaps.is_new(found));
            if matches.is_empty() {
                return ControlFlow::Continue(());
            }
            pass.progress.matched(matches.len() as u64);
            sink(&matches)
        },
    )
}

/// Knows where the last match of each regular expression lay: what the next
/// chunk finds inside it is the rest of that match, seen again.
struct Overlaps<'s> {
    set: &'s PatternSet,
    page_shift: u32,
    /// First and following physical address of the last match, by pattern.
    last: Vec<(u128, u128)>,
}

impl<'s> Overlaps<'s> {
    fn new(set: &'s PatternSet, page_shift: u32) -> Self {
        Overlaps {
            set,
            page_shift,
            last: vec![(0, 0); set.len()],
        }
    }

    fn is_new(&mut self, found: &Match) -> bool {
        let Found::Bytes(len) = found.found else {
            return true;
        };
        if !self.set.keeps_apart(found.pattern) {
            return true;
        }
        let Some((start, end)) = self.last.get_mut(found.pattern as usize) else {
            return true;
        };
        let at = (u128::from(found.pfn.0) << self.page_shift) + u128::from(found.offset);
        if *start <= at && at < *end {
            return false;
        }
        (*start, *end) = (at, at + u128::from(len));
        true
    }
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
        if self.set.crosses_pages() {
            let next = Pfn(first.0.saturating_add((own / page_size) as u64));
            if self.memory.state(next) == PageState::Present {
                run.resize(own + page_size, 0);
                let page = run.get_mut(own..).unwrap_or_default();
                // A next page that cannot be read is reported by its own visit.
                let seen = match self.memory.read_pages(next, page) {
                    Ok(()) => self.set.look_ahead(page_size),
                    Err(_) => 0,
                };
                run.truncate(own + seen);
            }
            self.set
                .find_bytes(run, own, page_size, first, &mut self.out);
        }
        sort(&mut self.out, sorted);
    }
}

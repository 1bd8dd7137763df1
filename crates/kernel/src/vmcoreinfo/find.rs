//! VMCOREINFO in the dump's own memory, for containers that came without it.
//!
//! The kernel keeps the text in a page of its own (4.13 and later; before that
//! in `.bss`) and, from boot on, a ready ELF note with it (`vmcoreinfo_note`,
//! 32-bit note header: namesz 11, descsz, type 0, `VMCOREINFO\0` and one pad).

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use memchr::memmem::Finder;
use pagehound_vmcore::{PageState, Pfn, PfnRange, PhysAddr, PhysicalMemory};

use super::{MAX_TEXT, Vmcoreinfo};

const BEGIN: &[u8] = b"OSRELEASE=";
const NOTE_NAME: &[u8; 12] = b"VMCOREINFO\0\0";
/// Bytes of namesz, descsz, type and the padded name.
const NOTE_HEADER: usize = 24;
/// How much of the page before is kept, so that a note across a page boundary is
/// seen: a header and all but the last byte of [`BEGIN`].
const CARRY: usize = NOTE_HEADER + BEGIN.len() - 1;
/// What one thread takes at a time.
const CHUNK_PAGES: u64 = 4096;
const MAX_THREADS: usize = 8;
/// A machine has a few texts: its kernel's, a capture kernel's, stale ones.
const MAX_DISTINCT: usize = 64;
/// Copies and what only begins like a text, each of which costs a page or more: frames
/// without end may share one block of a dump.
const MAX_TRIED: usize = 4096;
/// Chunks that are kept, however many pages a container claims.
const MAX_CHUNKS: u64 = 1 << 20;

/// A VMCOREINFO text found in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundVmcoreinfo {
    /// The text up to its NUL.
    pub text: Vec<u8>,
    /// The text parsed.
    pub info: Vmcoreinfo,
    /// Where the text begins; the lowest of its copies.
    pub paddr: PhysAddr,
    /// How many times this same text was found.
    pub copies: usize,
}

/// Told how many pages have been searched, and of how many, from several threads;
/// [`ControlFlow::Break`] ends the search early.
pub type Searched<'a> = dyn Fn(u64, u64) -> ControlFlow<()> + Sync + 'a;

/// Searches the present pages for VMCOREINFO: the ELF note at any address, or the
/// bare text at the begin of a page. Only texts with `OSRELEASE`, `PAGESIZE`,
/// `SYMBOL(_stext)` and `SYMBOL(swapper_pg_dir)` count.
///
/// A dump may hold texts of other kernels (a capture kernel, the boot before), so
/// every distinct text is returned, the likeliest first: most copies, then
/// longest, then lowest address. Which one is true shows when it translates
/// addresses. `on_found` sees each text as it turns up, in no certain order and
/// from several threads; [`ControlFlow::Break`] ends the search early.
pub fn find_in_memory(
    mem: &dyn PhysicalMemory,
    on_searched: &Searched<'_>,
    on_found: &(dyn Fn(&FoundVmcoreinfo) -> ControlFlow<()> + Sync),
) -> Vec<FoundVmcoreinfo> {
    let chunks = chunks(&mem.present_runs());
    let search = Search {
        mem,
        all: chunks.iter().map(|chunk| chunk.len()).sum(),
        searched: AtomicU64::new(0),
        on_searched,
        on_found,
        found: Mutex::new(Vec::new()),
        stop: AtomicBool::new(false),
        next_chunk: AtomicUsize::new(0),
        tried: AtomicUsize::new(0),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(MAX_THREADS).min(chunks.len());
    std::thread::scope(|scope| {
        // The caller's thread works as well.
        for _ in 1..threads {
            scope.spawn(|| search.run(&chunks));
        }
        search.run(&chunks);
    });
    let mut found = search
        .found
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    found.sort_by(|a, b| {
        (b.copies, b.text.len())
            .cmp(&(a.copies, a.text.len()))
            .then(a.paddr.cmp(&b.paddr))
    });
    found
}

fn chunks(runs: &[PfnRange]) -> Vec<PfnRange> {
    let mut chunks = Vec::new();
    let pages = runs.iter().map(|run| run.end.0.saturating_sub(run.start.0));
    let pages = pages.fold(0u64, u64::saturating_add);
    let most = CHUNK_PAGES.max(pages / MAX_CHUNKS);
    for run in runs {
        let mut start = run.start;
        while start < run.end {
            let end = Pfn(start.0.saturating_add(most)).min(run.end);
            chunks.push(PfnRange { start, end });
            start = end;
        }
    }
    chunks
}

struct Search<'a> {
    mem: &'a dyn PhysicalMemory,
    /// Pages to search.
    all: u64,
    searched: AtomicU64,
    on_searched: &'a Searched<'a>,
    on_found: &'a (dyn Fn(&FoundVmcoreinfo) -> ControlFlow<()> + Sync),
    found: Mutex<Vec<FoundVmcoreinfo>>,
    stop: AtomicBool,
    next_chunk: AtomicUsize,
    tried: AtomicUsize,
}

impl Search<'_> {
    fn run(&self, chunks: &[PfnRange]) {
        let finder = Finder::new(BEGIN);
        while let Some(&chunk) = chunks.get(self.next_chunk.fetch_add(1, Ordering::Relaxed)) {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.search_chunk(&finder, chunk);
            let before = self.searched.fetch_add(chunk.len(), Ordering::Relaxed);
            if (self.on_searched)(before + chunk.len(), self.all).is_break() {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Looks through `chunk` with a window of one page and the end of the page
    /// before it.
    fn search_chunk(&self, finder: &Finder<'_>, chunk: PfnRange) {
        let page_size = self.mem.page_size();
        let mut window = vec![0; CARRY + page_size];
        let before = chunk.start.0.checked_sub(1).map(Pfn);
        if before.is_some_and(|pfn| self.fill(&mut window, pfn)) {
            window.copy_within(page_size.., 0);
        }
        for pfn in (chunk.start.0..chunk.end.0).map(Pfn) {
            if !self.fill(&mut window, pfn) {
                window.fill(0);
                continue;
            }
            let base = pfn.addr(self.mem.page_shift()).0;
            for at in finder.find_iter(&window) {
                let Some(paddr) = (base + at as u64).checked_sub(CARRY as u64) else {
                    continue;
                };
                let limit = match note_length(&window, at) {
                    Some(len) => len.min(MAX_TEXT),
                    None if at == CARRY => page_size,
                    None => continue,
                };
                self.consider(PhysAddr(paddr), limit);
            }
            window.copy_within(page_size.., 0);
        }
    }

    /// Puts a page behind the carried bytes; `false` leaves the window spoiled.
    fn fill(&self, window: &mut [u8], pfn: Pfn) -> bool {
        let Some(page) = window.get_mut(CARRY..) else {
            return false;
        };
        self.mem.state(pfn) == PageState::Present && self.mem.read_page(pfn, page).is_ok()
    }

    fn consider(&self, paddr: PhysAddr, limit: usize) {
        if self.tried.fetch_add(1, Ordering::Relaxed) >= MAX_TRIED {
            return;
        }
        let text = read_text(self.mem, paddr, limit);
        let Ok(info) = Vmcoreinfo::parse(&text) else {
            return;
        };
        let complete = info.page_size().is_some()
            && info.symbol("_stext").is_some()
            && info.symbol("swapper_pg_dir").is_some();
        if !complete {
            return;
        }
        let new = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = found.iter_mut().find(|known| known.text == text) {
                known.copies += 1;
                known.paddr = known.paddr.min(paddr);
                return;
            }
            if found.len() == MAX_DISTINCT {
                return;
            }
            let new = FoundVmcoreinfo {
                text,
                info,
                paddr,
                copies: 1,
            };
            found.push(new.clone());
            new
        };
        if (self.on_found)(&new).is_break() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// The note's descsz, if a note header lies right before `at`.
fn note_length(window: &[u8], at: usize) -> Option<usize> {
    let header = window.get(at.checked_sub(NOTE_HEADER)?..at)?;
    let (words, name) = header.split_at_checked(12)?;
    let word = |i: usize| {
        let bytes = words.get(i * 4..i * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let is_note = word(0) == Some(11) && word(2) == Some(0) && name == NOTE_NAME;
    word(1).filter(|_| is_note).map(|descsz| descsz as usize)
}

/// Up to `limit` bytes up to a NUL or to a page that cannot be read.
fn read_text(mem: &dyn PhysicalMemory, paddr: PhysAddr, limit: usize) -> Vec<u8> {
    let mut page = vec![0; mem.page_size()];
    let mut pfn = paddr.pfn(mem.page_shift());
    let mut skip = paddr.0.wrapping_sub(pfn.addr(mem.page_shift()).0) as usize;
    let mut text = Vec::new();
    while text.len() < limit && mem.read_page(pfn, &mut page).is_ok() {
        let part = page.get(skip..).unwrap_or_default();
        let part = part.get(..limit - text.len()).unwrap_or(part);
        let nul = memchr::memchr(0, part);
        text.extend_from_slice(part.get(..nul.unwrap_or(part.len())).unwrap_or_default());
        if nul.is_some() {
            break;
        }
        pfn = Pfn(pfn.0.wrapping_add(1));
        skip = 0;
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pagehound_vmcore::{Coverage, Fault, FaultReason};

    use super::*;

    const PAGE: usize = 4096;
    const TEXT: &str =
        "OSRELEASE=5.4\nPAGESIZE=4096\nSYMBOL(_stext)=ffff\nSYMBOL(swapper_pg_dir)=fffe\n";

    /// Memory with only some pages present.
    #[derive(Default)]
    struct Sparse(BTreeMap<u64, Vec<u8>>);

    impl Sparse {
        fn put(&mut self, paddr: usize, bytes: &[u8]) {
            for (at, &byte) in (paddr..).zip(bytes) {
                let page = self
                    .0
                    .entry((at / PAGE) as u64)
                    .or_insert_with(|| vec![0xaa; PAGE]);
                page[at % PAGE] = byte;
            }
        }
    }

    impl PhysicalMemory for Sparse {
        fn page_shift(&self) -> u32 {
            12
        }
        fn end_pfn(&self) -> Pfn {
            Pfn(self.0.last_key_value().map_or(0, |(pfn, _)| pfn + 1))
        }
        fn state(&self, pfn: Pfn) -> PageState {
            if self.0.contains_key(&pfn.0) {
                PageState::Present
            } else {
                PageState::Absent
            }
        }
        fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
            let fault = Fault {
                addr: pfn.addr(12),
                reason: FaultReason::Absent,
            };
            page.copy_from_slice(self.0.get(&pfn.0).ok_or(fault)?);
            Ok(())
        }
        fn present_runs(&self) -> Vec<PfnRange> {
            let one = |&pfn: &u64| PfnRange {
                start: Pfn(pfn),
                end: Pfn(pfn + 1),
            };
            self.0.keys().map(one).collect()
        }
        fn coverage(&self) -> Coverage {
            Coverage {
                present: self.0.len() as u64,
                ..Coverage::default()
            }
        }
    }

    fn note(text: &str) -> Vec<u8> {
        let mut note = vec![11, 0, 0, 0];
        note.extend_from_slice(&(text.len() as u32).to_le_bytes());
        note.extend_from_slice(b"\0\0\0\0VMCOREINFO\0\0");
        note.extend_from_slice(text.as_bytes());
        note
    }

    fn find(mem: &Sparse) -> Vec<(usize, usize, String)> {
        find_in_memory(mem, &|_, _| ControlFlow::Continue(()), &|_| {
            ControlFlow::Continue(())
        })
        .into_iter()
        .map(|f| {
            (
                f.paddr.0 as usize,
                f.copies,
                String::from_utf8(f.text).unwrap(),
            )
        })
        .collect()
    }

    #[test]
    fn a_page_of_text_and_its_note_are_one_text() {
        let mut mem = Sparse::default();
        mem.put(5 * PAGE, format!("{TEXT}\0").as_bytes());
        mem.put(9 * PAGE + 100, &note(TEXT));
        assert_eq!(find(&mem), [(5 * PAGE, 2, TEXT.into())]);
    }

    #[test]
    fn a_note_is_found_wherever_a_page_boundary_cuts_it() {
        for lead in 0..note(TEXT).len() {
            let mut mem = Sparse::default();
            mem.put(7 * PAGE - lead, &note(TEXT));
            assert_eq!(
                find(&mem),
                [(7 * PAGE - lead + NOTE_HEADER, 1, TEXT.into())],
                "{lead}"
            );
        }
    }

    #[test]
    fn text_that_is_neither_aligned_nor_a_note_is_not_taken() {
        let mut mem = Sparse::default();
        mem.put(5 * PAGE + 16, format!("{TEXT}\0").as_bytes());
        let mut wrong_type = note(TEXT);
        wrong_type[8] = 1;
        mem.put(8 * PAGE, &wrong_type);
        assert_eq!(find(&mem), []);
    }

    #[test]
    fn a_text_without_the_four_keys_is_not_taken() {
        for key in ["PAGESIZE", "SYMBOL(_stext)", "SYMBOL(swapper_pg_dir)"] {
            let mut mem = Sparse::default();
            mem.put(
                5 * PAGE,
                format!("{}\0", TEXT.replace(key, "OTHER")).as_bytes(),
            );
            assert_eq!(find(&mem), [], "{key}");
        }
    }

    #[test]
    fn the_text_with_most_copies_comes_first() {
        let other = TEXT.replace("5.4", "6.1-longer");
        let mut mem = Sparse::default();
        mem.put(2 * PAGE, format!("{other}\0").as_bytes());
        mem.put(5 * PAGE, format!("{TEXT}\0").as_bytes());
        mem.put(9 * PAGE, format!("{TEXT}\0").as_bytes());
        assert_eq!(
            find(&mem),
            [(5 * PAGE, 2, TEXT.into()), (2 * PAGE, 1, other)]
        );
    }

    #[test]
    fn a_text_ends_with_its_note_and_before_a_missing_page() {
        let mut mem = Sparse::default();
        mem.put(3 * PAGE, &note(TEXT));
        mem.put(3 * PAGE + note(TEXT).len(), b"X=1\n");
        let whole = format!("{TEXT}{}", "K=1\n".repeat(2000));
        mem.put(10 * PAGE - 500, &note(&whole));
        mem.0.remove(&10);
        assert_eq!(
            find(&mem),
            [
                (
                    10 * PAGE - 500 + NOTE_HEADER,
                    1,
                    whole[..500 - NOTE_HEADER].into()
                ),
                (3 * PAGE + NOTE_HEADER, 1, TEXT.into()),
            ]
        );
    }

    #[test]
    fn the_search_ends_when_told() {
        let mut mem = Sparse::default();
        for pfn in 0..50_000 {
            mem.put(pfn * PAGE, format!("{TEXT}N={pfn}\n\0").as_bytes());
        }
        let go_on = |_, _| ControlFlow::Continue(());
        let found = find_in_memory(&mem, &go_on, &|_| ControlFlow::Break(()));
        assert!(
            !found.is_empty() && found.len() <= MAX_THREADS,
            "{}",
            found.len()
        );
    }

    #[test]
    fn how_far_it_is_is_told_and_ends_it() {
        const PAGES: usize = 20 * CHUNK_PAGES as usize;
        let mut mem = Sparse::default();
        for pfn in 0..PAGES {
            mem.put(pfn * PAGE, b"nothing");
        }
        let most = AtomicU64::new(0);
        let watch = |searched, all| {
            assert_eq!(all, PAGES as u64);
            most.fetch_max(searched, Ordering::Relaxed);
            ControlFlow::Continue(())
        };
        let nothing = |_: &FoundVmcoreinfo| ControlFlow::Continue(());
        assert_eq!(find_in_memory(&mem, &watch, &nothing), []);
        assert_eq!(most.into_inner(), PAGES as u64);

        let calls = AtomicUsize::new(0);
        let stop = |_, _| {
            calls.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Break(())
        };
        find_in_memory(&mem, &stop, &nothing);
        assert!(calls.into_inner() <= MAX_THREADS);
    }
}

//! From what the roots reached to all that can be reached (rules 4 and 5).

use pagehound_kernel::{Kernel, Pages};
use std::sync::atomic::Ordering;

use pagehound_scan::{End, Pass};
use pagehound_vmcore::{PageState, Pfn};

use super::bits::Bits;
use super::hardware::table;
use super::{Census, Naming, Via, Without};

/// A wave larger than this is read in one parallel pass, a smaller one unit by
/// unit: lists of raw pages make many waves of one.
const WAVE: usize = 4096;

/// What the marking goes over.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) kernel: &'a Kernel<'a>,
    pub(crate) pages: &'a Pages,
    pub(crate) naming: &'a Naming,
    pub(crate) pass: &'a Pass<'a>,
    pub(crate) without: Without,
}

impl Ground<'_> {
    /// Whether the words in a reached unit are references.
    fn reads(&self, head: Pfn) -> bool {
        let is_read = self.pages.map.class(head).is_read_when_held();
        self.pages.is_read_when_held(head) || self.without.data && is_read
    }
}

/// What is still to be looked at: units newly reached, and frames that tables
/// of hardware name, each with the table.
#[derive(Default)]
struct Ahead {
    units: Vec<Pfn>,
    tables: Vec<(Pfn, Pfn)>,
}

/// What one thread found in a wave: units that words name and that were not held
/// before, and pages that tables of hardware name, each with the table.
#[derive(Default)]
struct Wave {
    units: Vec<Pfn>,
    tables: Vec<(Pfn, Pfn)>,
}

impl Census {
    /// Marks everything that can be reached from `seeds`, units that are held.
    pub(crate) fn mark(&mut self, ground: Ground<'_>, seeds: Vec<Pfn>) {
        let mut ahead = Ahead {
            units: seeds,
            tables: Vec::new(),
        };
        let mut page = vec![0; ground.kernel.page_size() as usize];
        while !ahead.units.is_empty() {
            if ground.pass.cancel.load(Ordering::Relaxed) {
                self.cancelled = true;
                return;
            }
            let mut wave = std::mem::take(&mut ahead.units);
            // Neighbours share a page of the map.
            wave.sort_unstable();
            let mut structs = ground.pages.memmap.struct_pages(ground.kernel);
            let large = wave.len() > WAVE;
            if large && !ground.without.content {
                self.wave_in_parallel(ground, &wave, &mut ahead);
            }
            for &head in &wave {
                // Detached pages hold user data, which refers to nothing (rule
                // 2), and stand on the lists of the LRU, which hold nothing.
                if !ground.pages.map.class(head).is_read_when_held() {
                    continue;
                }
                if !ground.without.page_struct {
                    self.by_page_struct(ground, head, structs.get(head), &mut ahead);
                }
                let content = !ground.without.content && ground.reads(head);
                if !large && content {
                    self.by_content(ground, head, &mut page, &mut ahead);
                }
            }
        }
        if !ground.without.hardware {
            self.hardware_tables(ground.kernel, ground.pages, ground.naming, ahead.tables);
        }
    }

    fn reach(&self, pages: &Pages, pfn: Pfn, via: Via, ahead: &mut Ahead) {
        self.named.set(pfn);
        if !pages.map.class(pfn).is_censused() {
            return;
        }
        let head = pages.map.head(pfn);
        if self.held.set(head) {
            self.via.note(head, via);
            ahead.units.push(head);
        }
    }

    /// Rule 5: the words in a reached raw unit.
    fn by_content(&mut self, ground: Ground<'_>, head: Pfn, page: &mut [u8], ahead: &mut Ahead) {
        let unit = ground.pages.map.unit(head);
        let memory = ground.kernel.dump.memory.as_ref();
        for pfn in (unit.start.0..unit.end.0).map(Pfn) {
            if memory.read_page(pfn, page).is_err() {
                // Known to be missing, unless its data is broken.
                let broken = u64::from(memory.state(pfn) == PageState::Present);
                self.missing += broken;
                self.broken += broken;
                continue;
            }
            self.bytes_read += page.len() as u64;
            let entries = self.named_by(ground, page, |named| {
                self.reach(ground.pages, named, Via::Content(head), ahead);
            });
            let tables = entries.into_iter().map(|named| (named, pfn));
            ahead.tables.extend(tables);
        }
    }

    /// Tells `each` page that a word in a page of a reached unit names, and notes
    /// those named by their first byte; returns the frames named by the page as
    /// a table of hardware.
    fn named_by(&self, ground: Ground<'_>, page: &[u8], mut each: impl FnMut(Pfn)) -> Vec<Pfn> {
        let Ground { pages, naming, .. } = ground;
        naming.names(page, |_, word, named| {
            if naming.is_start(word) {
                self.started.set(named);
            }
            each(named);
        });
        table(page, naming, pages)
    }

    fn wave_in_parallel(&mut self, ground: Ground<'_>, wave: &[Pfn], ahead: &mut Ahead) {
        let pages = ground.pages;
        let wanted = Bits::new(pages.map.end());
        for &head in wave {
            if ground.reads(head) {
                let unit = pages.map.unit(head);
                for pfn in unit.start.0..unit.end.0 {
                    wanted.set(Pfn(pfn));
                }
            }
        }
        let this = &*self;
        let quiet = Pass {
            progress: &pagehound_scan::NoProgress,
            ..*ground.pass
        };
        // What is held stays as it is until the wave is over: a unit reached before
        // must not come to be held by one that it holds itself.
        let fresh = Bits::new(pages.map.end());
        let outcome = quiet.fold(
            |pfn| wanted.get(pfn),
            Wave::default,
            |found: &mut Wave, pfn, page| {
                let from = pages.map.head(pfn);
                let entries = this.named_by(ground, page, |named| {
                    this.named.set(named);
                    let head = pages.map.head(named);
                    if pages.map.class(named).is_censused() && !this.held.get(head) {
                        this.via.note(head, Via::Content(from));
                        if fresh.set(head) {
                            found.units.push(head);
                        }
                    }
                });
                let tables = entries.into_iter().map(|named| (named, pfn));
                found.tables.extend(tables);
            },
        );
        self.bytes_read += outcome.tally.bytes;
        self.missing += outcome.tally.unreadable;
        self.broken += outcome.tally.unreadable;
        self.cancelled |= outcome.tally.end != End::Complete;
        let mut tables = Vec::new();
        for found in outcome.states {
            for &head in &found.units {
                self.held.set(head);
            }
            ahead.units.extend(found.units);
            tables.extend(found.tables);
        }
        // The same order whatever the threads did; units are sorted before they
        // are looked at.
        tables.sort_unstable();
        ahead.tables.extend(tables);
    }

    /// Rule 4: `page->lru`, `page->private` and the like of a reached unit.
    /// `compound_head` leads to the unit's own head and so adds nothing.
    fn by_page_struct(
        &mut self,
        ground: Ground<'_>,
        head: Pfn,
        page: Option<&[u8]>,
        ahead: &mut Ahead,
    ) {
        let Ground { pages, naming, .. } = ground;
        let Some(page) = page else {
            self.missing += 1;
            return;
        };
        naming.names(page, |_, _, named| {
            self.reach(pages, named, Via::PageStruct(head), ahead);
        });
    }
}

//! From what the roots reached to all that can be reached (rules 4 and 5).

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_scan::{Pass, words_in_ranges};
use pagehound_vmcore::{Pfn, PfnRange};

use super::bits::Bits;
use super::hardware::table;
use super::{Census, Naming, Via, Without};

/// A wave larger than this is read in one parallel pass, a smaller one unit by
/// unit: lists of raw pages make many waves of one.
const WAVE: usize = 4096;

/// What one thread found in a wave: pages named by words, and by tables of
/// hardware, each with the page that names it.
#[derive(Default)]
struct Wave {
    words: Vec<(Pfn, Pfn)>,
    tables: Vec<(Pfn, Pfn)>,
}

impl Census {
    pub(super) fn mark(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        pass: &Pass<'_>,
        seeds: Vec<Pfn>,
        without: Without,
    ) {
        let mut wave = seeds;
        let mut page = vec![0; kernel.page_size() as usize];
        let mut tables: Vec<(Pfn, Pfn)> = Vec::new();
        while !wave.is_empty() {
            let mut next = Vec::new();
            if wave.len() > WAVE {
                self.wave_in_parallel(pages, naming, pass, &wave, without, &mut next, &mut tables);
            }
            for &head in &wave {
                if !without.page_struct {
                    self.by_page_struct(kernel, pages, naming, head, &mut next);
                }
                if wave.len() <= WAVE && !without.content {
                    self.by_content(
                        kernel,
                        pages,
                        naming,
                        head,
                        &mut page,
                        &mut next,
                        &mut tables,
                    );
                }
            }
            wave = next;
        }
        if !without.hardware {
            self.hardware_tables(kernel, pages, naming, tables);
        }
    }

    fn reach(&mut self, pages: &Pages, pfn: Pfn, via: Via, next: &mut Vec<Pfn>) {
        self.named.set(pfn);
        if !pages.map.class(pfn).is_unaccounted() {
            return;
        }
        let head = pages.map.head(pfn);
        if self.held.set(head) {
            self.via.insert(head.0, via);
            next.push(head);
        }
    }

    /// Rule 5: the words in a reached raw unit. Detached pages hold user data,
    /// which refers to nothing (rule 2).
    fn by_content(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        head: Pfn,
        page: &mut [u8],
        next: &mut Vec<Pfn>,
        tables: &mut Vec<(Pfn, Pfn)>,
    ) {
        if pages.map.class(head) != Class::Raw {
            return;
        }
        let unit = pages.map.unit(head);
        let memory = kernel.dump.memory.as_ref();
        for pfn in (unit.start.0..unit.end.0).map(Pfn) {
            if memory.read_page(pfn, page).is_err() {
                continue;
            }
            self.bytes_read += page.len() as u64;
            tables.extend(
                table(page, naming, pages)
                    .into_iter()
                    .map(|named| (named, pfn)),
            );
            words_in_ranges(page, &naming.ranges(), |_, word| {
                if let Some(named) = naming.page(word) {
                    if naming.is_start(word) {
                        self.started.set(named);
                    }
                    self.reach(pages, named, Via::Content(head), next);
                }
            });
        }
    }

    fn wave_in_parallel(
        &mut self,
        pages: &Pages,
        naming: &Naming,
        pass: &Pass<'_>,
        wave: &[Pfn],
        without: Without,
        next: &mut Vec<Pfn>,
        tables: &mut Vec<(Pfn, Pfn)>,
    ) {
        if without.content {
            return;
        }
        let wanted = Bits::new(pages.map.end());
        for &head in wave {
            if pages.map.class(head) == Class::Raw {
                let unit = pages.map.unit(head);
                for pfn in unit.start.0..unit.end.0 {
                    wanted.set(Pfn(pfn));
                }
            }
        }
        let ranges = naming.ranges();
        let started = &self.started;
        let quiet = Pass {
            progress: &pagehound_scan::NoProgress,
            ..*pass
        };
        let outcome = quiet.fold(
            |pfn| wanted.get(pfn),
            Wave::default,
            |found: &mut Wave, pfn, page| {
                let named = table(page, naming, pages);
                found
                    .tables
                    .extend(named.into_iter().map(|named| (named, pfn)));
                words_in_ranges(page, &ranges, |_, word| {
                    if let Some(named) = naming.page(word) {
                        if naming.is_start(word) {
                            started.set(named);
                        }
                        found.words.push((named, pfn));
                    }
                });
            },
        );
        self.bytes_read += outcome.tally.bytes;
        for found in outcome.states {
            for (named, from) in found.words {
                let from = pages.map.head(from);
                self.reach(pages, named, Via::Content(from), next);
            }
            tables.extend(found.tables);
        }
    }

    /// Rule 4: `page->lru`, `page->private` and the like of a reached unit.
    /// `compound_head` leads to the unit's own head and so adds nothing; the
    /// lists of a detached page are the LRU's, which hold nothing.
    fn by_page_struct(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        head: Pfn,
        next: &mut Vec<Pfn>,
    ) {
        if pages.map.class(head) != Class::Raw {
            return;
        }
        let range = PfnRange {
            start: head,
            end: Pfn(head.0 + 1),
        };
        let mut bytes = vec![0; pages.memmap.page_size as usize];
        if !pages.memmap.read(kernel, range, &mut bytes).is_empty() {
            return;
        }
        words_in_ranges(&bytes, &naming.ranges(), |_, word| {
            if let Some(named) = naming.page(word) {
                self.reach(pages, named, Via::PageStruct(head), next);
            }
        });
    }
}

//! A host that goes on running while it is looked at: the demo dump, with pages that
//! are others in the second look.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pagehound_hunt::census::{Via, Without};
use pagehound_hunt::{Diagnosis, Options};
use pagehound_model::{Evidence, Verdict};
use pagehound_scan::NoProgress;
use pagehound_testdata::kind;
use pagehound_vmcore::{Coverage, Dump, Fault, PageState, Pfn, PfnRange, PhysAddr, PhysicalMemory};

/// Memory of which some pages are others from a moment on.
struct Changing {
    before: Box<dyn PhysicalMemory>,
    after: BTreeMap<u64, Vec<u8>>,
    changed: Arc<AtomicBool>,
}

impl Changing {
    /// Other bytes at a place.
    fn write(&mut self, at: PhysAddr, bytes: &[u8]) {
        let before = &self.before;
        let page = self.after.entry(at.0 >> 12).or_insert_with(|| {
            let mut page = vec![0; 4096];
            before.read_page(Pfn(at.0 >> 12), &mut page).unwrap();
            page
        });
        let at = (at.0 & 0xfff) as usize;
        page[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl PhysicalMemory for Changing {
    fn page_shift(&self) -> u32 {
        12
    }

    fn end_pfn(&self) -> Pfn {
        self.before.end_pfn()
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.before.state(pfn)
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        match self.after.get(&pfn.0) {
            Some(other) if self.changed.load(Ordering::Relaxed) => {
                page.copy_from_slice(other);
                Ok(())
            }
            _ => self.before.read_page(pfn, page),
        }
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        self.before.present_runs()
    }

    fn coverage(&self) -> Coverage {
        self.before.coverage()
    }
}

/// Bytes to write, and where.
type Writes = Vec<(PhysAddr, Vec<u8>)>;

/// The demo's memory with these writes, which show from when the flag is raised.
fn demo(writes: &Writes, already: bool) -> (Dump, Arc<AtomicBool>, BTreeSet<u64>) {
    let (dump, truth) = common::demo();
    let changed = Arc::new(AtomicBool::new(already));
    let mut memory = Changing {
        before: dump.memory,
        after: BTreeMap::new(),
        changed: Arc::clone(&changed),
    };
    for (at, bytes) in writes {
        memory.write(*at, bytes);
    }
    let dump = Dump {
        info: dump.info,
        memory: Box::new(memory),
    };
    (dump, changed, truth.lost())
}

/// Looks twice at the demo's memory, in which these writes show from the second look
/// on, or from the first if `already`. With it what the demo has lost.
fn look_twice(writes: &Writes, already: bool, without: Without) -> (Diagnosis, BTreeSet<u64>) {
    let (dump, changed, lost) = demo(writes, already);
    let kernel = common::kernel(&dump);
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "live",
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        memory: None,
        without,
    };
    let pause = || changed.store(true, Ordering::Relaxed);
    let diagnosis = Diagnosis::live(&kernel, &options, pause).unwrap();
    (diagnosis, lost)
}

fn in_transit(diagnosis: &Diagnosis) -> u64 {
    let of = |finding: &&pagehound_model::Finding| finding.signature == "in-transit";
    diagnosis
        .report
        .findings
        .iter()
        .filter(of)
        .map(|finding| finding.pages)
        .sum()
}

/// A page is not held by what lies before it.
fn alone() -> Without {
    Without {
        split: true,
        ..Without::default()
    }
}

/// Writes that take every word which refers to one of these pages.
fn forget(pages: &BTreeSet<u64>) -> Writes {
    let mut writes = Writes::new();
    for _ in 0..8 {
        let (dump, _, _) = demo(&writes, true);
        let diagnosis = common::diagnose(&common::kernel(&dump), alone());
        let before = writes.len();
        for &pfn in pages {
            if let Some(Via::Root(at)) = diagnosis.census.via(Pfn(pfn)) {
                writes.push((at, vec![0; 8]));
            }
        }
        if writes.len() == before {
            break;
        }
    }
    writes
}

#[test]
fn what_stands_still_is_lost() {
    let (diagnosis, lost) = look_twice(&Writes::new(), false, Without::default());
    let report = &diagnosis.report;
    assert_eq!(report.verdict, Verdict::Lost, "{:?}", report.warnings);
    let found = common::count_lost(&diagnosis, &lost);
    let all = lost.len();
    assert!(found * 1000 >= all * 995, "{found} of {all}");
    let twice = |evidence: &Evidence| evidence.kind == Evidence::MOTION;
    let first = report.findings.first().unwrap();
    assert!(first.evidence.iter().any(twice), "{:?}", first.evidence);
}

/// A reference that was there in the first look only moved behind the second's back.
#[test]
fn what_has_a_reference_in_one_look_is_in_motion() {
    let (_, truth) = common::demo();
    // Two words lead to a list of pages through their struct pages.
    let list = truth.pages(kind("list"));
    let writes = forget(&list);
    let (diagnosis, lost) = look_twice(&writes, false, alone());
    assert_eq!(common::count_lost(&diagnosis, &list), 0);
    let moved = in_transit(&diagnosis);
    let all = list.len();
    assert!(moved as usize * 10 >= all * 9, "{moved} of {all}");
    let found = common::count_lost(&diagnosis, &lost);
    assert!(
        found * 1000 >= lost.len() * 995,
        "{found} of {}",
        lost.len()
    );
    let warnings = diagnosis.report.warnings.join("; ");
    assert!(warnings.contains("at one moment"), "{warnings}");

    // Gone before the first look, they are lost: nothing else keeps them.
    let (diagnosis, _) = look_twice(&writes, true, alone());
    let found = common::count_lost(&diagnosis, &list);
    assert!(found * 10 >= all * 9, "{found} of {all}");
}

/// Whoever takes a page writes to its `struct page`.
#[test]
fn what_changes_hands_is_not_lost() {
    const TAKEN: usize = 50;
    let (dump, truth) = common::demo();
    let kernel = common::kernel(&dump);
    let pages = pagehound_kernel::Pages::of(&kernel, pagehound_kernel::Making::default()).unwrap();
    let frames = truth.pages(kind("frames"));
    let taken: BTreeSet<u64> = frames.into_iter().take(TAKEN).collect();
    let writes = taken.iter().map(|&pfn| {
        // `_refcount` is at 52 in every kernel with a struct page of 64 bytes.
        let count = pages.memmap.page(Pfn(pfn)).add(52);
        (kernel.phys(count).unwrap(), 2u32.to_le_bytes().to_vec())
    });
    let (diagnosis, lost) = look_twice(&writes.collect(), false, Without::default());
    assert_eq!(common::count_lost(&diagnosis, &taken), 0);
    let found = common::count_lost(&diagnosis, &lost);
    let all = lost.len() - TAKEN;
    assert!(
        found * 1000 >= all * 995 && found <= all,
        "{found} of {all}"
    );
}

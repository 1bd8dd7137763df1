//! A host that goes on running while it is looked at: the demo dump, with pages that
//! are others in the looks after the first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pagehound_hunt::census::{Via, Without};
use pagehound_hunt::{Diagnosis, Options};
use pagehound_model::{Evidence, Verdict};
use pagehound_scan::NoProgress;
use pagehound_testdata::kind;
use pagehound_vmcore::{Coverage, Dump, Fault, PageState, Pfn, PfnRange, PhysAddr, PhysicalMemory};

/// When pages are others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// From the pause between the looks on.
    Later,
    /// In each look from the second time on that they are read.
    ReadAgain,
}

/// What both memory and test know of the time.
#[derive(Default)]
struct Clock {
    later: AtomicBool,
    /// Changed pages that were read since the look began.
    read: Mutex<BTreeSet<u64>>,
}

/// Memory of which some pages are others from a moment on.
struct Changing {
    before: Box<dyn PhysicalMemory>,
    after: BTreeMap<u64, Vec<u8>>,
    when: When,
    clock: Arc<Clock>,
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
        let Some(other) = self.after.get(&pfn.0) else {
            return self.before.read_page(pfn, page);
        };
        let is_other = match self.when {
            When::Later => self.clock.later.load(Ordering::Relaxed),
            When::ReadAgain => !self.clock.read.lock().unwrap().insert(pfn.0),
        };
        match is_other {
            true => page.copy_from_slice(other),
            false => self.before.read_page(pfn, page)?,
        }
        Ok(())
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

/// The demo's memory with these writes, and what tells when they show.
fn demo(writes: &Writes, when: When) -> (Dump, Arc<Clock>, BTreeSet<u64>) {
    let (dump, truth) = common::demo();
    let clock = Arc::new(Clock::default());
    let mut memory = Changing {
        before: dump.memory,
        after: BTreeMap::new(),
        when,
        clock: Arc::clone(&clock),
    };
    for (at, bytes) in writes {
        memory.write(*at, bytes);
    }
    let dump = Dump {
        info: dump.info,
        memory: Box::new(memory),
    };
    (dump, clock, truth.lost())
}

/// Looks twice at the demo's memory, in which these writes show `when` it says, or
/// always if `already`. With it what the demo has lost.
fn look_twice(
    writes: &Writes,
    when: When,
    already: bool,
    without: Without,
) -> (Diagnosis, BTreeSet<u64>) {
    let (dump, clock, lost) = demo(writes, when);
    let kernel = common::kernel(&dump);
    clock.later.store(already, Ordering::Relaxed);
    clock.read.lock().unwrap().clear();
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "live",
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        memory: None,
        without,
    };
    let pause = || {
        clock.later.store(true, Ordering::Relaxed);
        clock.read.lock().unwrap().clear();
    };
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
        let (dump, clock, _) = demo(&writes, When::Later);
        clock.later.store(true, Ordering::Relaxed);
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
    let (diagnosis, lost) = look_twice(&Writes::new(), When::Later, false, Without::default());
    let report = &diagnosis.report;
    assert_eq!(report.verdict, Verdict::Lost, "{:?}", report.warnings);
    let found = common::count_lost(&diagnosis, &lost);
    let all = lost.len();
    assert!(found * 1000 >= all * 995, "{found} of {all}");
    let twice = |evidence: &Evidence| {
        evidence.kind == Evidence::MOTION && evidence.text.contains("each of 2 looks")
    };
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
    let (diagnosis, lost) = look_twice(&writes, When::Later, false, alone());
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
    let (diagnosis, _) = look_twice(&writes, When::Later, true, alone());
    let found = common::count_lost(&diagnosis, &list);
    assert!(found * 10 >= all * 9, "{found} of {all}");
}

/// Writes that make the reference count of so many planted frames another, and these.
fn recount(count: u32, frames: usize) -> (Writes, BTreeSet<u64>) {
    let (dump, truth) = common::demo();
    let kernel = common::kernel(&dump);
    let pages = pagehound_kernel::Pages::of(&kernel, pagehound_kernel::Making::default()).unwrap();
    let taken: BTreeSet<u64> = truth
        .pages(kind("frames"))
        .into_iter()
        .take(frames)
        .collect();
    let writes = taken.iter().map(|&pfn| {
        // `_refcount` is at 52 in every kernel with a struct page of 64 bytes.
        let at = pages.memmap.page(Pfn(pfn)).add(52);
        (kernel.phys(at).unwrap(), count.to_le_bytes().to_vec())
    });
    (writes.collect(), taken)
}

/// Looks twice at a demo in which pages become others, and sees that all but those are
/// lost. Tells how often it looked.
fn assert_not_lost(writes: &Writes, when: When, taken: &BTreeSet<u64>) -> String {
    let (diagnosis, lost) = look_twice(writes, when, false, Without::default());
    assert_eq!(common::count_lost(&diagnosis, taken), 0);
    let found = common::count_lost(&diagnosis, &lost);
    let all = lost.len() - taken.len();
    assert!(
        found * 1000 >= all * 995 && found <= all,
        "{found} of {all}"
    );
    let findings = diagnosis.report.findings.iter();
    let mut evidence = findings.flat_map(|finding| &finding.evidence);
    let motion = evidence.find(|evidence| evidence.kind == Evidence::MOTION);
    motion.unwrap().text.clone()
}

/// Whoever takes a page writes to its `struct page`.
#[test]
fn what_changes_hands_is_not_lost() {
    let (writes, taken) = recount(2, 50);
    assert_not_lost(&writes, When::Later, &taken);
}

/// A page that is in use when the map is made and free when the look ends looks the same
/// at the ends of both looks.
#[test]
fn what_is_freed_in_each_look_is_not_lost() {
    let (writes, taken) = recount(0, 50);
    assert_not_lost(&writes, When::ReadAgain, &taken);
}

/// A page that circulates, and that either look misses, is filled anew in between.
#[test]
fn what_is_filled_anew_is_not_lost() {
    let (_, truth) = common::demo();
    let filled: BTreeSet<u64> = truth.pages(kind("frames")).into_iter().take(50).collect();
    let writes = filled
        .iter()
        .map(|&pfn| (PhysAddr((pfn << 12) + 4000), vec![0xa5; 8]))
        .collect();
    // More than one in a hundred of what is left was cleared: it looks once more.
    let looks = assert_not_lost(&writes, When::Later, &filled);
    assert!(looks.contains("each of 3 looks"), "{looks}");
}

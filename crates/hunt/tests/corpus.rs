//! The whole diagnosis on real dumps, held against what their guests wrote
//! down just before they were dumped.

#![cfg(feature = "corpus")]
#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod common;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use common::{Truth, corpus, count_lost, diagnose, kernel, lost};
use pagehound_hunt::census::{Census, Run, Without};
use pagehound_hunt::{Diagnosis, DiagnosisError, Options};
use pagehound_kernel::{Class, Kernel, KernelError, Making, Pages};
use pagehound_model::{Content, State, Verdict};
use pagehound_scan::NoProgress;
use pagehound_testdata::{Score, kind};
use pagehound_vmcore::{Dump, Pfn};

/// One dump, diagnosed once for all tests.
struct Case {
    truth: Truth,
    dump: &'static Dump,
    diagnosis: Diagnosis,
}

impl Case {
    fn of(name: &str) -> Case {
        let (dump, truth) = corpus(name);
        let dump: &'static Dump = Box::leak(Box::new(dump));
        Case {
            truth,
            dump,
            diagnosis: diagnose(&kernel(dump), Without::default()),
        }
    }
}

static FILTERED: LazyLock<Case> = LazyLock::new(|| Case::of("bond-leak-6.1-x86_64-d31-lzo"));
static WHOLE: LazyLock<Case> = LazyLock::new(|| Case::of("bond-leak-6.1-x86_64"));
static HEALTHY: LazyLock<Case> = LazyLock::new(|| Case::of("healthy-6.1-x86_64"));
static OLD: LazyLock<Case> = LazyLock::new(|| Case::of("mixed-5.10-x86_64"));
static NEW: LazyLock<Case> = LazyLock::new(|| Case::of("frames-7.2-x86_64"));
/// Its kallsyms has functions only.
static ARM: LazyLock<Case> = LazyLock::new(|| Case::of("frames-6.1-arm64"));

/// The address of bond0 in the corpus.
const MAC: [u8; 6] = [0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38];

/// All that the reference case must show, however it was dumped.
fn reference_case(case: &Case) {
    let report = &case.diagnosis.report;
    let called = lost(&case.diagnosis);
    assert!(case.truth.leaked() > 0);
    assert_eq!(
        Score::of(&case.truth, &called).missed(),
        Vec::<String>::new()
    );
    assert_eq!(report.verdict, Verdict::Lost);
    let found = called.len() as u64;
    assert_eq!(report.unaccounted.lost_pages, found);

    let finding = &report.findings[0];
    assert_eq!(finding.verdict, State::Lost);
    assert_eq!(finding.content, Content::Ethernet);
    assert_eq!(finding.order, Some(0));
    assert_eq!(finding.pages, found);
    let pattern = &finding.patterns[0];
    assert_eq!((pattern.offset, pattern.hex.as_str()), (0, "246e96433e38"));
    assert!(pattern.share > 0.99);
    let owners: BTreeSet<_> = finding
        .owners
        .iter()
        .map(|owner| {
            (
                owner.name.as_str(),
                owner.driver.as_deref(),
                owner.upper.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        owners,
        BTreeSet::from([
            ("em1", Some("e1000"), Some("bond0")),
            ("em2", Some("e1000"), Some("bond0")),
        ])
    );
    assert!(
        report.control.checked > 1000 && report.control.missed == 0,
        "{:?}",
        report.control
    );

    // Without the fingerprints' help: every page called lost begins with the
    // address that the device received frames for.
    let mut page = vec![0; 4096];
    for &pfn in &called {
        case.dump.memory.read_page(Pfn(pfn), &mut page).unwrap();
        assert_eq!(page[..6], MAC, "frame {pfn:#x}");
    }
}

#[test]
fn the_reference_case_filtered_as_kdump_does() {
    reference_case(&FILTERED);
    let called = &FILTERED.diagnosis;
    assert_eq!(
        count_lost(called, &FILTERED.truth.pages(kind("array"))),
        0,
        "an array"
    );
    assert_eq!(
        count_lost(called, &FILTERED.truth.pages(kind("vmalloc"))),
        0,
        "vmalloc"
    );
}

#[test]
fn the_reference_case_dumped_whole() {
    reference_case(&WHOLE);
}

/// A ring of e1000 has 256 slots, of which one stays empty, and there are two
/// devices: those pages are full of the same frames and not lost.
#[test]
fn receive_rings_are_held_by_their_driver() {
    for case in [&WHOLE, &HEALTHY] {
        let ring: u64 = case
            .diagnosis
            .report
            .holders
            .iter()
            .filter(|holder| holder.kind == "receive ring" && holder.name.ends_with("(e1000)"))
            .map(|holder| holder.pages)
            .sum();
        // With what their descriptors lie in.
        assert!((500..=516).contains(&ring), "{ring} pages");
    }
}

#[test]
fn a_healthy_kernel_has_lost_nothing() {
    let report = &HEALTHY.diagnosis.report;
    assert_eq!(report.verdict, Verdict::None);
    let score = Score::of(&HEALTHY.truth, &lost(&HEALTHY.diagnosis));
    assert_eq!(score.missed(), Vec::<String>::new());
    assert_eq!(score.held_called_lost, 0);
    assert!(report.control.checked > 1000);
    assert_eq!(report.control.missed, 0);
}

/// Frames and higher-order blocks of other kernels: 5.10 has another order
/// place, other page types and no `struct slab`; 7.2 none of what 6.1 has;
/// arm64 has no symbols of variables.
#[test]
fn other_kernels_lose_what_was_planted_and_nothing_else() {
    for case in [&OLD, &NEW, &ARM] {
        let score = Score::of(&case.truth, &lost(&case.diagnosis));
        assert_eq!(score.missed(), Vec::<String>::new());
        assert_eq!(score.held_called_lost, 0);
        assert_eq!(case.diagnosis.report.verdict, Verdict::Lost);
        assert_eq!(case.diagnosis.report.control.missed, 0);
        let owners = &case.diagnosis.report.findings[0].owners;
        let owners: BTreeSet<_> = owners
            .iter()
            .map(|owner| (owner.name.as_str(), owner.driver.as_deref()))
            .collect();
        let virtio = |name| (name, Some("virtio_net"));
        assert_eq!(owners, BTreeSet::from(["em1", "em2"].map(virtio)));
    }
}

#[test]
fn findings_tell_planted_kinds_apart() {
    let findings = &OLD.diagnosis.report.findings;
    let frames = &findings[0];
    assert_eq!((frames.pages, frames.order), (6000, Some(0)));
    assert_eq!(frames.patterns[0].hex, "246e96433e38");
    let blocks = &findings[1];
    assert_eq!((blocks.pages, blocks.order), (800, Some(2)));
    assert_eq!(blocks.verdict, State::Lost);
    // RINGBUF2, as the module wrote it.
    let pattern = &blocks.patterns[0];
    assert_eq!(pattern.offset, 0);
    assert!(
        pattern.hex.starts_with("52494e4742554632"),
        "{}",
        pattern.hex
    );
}

/// The 7.2 guest put two frames in each page, at 64 and 2048 + 64.
#[test]
fn both_frames_of_a_page_are_told() {
    let offsets: BTreeSet<u64> = NEW.diagnosis.report.findings[0]
        .patterns
        .iter()
        .filter(|pattern| pattern.hex == "246e96433e38" && pattern.share > 0.99)
        .map(|pattern| pattern.offset)
        .collect();
    assert_eq!(offsets, BTreeSet::from([64, 2048 + 64]));
}

#[test]
fn ledgers_add_up_to_all_pages() {
    for case in [&FILTERED, &WHOLE, &HEALTHY, &OLD, &NEW, &ARM] {
        let report = &case.diagnosis.report;
        let sum: u64 = report.ledger.iter().map(|row| row.pages).sum();
        assert_eq!(sum, report.target.pages);
        let classes: BTreeSet<_> = report.ledger.iter().map(|row| &row.class).collect();
        assert_eq!(classes.len(), report.ledger.len(), "a class is told twice");
        let raw: u64 = report
            .ledger
            .iter()
            .filter(|row| row.class == "raw" || row.class == "detached")
            .map(|row| row.pages)
            .sum();
        assert_eq!(report.unaccounted.pages, raw);
        let found: u64 = report.findings.iter().map(|finding| finding.pages).sum();
        assert_eq!(found, raw);
    }
}

/// No class is further from the kernel's own counter than 0.5 % or 64 pages,
/// and nothing else is worth a warning either.
#[test]
fn counters_of_the_kernel_agree() {
    for case in [&FILTERED, &WHOLE, &HEALTHY, &OLD, &NEW, &ARM] {
        assert_eq!(case.diagnosis.report.warnings, Vec::<String>::new());
    }
}

fn near(what: &str, found: u64, told: u64) {
    let allowed = (told / 20).max(16);
    assert!(
        found.abs_diff(told) <= allowed,
        "{what}: {found} pages, /proc told {told}"
    );
}

/// `/proc` was read a moment before the dump: what does not move must be
/// equal, what moves slowly must be near.
#[test]
fn classes_agree_with_proc() {
    for case in [&FILTERED, &WHOLE, &HEALTHY, &OLD, &NEW] {
        let Case {
            truth, diagnosis, ..
        } = &**case;
        let count = |class| diagnosis.pages.map.count(class);
        let pages = |name| truth.meminfo(name).unwrap() / 4;
        assert_eq!(
            diagnosis.report.target.mem_total_bytes,
            truth.meminfo("MemTotal").unwrap() * 1024
        );
        let zones = || diagnosis.pages.nodes.iter().flat_map(|node| &node.zones);
        let present: u64 = zones().map(|zone| zone.present).sum();
        let spanned: u64 = zones().map(|zone| zone.spanned).sum();
        assert_eq!(present, truth.zoneinfo("present"));
        assert_eq!(spanned, truth.zoneinfo("spanned"));
        assert_eq!(
            count(Class::Hugetlb) * 4,
            truth.meminfo("HugePages_Total").unwrap() * truth.meminfo("Hugepagesize").unwrap()
        );
        near("stacks", count(Class::KernelStack), pages("KernelStack"));
        near(
            "vmalloc",
            count(Class::Vmalloc) + count(Class::KernelStack),
            pages("VmallocUsed"),
        );
        near("shmem", count(Class::Shmem), pages("Shmem"));
        near("percpu", count(Class::PerCpu), pages("Percpu"));
        let rows = &diagnosis.report.ledger;
        let slab = rows.iter().find(|row| row.class == "slab").unwrap();
        near(
            "slab counter",
            slab.counter.as_ref().unwrap().pages,
            pages("Slab"),
        );
    }
}

/// The control group of every dump holds shmem pages, which an xarray names.
#[test]
fn a_census_cut_short_proves_nothing() {
    let kernel = kernel(HEALTHY.dump);
    let pages = Pages::of(&kernel, Making::default()).unwrap();
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let run = Run {
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        without: Without::default(),
    };
    let census = Census::run(&kernel, &pages, &run);
    assert!(census.cancelled);
    assert!(!census.is_proof());
    let options = Options {
        path: "test",
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        memory: None,
        without: Without::default(),
    };
    let ended = Diagnosis::of(&kernel, &options).err();
    assert!(matches!(
        ended,
        Some(DiagnosisError::Pages(KernelError::Interrupted))
    ));
}

/// One thread and two find the same.
#[test]
fn the_number_of_threads_changes_nothing() {
    let kernel = kernel(FILTERED.dump);
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let options = Options {
        path: "test",
        progress: &NoProgress,
        cancel: &cancel,
        threads: std::num::NonZeroUsize::new(1),
        memory: None,
        without: Without::default(),
    };
    let alone = Diagnosis::of(&kernel, &options).unwrap();
    assert_eq!(lost(&alone), lost(&FILTERED.diagnosis));
}

/// A kernel without BTF: neither tasks nor freelists can be read, zones and free pages
/// of CPUs are told by what they hold.
/// What is lost must be found all the same, what is held must not be called
/// lost, and what could not be read must be said. The log of e1000, which
/// prints addresses, names the devices alone.
#[test]
fn without_btf_the_answer_is_the_same_and_says_what_it_lacks() {
    let options = pagehound_kernel::Options {
        without_btf: true,
        ..pagehound_kernel::Options::default()
    };
    for case in [&FILTERED, &WHOLE, &HEALTHY, &OLD, &NEW] {
        let kernel = Kernel::open(case.dump, options).unwrap();
        let diagnosis = diagnose(&kernel, Without::default());
        let report = &diagnosis.report;
        assert_eq!(report.verdict, case.diagnosis.report.verdict);
        let score = Score::of(&case.truth, &lost(&diagnosis));
        assert_eq!(score.missed(), Vec::<String>::new());
        assert_eq!(score.held_called_lost, 0);
        let said = |what: &str| report.warnings.iter().any(|warning| warning.contains(what));
        assert!(said("tasks") && said("free slab objects"));
        let with = &case.diagnosis.pages;
        for class in [Class::Free, Class::FreePcp] {
            let count = with.map.count(class);
            assert_eq!(diagnosis.pages.map.count(class), count, "{class:?}");
        }
        let zones = |pages: &Pages| -> Vec<_> {
            let zones = pages.nodes.iter().flat_map(|node| node.zones.clone());
            zones
                .map(|zone| (zone.start, zone.spanned, zone.present, zone.managed))
                .collect()
        };
        assert_eq!(zones(&diagnosis.pages), zones(with));
        let sum: u64 = report.ledger.iter().map(|row| row.pages).sum();
        assert_eq!(sum, report.target.pages);
        if case.truth.leaked() > 0 {
            let owners = &report.findings[0].owners;
            let names: BTreeSet<&str> = owners.iter().map(|owner| owner.name.as_str()).collect();
            assert_eq!(names, BTreeSet::from(["em1", "em2"]));
        }
    }
}

//! A small machine, grown and diagnosed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pagehound_hunt::census::Without;
use pagehound_hunt::{Diagnosis, Standing};
use pagehound_model::Verdict;
use pagehound_scan::NoProgress;
use pagehound_testdata::{Score, demo, kind};

use super::plan::PLACES;
use super::*;

fn arguments(folder: &Path, seed: u64) -> Arguments {
    Arguments {
        base: demo(),
        out: folder.join("grown.kdump"),
        memory: 4 << 30,
        leak: 200 << 20,
        rooted: None,
        seed,
        with: With::Zlib,
    }
}

#[test]
fn a_grown_machine_has_the_leak_that_its_truth_tells() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = arguments(folder.path(), 7);
    run(&arguments).unwrap();
    let (old, new) = (Truth::beside(&demo()), Truth::beside(&arguments.out));
    let added = |name| (new.pages(kind(name)).len() - old.pages(kind(name)).len()) as u64;
    let lost: u64 = PLACES.iter().map(|(name, _)| added(name)).sum();
    let wanted = arguments.leak / PAGE;
    assert!((wanted..wanted + BLOCK).contains(&lost), "{lost}");
    assert!(added("array") >= wanted / 16);
    for (name, _) in PLACES {
        assert!(added(name) > 0, "{name}");
    }

    let dump = pagehound_kernel::open(&arguments.out).unwrap();
    let kernel = Kernel::open(&dump, Options::default()).unwrap();
    let cancel = AtomicBool::new(false);
    let options = pagehound_hunt::Options {
        path: "grown",
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        without: Without::default(),
    };
    let diagnosis = Diagnosis::of(&kernel, &options).unwrap();
    let report = &diagnosis.report;
    // Nothing is unread, and every counter is true.
    assert_eq!(report.warnings, Vec::<String>::new());
    assert_eq!(report.contradictions(), Vec::<String>::new());
    assert_eq!((report.verdict, report.complete), (Verdict::Lost, true));
    assert_eq!(report.control.missed, 0);
    for class in ["free", "anonymous"] {
        let row = report.ledger.iter().find(|row| row.class == class).unwrap();
        assert_eq!(row.pages, row.counter.as_ref().unwrap().pages, "{class}");
    }
    let section = 128 << 20;
    let all = report.target.pages - count(report, "hole");
    assert!((arguments.memory - section..=arguments.memory).contains(&(all * PAGE)));
    assert_eq!(
        new.zoneinfo("managed") * PAGE,
        report.target.mem_total_bytes
    );

    let called_lost: BTreeSet<u64> = (0..diagnosis.pages.map.end().0)
        .filter(|&pfn| diagnosis.standing(Pfn(pfn)) == Standing::Lost)
        .collect();
    Score::of(&new, &called_lost).judge().unwrap();
}

fn count(report: &pagehound_model::Report, class: &str) -> u64 {
    let row = report.ledger.iter().find(|row| row.class == class);
    row.map_or(0, |row| row.pages)
}

#[test]
fn a_seed_makes_one_dump_and_another_seed_another() {
    let folder = tempfile::tempdir().unwrap();
    let make = |seed| {
        let mut arguments = arguments(folder.path(), seed);
        (arguments.memory, arguments.leak) = (1 << 30, 20 << 20);
        run(&arguments).unwrap();
        fs::read(&arguments.out).unwrap()
    };
    let first = make(1);
    assert!(first == make(1));
    assert!(first != make(2));
}

#[test]
fn what_is_no_base_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut Arguments)| {
        let mut arguments = arguments(folder.path(), 1);
        change(&mut arguments);
        format!("{:#}", run(&arguments).unwrap_err())
    };
    let too_small = refused(|arguments| arguments.memory = 64 << 20);
    assert!(too_small.contains("so little memory"), "{too_small}");
    let too_full = refused(|arguments| arguments.leak = 4 << 30);
    assert!(too_full.contains("at most half"), "{too_full}");
    let no_truth = refused(|arguments| {
        let copy = arguments.out.with_file_name("base.kdump");
        fs::copy(demo(), &copy).unwrap();
        arguments.base = copy;
    });
    assert!(no_truth.contains("base.truth.txt"), "{no_truth}");
}

#[test]
fn sizes_are_bytes_with_a_letter() {
    assert_eq!(size("1T"), Ok(1 << 40));
    assert_eq!(size("64G"), Ok(64 << 30));
    assert_eq!(size("4096"), Ok(4096));
    for wrong in ["", "G", "1GB", "1.5G", "-1", "99999999T"] {
        assert!(size(wrong).is_err(), "{wrong}");
    }
}

//! What a report says of itself when pages cannot be read.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

mod common;

use common::{demo, diagnose, kernel};
use pagehound_hunt::census::Without;
use pagehound_kernel::Class;
use pagehound_model::{Report, Verdict};
use pagehound_testdata::{Damage, kind};
use pagehound_vmcore::Pfn;
use std::collections::BTreeSet;

/// The report of the demo without the content of `pfn`.
fn without(pfn: Pfn) -> Report {
    let damage = Damage {
        broken: BTreeSet::from([pfn]),
        ..Damage::default()
    };
    let dump = damage.open(&pagehound_testdata::demo());
    let kernel = kernel(&dump);
    let report = diagnose(&kernel, Without::default()).report;
    assert_eq!(report.contradictions(), Vec::<String>::new());
    report
}

#[test]
fn complete_is_what_no_unread_page_bears_on() {
    let (dump, truth) = demo();
    let kernel = kernel(&dump);
    let whole = diagnose(&kernel, Without::default());
    assert!(whole.report.complete);
    assert_eq!(whole.report.verdict, Verdict::Lost);
    let of_class = |class| whole.pages.map.heads(class).next().unwrap();

    let free = without(of_class(Class::FreePcp));
    assert!(free.complete, "{:?}", free.warnings);
    assert_eq!(free.warnings, Vec::<String>::new());

    // What lies in a lost page decides whose it is, not that it is lost.
    let lost = truth
        .planted()
        .find(|block| block.kind == kind("frames"))
        .unwrap()
        .pfn;
    let lost = without(Pfn(lost));
    assert!(!lost.complete);
    assert_eq!(lost.verdict, Verdict::Lost);
    assert!(
        lost.warnings
            .iter()
            .any(|text| text.contains("content of 1 unaccounted")),
        "{:?}",
        lost.warnings
    );

    let stack = without(of_class(Class::KernelStack));
    assert!(!stack.complete);
    assert_eq!(stack.verdict, Verdict::Suspect);
}

#[test]
fn coverage_adds_up_to_the_pages_of_the_kernel() {
    let (dump, _) = demo();
    let container = dump.memory.coverage();
    let kernel = kernel(&dump);
    let report = diagnose(&kernel, Without::default()).report;
    assert_eq!(report.contradictions(), Vec::<String>::new());
    // QEMU keeps 32 pages at the end of memory for ACPI's tables, which the
    // kernel does not map.
    let listed = container.present + container.excluded;
    assert_eq!((listed, report.target.pages), (28_672, 28_640));
    assert_eq!(container.present - report.target.coverage.present, 32);
}

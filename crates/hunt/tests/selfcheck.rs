//! A layout that is wrong by one member must be noticed: whatever a diagnosis
//! says after one offset was moved, it is right, or it claims no proof.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

mod common;

use common::{demo, kernel, lost};
use pagehound_hunt::census::Without;
use pagehound_hunt::{Diagnosis, Options};
use pagehound_kernel::layouts::Field;
use pagehound_model::Verdict;
use pagehound_testdata::Score;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Members whose places decide what is lost; those of modules, printk and net
/// devices only name it.
const DECIDING: &[&str] = &[
    "page.",
    "folio.",
    "slab.",
    "kmem_cache",
    "mem_section.",
    "pglist_data.",
    "zone.",
    "per_cpu_",
    "vmap_",
    "vm_struct.",
    "pcpu_chunk.",
    "task_struct.",
    "signal_struct.",
    "mm_struct.",
    "hstate.",
    "resource.",
];

#[test]
fn no_wrong_offset_makes_a_confident_wrong_answer() {
    let (dump, truth) = demo();
    let base = kernel(&dump).layouts;
    let mut mutants = Vec::new();
    for &field in Field::ALL {
        let deciding = DECIDING
            .iter()
            .any(|prefix| field.name().starts_with(prefix));
        if let Some(place) = base.get(field).filter(|_| deciding) {
            let moved = [8, -8].map(|by| place.offset.checked_add_signed(by));
            mutants.extend(moved.into_iter().flatten().map(|offset| (field, offset)));
        }
    }
    assert!(mutants.len() > 80, "{} mutants", mutants.len());

    let next = AtomicUsize::new(0);
    let lowered = AtomicUsize::new(0);
    let work = || {
        let cancel = AtomicBool::new(false);
        let options = Options {
            path: "test",
            progress: &pagehound_scan::NoProgress,
            cancel: &cancel,
            threads: NonZeroUsize::new(1),
            memory: None,
            without: Without::default(),
        };
        while let Some(&(field, offset)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut kernel = kernel(&dump);
            kernel.layouts = kernel.layouts.clone().with_offset(field, offset);
            // An error is an honest answer.
            let Ok(diagnosis) = Diagnosis::of(&kernel, &options) else {
                lowered.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let score = Score::of(&truth, &lost(&diagnosis));
            let right = score.missed().is_empty() && score.held_called_lost == 0;
            let verdict = diagnosis.report.verdict;
            let confident = matches!(verdict, Verdict::Lost | Verdict::None);
            assert!(
                right || !confident,
                "{} at {offset}: {verdict:?}, {score:?}",
                field.name()
            );
            assert!(
                right || !diagnosis.report.warnings.is_empty(),
                "{} at {offset}: {verdict:?} without a reason",
                field.name()
            );
            lowered.fetch_add(usize::from(!right), Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let lowered = lowered.into_inner();
    assert!(
        lowered >= 40,
        "only {lowered} of {} made a difference",
        mutants.len()
    );
}

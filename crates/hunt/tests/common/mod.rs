//! Dumps whose contents are known, and what a diagnosis of one is held
//! against: the truth file the guest wrote just before it was dumped.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pagehound_hunt::census::Without;
use pagehound_hunt::{Diagnosis, Options, Standing};
use pagehound_kernel::Kernel;
use pagehound_scan::NoProgress;
pub(crate) use pagehound_testdata::Truth;
use pagehound_vmcore::{Dump, Pfn, open};

/// A dump of the corpus with its truth.
pub(crate) fn corpus(name: &str) -> (Dump, Truth) {
    with_truth(&pagehound_testdata::corpus(&format!("{name}.kdump")))
}

/// The dump that the repository carries, with its truth.
pub(crate) fn demo() -> (Dump, Truth) {
    with_truth(&pagehound_testdata::demo())
}

fn with_truth(path: &Path) -> (Dump, Truth) {
    (open(path).unwrap(), Truth::beside(path))
}

/// Opens the kernel of a dump.
pub(crate) fn kernel(dump: &Dump) -> Kernel<'_> {
    Kernel::open(dump, pagehound_kernel::Options::default()).unwrap()
}

/// A diagnosis with some rules of the census left out.
pub(crate) fn diagnose(kernel: &Kernel<'_>, without: Without) -> Diagnosis {
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "test",
        progress: &NoProgress,
        cancel: &cancel,
        threads: None,
        memory: None,
        without,
    };
    Diagnosis::of(kernel, &options).unwrap()
}

/// Frames that a diagnosis calls lost.
pub(crate) fn lost(diagnosis: &Diagnosis) -> BTreeSet<u64> {
    (0..diagnosis.pages.map.end().0)
        .filter(|&pfn| diagnosis.standing(Pfn(pfn)) == Standing::Lost)
        .collect()
}

/// How many of `pfns` a diagnosis calls lost.
pub(crate) fn count_lost(diagnosis: &Diagnosis, pfns: &BTreeSet<u64>) -> usize {
    lost(diagnosis).intersection(pfns).count()
}

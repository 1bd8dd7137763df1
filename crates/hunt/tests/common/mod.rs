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
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pagehound_hunt::census::Without;
use pagehound_hunt::{Diagnosis, Options, PageState};
use pagehound_kernel::Kernel;
use pagehound_model::State;
use pagehound_scan::NoProgress;
use pagehound_vmcore::{Dump, Pfn, open};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn existing(path: PathBuf, how: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: {how}", path.display());
    path
}

/// A file of the corpus of real dumps.
pub(crate) fn corpus_file(file: &str) -> PathBuf {
    let corpus = std::env::var_os("PAGEHOUND_CORPUS")
        .map_or_else(|| root().join("../shared/corpus"), PathBuf::from);
    existing(
        corpus.join(file),
        "these tests need the corpus of real dumps; put it there, or name its folder in \
         PAGEHOUND_CORPUS",
    )
}

/// A dump of the corpus with its truth.
pub(crate) fn corpus(name: &str) -> (Dump, Truth) {
    (
        open(&corpus_file(&format!("{name}.kdump"))).unwrap(),
        Truth::read(&corpus_file(&format!("{name}.truth.txt"))),
    )
}

/// The dump that the repository carries, with its truth.
pub(crate) fn demo() -> (Dump, Truth) {
    let file = |file| {
        existing(
            root().join("demo").join(file),
            "it is part of the repository; `cargo xtask lab demo` makes it again",
        )
    };
    (
        open(&file("leak-6.1-x86_64.kdump")).unwrap(),
        Truth::read(&file("leak-6.1-x86_64.truth.txt")),
    )
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
        without,
    };
    Diagnosis::of(kernel, &options).unwrap()
}

/// Kinds of planted pages that nothing holds, as `lab/README.md` numbers them.
pub(crate) const LOST: [u32; 9] = [1, 2, 3, 7, 8, 12, 13, 17, 18];

/// What the guest wrote down just before the dump.
pub(crate) struct Truth {
    text: String,
    /// `(first frame, kind, order)` of every planted block.
    pub(crate) blocks: Vec<(u64, u32, u32)>,
    /// Pages a driver lost by its own count; which ones is not known.
    pub(crate) leaked: u64,
}

impl Truth {
    fn read(path: &Path) -> Truth {
        let bytes = std::fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut truth = Truth {
            text,
            blocks: Vec::new(),
            leaked: 0,
        };
        assert!(truth.section("end").is_some(), "the truth is cut off");
        // Where no driver counted, the heading has nothing below it.
        truth.leaked = truth
            .section("leaked")
            .unwrap()
            .first()
            .map_or(0, |line| line.trim().parse().unwrap());
        truth.blocks = truth
            .section("planted")
            .unwrap()
            .into_iter()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let words: Vec<u64> = line
                    .split_whitespace()
                    .map(|word| word.parse().unwrap())
                    .collect();
                let [pfn, kind, order] = words[..] else {
                    panic!("{line:?} is not `pfn kind order`");
                };
                (pfn, kind as u32, order as u32)
            })
            .collect();
        truth
    }

    /// Lines below `== name` up to the next heading.
    pub(crate) fn section(&self, name: &str) -> Option<Vec<&str>> {
        let mut lines = self.text.lines();
        lines.find(|line| {
            line.strip_prefix("== ")
                .is_some_and(|heading| heading.split(' ').next() == Some(name))
        })?;
        Some(lines.take_while(|line| !line.starts_with("== ")).collect())
    }

    /// A line of `/proc/meminfo`: KiB, or a number of pages.
    pub(crate) fn meminfo(&self, name: &str) -> u64 {
        let line = self
            .section("meminfo")
            .unwrap()
            .into_iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("no {name} in meminfo"));
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The sum over all zones of a line of `/proc/zoneinfo`.
    pub(crate) fn zoneinfo(&self, name: &str) -> u64 {
        self.section("zoneinfo")
            .unwrap()
            .into_iter()
            .filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(' '))
            .map(|value| value.trim().parse::<u64>().unwrap())
            .sum()
    }

    /// Frames of a kind, every page of each block.
    pub(crate) fn pages(&self, kind: u32) -> BTreeSet<u64> {
        self.of(|planted| planted == kind)
    }

    /// Frames of all kinds that must be called lost.
    pub(crate) fn lost(&self) -> BTreeSet<u64> {
        self.of(|kind| LOST.contains(&kind))
    }

    /// Frames of all kinds that something holds.
    pub(crate) fn held(&self) -> BTreeSet<u64> {
        self.of(|kind| !LOST.contains(&kind))
    }

    fn of(&self, wanted: impl Fn(u32) -> bool) -> BTreeSet<u64> {
        self.blocks
            .iter()
            .filter(|&&(_, kind, _)| wanted(kind))
            .flat_map(|&(pfn, _, order)| pfn..pfn + (1 << order))
            .collect()
    }
}

/// Frames that a diagnosis calls lost.
pub(crate) fn lost(diagnosis: &Diagnosis) -> BTreeSet<u64> {
    (0..diagnosis.pages.map.end().0)
        .filter(|&pfn| diagnosis.state(Pfn(pfn)) == PageState::Unaccounted(State::Lost))
        .collect()
}

/// An answer beside the truth; numbers of pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Score {
    /// Planted to be lost.
    pub(crate) planted: usize,
    /// Of those, called lost.
    pub(crate) found: usize,
    /// Planted with a holder, and yet called lost.
    pub(crate) held_called_lost: usize,
    /// Called lost and not planted at all.
    pub(crate) extra: usize,
}

impl Score {
    pub(crate) fn of(truth: &Truth, diagnosis: &Diagnosis) -> Score {
        let called = lost(diagnosis);
        let (planted, held) = (truth.lost(), truth.held());
        let found = planted.intersection(&called).count();
        let held_called_lost = held.intersection(&called).count();
        Score {
            planted: planted.len(),
            found,
            held_called_lost,
            extra: called.len() - found - held_called_lost,
        }
    }

    /// Whether 99.5 % of what was planted was found.
    pub(crate) fn recalls(&self) -> bool {
        self.found * 1000 >= self.planted * 995
    }
}

/// How many of `pfns` a diagnosis calls lost.
pub(crate) fn count_lost(diagnosis: &Diagnosis, pfns: &BTreeSet<u64>) -> usize {
    lost(diagnosis).intersection(pfns).count()
}

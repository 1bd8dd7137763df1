//! The repository's own dump, opened once for the tests of all modules.

use std::sync::LazyLock;

use pagehound_kernel::{Kernel, Making, Options, Pages};
use pagehound_testdata::{Truth, demo, kind};
use pagehound_vmcore::{Dump, Pfn};

use crate::census::Naming;

/// The demo dump's kernel, page map and truth.
pub(crate) struct Demo {
    pub(crate) kernel: Kernel<'static>,
    pub(crate) pages: Pages,
    pub(crate) naming: Naming,
    truth: Truth,
}

pub(crate) static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let dump: &'static Dump = Box::leak(Box::new(pagehound_vmcore::open(&demo()).unwrap()));
    let kernel = Kernel::open(dump, Options::default()).unwrap();
    let pages = Pages::of(&kernel, Making::default()).unwrap();
    let naming = Naming::new(&kernel, &pages);
    Demo {
        kernel,
        pages,
        naming,
        truth: Truth::beside(&demo()),
    }
});

impl Demo {
    /// First frames of the planted blocks of a kind, in the order of planting.
    pub(crate) fn of_kind(&self, name: &str) -> Vec<Pfn> {
        let kind = kind(name);
        let blocks = self.truth.planted();
        let frames: Vec<Pfn> = blocks
            .filter(|block| block.kind == kind)
            .map(|block| Pfn(block.pfn))
            .collect();
        assert!(!frames.is_empty(), "nothing of kind {name} is planted");
        frames
    }
}

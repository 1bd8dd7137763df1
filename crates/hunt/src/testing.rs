//! The repository's own dump, opened once for the tests of all modules.

use std::path::Path;
use std::sync::LazyLock;

use pagehound_kernel::{Kernel, Options, Pages};
use pagehound_vmcore::{Dump, Pfn};

use crate::census::Naming;

/// The demo dump's kernel and page map.
pub(crate) struct Demo {
    pub(crate) kernel: Kernel<'static>,
    pub(crate) pages: Pages,
    pub(crate) naming: Naming,
    /// `(first frame, kind)` of every planted block, see lab/README.md.
    pub(crate) planted: Vec<(Pfn, u32)>,
}

pub(crate) static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    let dump = pagehound_vmcore::open(&folder.join("leak-6.1-x86_64.kdump")).unwrap();
    let dump: &'static Dump = Box::leak(Box::new(dump));
    let kernel = Kernel::open(dump, Options::default()).unwrap();
    let pages = Pages::of(&kernel).unwrap();
    let naming = Naming::new(&kernel, &pages);
    let truth = std::fs::read(folder.join("leak-6.1-x86_64.truth.txt")).unwrap();
    let truth = String::from_utf8_lossy(&truth).into_owned();
    let planted = truth
        .lines()
        .skip_while(|line| !line.starts_with("== planted"))
        .skip(1)
        .take_while(|line| !line.starts_with("== "))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let pfn = words.next()?.parse().ok()?;
            Some((Pfn(pfn), words.next()?.parse().ok()?))
        })
        .collect();
    Demo {
        kernel,
        pages,
        naming,
        planted,
    }
});

impl Demo {
    /// First frames of the planted blocks of a kind, in the order of planting.
    pub(crate) fn of_kind(&self, kind: u32) -> Vec<Pfn> {
        let frames: Vec<Pfn> = self
            .planted
            .iter()
            .filter(|(_, planted)| *planted == kind)
            .map(|&(pfn, _)| pfn)
            .collect();
        assert!(!frames.is_empty(), "nothing of kind {kind} is planted");
        frames
    }
}

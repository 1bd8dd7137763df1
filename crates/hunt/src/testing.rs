//! The repository's own dump, opened once for the tests of all modules.

use std::sync::LazyLock;

use pagehound_kernel::{Kernel, Log, LogRecord, Making, Options, Pages};
use pagehound_model::{Content, Finding};
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

/// A log of the kernel's own with these lines.
pub(crate) fn log(lines: &[&str]) -> Log {
    let record = |(seq, line): (usize, &&str)| LogRecord {
        seq: seq as u64,
        ts_nsec: 0,
        level: 6,
        facility: 0,
        caller: None,
        text: line.as_bytes().to_vec(),
        device: None,
    };
    Log {
        records: lines.iter().enumerate().map(record).collect(),
        ..Log::default()
    }
}

/// A finding of single lost pages with frames to a device of a driver, which begin at
/// these offsets.
pub(crate) fn lost_frames(module: &str, offsets: &[u64]) -> Finding {
    let finding = serde_json::json!({
        "id": 1, "signature": "", "group": null, "verdict": "lost",
        "reach": "unreferenced", "pages": 8, "bytes": 32768, "order": 0,
        "estimate": null, "content": "ethernet",
        "patterns": offsets.iter().map(|offset| serde_json::json!({
            "offset": offset, "hex": "246e96433e38", "share": 1.0
        })).collect::<Vec<_>>(),
        "owners": [{
            "kind": "netdev", "name": "em1", "mac": "24:6e:96:43:3e:38", "driver": module,
            "module": module, "bus": null, "upper": null, "role": "destination",
            "node": null, "namespace": null
        }],
        "holders": [], "allocators": [], "nodes": [], "cgroups": [], "modules": [],
        "evidence": [], "confidence": "proved", "known_issues": [], "sample_pfns": []
    });
    let finding: Finding = serde_json::from_value(finding).unwrap();
    assert_eq!(finding.content, Content::Ethernet);
    finding
}

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
use pagehound_vmcore::{
    Coverage, Dump, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory,
};

/// Memory with a page whose data turns out to be broken when it is read.
struct Broken {
    inner: Box<dyn PhysicalMemory>,
    pfn: Pfn,
}

impl PhysicalMemory for Broken {
    fn page_shift(&self) -> u32 {
        self.inner.page_shift()
    }

    fn end_pfn(&self) -> Pfn {
        self.inner.end_pfn()
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.inner.state(pfn)
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        if pfn == self.pfn {
            let reason = FaultReason::Unreadable("does not decompress".into());
            let addr = pfn.addr(self.page_shift());
            return Err(Fault { addr, reason });
        }
        self.inner.read_page(pfn, page)
    }

    fn page_slice(&self, _pfn: Pfn) -> Option<&[u8]> {
        None
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        self.inner.present_runs()
    }

    fn coverage(&self) -> Coverage {
        self.inner.coverage()
    }
}

/// The report of the demo without the content of `pfn`.
fn without(pfn: Pfn) -> Report {
    let (dump, _) = demo();
    let dump = Dump {
        info: dump.info,
        memory: Box::new(Broken {
            inner: dump.memory,
            pfn,
        }),
    };
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
        .iter()
        .find(|block| block.kind == 1)
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

//! Walks over the structures of a kernel with BTF, the demo's 6.1, whose memory lies. An
//! input is whether it does so already when the kernel is opened, with what lines of
//! VMCOREINFO up to a NUL, and words of memory.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use pagehound_hunt::attribution::Attribution;
use pagehound_kernel::{Kernel, Making, Options, Pages};
use pagehound_vmcore::{Dump, PageCache, Pfn, open};

use super::lying::Machine;
use crate::input::Input;

/// Units of each kind that are gone into.
const UNITS: usize = 64;
/// Pages that are kept while they are walked.
const CACHE: usize = 4096;

struct Opened {
    machine: Machine,
    dump: &'static Dump,
    /// Opened while the memory was sound, which saves nearly all of the time.
    kernel: Mutex<Kernel<'static>>,
}

static OPENED: LazyLock<Opened> = LazyLock::new(|| {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leak-6.1-x86_64.kdump");
    let mut machine = Machine::of(open(&demo).expect("the demo"));
    // As long as the fuzzer runs.
    let dump: &'static Dump = Box::leak(Box::new(machine.dump(b"")));
    let kernel = Kernel::open(dump, Options::default()).expect("a sound kernel");
    walk(&kernel);
    machine.learn();
    Opened {
        machine,
        dump,
        kernel: Mutex::new(kernel),
    }
});

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(way) = input.u8() else {
        return;
    };
    let Opened {
        machine,
        dump,
        kernel,
    } = &*OPENED;
    let dump_that_lies = machine.dump(input.text());
    machine.lie(&mut input);
    if way % 16 == 1 {
        if let Ok(kernel) = Kernel::open(&dump_that_lies, Options::default()) {
            walk(&kernel);
        }
        return;
    }
    let mut kernel = kernel.lock().unwrap_or_else(PoisonError::into_inner);
    // What was read of the memory before is forgotten.
    kernel.memory.cache = PageCache::new(dump.memory.as_ref(), CACHE);
    walk(&kernel);
}

fn walk(kernel: &Kernel<'_>) {
    let _ = (kernel.host(), kernel.uname(), kernel.hugetlb_pages());
    let modules = kernel.modules().unwrap_or_default();
    for module in modules.iter().take(UNITS) {
        let _ = kernel.module_build_id(module);
    }
    let areas = kernel.vmap_areas().unwrap_or_default();
    let _ = kernel.tasks();
    if let Ok(log) = kernel.log() {
        let attribution = Attribution::of(kernel, &log);
        for mac in attribution.addresses() {
            let _ = (attribution.owners(mac), attribution.evidence(mac));
        }
    }
    let making = Making {
        threads: NonZeroUsize::MIN,
        ..Making::default()
    };
    let Ok(pages) = Pages::of(kernel, making) else {
        return;
    };
    let counted: u64 = pages.map.counts().iter().sum();
    assert_eq!(counted, pages.map.end().0);
    for area in areas.iter().take(UNITS) {
        let _ = pages.vmalloc_address(Pfn(area.start.0 >> 12));
    }
    for (head, owner) in pages.claims.units() {
        assert!(head < pages.map.end());
        assert!(owner < pages.claims.owners().len());
    }
    let units: Vec<Pfn> = pages.claims.units().map(|unit| unit.0).take(4).collect();
    for head in units {
        let _ = pagehound_kernel::Claims::steps(kernel, &pages, head);
    }
    if let Some(mut charges) = kernel.charges() {
        charges.find_all();
        let _ = charges.groups().len();
    }
    if let Some(records) = kernel.records(&pages.memmap) {
        let _ = (records.has_owners(), records.has_tags());
        for pfn in (0..pages.map.end().0).step_by(257).map(Pfn) {
            let _ = (records.owner(pfn), records.tag(pfn));
        }
    }
}

//! The text of VMCOREINFO, and finding it in memory.

use std::ops::ControlFlow;

use pagehound_kernel::layouts::Layouts;
use pagehound_kernel::{AddressSpace, Vmcoreinfo, find_in_memory};
use pagehound_testdata::Frames;
use pagehound_vmcore::{Machine, PageCache, PhysAddr, PhysicalMemory};

use crate::memory::dump_of;

pub(crate) fn run(data: &[u8]) {
    if let Ok(info) = Vmcoreinfo::parse(data) {
        check(&info);
        let _ = Layouts::resolve(&info, None);
        discover(&info);
    }
    let memory = Frames::of_bytes(12, data);
    let all = |_: u64, _: u64| ControlFlow::Continue(());
    for found in find_in_memory(&memory, &all, &|_| ControlFlow::Continue(())) {
        assert!(found.copies > 0);
        check(&found.info);
        // It is there, and it is what parses.
        let mut text = vec![0; found.text.len()];
        let cache = PageCache::new(&memory, 4);
        cache.read(found.paddr, &mut text).unwrap();
        assert_eq!(text, found.text);
        assert_eq!(Vmcoreinfo::parse(&text).as_ref(), Ok(&found.info));
        assert!(found.paddr < PhysAddr(data.len() as u64));
    }
}

fn check(info: &Vmcoreinfo) {
    assert!(!info.osrelease().is_empty());
    assert!(info.raw("OSRELEASE").is_some());
    let _ = (info.page_size(), info.build_id());
    for (key, value) in info.entries() {
        let is_safe = |c: char| c == ' ' || c.is_ascii_graphic();
        assert!(key.chars().chain(value.chars()).all(is_safe));
        let first = info.entries().find(|entry| entry.0 == key);
        assert_eq!(info.raw(key), first.map(|entry| entry.1));
        let Some(name) = key.split_once('(').and_then(|key| key.1.strip_suffix(')')) else {
            continue;
        };
        let _ = (info.symbol(name), info.number(name));
        let _ = (info.size(name), info.offset(name), info.length(name));
    }
}

/// The address space it describes, with one frame in it.
fn discover(info: &Vmcoreinfo) {
    for shift in [12, 16] {
        let memory = Frames::of_bytes(shift, &[0x63]);
        let cache = PageCache::new(&memory, 4);
        for machine in [None, Some(Machine::X86_64), Some(Machine::Aarch64)] {
            let dump = dump_of(machine);
            let _ = AddressSpace::discover(&cache, memory.end_pfn(), &dump, info);
        }
    }
}

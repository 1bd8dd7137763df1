//! One expectation for every container: the pages an [`Image`] was made of.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub(crate) mod abuse;

use std::collections::BTreeMap;
use std::io::Write;

use pagehound_synth::Image;
use pagehound_vmcore::{
    Coverage, Dump, FaultReason, OpenError, OpenOptions, PageCache, PageState, Pfn, PhysAddr,
    PhysicalMemory,
};
use tempfile::NamedTempFile;

/// What a dump must show.
#[derive(Clone, Default)]
pub(crate) struct Expected {
    pub(crate) page_size: usize,
    pub(crate) present: BTreeMap<u64, Vec<u8>>,
    pub(crate) excluded: Vec<u64>,
    pub(crate) lost: Vec<u64>,
}

/// Bytes nobody can compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Every kind of page, over several blocks of the bitmap, with gaps.
pub(crate) fn sample(page_size: usize) -> (Image, Expected) {
    let mut image = Image::new(page_size).lost(0x90).lost(0x91).end_pfn(2000);
    let mut expected = Expected {
        page_size,
        lost: vec![0x90, 0x91],
        ..Expected::default()
    };
    let mut add = |pfn: u64, mut bytes: Vec<u8>| {
        bytes.resize(page_size, 0);
        image.set_page(pfn, bytes.clone());
        expected.present.insert(pfn, bytes);
    };
    add(0, b"first".to_vec());
    add(1, vec![0; page_size]);
    add(2, noise(2, page_size));
    add(7, vec![0; page_size]);
    for pfn in 0x40..0x50 {
        let text = format!("page {pfn:#x} of a machine; ");
        add(pfn, text.repeat(page_size / text.len()).into_bytes());
    }
    for pfn in 500..530 {
        add(pfn, noise(pfn, page_size / 3));
    }
    for pfn in [1023, 1024, 1087, 1535, 1536, 1999] {
        add(pfn, pfn.to_le_bytes().repeat(page_size / 8));
    }
    for pfn in (3..6).chain(0x50..0x60).chain([1022, 1025, 1998]) {
        image.set_excluded(pfn);
        expected.excluded.push(pfn);
    }
    let image = image
        .vmcoreinfo(format!(
            "OSRELEASE=6.1.0\nPAGESIZE={page_size}\nSYMBOL(_stext)=ffffffff81000000\n"
        ))
        .note("CORE", 1, vec![1; 336])
        .note("CORE", 1, vec![2; 336])
        .note("QEMU", 0, vec![3; 5]);
    (image, expected)
}

/// `bytes` as a file.
pub(crate) fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("write it");
    file
}

/// Mapped or not.
pub(crate) fn options(map: bool) -> OpenOptions {
    OpenOptions {
        map,
        ..OpenOptions::default()
    }
}

/// Opens `bytes`, mapped.
pub(crate) fn open_bytes(bytes: &[u8]) -> Result<Dump, OpenError> {
    pagehound_vmcore::open(file_of(bytes).path())
}

/// Opens `bytes` both ways and checks everything [`PhysicalMemory`] offers.
pub(crate) fn check(what: &str, bytes: &[u8], expected: &Expected) -> Dump {
    let file = file_of(bytes);
    let mut last = None;
    for map in [true, false] {
        let what = format!("{what}, map {map}");
        let dump = options(map)
            .open(file.path())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        check_memory(&what, &*dump.memory, expected);
        last = Some(dump);
    }
    last.expect("opened twice")
}

pub(crate) fn check_memory(what: &str, memory: &dyn PhysicalMemory, expected: &Expected) {
    assert_eq!(memory.page_size(), expected.page_size, "{what}");
    let mut page = vec![0xee; expected.page_size];
    let cache = PageCache::new(memory, 20);
    for pfn in (0..memory.end_pfn().0 + 100).chain([1 << 40, u64::MAX >> 20]) {
        let what = format!("{what}, pfn {pfn:#x}");
        let state = memory.state(Pfn(pfn));
        let read = memory.read_page(Pfn(pfn), &mut page);
        if let Some(bytes) = expected.present.get(&pfn) {
            assert_eq!(state, PageState::Present, "{what}");
            assert_eq!(read, Ok(()), "{what}");
            assert!(page == *bytes, "{what}: wrong bytes");
            assert!(
                memory
                    .page_slice(Pfn(pfn))
                    .is_none_or(|slice| slice == bytes),
                "{what}"
            );
            assert!(
                *cache.page(Pfn(pfn)).expect(&what) == **bytes,
                "{what}: cache"
            );
            continue;
        }
        let reason = read.expect_err(&what).reason;
        if expected.excluded.contains(&pfn) {
            assert_eq!(
                (state, reason),
                (PageState::Excluded, FaultReason::Excluded),
                "{what}"
            );
        } else {
            assert_eq!(
                (state, reason),
                (PageState::Absent, FaultReason::Absent),
                "{what}"
            );
        }
        assert!(memory.page_slice(Pfn(pfn)).is_none(), "{what}");
        assert!(cache.page(Pfn(pfn)).is_err(), "{what}: cache");
    }
    let last = expected
        .present
        .keys()
        .chain(&expected.excluded)
        .max()
        .expect("pages");
    assert!(memory.end_pfn() > Pfn(*last), "{what}");
    let coverage = Coverage {
        present: expected.present.len() as u64,
        excluded: expected.excluded.len() as u64,
        absent: expected.lost.len() as u64,
        unreadable: 0,
    };
    assert_eq!(memory.coverage(), coverage, "{what}");
    check_runs(what, memory, expected);
    check_many(what, memory, memory.end_pfn().0 + 100);
    check_reads(what, &cache, expected);
}

/// Every present frame is in exactly one run.
fn check_runs(what: &str, memory: &dyn PhysicalMemory, expected: &Expected) {
    let mut seen: Vec<u64> = memory
        .present_runs()
        .into_iter()
        .flat_map(|run| run.start.0..run.end.0)
        .collect();
    seen.sort_unstable();
    let wanted: Vec<u64> = expected.present.keys().copied().collect();
    assert_eq!(seen, wanted, "{what}: runs");
}

/// Reads within and across pages, and into one that is missing.
fn check_reads(what: &str, cache: &PageCache<'_>, expected: &Expected) {
    let size = expected.page_size as u64;
    for pfn in &expected.excluded {
        let from = PhysAddr(pfn * size + 100);
        let fault = cache.read(from, &mut [0; 8]).expect_err("excluded");
        assert_eq!(
            (fault.addr, fault.reason),
            (from, FaultReason::Excluded),
            "{what}"
        );
    }
    for (&pfn, bytes) in &expected.present {
        let mut got = vec![0; 24];
        let from = PhysAddr(pfn * size + size - 8);
        match (expected.present.get(&(pfn + 1)), cache.read(from, &mut got)) {
            (Some(next), read) => {
                assert_eq!(read, Ok(()), "{what}, pfn {pfn:#x}");
                let wanted = [&bytes[bytes.len() - 8..], &next[..16]].concat();
                assert_eq!(got, wanted, "{what}, pfn {pfn:#x}");
            }
            (None, read) => {
                let fault = read.expect_err("the next page is missing");
                assert_eq!(fault.addr, PhysAddr((pfn + 1) * size), "{what}");
            }
        }
    }
}

/// Reads of several pages give what reads of each give, and the first fault.
pub(crate) fn check_many(what: &str, memory: &dyn PhysicalMemory, end: u64) {
    let size = memory.page_size();
    let mut single = vec![0; size];
    for count in [1, 3, 64, 70] {
        let mut many = vec![0xee; count * size];
        for first in (0..end).step_by(count - count / 3) {
            let read = memory.read_pages(Pfn(first), &mut many);
            for (pfn, page) in (first..).map(Pfn).zip(many.chunks(size)) {
                let what = format!("{what}, {count} pages from {first:#x}, {pfn}");
                if let Err(fault) = memory.read_page(pfn, &mut single) {
                    assert_eq!(read.as_ref(), Err(&fault), "{what}");
                    break;
                }
                assert!(single == page, "{what}: wrong bytes");
                let at = pfn.addr(memory.page_shift());
                assert!(
                    read.as_ref().err().is_none_or(|fault| fault.addr > at),
                    "{what}"
                );
            }
        }
    }
}

//! A file that `open` takes, whatever its container.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use nix::sys::memfd::{MFdFlags, memfd_create};
use pagehound_hunt::census::Without;
use pagehound_hunt::{Options, is_damaged, survey};
use pagehound_scan::NoProgress;
use pagehound_vmcore::{Dump, FaultReason, OpenError, OpenOptions, PageState, Pfn, PhysicalMemory};

/// Frames looked at from each place of interest on.
const FRAMES: u64 = 8;
/// Runs looked at.
const RUNS: usize = 16;

/// A file that lies in memory and has a path.
pub(crate) struct MemoryFile(File);

impl MemoryFile {
    pub(crate) fn of(bytes: &[u8]) -> MemoryFile {
        let file = memfd_create(c"input", MFdFlags::empty()).expect("memfd_create");
        let mut file = File::from(file);
        file.write_all(bytes).expect("a file in memory");
        MemoryFile(file)
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

pub(crate) fn run(data: &[u8]) {
    let file = MemoryFile::of(data);
    // What has no signature is memory as it is, as where a kernel is found in it.
    let open = |map, page_shift| {
        let options = OpenOptions {
            map,
            page_shift,
            raw: true,
        };
        options.open(&file.path())
    };
    // Other pages than the container's, as where its kernel turns out to have them.
    let shift = 12 + (data.len() % 5) as u32;
    for page_shift in [None, Some(shift)] {
        match (open(true, page_shift), open(false, page_shift)) {
            (Ok(mapped), Ok(read)) => {
                check(&mapped);
                agree(&mapped, &read);
                if page_shift.is_none() {
                    examine(&mapped);
                }
            }
            (Err(mapped), Err(read)) => {
                assert_eq!(mapped.to_string(), read.to_string());
                one_line(&mapped);
                return;
            }
            (mapped, read) => {
                panic!("mapped {:?}, read {:?}", mapped.err(), read.err())
            }
        }
    }
}

pub(crate) fn one_line(error: &OpenError) {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
}

/// What the container says of its pages is one story.
pub(crate) fn check(dump: &Dump) {
    let memory = dump.memory.as_ref();
    let end = memory.end_pfn();
    let coverage = memory.coverage();
    let mut present = 0u64;
    let mut runs = Vec::new();
    memory.each_present_run(&mut |run| {
        assert!(run.start < run.end && run.end <= end, "{run:?} of {end:?}");
        present += run.end.0 - run.start.0;
        if runs.len() < RUNS {
            runs.push(run);
        }
    });
    assert_eq!(present, coverage.present, "{coverage:?}");
    let sum = [coverage.present, coverage.excluded, coverage.absent];
    let sum = sum.iter().sum::<u64>() + coverage.unreadable;
    assert!(sum <= end.0, "{coverage:?} below {end:?}");
    for run in &runs {
        for pfn in [run.start, Pfn(run.end.0 - 1)] {
            assert_eq!(memory.state(pfn), PageState::Present, "{pfn:?} in {run:?}");
        }
        let pages = (run.end.0 - run.start.0).min(FRAMES);
        in_one(memory, run.start, pages);
    }
    let begins = runs.iter().map(|run| run.start.0.saturating_sub(1));
    let ends = runs.iter().map(|run| run.end.0);
    let edges = [0, end.0.saturating_sub(FRAMES / 2), 1 << 52];
    for first in begins.chain(ends).chain(edges) {
        for pfn in first..first.saturating_add(FRAMES) {
            alone(memory, Pfn(pfn));
        }
    }
}

/// One page by itself.
fn alone(memory: &dyn PhysicalMemory, pfn: Pfn) {
    let mut page = vec![0xa5; memory.page_size()];
    let read = memory.read_page(pfn, &mut page);
    let state = memory.state(pfn);
    if pfn >= memory.end_pfn() {
        assert_eq!(state, PageState::Absent, "{pfn:?}");
    }
    match (&read, state) {
        (Ok(()), PageState::Present) => {}
        // That its bytes do not decompress shows when they are read.
        (Err(fault), PageState::Present | PageState::Unreadable) => {
            assert!(
                matches!(fault.reason, FaultReason::Unreadable(_)),
                "{fault}"
            );
        }
        (Err(fault), PageState::Excluded) => {
            assert_eq!(fault.reason, FaultReason::Excluded, "{pfn:?}");
        }
        (Err(fault), PageState::Absent) => {
            assert_eq!(fault.reason, FaultReason::Absent, "{pfn:?}");
        }
        _ => panic!("{pfn:?} is {state:?}, and reading says {read:?}"),
    }
    if let Some(slice) = memory.page_slice(pfn) {
        assert_eq!(read, Ok(()), "{pfn:?}");
        assert_eq!(slice, page, "{pfn:?}");
    }
}

/// Pages read together are what they are one by one.
fn in_one(memory: &dyn PhysicalMemory, first: Pfn, pages: u64) {
    let size = memory.page_size();
    let mut together = vec![0xa5; size * pages as usize];
    let read = memory.read_pages(first, &mut together);
    let mut page = vec![0; size];
    for (pfn, part) in (first.0..).zip(together.chunks_exact(size)) {
        match memory.read_page(Pfn(pfn), &mut page) {
            Ok(()) => assert_eq!(page, part, "{pfn:#x}"),
            Err(fault) => {
                assert_eq!(read, Err(fault));
                return;
            }
        }
    }
    assert_eq!(read, Ok(()));
}

/// A mapped file and one that is read are the same dump.
pub(crate) fn agree(mapped: &Dump, read: &Dump) {
    assert_eq!(
        format!("{:?}", mapped.info),
        format!("{:?}", read.info),
        "of one file"
    );
    let (mapped, read) = (mapped.memory.as_ref(), read.memory.as_ref());
    assert_eq!(mapped.coverage(), read.coverage());
    let size = mapped.page_size();
    let mut pages = [vec![0; size], vec![0; size]];
    for run in mapped.present_runs().into_iter().take(RUNS) {
        let [one, other] = &mut pages;
        let outcomes = (
            mapped.read_page(run.start, one),
            read.read_page(run.start, other),
        );
        assert_eq!(outcomes.0, outcomes.1);
        if outcomes.0.is_ok() {
            assert_eq!(one, other);
        }
    }
}

/// The answer where the kernel cannot be read, from all pages.
fn examine(dump: &Dump) {
    let coverage = dump.memory.coverage();
    // A pass takes as long as there are pages, of which a kdump may hold one many times.
    if coverage.present > 256 {
        return;
    }
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "input",
        progress: &NoProgress,
        cancel: &cancel,
        threads: NonZeroUsize::new(1),
        memory: None,
        without: Without::default(),
    };
    let _ = is_damaged(dump);
    let report = survey(dump, &options, "fuzzed");
    assert_eq!(report.contradictions(), Vec::<String>::new());
}

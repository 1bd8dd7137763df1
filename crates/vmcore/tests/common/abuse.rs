//! Opening damaged files both ways, and using all that opens.

use std::time::{Duration, Instant};

use pagehound_synth::Image;
use pagehound_vmcore::{Dump, PageState, Pfn};

use super::{check_many, file_of, noise, options};

/// Few pages of each kind, so that a file is short.
pub(crate) fn image() -> Image {
    let mut image = Image::new(4096)
        .excluded(3)
        .excluded(4)
        .lost(9)
        .end_pfn(600);
    for pfn in [0, 1, 2, 5, 64, 599] {
        image.set_page(pfn, noise(pfn, 300));
    }
    image
        .note("CORE", 1, vec![1; 336])
        .vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n")
}

/// Uses everything a dump offers, and checks that it agrees with itself.
pub(crate) fn exercise(what: &str, dump: &Dump) {
    let memory = &*dump.memory;
    let coverage = memory.coverage();
    let runs = memory.present_runs();
    let in_runs: u64 = runs.iter().map(|run| run.len()).sum();
    assert_eq!(in_runs, coverage.present, "{what}");
    let mut page = vec![0; memory.page_size()];
    let end = memory.end_pfn().0;
    check_many(what, memory, end.min(130));
    let samples = (0..70)
        .chain(595..605)
        .chain(end.saturating_sub(5)..end.saturating_add(5))
        .chain([u64::MAX >> 16]);
    for pfn in samples.map(Pfn) {
        let state = memory.state(pfn);
        let read = memory.read_page(pfn, &mut page);
        match state {
            PageState::Present => {}
            _ => assert!(read.is_err(), "{what}, {pfn}: {state:?}, yet it reads"),
        }
        if let Some(slice) = memory.page_slice(pfn) {
            assert_eq!(slice, page, "{what}, {pfn}");
        }
        if end <= 700 {
            let in_run = runs.iter().any(|run| run.contains(pfn));
            assert_eq!(in_run, state == PageState::Present, "{what}, {pfn}");
        }
    }
}

/// Opens both ways; both must answer alike.
pub(crate) fn open_both(what: &str, bytes: &[u8]) {
    let file = file_of(bytes);
    let start = Instant::now();
    let outcomes = [true, false].map(|map| match (options(map)).open(file.path()) {
        Ok(dump) => {
            exercise(what, &dump);
            Some((dump.memory.coverage(), dump.info.incomplete))
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{what}: {error}");
            None
        }
    });
    assert_eq!(outcomes[0], outcomes[1], "{what}: mapped and not");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{what}: {:?}",
        start.elapsed()
    );
}

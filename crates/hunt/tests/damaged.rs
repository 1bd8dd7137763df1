//! A dump whose tables are whole and whose data is not, as after a bad copy: only
//! whoever unpacks a page finds out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write;

use pagehound_hunt::census::Without;
use pagehound_model::Report;
use pagehound_model::Verdict;
use pagehound_synth::machine::{Options, v4_13};
use pagehound_synth::{Image, KdumpOptions, LimeOptions, LimeStyle};
use pagehound_vmcore::Pfn;

/// Where the data of each stored page lies, ascending by frame: `disk_dump_header`
/// and `page_desc` by their definitions.
fn blocks(dump: &[u8]) -> Vec<(usize, usize)> {
    let u32_at = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().unwrap()) as usize;
    let (block, sub, bitmaps) = (u32_at(428), u32_at(432), u32_at(436));
    let bitmap = bitmaps * block / 2;
    let dumped = (1 + sub) * block + bitmap;
    let stored: u32 = dump[dumped..dumped + bitmap]
        .iter()
        .map(|byte| byte.count_ones())
        .sum();
    let descs = dumped + bitmap;
    (0..stored as usize)
        .map(|rank| (u32_at(descs + rank * 24), u32_at(descs + rank * 24 + 8)))
        .collect()
}

#[test]
fn pages_that_do_not_unpack_are_told_and_prove_nothing() {
    const BROKEN: usize = 32;
    let crashed = v4_13(&Options::default());
    let mut dump = crashed.image.write_kdump(&KdumpOptions::default());
    let blocks = blocks(&dump);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&dump).unwrap();
    let whole = pagehound_vmcore::open(file.path()).unwrap();
    let stored: Vec<u64> = whole
        .memory
        .present_runs()
        .into_iter()
        .flat_map(|run| run.start.0..run.end.0)
        .collect();
    let mut stored = stored;
    stored.sort_unstable();
    assert_eq!(stored.len(), blocks.len());
    let shared = |block: &(usize, usize)| blocks.iter().filter(|other| *other == block).count() > 1;
    let mut broken = Vec::new();
    for frame in &crashed.slabs {
        let Ok(rank) = stored.binary_search(frame) else {
            continue;
        };
        let block = blocks[rank];
        if broken.len() < BROKEN && !shared(&block) {
            // No method of zlib's, and no header either.
            dump[block.0..block.0 + block.1.min(4)].fill(0xff);
            broken.push(*frame);
        }
    }
    assert_eq!(broken.len(), BROKEN);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&dump).unwrap();
    let dump = pagehound_vmcore::open(file.path()).unwrap();
    let mut page = vec![0; 4096];
    for frame in &broken {
        assert!(dump.memory.read_page(Pfn(*frame), &mut page).is_err());
    }
    let kernel = common::kernel(&dump);
    let report = common::diagnose(&kernel, Without::default()).report;
    assert_eq!(report.target.coverage.unreadable, BROKEN as u64);
    // The trees of the page cache were in what is damaged: the search is blind.
    let control = report.control;
    assert!(control.missed * 2 > control.checked, "{control:?}");
    assert_eq!(report.verdict, Verdict::Incomplete, "{:?}", report.warnings);
    assert!(!report.complete);
    let told = report
        .warnings
        .iter()
        .find(|warning| warning.contains("damaged in the file"));
    assert!(told.unwrap().starts_with("32 pages"), "{told:?}");
}

/// What AVML leaves out holds zeroes; what is lost of its image reads the same, until
/// it turns out what lay there.
#[test]
fn slabs_that_an_image_by_avml_does_not_have_are_missing() {
    const MISSING: usize = 32;
    let crashed = v4_13(&Options {
        lost: 0,
        ..Options::default()
    });
    assert!(crashed.slabs.len() > MISSING);
    let report = |image: &Image| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let options = LimeOptions {
            style: LimeStyle::Avml,
            ..LimeOptions::default()
        };
        file.write_all(&image.write_lime(&options)).unwrap();
        let dump = pagehound_vmcore::open(file.path()).unwrap();
        common::diagnose(&common::kernel(&dump), Without::default()).report
    };
    let told = |report: &Report| {
        let mut warnings = report.warnings.iter();
        warnings.any(|text| text.contains("is missing, not zero"))
    };
    let whole = report(&crashed.image);
    assert_eq!(whole.verdict, Verdict::None, "{:?}", whole.warnings);
    assert!(!told(&whole));
    let mut image = crashed.image.clone();
    for &frame in crashed.slabs.iter().rev().take(MISSING) {
        image = image.lost(frame);
    }
    let cut = report(&image);
    assert_eq!(cut.verdict, Verdict::Incomplete, "{:?}", cut.warnings);
    assert!(!cut.complete);
    assert!(told(&cut), "{:?}", cut.warnings);
}

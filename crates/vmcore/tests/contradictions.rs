//! Dumps that say of their pages what cannot be: none may pass for a sound one.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::ops::Range;

use common::{noise, open_bytes};
use pagehound_synth::{
    Compression, ElfOptions, Flatten, Image, KdumpOptions, LimeOptions, LimeStyle, Order, flatten,
};
use pagehound_vmcore::{Dump, Pfn};

const PAGE: usize = 4096;
/// Frames with content of their own, behind two of zeroes.
const FRAMES: Range<u64> = 2..42;
const ZEROES: [u64; 3] = [0, 1, 50];

fn image() -> Image {
    let image = ZEROES.into_iter().fold(Image::new(PAGE), Image::zero);
    FRAMES.fold(image, |image, pfn| image.page(pfn, noise(pfn, PAGE)))
}

fn kdump(compression: Compression) -> Vec<u8> {
    image().write_kdump(&KdumpOptions {
        compression,
        ..KdumpOptions::default()
    })
}

fn contradicts(bytes: &[u8]) -> bool {
    let info = open_bytes(bytes).expect("opens").info;
    if let Some(contradiction) = &info.contradiction {
        assert!(info.warnings.contains(contradiction));
    }
    info.contradiction.is_some()
}

/// Pages that read, and as something else than they are.
fn wrong(dump: &Dump) -> Vec<u64> {
    let mut page = vec![0; PAGE];
    let mut is_wrong = |pfn: u64| {
        let read = dump.memory.read_page(Pfn(pfn), &mut page).is_ok();
        let is = match FRAMES.contains(&pfn) {
            true => page == noise(pfn, PAGE),
            false => page.iter().all(|&byte| byte == 0),
        };
        read && !is
    };
    FRAMES.chain(ZEROES).filter(|&pfn| is_wrong(pfn)).collect()
}

/// Where the descriptors of a kdump by `synth` begin: block size, and blocks of the
/// sub-header and of bitmaps, are at 428.
fn descriptors(kdump: &[u8]) -> usize {
    let number =
        |at: usize| u32::from_le_bytes(kdump[at..at + 4].try_into().expect("four")) as usize;
    number(428) * (1 + number(432) + number(436))
}

const DESC: usize = 24;

#[test]
fn sound_dumps_do_not() {
    for compression in [Compression::Plain, Compression::Zlib, Compression::Mixed] {
        for backward in [false, true] {
            for share_zero_pages in [false, true] {
                let options = KdumpOptions {
                    compression,
                    backward,
                    share_zero_pages,
                    ..KdumpOptions::default()
                };
                let dump = open_bytes(&image().write_kdump(&options)).expect("opens");
                assert_eq!(dump.info.contradiction, None, "{options:?}");
                assert_eq!(wrong(&dump), [0; 0]);
            }
        }
    }
    assert!(!contradicts(&image().write_elf(&ElfOptions::default())));
    assert!(!contradicts(&image().write_lime(&LimeOptions::default())));
}

/// A block of the table of descriptors that was written to another place: a page with
/// content of its own has another's. (Equal pages may share, so of a page of zeroes that
/// is not seen; content too much can only hold what is lost.)
#[test]
fn pages_that_share_a_block() {
    for compression in [Compression::Plain, Compression::Zlib] {
        let sound = kdump(compression);
        let table = descriptors(&sound);
        // Of the last page with content, behind two of zeroes.
        let last = FRAMES.count() + 1;
        for (to, from) in [(10, 20), (20, 10), (2, 3), (3, 2), (5, 0), (last, 7)] {
            let mut bytes = sound.clone();
            let desc = |index: usize| table + DESC * index..table + DESC * (index + 1);
            bytes.copy_within(desc(from), desc(to).start);
            assert!(contradicts(&bytes), "{compression:?}: {from} over {to}");
        }
    }
}

#[test]
fn blocks_that_overlap_in_part() {
    let sound = kdump(Compression::Zlib);
    let table = descriptors(&sound);
    for index in [3, 10, 30] {
        let mut bytes = sound.clone();
        let at = table + DESC * index;
        let offset = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        bytes[at..at + 8].copy_from_slice(&(offset - 8).to_le_bytes());
        assert!(contradicts(&bytes), "{index}");
    }
}

/// Whatever record of a stream is lost, no page reads as something else than it is.
#[test]
fn a_stream_that_lost_a_record() {
    const RECORD: usize = 1000;
    for compression in [Compression::Plain, Compression::Zlib] {
        let sound = kdump(compression);
        let (first, last) = (descriptors(&sound) / RECORD, sound.len() / RECORD);
        let stream = flatten(
            &sound,
            &Flatten {
                record: RECORD,
                ..Flatten::default()
            },
        );
        for lost in (first..last).step_by(7) {
            let at = 4096 + lost * (RECORD + 16);
            let bytes = [&stream[..at], &stream[at + RECORD + 16..]].concat();
            let dump = open_bytes(&bytes).expect("opens");
            assert_eq!(wrong(&dump), [0; 0], "record {lost}");
            assert!(dump.info.incomplete, "record {lost}");
        }
    }
}

#[test]
fn a_stream_that_writes_pages_twice() {
    let flat = |overwrite, order| Flatten {
        overwrite,
        order,
        ..Flatten::default()
    };
    for order in [Order::Forward, Order::Backward, Order::Interleaved] {
        for (overwrite, expected) in [(false, false), (true, true)] {
            let flat = flat(overwrite, order);
            assert_eq!(
                contradicts(&flatten(&kdump(Compression::Zlib), &flat)),
                expected
            );
            let elf = image().write_elf(&ElfOptions::default());
            assert_eq!(contradicts(&flatten(&elf, &flat)), expected);
        }
    }
}

/// Ranges of one memory: a copy of it is as good as it is, something else is not.
#[test]
fn ranges_with_other_content_for_the_same_memory() {
    let lime = |start: u64, bytes: &[u8]| {
        let mut range = Vec::from(*b"EMiL");
        range.extend(1u32.to_le_bytes());
        range.extend(start.to_le_bytes());
        range.extend((start + bytes.len() as u64 - 1).to_le_bytes());
        range.extend([0; 8]);
        range.extend(bytes);
        range
    };
    let sound = image().write_lime(&LimeOptions {
        style: LimeStyle::Lime,
        ..LimeOptions::default()
    });
    let page = 7;
    let same = lime(page << 12, &noise(page, PAGE));
    let zeroes = lime(page << 12, &[0; PAGE]);
    for (range, expected) in [(&same, false), (&zeroes, true)] {
        for bytes in [[range, &sound[..]].concat(), [&sound[..], range].concat()] {
            assert_eq!(contradicts(&bytes), expected);
        }
    }
}

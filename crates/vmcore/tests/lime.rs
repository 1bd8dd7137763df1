//! Images by LiME and AVML, and raw memory, against one expectation.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Seek, SeekFrom, Write};

use common::{Expected, check, file_of, noise, open_bytes, options, sample};
use pagehound_synth::{Image, LimeOptions, LimeStyle};
use pagehound_vmcore::{Coverage, Dump, Format, OpenOptions, PageState, Pfn};

const STYLES: [LimeStyle; 3] = [LimeStyle::Lime, LimeStyle::AvmlPlain, LimeStyle::Avml];

fn lime(style: LimeStyle) -> LimeOptions {
    LimeOptions {
        style,
        ..LimeOptions::default()
    }
}

/// Nothing between the ranges of an image by LiME is known.
fn only_present(expected: &Expected) -> Expected {
    Expected {
        excluded: Vec::new(),
        lost: Vec::new(),
        ..expected.clone()
    }
}

/// Between those of an image by AVML all is zero, or is no memory.
fn gaps_excluded(expected: &Expected) -> Expected {
    let of = only_present(expected);
    let first = *of.present.keys().next().expect("pages");
    let last = *of.present.keys().next_back().expect("pages");
    let gaps = (first..last).filter(|pfn| !of.present.contains_key(pfn));
    Expected {
        excluded: gaps.collect(),
        ..of
    }
}

#[test]
fn ranges_of_lime() {
    let (image, expected) = sample(4096);
    let bytes = image.write_lime(&lime(LimeStyle::Lime));
    assert_eq!(&bytes[..8], b"EMiL\x01\0\0\0");
    let dump = check("LiME", &bytes, &only_present(&expected));
    assert_eq!(dump.info.format, Format::Lime);
    assert!(!dump.info.incomplete && dump.info.warnings.is_empty());
    assert!(!dump.info.leaves_out_zeroes());
    assert_eq!(dump.info.machine, None);
    assert_eq!(dump.info.vmcoreinfo, None);
}

#[test]
fn pages_of_other_sizes() {
    for page_size in [16384, 65536] {
        let (image, expected) = sample(page_size);
        let expected = only_present(&expected);
        let file = file_of(&image.write_lime(&lime(LimeStyle::Lime)));
        let options = OpenOptions {
            page_shift: Some(page_size.trailing_zeros()),
            ..OpenOptions::default()
        };
        let dump = options.open(file.path()).expect("opens");
        assert_eq!(dump.memory.page_size(), page_size);
        assert_eq!(
            dump.memory.coverage().present,
            expected.present.len() as u64
        );
        let mut page = vec![0; page_size];
        dump.memory.read_page(Pfn(0x40), &mut page).expect("reads");
        assert!(page == expected.present[&0x40]);
    }
}

/// AVML leaves out blocks of zeroes, in its own format and in LiME's, with and
/// without their headers.
#[test]
fn blocks_of_avml() {
    const BLOCK: usize = 16 << 20;
    let mut image = Image::new(4096);
    let mut expected = Expected {
        page_size: 4096,
        ..Expected::default()
    };
    let frames = (BLOCK / 4096) as u64;
    // Five blocks from frame 16 on, of which the second and third are zero, and a
    // range of some pages that no zeroes follow.
    for pfn in (16..16 + 5 * frames).chain(8 * frames..8 * frames + 3) {
        let block = (pfn - 16) / frames;
        let bytes = match pfn % 7 {
            _ if block == 1 || block == 2 => vec![0; 4096],
            0 => noise(pfn, 4096),
            1 => noise(pfn, 90),
            _ => pfn.to_le_bytes().repeat(512),
        };
        image.set_page(pfn, bytes.clone());
        if block != 1 && block != 2 {
            let mut bytes = bytes;
            bytes.resize(4096, 0);
            expected.present.insert(pfn, bytes);
        }
    }
    let expected = gaps_excluded(&expected);
    for style in [LimeStyle::AvmlPlain, LimeStyle::Avml] {
        for headers_of_zeroes in [false, true] {
            let options = LimeOptions {
                headers_of_zeroes,
                ..lime(style)
            };
            let bytes = image.write_lime(&options);
            assert!(bytes.len() < 4 * BLOCK);
            let dump = check(&format!("{options:?}"), &bytes, &expected);
            assert!(!dump.info.incomplete);
            assert!(dump.info.leaves_out_zeroes());
            let warnings = dump.info.warnings.join("; ");
            let gaps = expected.excluded.len();
            assert!(warnings.starts_with(&format!("{gaps} pages")), "{warnings}");
            let format = match style {
                LimeStyle::Avml => Format::Avml,
                _ => Format::Lime,
            };
            assert_eq!(dump.info.format, format);
            // Where each 64 KiB begin, unpacked and in the file.
            let chunks = expected.present.len() as u64 * 4096 / (64 << 10);
            let index = dump.memory.index_bytes();
            assert_eq!(index >= chunks * 16, style == LimeStyle::Avml, "{index}");
        }
    }
}

/// What begins or ends in mid-page is a firmware's; the kernel's pages are whole.
#[test]
fn ranges_that_no_page_is_aligned_to() {
    for style in STYLES {
        let extra = vec![
            (0x10_0800, noise(1, 0x2800)),
            (0x20_0123, noise(2, 0x10)),
            (0x20_0fff, noise(3, 2)),
        ];
        let options = LimeOptions {
            extra: extra.clone(),
            ..lime(style)
        };
        let bytes = Image::new(4096)
            .page(0x300, noise(4, 4096))
            .write_lime(&options);
        let dump = open_bytes(&bytes).expect("opens");
        let mut memory = vec![0; 0x30_1000];
        for (at, bytes) in &extra {
            let at = *at as usize;
            memory[at..at + bytes.len()].copy_from_slice(bytes);
        }
        memory[0x30_0000..].copy_from_slice(&noise(4, 4096));
        let mut page = vec![0; 4096];
        for pfn in [0x100, 0x101, 0x102, 0x200, 0x201, 0x300] {
            assert_eq!(dump.memory.state(Pfn(pfn)), PageState::Present);
            dump.memory.read_page(Pfn(pfn), &mut page).expect("reads");
            let at = pfn as usize * 4096;
            assert!(page == memory[at..at + 4096], "{style:?} {pfn:#x}");
        }
        assert_eq!(dump.memory.coverage().present, 6, "{style:?}");
        assert!(dump.memory.state(Pfn(0x103)) != PageState::Present);
    }
}

/// The first range counts: writers do not list memory twice, and who appends to an
/// image cannot change what is in it.
#[test]
fn of_overlapping_ranges_the_first_counts() {
    for style in STYLES {
        let options = LimeOptions {
            extra: vec![(0x1000, vec![1; 0x3000]), (0x2000, vec![2; 0x4000])],
            ..lime(style)
        };
        let bytes = Image::new(4096).write_lime(&options);
        let dump = open_bytes(&bytes).expect("opens");
        let mut page = vec![0; 4096];
        for (pfn, byte) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)] {
            dump.memory.read_page(Pfn(pfn), &mut page).expect("reads");
            assert!(page == [byte; 4096], "{style:?} {pfn}");
        }
    }
}

fn present(dump: &Dump) -> u64 {
    dump.memory.coverage().present
}

/// Damage in the middle: what lies before stands, the rest is missing, and it says so.
#[test]
fn a_damaged_header_or_chunk_in_the_middle() {
    let image = |pages: &[u64]| {
        let mut image = Image::new(4096);
        for &pfn in pages {
            image.set_page(pfn, noise(pfn, 4096));
        }
        image
    };
    for style in STYLES {
        let first = image(&[1, 2, 3]).write_lime(&lime(style));
        let all = image(&[1, 2, 3, 8, 9]).write_lime(&lime(style));
        assert_eq!(all[..first.len()], first);
        for (what, field, at, byte) in [
            ("magic", 0, 0, 0),
            ("version", 4, 4, 9),
            ("s_addr and e_addr", 8, 17, 0),
            ("s_addr and e_addr", 8, 22, 0xff),
        ] {
            let mut bytes = all.clone();
            bytes[first.len() + at] = byte;
            let dump = open_bytes(&bytes).expect("opens");
            assert!(dump.info.incomplete, "{style:?} {what}");
            assert_eq!(present(&dump), 3, "{style:?} {what}");
            let told = dump.info.warnings.join("; ");
            let place = format!("{what} at offset {:#x}", first.len() + field);
            assert!(told.contains(&place), "{told}");
        }
    }
    // A chunk whose checksum does not fit its bytes is no page of anything.
    let mut bytes = image(&[1, 2, 3]).write_lime(&lime(LimeStyle::Avml));
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    let dump = open_bytes(&bytes).expect("opens");
    let fault = dump.memory.read_page(Pfn(2), &mut [0; 4096]);
    let fault = fault.expect_err("damaged").to_string();
    assert!(fault.contains("is damaged"), "{fault}");
}

#[test]
fn an_image_without_a_first_range_is_refused() {
    for head in [&b"EMiL\x02\0\0\0"[..], b"AVML\x01\0\0\0", b"EMiL"] {
        let error = open_bytes(&[head, &[0; 20]].concat())
            .err()
            .expect("refused");
        assert!(error.to_string().contains("image: "), "{error}");
    }
}

fn raw(bytes: &[u8]) -> Dump {
    let options = OpenOptions {
        raw: true,
        ..OpenOptions::default()
    };
    options.open(file_of(bytes).path()).expect("opens")
}

#[test]
fn raw_memory() {
    let (image, expected) = sample(4096);
    // Something must tell it from a text file.
    let bytes = image.page(0, noise(77, 4096)).write_raw();
    assert!(open_bytes(&bytes).is_err(), "nobody said that it is raw");
    let dump = raw(&bytes);
    assert_eq!(dump.info.format, Format::Raw);
    assert!(!dump.info.incomplete);
    assert_eq!(dump.memory.coverage().present, 2000);
    let mut page = vec![0; 4096];
    for (&pfn, bytes) in expected.present.iter().skip(1) {
        dump.memory.read_page(Pfn(pfn), &mut page).expect("reads");
        assert!(page == *bytes, "{pfn:#x}");
    }
    // Within a page: that one is broken, not zero behind what is there.
    let dump = raw(&bytes[..100 * 4096 + 17]);
    assert!(dump.info.incomplete);
    let coverage = Coverage {
        present: 100,
        unreadable: 1,
        ..Coverage::default()
    };
    assert_eq!(dump.memory.coverage(), coverage);
}

/// Pages of noise at these frames, in a file of `frames` that is otherwise holes or,
/// at `zeroes`, written zeroes.
fn sparse(noisy: &[u64], zeroes: &[u64], frames: u64) -> Dump {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    for (&pfn, zero) in noisy
        .iter()
        .map(|pfn| (pfn, false))
        .chain(zeroes.iter().map(|pfn| (pfn, true)))
    {
        let bytes = if zero {
            vec![0; 4096]
        } else {
            noise(pfn, 4096)
        };
        file.seek(SeekFrom::Start(pfn * 4096)).expect("seek");
        file.write_all(&bytes).expect("write");
    }
    file.as_file().set_len(frames * 4096).expect("set_len");
    let options = OpenOptions {
        raw: true,
        ..options(true)
    };
    options.open(file.path()).expect("opens")
}

/// `cp --sparse` leaves out zeroes; a copy with parts missing has zeroes elsewhere.
#[test]
fn holes_of_a_sparse_file() {
    let noisy: Vec<u64> = (0..64).chain(200..232).chain(480..512).collect();
    let zeroes_left_out = sparse(&noisy, &[], 512);
    assert!(!zeroes_left_out.info.incomplete);
    assert_eq!(present(&zeroes_left_out), 128);
    assert_eq!(zeroes_left_out.memory.coverage().excluded, 384);
    assert!(zeroes_left_out.info.leaves_out_zeroes());
    let warnings = zeroes_left_out.info.warnings.join("; ");
    assert!(
        warnings.contains("384 pages are holes of the file and count as zeroes"),
        "{warnings}"
    );
    assert_eq!(zeroes_left_out.memory.state(Pfn(100)), PageState::Excluded);

    let zeroes: Vec<u64> = (208..216).collect();
    let not_copied = sparse(&noisy, &zeroes, 512);
    assert!(not_copied.info.incomplete);
    assert_eq!(present(&not_copied), 128);
    assert_eq!(not_copied.memory.state(Pfn(100)), PageState::Absent);
    let warnings = not_copied.info.warnings.join("; ");
    assert!(warnings.contains("were not copied"), "{warnings}");

    let broke_off = sparse(&noisy, &[], 2000);
    assert!(broke_off.info.incomplete);
    assert_eq!(present(&broke_off), 128);
    assert_eq!(broke_off.memory.end_pfn(), Pfn(512));
    assert_eq!(broke_off.memory.state(Pfn(600)), PageState::Absent);
    let warnings = broke_off.info.warnings.join("; ");
    assert!(warnings.contains("the copy broke off"), "{warnings}");
}

//! Every version, compression and wrapping of kdump against one expectation.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;

use common::{Expected, check, check_memory, file_of, noise, open_bytes, options, sample};
use pagehound_synth::{Compression, Flatten, Image, KdumpOptions, Order};
use pagehound_vmcore::{Dump, Format, Machine, OpenOptions, PageState, Pfn};

const COMPRESSIONS: [Compression; 6] = [
    Compression::Plain,
    Compression::Zlib,
    Compression::Lzo,
    Compression::Snappy,
    Compression::Zstd,
    Compression::Mixed,
];

#[test]
fn every_version_and_compression() {
    let (image, expected) = sample(4096);
    let image = image
        .utsname([
            "Linux",
            "host",
            "6.1.0-9",
            "#1 SMP Debian",
            "x86_64",
            "(none)",
        ])
        .dump_level(31)
        .phys_base(-0x0100_0000)
        .captured_at(1_700_000_000);
    for version in 1..=6 {
        for compression in COMPRESSIONS {
            let options = KdumpOptions {
                version,
                compression,
                ..KdumpOptions::default()
            };
            let what = format!("{options:?}");
            let dump = check(&what, &image.write_kdump(&options), &expected);
            let info = dump.info;
            assert_eq!(info.format, Format::Kdump, "{what}");
            assert_eq!(info.machine, Some(Machine::X86_64), "{what}");
            assert_eq!(info.dump_level, Some(31), "{what}");
            assert_eq!(info.phys_base, Some(-0x0100_0000), "{what}");
            assert_eq!(info.captured_at, Some(1_700_000_000), "{what}");
            let utsname = info.utsname.expect(&what);
            assert_eq!(
                (&*utsname.nodename, &*utsname.release),
                ("host", "6.1.0-9"),
                "{what}"
            );
            assert!(info.segments.is_empty(), "{what}");
            // Two pages of the sample are lost.
            assert!(info.incomplete, "{what}");
            let text = info
                .vmcoreinfo
                .map(|text| String::from_utf8(text).expect("text"));
            if version >= 3 {
                assert!(
                    text.is_some_and(|text| text.ends_with("SYMBOL(_stext)=ffffffff81000000\n"))
                );
            } else {
                assert_eq!(text, None, "{what}");
            }
            let names: Vec<&[u8]> = info.notes.iter().map(|note| &*note.name).collect();
            if version >= 4 {
                assert_eq!(
                    names,
                    [&b"CORE"[..], b"CORE", b"QEMU", b"VMCOREINFO"],
                    "{what}"
                );
                assert_eq!(info.notes[2].desc, [3; 5], "{what}");
            } else {
                assert!(names.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn other_page_sizes() {
    for page_size in [16384, 65536] {
        let (image, expected) = sample(page_size);
        for compression in COMPRESSIONS {
            let options = KdumpOptions {
                compression,
                ..KdumpOptions::default()
            };
            check(
                &format!("{page_size}, {options:?}"),
                &image.write_kdump(&options),
                &expected,
            );
        }
    }
}

/// QEMU dumps arm64 guests in blocks of 64 KiB whatever their page size.
#[test]
fn blocks_larger_than_the_kernels_pages() {
    let (image, blocks) = sample(65536);
    let image = image.vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    let mut expected = Expected {
        page_size: 4096,
        ..Expected::default()
    };
    for (pfn, block) in &blocks.present {
        let pages = block.chunks(4096).map(<[u8]>::to_vec);
        expected.present.extend((pfn * 16..).zip(pages));
    }
    let split = |pfns: &[u64]| {
        pfns.iter()
            .flat_map(|pfn| pfn * 16..pfn * 16 + 16)
            .collect()
    };
    expected.excluded = split(&blocks.excluded);
    expected.lost = split(&blocks.lost);
    for compression in [Compression::Plain, Compression::Zlib] {
        let options = KdumpOptions {
            compression,
            ..KdumpOptions::default()
        };
        check(
            &format!("{options:?}"),
            &image.write_kdump(&options),
            &expected,
        );
    }
}

/// The page size may come from the caller, who found VMCOREINFO in memory.
#[test]
fn a_page_size_the_container_does_not_say() {
    let image = Image::new(65536).page(2, noise(2, 65536));
    let file = file_of(&image.write_kdump(&KdumpOptions::default()));
    let shift = |page_shift| {
        let options = OpenOptions {
            page_shift,
            ..OpenOptions::default()
        };
        options
            .open(file.path())
            .expect("opens")
            .memory
            .page_shift()
    };
    assert_eq!(shift(None), 16);
    assert_eq!(shift(Some(12)), 12);
    assert_eq!(shift(Some(14)), 14);
    assert_eq!(shift(Some(0)), 16);
    assert_eq!(shift(Some(64)), 16);
}

#[test]
fn flattened_in_every_order() {
    let (image, expected) = sample(4096);
    for compression in [Compression::Plain, Compression::Zlib] {
        for order in [Order::Forward, Order::Backward, Order::Interleaved] {
            for record in [100, 4096, 16384, 1 << 20] {
                for (overwrite, holes_below) in [(false, 0), (true, 0), (false, 4096)] {
                    let flat = Flatten {
                        record,
                        order,
                        overwrite,
                        holes_below,
                        end: true,
                    };
                    let options = KdumpOptions {
                        compression,
                        flattened: Some(flat),
                        ..KdumpOptions::default()
                    };
                    let what = format!("{options:?}");
                    let dump = check(&what, &image.write_kdump(&options), &expected);
                    assert_eq!(dump.info.format, Format::FlattenedKdump, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_flattened_stream_without_its_end_record_is_incomplete() {
    let (image, expected) = sample(4096);
    let flat = Flatten {
        end: false,
        ..Flatten::default()
    };
    let options = KdumpOptions {
        flattened: Some(flat),
        ..KdumpOptions::default()
    };
    let dump = check("no end", &image.write_kdump(&options), &expected);
    assert!(dump.info.incomplete);
    assert!(
        dump.info
            .warnings
            .iter()
            .any(|text| text.contains("breaks off"))
    );
}

#[test]
fn a_single_bitmap_knows_no_excluded_pages() {
    let (image, mut expected) = sample(4096);
    expected.excluded.clear();
    let options = KdumpOptions {
        single_bitmap: true,
        ..KdumpOptions::default()
    };
    check("single bitmap", &image.write_kdump(&options), &expected);
}

#[test]
fn data_in_another_order_than_frames() {
    let (image, expected) = sample(4096);
    let options = KdumpOptions {
        backward: true,
        ..KdumpOptions::default()
    };
    let dump = check("backward", &image.write_kdump(&options), &expected);
    // The frames whose data comes first come first. Zero pages share the block
    // in front of all others.
    let first = dump
        .memory
        .present_runs()
        .into_iter()
        .find(|run| run.start.0 > 7)
        .expect("runs");
    assert_eq!(first.start, Pfn(1999));
}

#[test]
fn one_file_of_a_split_dump() {
    let (image, whole) = sample(4096);
    for version in [2, 5, 6] {
        let range = 0x42..512;
        let mut expected = whole.clone();
        let outside = |pfn: &u64| !range.contains(pfn);
        expected
            .lost
            .extend(whole.present.keys().copied().filter(outside));
        expected.present.retain(|pfn, _| range.contains(pfn));
        let options = KdumpOptions {
            version,
            split: Some(range),
            ..KdumpOptions::default()
        };
        let dump = check(
            &format!("{options:?}"),
            &image.write_kdump(&options),
            &expected,
        );
        assert!(
            dump.info
                .warnings
                .iter()
                .any(|text| text.contains("--reassemble"))
        );
    }
}

/// The parts of an image in a folder, for frames below, from and above these limits.
fn parts(image: &Image, limits: &[u64], version: i32) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (index, limit) in limits.windows(2).enumerate() {
        let options = KdumpOptions {
            version,
            split: Some(limit[0]..limit[1]),
            ..KdumpOptions::default()
        };
        let file = folder.path().join(format!("part {index}"));
        std::fs::write(&file, image.write_kdump(&options)).expect("written");
        files.push(file);
    }
    (folder, files)
}

#[test]
fn all_files_of_a_split_dump() {
    let (image, whole) = sample(4096);
    // makedumpfile writes empty parts too, and more than one.
    for version in [2, 6] {
        let (_folder, mut files) = parts(&image, &[0, 0x42, 512, 512, 512, 2000], version);
        files.rotate_left(2);
        for map in [true, false] {
            let dump = options(map).open_parts(&files).expect("opens");
            let what = format!("split {version}, map {map}");
            check_memory(&what, &*dump.memory, &whole);
            // Two bitmaps in all, and the ranks of one: not as many as there are files.
            let bitmaps = 2 * dump.memory.end_pfn().0.div_ceil(8);
            let index = dump.memory.index_bytes();
            assert!((bitmaps..2 * bitmaps).contains(&index), "{what}: {index}");
            // Two pages of the sample are lost.
            assert!(dump.info.incomplete && !dump.info.missing_parts, "{what}");
            assert_eq!(
                dump.info.warnings,
                ["2 pages are listed but not in the file: the dump is incomplete"]
            );
        }
    }
}

/// A file of no frames hides nothing, wherever it says these are.
#[test]
fn parts_of_no_frames_and_backward_ones() {
    let (image, whole) = sample(4096);
    let (folder, mut files) = parts(&image, &[0, 0x42, 512, 2000], 6);
    let with = |start: u64, end: u64| {
        let file = folder.path().join(format!("{start} to {end}"));
        let options = KdumpOptions {
            split: Some(0x42..512),
            ..KdumpOptions::default()
        };
        let mut dump = image.write_kdump(&options);
        // kdump_sub_header.start_pfn_64 and end_pfn_64.
        dump[4096 + 80..][..8].copy_from_slice(&start.to_le_bytes());
        dump[4096 + 88..][..8].copy_from_slice(&end.to_le_bytes());
        std::fs::write(&file, dump).expect("written");
        file
    };
    for place in [0, 3] {
        files.insert(place, with(5, 5));
        let dump = options(true).open_parts(&files).expect("opens");
        check_memory("a part of no frames", &*dump.memory, &whole);
        // Two pages of the sample are lost; no frames are without a file.
        let warnings = &dump.info.warnings;
        assert!(
            !warnings.iter().any(|text| text.contains("split")),
            "{warnings:?}"
        );
        files.remove(place);
    }
    for place in [0, 3] {
        files.insert(place, with(512, 0x42));
        let error = options(true).open_parts(&files).err().expect("refused");
        assert!(error.to_string().contains("backwards"), "{error}");
        files.remove(place);
    }
}

#[test]
fn a_split_dump_without_one_of_its_files() {
    let (image, whole) = sample(4096);
    let (_folder, files) = parts(&image, &[0, 0x42, 512, 2000], 6);
    let given = [files[2].clone(), files[0].clone()];
    let dump = OpenOptions::default().open_parts(&given).expect("opens");
    let mut expected = whole.clone();
    expected.present.retain(|pfn, _| !(0x42..512).contains(pfn));
    let missing = whole
        .present
        .keys()
        .filter(|pfn| (0x42..512).contains(*pfn));
    expected.lost.extend(missing.copied());
    check_memory("two of three", &*dump.memory, &expected);
    assert!(dump.info.incomplete && dump.info.missing_parts);
    let warnings = dump.info.warnings.join("; ");
    let pages = expected.lost.len();
    assert!(
        warnings.contains(&format!(
            "frames 0x42 to 0x200 are in no file given, {pages} pages"
        )),
        "{warnings}"
    );
    let missing = " of the same folder too: 'part 1'";
    assert!(warnings.ends_with(missing), "{warnings}");
    // Another crash of the same host leaves its parts in the same folder.
    let other = image.clone().captured_at(5);
    let options = KdumpOptions {
        split: Some(0x42..512),
        ..KdumpOptions::default()
    };
    std::fs::write(&files[1], other.write_kdump(&options)).expect("written");
    let dump = OpenOptions::default().open_parts(&given).expect("opens");
    let warnings = dump.info.warnings.join("; ");
    assert!(
        warnings.ends_with("makedumpfile --reassemble"),
        "{warnings}"
    );
    let error = OpenOptions::default()
        .open_parts(&files)
        .err()
        .expect("refused");
    assert!(
        error.to_string().contains("its timestamp differs"),
        "{error}"
    );
}

/// One part alone, flattened and cut: all three are told.
#[test]
fn a_part_of_a_split_dump_that_breaks_off() {
    let (image, _) = sample(4096);
    let options = KdumpOptions {
        split: Some(0..512),
        flattened: Some(Flatten::default()),
        ..KdumpOptions::default()
    };
    let part = image.write_kdump(&options);
    let whole = open_bytes(&part).expect("opens");
    assert_eq!(whole.info.format, Format::FlattenedKdump);
    let told = whole.info.warnings.join("; ");
    assert!(told.contains("in no file given"), "{told}");
    assert!(!told.contains("breaks off"), "{told}");

    let cut = open_bytes(&part[..part.len() * 9 / 10]).expect("opens");
    assert!(cut.info.incomplete);
    let lost = |dump: &Dump| dump.memory.coverage().absent + dump.memory.coverage().unreadable;
    let more = lost(&cut) - lost(&whole);
    let own = cut.memory.coverage().present + more;
    assert_eq!(own, whole.memory.coverage().present);
    assert!(more > 0);
    let told = cut.info.warnings.join("; ");
    assert!(told.contains("in no file given"), "{told}");
    assert!(told.contains("the flattened stream breaks off"), "{told}");
    // The sample itself has lost pages, some of them in this part.
    let listed = told.split("; ").find_map(|one| {
        one.strip_suffix(" pages are listed but not in the file: the dump is incomplete")
    });
    let listed: u64 = listed.expect("told").parse().expect("a number");
    assert!((more..=more + 2).contains(&listed), "{more}: {told}");
}

#[test]
fn files_that_are_no_parts_of_one_dump() {
    let (image, _) = sample(4096);
    let (_folder, files) = parts(&image, &[0, 512, 2000], 6);
    let refused = |files: &[PathBuf]| {
        let error = OpenOptions::default().open_parts(files).err();
        error.expect("refused").to_string()
    };
    let twice = refused(&[files[0].clone(), files[1].clone(), files[0].clone()]);
    assert!(
        twice.contains("frames 0x0 to 0x200, some of which are in"),
        "{twice}"
    );
    let whole = file_of(&image.write_kdump(&KdumpOptions::default()));
    let error = refused(&[files[0].clone(), whole.path().to_owned()]);
    assert!(error.contains("a whole dump"), "{error}");
    let elf = file_of(&image.write_elf(&pagehound_synth::ElfOptions::default()));
    let error = refused(&[files[0].clone(), elf.path().to_owned()]);
    assert!(error.contains("no part of a split dump"), "{error}");
    let joined = format!(
        "cat '{}' {} > DUMP",
        files[0].display(),
        elf.path().display()
    );
    assert!(error.ends_with(&joined), "{error}");
    // The same headers, other memory.
    let (_folder, others) = parts(
        &image.clone().page(0x41, b"x".to_vec()).zero(0x3f0),
        &[0, 512, 2000],
        6,
    );
    let error = refused(&[files[0].clone(), others[1].clone()]);
    assert!(error.contains("its bitmap differs"), "{error}");
}

#[test]
fn status_flags_are_told() {
    let image = Image::new(4096).page(1, b"x".to_vec());
    let dump = |status| {
        let options = KdumpOptions {
            status,
            ..KdumpOptions::default()
        };
        open_bytes(&image.write_kdump(&options))
            .expect("opens")
            .info
    };
    assert!(!dump(0).incomplete);
    assert!(dump(0).warnings.is_empty());
    assert!(dump(0x8).incomplete);
    assert!(
        dump(0x10)
            .warnings
            .iter()
            .any(|text| text.contains("struct page"))
    );
}

/// makedumpfile says what it erased: in an area of its own (header version 5), in a note.
#[test]
fn what_was_erased_is_told() {
    let lines = "erase jiffies\nerase task_struct.comm \x1b[2J\n";
    let image = Image::new(4096).page(1, b"x".to_vec()).erased(lines);
    let kdump = |version| {
        let options = KdumpOptions {
            version,
            ..KdumpOptions::default()
        };
        open_bytes(&image.write_kdump(&options))
            .expect("opens")
            .info
    };
    let elf = open_bytes(&image.write_elf(&pagehound_synth::ElfOptions::default()));
    for info in [kdump(5), kdump(6), elf.expect("opens").info] {
        assert_eq!(
            info.erased,
            ["erase jiffies", "erase task_struct.comm \x1b[2J"]
        );
        let warnings = info.warnings.join("; ");
        assert!(
            warnings.contains("what 2 lines of its configuration name"),
            "{warnings}"
        );
        // It is the dump's text, and warnings are ours.
        assert!(!warnings.contains("jiffies"), "{warnings}");
    }
    assert!(kdump(4).erased.is_empty());
    let long = Image::new(4096)
        .page(1, b"x".to_vec())
        .erased(&"erase it\n".repeat(100_000));
    let info = open_bytes(&long.write_kdump(&KdumpOptions::default()))
        .expect("opens")
        .info;
    assert_eq!(info.erased.len(), 1024);
}

/// A page that does not decompress is unreadable, and only that page.
#[test]
fn a_damaged_page_is_a_fault_of_that_page() {
    let text = b"abcdefgh".repeat(512);
    let image = Image::new(4096).page(1, text.clone()).page(2, &text[8..]);
    for compression in COMPRESSIONS {
        let options = KdumpOptions {
            compression,
            share_zero_pages: false,
            ..KdumpOptions::default()
        };
        let mut bytes = image.write_kdump(&options);
        // Header, sub-header, two bitmaps, two descriptors; then page 1.
        let data = 4 * 4096 + 2 * 24;
        bytes[data] ^= 0xff;
        bytes[data + 1] ^= 0xff;
        let file = file_of(&bytes);
        let memory = pagehound_vmcore::open(file.path()).expect("opens").memory;
        let mut page = vec![0; 4096];
        let first = memory.read_page(Pfn(1), &mut page);
        match compression {
            Compression::Plain => assert_ne!(page, text),
            _ => assert!(first.is_err(), "{compression:?}"),
        }
        assert_eq!(
            memory.read_page(Pfn(2), &mut page),
            Ok(()),
            "{compression:?}"
        );
        assert_eq!(page[..4088], text[8..], "{compression:?}");
    }
}

/// Descriptors that lie: beyond the end, of wrong size, of unknown method.
#[test]
fn a_lying_descriptor_is_unreadable() {
    let image = Image::new(4096)
        .page(1, b"x".to_vec())
        .page(2, b"y".to_vec());
    let good = image.write_kdump(&KdumpOptions::default());
    let desc = 4 * 4096;
    let lies: [(usize, &[u8]); 6] = [
        (0, &u64::MAX.to_le_bytes()),
        (0, &(good.len() as u64).to_le_bytes()),
        (8, &0u32.to_le_bytes()),
        (8, &u32::MAX.to_le_bytes()),
        (12, &0u32.to_le_bytes()),
        (12, &3u32.to_le_bytes()),
    ];
    for (at, lie) in lies {
        let mut bytes = good.clone();
        bytes[desc + at..desc + at + lie.len()].copy_from_slice(lie);
        let dump = open_bytes(&bytes).expect("opens");
        assert_eq!(
            dump.memory.state(Pfn(1)),
            PageState::Unreadable,
            "{at} {lie:?}"
        );
        assert_eq!(
            dump.memory.state(Pfn(2)),
            PageState::Present,
            "{at} {lie:?}"
        );
        assert_eq!(dump.memory.coverage().unreadable, 1, "{at} {lie:?}");
        assert!(dump.info.incomplete);
    }
}

/// The last byte of a bitmap has bits above the last frame, which mean nothing.
#[test]
fn bits_above_the_last_frame_mean_nothing() {
    let image = Image::new(4096)
        .page(1, b"x".to_vec())
        .excluded(2)
        .end_pfn(3);
    let mut bytes = image.write_kdump(&KdumpOptions::default());
    let (existing, dumped) = (2 * 4096, 3 * 4096);
    bytes[existing] |= 0b0011_1000;
    bytes[dumped] |= 0b1100_1000;
    bytes[existing + 1] = 0x0f;
    bytes[dumped + 1] = 0xf0;
    let mut expected = Expected {
        page_size: 4096,
        excluded: vec![2],
        ..Expected::default()
    };
    expected
        .present
        .insert(1, [b"x".to_vec(), vec![0; 4095]].concat());
    let dump = check("bits above", &bytes, &expected);
    assert!(!dump.info.incomplete);
}

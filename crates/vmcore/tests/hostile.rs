//! Damaged and malicious files: a clear error or a partial answer, quickly, in
//! little memory, and never a panic.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::{Duration, Instant};

use common::{file_of, noise, open_bytes, options};
use pagehound_synth::{Compression, ElfOptions, ElfStyle, Flatten, Image, KdumpOptions, Order};
use pagehound_vmcore::{Dump, OpenError, PageState, Pfn};
use proptest::prelude::*;

/// Few pages of each kind, so that a file is short.
fn image() -> Image {
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

/// The image in every container.
fn files() -> Vec<(String, Vec<u8>)> {
    let image = image();
    let mut files = Vec::new();
    for compression in [Compression::Plain, Compression::Mixed] {
        for version in [1, 4, 6] {
            let options = KdumpOptions {
                version,
                compression,
                ..KdumpOptions::default()
            };
            files.push((
                format!("kdump {version} {compression:?}"),
                image.write_kdump(&options),
            ));
        }
    }
    // Plain pages: a hole in the stream must not pass for a page of zeroes.
    for (overwrite, compression) in [(false, Compression::Plain), (true, Compression::Zlib)] {
        let flat = Flatten {
            record: 3000,
            order: Order::Interleaved,
            overwrite,
            ..Flatten::default()
        };
        let options = KdumpOptions {
            compression,
            flattened: Some(flat),
            ..KdumpOptions::default()
        };
        files.push((
            format!("flattened, overwrite {overwrite}"),
            image.write_kdump(&options),
        ));
    }
    for style in [ElfStyle::Kernel, ElfStyle::Qemu, ElfStyle::Makedumpfile] {
        for pn_xnum in [false, true] {
            let options = ElfOptions {
                style,
                pn_xnum,
                ..ElfOptions::default()
            };
            files.push((
                format!("elf {style:?} {pn_xnum}"),
                image.write_elf(&options),
            ));
        }
    }
    files
}

/// Uses everything a dump offers, and checks that it agrees with itself.
fn exercise(what: &str, dump: &Dump) {
    let memory = &*dump.memory;
    let coverage = memory.coverage();
    let runs = memory.present_runs();
    let in_runs: u64 = runs.iter().map(|run| run.len()).sum();
    assert_eq!(in_runs, coverage.present, "{what}");
    let mut page = vec![0; memory.page_size()];
    let end = memory.end_pfn().0;
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
fn open_both(what: &str, bytes: &[u8]) {
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

#[test]
fn cut_short_anywhere() {
    for (what, bytes) in files() {
        let early = (0..bytes.len().min(700)).step_by(13);
        let late = (700..bytes.len()).step_by(bytes.len() / 150 + 1);
        for len in early.chain(late) {
            open_both(&format!("{what}, cut to {len}"), &bytes[..len]);
        }
    }
}

/// What is cut off is missed: no page turns into another.
#[test]
fn a_cut_dump_shows_only_true_pages() {
    for (what, bytes) in files() {
        let whole = open_bytes(&bytes).expect("opens").memory;
        for len in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            let Ok(cut) = open_bytes(&bytes[..len]) else {
                continue;
            };
            let what = format!("{what}, cut to {len}");
            let (mut seen, mut page, mut wanted) = (0, vec![0; 4096], vec![0; 4096]);
            for pfn in (0..600).map(Pfn) {
                if cut.memory.read_page(pfn, &mut page).is_ok() {
                    seen += 1;
                    whole.read_page(pfn, &mut wanted).expect(&what);
                    assert!(page == wanted, "{what}, {pfn}");
                }
            }
            assert!(
                cut.info.incomplete || seen == whole.coverage().present,
                "{what}"
            );
        }
    }
}

#[test]
fn any_byte_of_the_headers_wrong() {
    for (what, bytes) in files().into_iter().step_by(3) {
        // Two blocks of kdump headers; ELF headers and notes; the same behind
        // the flattened stream's own.
        let flat = what.starts_with("flat");
        let headers = (0..480).chain(4096..if flat { 4700 } else { 4096 + 700 });
        let headers = headers.chain(if flat { 4112 + 4096..4112 + 4700 } else { 0..0 });
        for at in headers.filter(|at| *at < bytes.len()) {
            // utsname holds text only.
            if !flat && what.starts_with("kdump") && (20..400).contains(&at) {
                continue;
            }
            for wrong in [0, 0xff, 0x7f, bytes[at] ^ 0x80, bytes[at] ^ 1] {
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                open_both(&format!("{what}, byte {at} is {wrong:#x}"), &bytes);
            }
        }
    }
}

/// A file with little-endian numbers at offsets.
fn with(mut bytes: Vec<u8>, numbers: &[(usize, u64, usize)]) -> Vec<u8> {
    for &(at, value, len) in numbers {
        bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    }
    bytes
}

/// Peak resident memory of this process, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("VmHWM");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

#[test]
fn claims_out_of_all_proportion() {
    let kdump = image().write_kdump(&KdumpOptions::default());
    let qemu = ElfOptions {
        style: ElfStyle::Qemu,
        ..ElfOptions::default()
    };
    let elf = image().write_elf(&qemu);
    let flat = Flatten {
        record: 1000,
        ..Flatten::default()
    };
    let flattened = image().write_kdump(&KdumpOptions {
        flattened: Some(flat),
        ..KdumpOptions::default()
    });
    let max_mapnr_64 = 4096 + 96;
    let tiny = |bytes: Vec<u8>| bytes[..1024].to_vec();
    let load = 64 + 56; // the first PT_LOAD
    let record = 4096;
    let huge_record = |offset: i64, size: i64| {
        let mut bytes = flattened.clone();
        bytes[record..record + 8].copy_from_slice(&offset.to_be_bytes());
        bytes[record + 8..record + 16].copy_from_slice(&size.to_be_bytes());
        bytes
    };
    let cases = [
        (
            "2^52 pages",
            with(kdump.clone(), &[(max_mapnr_64, 1 << 52, 8)]),
        ),
        (
            "2^52 pages in 1 KiB",
            tiny(with(kdump.clone(), &[(max_mapnr_64, 1 << 52, 8)])),
        ),
        (
            "2^46 pages and as large a bitmap",
            with(
                kdump.clone(),
                &[(max_mapnr_64, 1 << 46, 8), (436, u64::MAX, 4)],
            ),
        ),
        (
            "2^64 - 1 pages",
            with(
                kdump.clone(),
                &[(max_mapnr_64, u64::MAX, 8), (436, u64::MAX, 4)],
            ),
        ),
        (
            "the largest sub-header",
            with(kdump.clone(), &[(432, 0x7fff_ffff, 4)]),
        ),
        (
            "2 GiB of notes",
            with(kdump.clone(), &[(4096 + 56, 1 << 31, 8)]),
        ),
        (
            "notes beyond everything",
            with(kdump.clone(), &[(4096 + 48, u64::MAX, 8)]),
        ),
        (
            "vmcoreinfo beyond everything",
            with(kdump.clone(), &[(4096 + 32, u64::MAX - 5, 8)]),
        ),
        (
            "vmcoreinfo of 2^63 bytes",
            with(kdump.clone(), &[(4096 + 40, 1 << 63, 8)]),
        ),
        (
            "split over nothing",
            with(kdump, &[(4096 + 12, 1, 4), (4096 + 80, u64::MAX, 8)]),
        ),
        ("2^32 program headers", {
            let pn_xnum = ElfOptions {
                pn_xnum: true,
                ..qemu
            };
            let bytes = image().write_elf(&pn_xnum);
            let shoff = u64::from_le_bytes(bytes[40..48].try_into().expect("8 bytes"));
            with(bytes, &[(shoff as usize + 44, u64::MAX, 4)])
        }),
        (
            "a segment of 2^51 bytes",
            with(elf.clone(), &[(load + 40, 1 << 51, 8)]),
        ),
        (
            "a segment with 2^51 bytes in the file",
            with(elf.clone(), &[(load + 32, 1 << 51, 8)]),
        ),
        (
            "a segment of 2^64 - 1 bytes",
            with(elf.clone(), &[(load + 40, u64::MAX, 8)]),
        ),
        (
            "a segment at the end of everything",
            with(elf, &[(load + 24, u64::MAX - 1, 8)]),
        ),
        ("a record at 2^62", huge_record(1 << 62, 1000)),
        ("a record at 2^63 - 1", huge_record(i64::MAX, 1000)),
        ("a record of 2^63 - 1 bytes", huge_record(0, i64::MAX)),
        ("a record at -5", huge_record(-5, 1000)),
        ("a record of -5 bytes", huge_record(0, -5)),
    ];
    let before = peak_kib();
    for (what, bytes) in cases {
        let start = Instant::now();
        open_both(what, &bytes);
        assert!(
            start.elapsed() < Duration::from_millis(500),
            "{what}: {:?}",
            start.elapsed()
        );
    }
    let grown = peak_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
}

/// A stream of crumbs would need an index larger than itself.
#[test]
fn a_flattened_stream_of_crumbs_is_refused() {
    let mut bytes = pagehound_synth::flatten(
        b"",
        &Flatten {
            end: false,
            ..Flatten::default()
        },
    );
    for at in 0..2_000_000i64 {
        bytes.extend(at.to_be_bytes());
        bytes.extend(1i64.to_be_bytes());
        bytes.push(b'K');
    }
    let error = open_bytes(&bytes).err().expect("refused");
    assert!(
        matches!(
            error,
            OpenError::Malformed {
                field: "record",
                ..
            }
        ),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Any few bytes wrong, anywhere.
    #[test]
    fn bytes_wrong_anywhere(
        which in any::<prop::sample::Index>(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let files = files();
        let (what, mut bytes) = files[which.index(files.len())].clone();
        for (at, byte) in &wrong {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        open_both(&format!("{what}, {wrong:?}"), &bytes);
    }

    /// Rubbish behind each signature.
    #[test]
    fn rubbish(
        signature in prop::sample::select(vec![
            b"KDUMP   \x06\0\0\0".to_vec(),
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0".to_vec(),
            b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".to_vec(),
            Vec::new(),
        ]),
        tail in prop::collection::vec(any::<u8>(), 0..12_000),
    ) {
        open_both("rubbish", &[signature, tail].concat());
    }
}

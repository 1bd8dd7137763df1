//! Claims out of all proportion to the file: answered quickly, in little memory.
//! Alone in its process, because it measures the process's memory.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::abuse::{image, open_both};
use pagehound_synth::{ElfOptions, ElfStyle, Flatten, KdumpOptions};

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

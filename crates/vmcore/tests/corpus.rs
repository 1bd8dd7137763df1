//! Dumps of real machines, page by page against other readers.
//!
//! Counts and sums of the x86_64 dumps are libkdumpfile 0.5.1's, which read
//! them after `makedumpfile -R` had taken the flattened stream apart. It does
//! not know QEMU's arm64 dumps ("Unknown" machine); those numbers come from a
//! linear walk over bitmap and descriptors with zlib's own `uncompress`.

#![cfg(feature = "corpus")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use pagehound_vmcore::{Coverage, Dump, Format, Machine, Pfn};

fn open(name: &str) -> Dump {
    let path = pagehound_testdata::corpus(name);
    pagehound_vmcore::open(&path).unwrap_or_else(|e| panic!("{e}"))
}

/// Sum over all pages of FNV-1a(page) ^ pfn, multiplied by the golden ratio.
fn sum_of_pages(dump: &Dump) -> u64 {
    let memory = &*dump.memory;
    let mut page = vec![0; memory.page_size()];
    let mut sum = 0u64;
    for run in memory.present_runs() {
        for pfn in run.start.0..run.end.0 {
            memory
                .read_page(Pfn(pfn), &mut page)
                .unwrap_or_else(|e| panic!("{e}"));
            let hash = page.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            sum = sum.wrapping_add((hash ^ pfn).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
    }
    sum
}

#[test]
fn bond_leak_d31_lzo() {
    let dump = open("bond-leak-6.1-x86_64-d31-lzo.kdump");
    assert_eq!(dump.info.format, Format::Kdump);
    assert_eq!(dump.info.machine, Some(Machine::X86_64));
    assert_eq!(dump.info.dump_level, Some(31));
    assert!(!dump.info.incomplete);
    let utsname = dump.info.utsname.as_ref().expect("utsname");
    assert_eq!(utsname.release, "6.1.0-56-cloud-amd64");
    assert_eq!(dump.memory.end_pfn(), Pfn(0x27fdd));
    // Pages that are in bitmap 1 but not in bitmap 2 are counted from the file
    // with a script; libkdumpfile tells them from holes no more than crash does.
    let coverage = Coverage {
        present: 33_858,
        excluded: 80_697,
        ..Coverage::default()
    };
    assert_eq!(dump.memory.coverage(), coverage);
    assert_eq!(sum_of_pages(&dump), 0x208d_c814_206f_32bd);
}

/// A dump by QEMU: flattened, nothing left out.
fn check_qemu(name: &str, pages: u64, end: u64, sum: u64) {
    let dump = open(name);
    assert_eq!(dump.info.format, Format::FlattenedKdump);
    assert_eq!(dump.info.dump_level, Some(1));
    assert!(!dump.info.incomplete && dump.info.warnings.is_empty());
    let vmcoreinfo = dump.info.vmcoreinfo.as_deref().expect("VMCOREINFO");
    assert!(vmcoreinfo.starts_with(b"OSRELEASE="));
    assert_eq!(vmcoreinfo.last(), Some(&b'\n'));
    assert_eq!(dump.memory.page_size(), 4096);
    assert_eq!(dump.memory.end_pfn(), Pfn(end));
    let coverage = Coverage {
        present: pages,
        ..Coverage::default()
    };
    assert_eq!(dump.memory.coverage(), coverage);
    assert_eq!(sum_of_pages(&dump), sum);
    let machine = if name.contains("arm64") {
        Machine::Aarch64
    } else {
        Machine::X86_64
    };
    assert_eq!(dump.info.machine, Some(machine));
}

#[test]
fn bond_leak() {
    check_qemu(
        "bond-leak-6.1-x86_64.kdump",
        69_664,
        0x10_0000,
        0x85d5_cf51_6779_ce5c,
    );
}

#[test]
fn frames_7_2() {
    check_qemu(
        "frames-7.2-x86_64.kdump",
        69_664,
        0x10_0000,
        0x5e31_8b36_2b93_8b93,
    );
}

#[test]
fn healthy() {
    check_qemu(
        "healthy-6.1-x86_64.kdump",
        53_280,
        0x10_0000,
        0x0168_ca67_cb60_1f60,
    );
}

#[test]
fn mixed_5_10() {
    check_qemu(
        "mixed-5.10-x86_64.kdump",
        53_280,
        0x10_0000,
        0x7afa_0cd6_82eb_9e00,
    );
}

/// Blocks of 64 KiB, a kernel with pages of 4 KiB.
#[test]
fn frames_arm64() {
    check_qemu(
        "frames-6.1-arm64.kdump",
        65_536,
        0x50000,
        0xa2c4_6004_58fc_1ba3,
    );
}

//! Real hosts. The figures were worked out from the files with awk.

use super::super::{HostFiles, Sign};
use super::{consistent, missed, row_kb};
use std::path::PathBuf;

fn truth(name: &str) -> PathBuf {
    pagehound_testdata::corpus(&format!("{name}.truth.txt"))
}

fn host(name: &str) -> HostFiles {
    HostFiles::from_meminfo_path(&truth(name)).unwrap()
}

#[test]
fn the_reference_case_step_by_step() {
    let (classic, _) = consistent(&host("bond-leak-6.1-x86_64"));
    let steps: Vec<_> = classic
        .steps
        .iter()
        .map(|step| (step.name, step.sign, step.kb))
        .collect();
    use Sign::{Equals, Minus, Plus};
    assert_eq!(
        steps,
        [
            ("MemTotal", Plus, 222_376),
            ("Buffers", Minus, 0),
            ("Cached", Minus, 22_132),
            ("AnonPages", Minus, 5_784),
            ("HugePages_Total x Hugepagesize", Minus, 8_192),
            ("MemFree", Minus, 100_144),
            ("MemKernel", Equals, 86_124),
            ("Slab", Minus, 18_560),
            ("VmallocUsed", Minus, 6_012),
            ("PageTables", Minus, 72),
            ("KernelStack", Minus, 936),
            ("HardwareCorrupted", Minus, 0),
            ("Bounce", Minus, 0),
            ("UnaccountedPages", Equals, 60_544),
        ]
    );
    assert_eq!(
        (classic.mem_kernel_kb, classic.unaccounted_kb),
        (86_124, 60_544)
    );
    assert_eq!(
        (classic.unaccounted_pages, classic.page_size),
        (15_136, 4096)
    );
    // 61 stacks of 16 KiB are vmalloc areas; 153 pages wait on per-CPU lists.
    assert_eq!(missed(&classic, "kernel stacks").unwrap().kb, 936);
    assert_eq!(missed(&classic, "percpu").unwrap().kb, -512);
    assert_eq!(missed(&classic, "free, on per-CPU lists").unwrap().kb, -612);
    assert_eq!(classic.missed.len(), 3);
    assert_eq!(classic.corrected_kb, 60_356);
    assert_eq!(classic.notes, Vec::<String>::new());
}

#[test]
fn every_host_by_both_ways() {
    // Planted: pages lost, and pages a module holds; no counter has either.
    for (name, formula_kb, corrected_kb, planted) in [
        ("bond-leak-6.1-x86_64", 60_544, 60_356, 14_081),
        ("bond-leak-6.1-x86_64-d31-lzo", 54_116, 52_876, 11_690 + 400),
        ("frames-6.1-arm64", 28_636, 27_820, 6_000 + 300),
        ("frames-7.2-x86_64", 37_228, 32_268, 6_000 + 300),
        ("healthy-6.1-x86_64", 4_864, 4_692, 200),
        ("mixed-5.10-x86_64", 30_644, 30_748, 6_000 + 4 * 200 + 300),
    ] {
        let (classic, ledger) = consistent(&host(name));
        assert_eq!(classic.unaccounted_kb, formula_kb, "{name}");
        assert_eq!(classic.corrected_kb, corrected_kb, "{name}");
        assert_eq!(classic.page_size, 4096, "{name}");
        assert!(classic.page_size_source.contains("zoneinfo"), "{name}");
        // What else the kernel takes page by page on so small a machine: 2 to 8 MiB.
        let other = ledger.unaccounted_bytes / 4096 - planted;
        assert!(
            (512..2048).contains(&other),
            "{name}: {other} pages beyond the planted"
        );
        assert!(
            ledger.rows.iter().all(|row| row.bytes >= 0),
            "{name}: {ledger:?}"
        );
        // Only arm64's kernel has a CMA area.
        let notes: &[&str] = match name {
            "frames-6.1-arm64" => &["CmaFree, 65152 kB, is no row: it is part of MemFree"],
            _ => &[],
        };
        assert_eq!(ledger.notes, notes, "{name}");
    }
}

#[test]
fn kernel_stacks_are_told_from_other_vmalloc_memory() {
    let (_, ledger) = consistent(&host("frames-6.1-arm64"));
    assert_eq!(row_kb(&ledger, "kernel stacks"), 904);
    assert_eq!(row_kb(&ledger, "vmalloc"), 8_172 - 904);
    let stacks = ledger
        .rows
        .iter()
        .find(|row| row.name == "kernel stacks")
        .unwrap();
    assert!(
        stacks
            .note
            .as_deref()
            .unwrap()
            .contains("vmallocinfo shows"),
        "{stacks:?}"
    );
}

/// Without vmallocinfo, which only root can read, the answer is the same here, but is
/// said to be assumed.
#[test]
fn a_plain_user_gets_the_same_rows_and_is_told_what_root_would_add() {
    for name in [
        "bond-leak-6.1-x86_64",
        "mixed-5.10-x86_64",
        "frames-7.2-x86_64",
    ] {
        let full = host(name);
        let plain = HostFiles {
            vmallocinfo: None,
            denied: vec!["vmallocinfo"],
            ..full.clone()
        };
        let (_, full) = consistent(&full);
        let (_, plain) = consistent(&plain);
        let bytes = |ledger: &super::HostLedger| {
            ledger
                .rows
                .iter()
                .map(|row| (row.name, row.bytes))
                .collect::<Vec<_>>()
        };
        assert_eq!(bytes(&plain), bytes(&full));
        assert_eq!(plain.notes.len(), 1, "{:?}", plain.notes);
        assert!(
            plain.notes[0].starts_with("root would add: vmallocinfo"),
            "{:?}",
            plain.notes
        );
        let stacks = plain
            .rows
            .iter()
            .find(|row| row.name == "kernel stacks")
            .unwrap();
        assert!(
            stacks.note.as_deref().unwrap().contains("assumed"),
            "{stacks:?}"
        );
    }
}

/// The machine these tests run on, whatever it is: a kernel's counters account for most
/// of its memory.
#[test]
fn the_host_the_tests_run_on() {
    let (classic, ledger) = consistent(&HostFiles::live().unwrap());
    assert!(ledger.total_bytes > 0);
    assert!(
        ledger.unaccounted_bytes.abs() < ledger.total_bytes / 2,
        "{ledger:#?}"
    );
    let getconf = std::process::Command::new("getconf")
        .arg("PAGESIZE")
        .output()
        .unwrap();
    let page_size = String::from_utf8(getconf.stdout).unwrap();
    assert_eq!(classic.page_size.to_string(), page_size.trim());
}

#[test]
fn the_data_can_be_written_as_json() {
    let (classic, ledger) = consistent(&host("bond-leak-6.1-x86_64"));
    let json = serde_json::to_value(&classic).unwrap();
    assert_eq!(json["steps"][1]["sign"], "-");
    assert_eq!(json["unaccounted_pages"], 15_136);
    let json = serde_json::to_value(&ledger).unwrap();
    assert_eq!(json["total_bytes"], 222_376 * 1024);
    assert_eq!(json["rows"][0]["name"], "free");
}

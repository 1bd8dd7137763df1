//! The parsers on what real kernels (5.10, 6.1, 7.2, arm64 and x86_64) printed. The
//! figures were taken from the files with awk and grep.

#![cfg(feature = "corpus")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use pagehound_procfs as procfs;

fn truth(name: &str) -> Vec<u8> {
    std::fs::read(pagehound_testdata::corpus(&format!("{name}.truth.txt"))).unwrap()
}

fn section<'a>(text: &'a [u8], name: &str) -> &'a [u8] {
    procfs::sections(text)
        .find(|part| part.name == name)
        .unwrap_or_else(|| panic!("no section {name}"))
        .text
}

/// Rows, none of them an error.
fn count<T>(rows: procfs::Rows<'_, T>) -> usize {
    rows.map(Result::unwrap).count()
}

const ALL: [&str; 6] = [
    "bond-leak-6.1-x86_64",
    "bond-leak-6.1-x86_64-d31-lzo",
    "frames-6.1-arm64",
    "frames-7.2-x86_64",
    "healthy-6.1-x86_64",
    "mixed-5.10-x86_64",
];

#[test]
fn every_line_of_every_file_is_understood() {
    for name in ALL {
        let text = truth(name);
        procfs::meminfo(section(&text, "meminfo")).unwrap();
        procfs::zoneinfo(section(&text, "zoneinfo")).unwrap();
        procfs::version(section(&text, "version")).unwrap();
        assert!(count(procfs::vmallocinfo(section(&text, "vmallocinfo"))) > 0);
        assert!(count(procfs::slabinfo(section(&text, "slabinfo"))) > 0);
        assert!(count(procfs::buddyinfo(section(&text, "buddyinfo"))) > 0);
        assert!(count(procfs::vmstat(section(&text, "vmstat"))) > 0);
        assert!(count(procfs::iomem(section(&text, "iomem"))) > 0);
        assert!(count(procfs::modules(section(&text, "modules"))) > 0);
    }
}

/// `managed` of all zones is MemTotal by definition (totalram_pages); pages in vmalloc
/// areas were counted with awk; 4-KiB pages all.
#[test]
fn sums_agree_with_awk_and_with_the_kernel() {
    for (name, vmalloc_pages, pcp, present_kb) in [
        ("bond-leak-6.1-x86_64", 1503, 153, 261_624),
        ("bond-leak-6.1-x86_64-d31-lzo", 3096, 422, 654_828),
        ("frames-6.1-arm64", 2043, 364, 262_144),
        ("frames-7.2-x86_64", 2717, 1376, 261_624),
        ("healthy-6.1-x86_64", 3896, 153, 196_088),
        ("mixed-5.10-x86_64", 2468, 42, 196_088),
    ] {
        let text = truth(name);
        let info = procfs::meminfo(section(&text, "meminfo")).unwrap();
        let zones = procfs::zoneinfo(section(&text, "zoneinfo")).unwrap();
        let managed: u64 = zones.iter().map(|zone| zone.managed.unwrap()).sum();
        assert_eq!(Some(managed * 4), info.kb("MemTotal"), "{name}");
        assert_eq!(
            zones.iter().map(|zone| zone.present * 4).sum::<u64>(),
            present_kb,
            "{name}"
        );
        assert_eq!(
            zones.iter().map(|zone| zone.pcp_count).sum::<u64>(),
            pcp,
            "{name}"
        );
        let pages: u64 = procfs::vmallocinfo(section(&text, "vmallocinfo"))
            .filter_map(|row| row.unwrap().pages)
            .sum();
        assert_eq!(pages, vmalloc_pages, "{name}");
    }
}

/// What a kernel counts in two files is the same memory.
#[test]
fn one_file_confirms_the_other() {
    for name in ALL {
        let text = truth(name);
        let zones = procfs::zoneinfo(section(&text, "zoneinfo")).unwrap();
        for blocks in procfs::buddyinfo(section(&text, "buddyinfo")) {
            let blocks = blocks.unwrap();
            let zone = zones
                .iter()
                .find(|zone| (zone.node, zone.name) == (blocks.node, blocks.zone))
                .unwrap();
            // Read one after the other on a running machine.
            assert!(
                blocks.pages().abs_diff(zone.free) < 64,
                "{name} {}",
                blocks.zone
            );
        }
        for area in procfs::vmallocinfo(section(&text, "vmallocinfo")) {
            let area = area.unwrap();
            if let Some(pages) = area.pages {
                assert_eq!(
                    area.nodes().map(|(_, pages)| pages).sum::<u64>(),
                    pages,
                    "{area:?}"
                );
                assert_eq!(area.size, (pages + 1) * 4096, "{area:?}");
            }
        }
        // All free memory lies inside System RAM.
        let ram: u64 = procfs::iomem(section(&text, "iomem"))
            .map(Result::unwrap)
            .filter(|range| range.depth == 0 && range.name == "System RAM")
            .map(|range| range.end - range.start)
            .sum();
        let present: u64 = zones.iter().map(|zone| zone.present * 4096).sum();
        assert!(
            present <= ram && ram - present < 8 * 4096,
            "{name}: {present} of {ram}"
        );
    }
}

#[test]
fn names_are_read() {
    let text = truth("bond-leak-6.1-x86_64");
    let names: Vec<_> = procfs::modules(section(&text, "modules"))
        .map(|row| row.unwrap().name)
        .collect();
    assert_eq!(names.len(), 13);
    assert_eq!(names[..2], ["e1000", "bonding"]);
    let version = procfs::version(section(&text, "version")).unwrap();
    assert_eq!(version.release, "6.1.0-56-cloud-amd64");
    let stacks = procfs::vmallocinfo(section(&text, "vmallocinfo"))
        .filter(|row| row.as_ref().unwrap().function() == Some("kernel_clone"))
        .count();
    let grep = section(&text, "vmallocinfo")
        .split(|&byte| byte == b'\n')
        .filter(|line| line.windows(13).any(|part| part == b"kernel_clone+"))
        .count();
    assert!(stacks > 0);
    assert_eq!(stacks, grep);
}

//! The case that pagehound was made for: a kernel of the 4.12 and 4.13 branches whose
//! i40e driver loses receive buffers (2b9478ffc550), on a host with two of its ports in
//! a bond. Such kernels have neither BTF nor a VMCOREINFO that names kallsyms, and
//! nothing marks their page tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::io::Write;

use pagehound_hunt::Diagnosis;
use pagehound_hunt::census::Without;
use pagehound_kernel::{Class, Kernel};
use pagehound_model::{Content, Finding, KnownIssue, Verdict};
use pagehound_synth::machine::{Crashed, Options, Version, machine, v4_13};
use pagehound_synth::{ElfOptions, KdumpOptions};
use pagehound_vmcore::Pfn;

const FIX: &str = "2b9478ffc550";

/// What a diagnosis of a dump says, handed to `check`.
fn diagnosed(dump: &[u8], check: impl FnOnce(&Kernel<'_>, &Diagnosis)) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(dump).unwrap();
    let dump = pagehound_vmcore::open(file.path()).unwrap();
    let kernel = common::kernel(&dump);
    check(&kernel, &common::diagnose(&kernel, Without::default()));
}

fn set(frames: &[u64]) -> BTreeSet<u64> {
    frames.iter().copied().collect()
}

/// The finding of lost pages, of which there is one.
fn lost(diagnosis: &Diagnosis) -> &Finding {
    let report = &diagnosis.report;
    assert_eq!(report.verdict, Verdict::Lost, "{:?}", report.warnings);
    let found = report.findings.iter();
    let mut lost = found.filter(|finding| finding.verdict == pagehound_model::State::Lost);
    let first = lost.next().unwrap();
    assert!(lost.next().is_none(), "{:?}", report.findings);
    first
}

/// Every planted page is lost and no other, and who has them is named.
fn reference_case(crashed: &Crashed, frames_at: &[u64], diagnosis: &Diagnosis) {
    let finding = lost_frames(crashed, frames_at, diagnosis);
    let known: Vec<_> = finding.known_issues.iter().collect();
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(
        (known[0].commit.as_str(), known[0].r#match.as_str()),
        (FIX, KnownIssue::MATCHES)
    );
    assert_eq!(known[0].fixed_in.get("mainline").unwrap(), "4.14");
}

/// The same on a kernel of which no such leak is on record.
fn lost_frames<'d>(crashed: &Crashed, frames_at: &[u64], diagnosis: &'d Diagnosis) -> &'d Finding {
    let finding = lost(diagnosis);
    assert_eq!(common::lost(diagnosis), set(&crashed.lost));
    assert_eq!(finding.pages, crashed.lost.len() as u64);
    assert_eq!(finding.order, Some(0));
    assert_eq!(finding.content, Content::Ethernet);

    let to_bond = finding.patterns.iter();
    let to_bond = to_bond.filter(|pattern| pattern.hex.starts_with("246e96433e38"));
    let at: BTreeSet<u64> = to_bond.map(|pattern| pattern.offset).collect();
    assert_eq!(at, set(frames_at));

    let mut owners = Vec::new();
    for owner in &finding.owners {
        let [mac, driver, upper] =
            [&owner.mac, &owner.driver, &owner.upper].map(|text| text.as_deref().unwrap());
        assert_eq!((mac, driver), ("24:6e:96:43:3e:38", "i40e"));
        assert_eq!(upper, "bond0");
        owners.push(owner.name.as_str());
    }
    assert_eq!(owners, ["em1", "em2"]);
    finding
}

/// What is not lost is where the machine has it.
fn accounted_for(crashed: &Crashed, diagnosis: &Diagnosis) {
    let map = &diagnosis.pages.map;
    for (frames, class) in [
        (&crashed.cached, Class::File),
        (&crashed.shmem, Class::Shmem),
        (&crashed.vmalloc, Class::Vmalloc),
        (&crashed.on_cpus, Class::FreePcp),
    ] {
        let frames = set(frames);
        let found: BTreeSet<u64> = map.heads(class).map(|pfn| pfn.0).collect();
        assert_eq!(found, frames, "{class:?}");
    }
    // Units of more than a frame, and frames that only their own pages tell of.
    for (frames, class) in [(&crashed.slabs, Class::Slab), (&crashed.anon, Class::Anon)] {
        assert_eq!(map.count(class), frames.len() as u64, "{class:?}");
        assert!(frames.iter().all(|&pfn| map.class(Pfn(pfn)) == class));
    }
    for &pfn in crashed.in_rings.iter().chain(&crashed.held) {
        assert_eq!(map.class(Pfn(pfn)), Class::Raw);
    }
    let report = &diagnosis.report;
    let free = report
        .ledger
        .iter()
        .find(|row| row.class == "free")
        .unwrap();
    let counted = free.counter.as_ref().unwrap();
    assert_eq!(
        (counted.name.as_str(), counted.pages),
        ("NR_FREE_PAGES", free.pages)
    );
    // All but frame 0, what the BIOS keeps, the image and what was taken at boot.
    let at_boot = map.count(Class::Reserved) + map.count(Class::MemMap);
    let managed = map.end().0 - at_boot - map.count(Class::KernelImage);
    assert_eq!(report.target.mem_total_bytes, managed * 4096);
    let control = report.control;
    assert_eq!(control.missed, 0);
    assert!(control.checked >= crashed.cached.len() as u64);
}

/// The `legacy-rx` flag of the driver, and kernels that do not build an sk_buff around
/// the frame.
#[test]
fn frames_at_the_begin_of_a_page() {
    let crashed = v4_13(&Options::default());
    let dump = crashed.image.write_kdump(&KdumpOptions::default());
    diagnosed(&dump, |_, diagnosis| {
        reference_case(&crashed, &[0], diagnosis);
        accounted_for(&crashed, diagnosis);
    });
}

/// `I40E_SKB_PAD` before each half of a page, in a core as `/proc/vmcore` has it.
#[test]
fn frames_behind_room_for_their_headers() {
    let crashed = v4_13(&Options {
        frames_at: vec![192, 2240],
        ..Options::default()
    });
    let dump = crashed.image.write_elf(&ElfOptions::default());
    diagnosed(&dump, |_, diagnosis| {
        reference_case(&crashed, &[192, 2240], diagnosis);
        accounted_for(&crashed, diagnosis);
    });
}

/// Without symbols nothing leads to the lists of processes' tables.
#[test]
fn a_kernel_without_symbols() {
    let crashed = v4_13(&Options {
        kallsyms: false,
        ..Options::default()
    });
    let dump = crashed.image.write_kdump(&KdumpOptions::default());
    diagnosed(&dump, |kernel, diagnosis| {
        assert!(kernel.symbols.is_none());
        reference_case(&crashed, &[0], diagnosis);
        accounted_for(&crashed, diagnosis);
    });
}

/// Other kernels without BTF, with symbols and without.
fn other_kernel(version: Version) {
    for kallsyms in [true, false] {
        let crashed = machine(
            version,
            &Options {
                kallsyms,
                ..version.options()
            },
        );
        let dump = crashed.image.write_kdump(&KdumpOptions::default());
        diagnosed(&dump, |kernel, diagnosis| {
            assert_eq!(kernel.symbols.is_some(), kallsyms);
            assert!(kernel.types.is_none());
            let finding = lost_frames(&crashed, &[0], diagnosis);
            assert!(finding.known_issues.is_empty(), "{finding:?}");
            accounted_for(&crashed, diagnosis);
        });
        let dump = crashed.image.write_elf(&ElfOptions::default());
        diagnosed(&dump, |_, diagnosis| {
            lost_frames(&crashed, &[0], diagnosis);
        });
    }
}

#[test]
fn a_3_10_kernel() {
    other_kernel(Version::V3_10);
}

#[test]
fn a_5_4_kernel() {
    other_kernel(Version::V5_4);
}

/// What is known of the same pages on another kernel: how each leak matches.
fn known_on(options: &Options) -> Vec<(String, String)> {
    let crashed = v4_13(options);
    let dump = crashed.image.write_kdump(&KdumpOptions::default());
    let mut known = Vec::new();
    diagnosed(&dump, |kernel, diagnosis| {
        let first = &kernel.log().unwrap().records[0].text;
        assert_eq!(first.starts_with(b"Linux version "), options.banner);
        assert_eq!(common::lost(diagnosis), set(&crashed.lost));
        let issues = lost(diagnosis).known_issues.iter();
        known.extend(issues.map(|issue| (issue.commit.clone(), issue.r#match.clone())));
    });
    known
}

fn release(release: &str) -> Options {
    Options {
        release: release.to_owned(),
        lost: 500,
        ..Options::default()
    }
}

#[test]
fn kernels_before_the_leak_and_behind_its_mend() {
    assert_eq!(known_on(&release("4.14.1")), []);
    assert_eq!(known_on(&release("4.11.12")), []);
}

#[test]
fn a_vendor_s_kernel() {
    let known = known_on(&Options {
        version: "#1 SMP Thu Sep 26 15:52:44 UTC 2019".to_owned(),
        compiler: "gcc version 8.3.1 20190507 (Red Hat 8.3.1-4) (GCC)".to_owned(),
        ..release("3.10.0-862.el7.x86_64")
    });
    assert!(known.contains(&(FIX.to_owned(), KnownIssue::VENDOR.to_owned())));
    assert!(known.iter().all(|(_, how)| how == KnownIssue::VENDOR));
}

/// Debian's release is that of its ABI. The stable release is in the banner, and in the
/// version that `uname -v` prints, which later lines of the log are not written over. But
/// they may be written over the line that tells of a driver from elsewhere.
#[test]
fn a_log_without_its_first_line() {
    let known = known_on(&Options {
        version: "#1 SMP Debian 4.12.13-1 (2017-09-19)".to_owned(),
        banner: false,
        ..release("4.12.0-2-amd64")
    });
    assert_eq!(known, [(FIX.to_owned(), KnownIssue::POSSIBLE.to_owned())]);
}

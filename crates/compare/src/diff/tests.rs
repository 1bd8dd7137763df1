//! Pairs of which it is known what they differ by.

use super::*;
use crate::testing::{device, frames_of, healthy, module, report};
use crate::traits::TraitKind;
use pagehound_model::{Estimate, HeapLoss, Sample, Verdict};

/// A healthy host with virtio_net, and a kernel and modules of its own.
fn other() -> Report {
    let mut other = healthy();
    other.netdevs = vec![device("eth0", "virtio_net", None)];
    other.modules = vec![module("bonding", None), module("virtio_net", None)];
    other
}

fn first(comparison: &Comparison) -> (Telling, TraitKind, &str) {
    let first = &comparison.differences[0];
    (first.telling, first.kind, first.name.as_str())
}

#[test]
fn the_driver_that_the_loss_names_stands_first() {
    let mut healthy = other();
    healthy.target.kernel = "6.12.0".into();
    healthy.modules.push(module("zram", None));
    let found = compare(&report(), &healthy);
    assert_eq!((found.a.leaks, found.b.leaks), (Some(true), Some(false)));
    assert_eq!(first(&found), (Telling::Named, TraitKind::Driver, "e1000"));
    let driver = &found.differences[0];
    assert_eq!(driver.a.as_deref(), Some("em1, em2"));
    assert_eq!(driver.b, None);
    let by = driver.named_by.as_ref().unwrap();
    assert_eq!((by.of, by.findings.as_slice()), (Which::A, &[1][..]));
    // Its module is the same difference, and told once.
    let of_e1000 = found.differences.iter().filter(|of| of.name == "e1000");
    assert_eq!(of_e1000.count(), 1);
    let kinds: Vec<TraitKind> = found.differences.iter().map(|of| of.kind).collect();
    let kernel = kinds
        .iter()
        .position(|kind| *kind == TraitKind::Kernel)
        .unwrap();
    let zram = found.differences.iter().position(|of| of.name == "zram");
    assert!(kernel == 1 && zram.unwrap() > kernel, "{kinds:?}");
    // The other way round it is the same answer.
    let found = compare(&healthy, &report());
    assert_eq!(first(&found), (Telling::Named, TraitKind::Driver, "e1000"));
    assert_eq!(found.differences[0].named_by.as_ref().unwrap().of, Which::B);
}

#[test]
fn firmware_and_builds_of_the_named_driver_are_told() {
    let fleet = |firmware: &str, version: &str| {
        let mut host = other();
        host.netdevs = vec![device("ens1", "ice", Some(firmware))];
        host.modules = vec![module("ice", Some(version))];
        host
    };
    let mut leaking = fleet("1.5.2", "1.0");
    leaking.verdict = Verdict::Lost;
    leaking.unaccounted.lost_pages = 11_683;
    leaking.findings = vec![frames_of("ice")];
    let found = compare(&leaking, &fleet("1.6.0", "1.0"));
    assert_eq!(first(&found), (Telling::Named, TraitKind::Firmware, "ice"));
    assert_eq!(found.shared[0].same_firmware, Some(false));
    let found = compare(&leaking, &fleet("1.5.2", "1.1"));
    assert_eq!(first(&found), (Telling::Named, TraitKind::Module, "ice"));
    let found = compare(&leaking, &fleet("1.5.2", "1.0"));
    assert!(found.differences.is_empty(), "{:?}", found.differences);
    assert_eq!(found.shared[0].same_firmware, Some(true));
    assert_eq!(found.shared[0].same_build, Some(true));
    // Where one does not tell its firmware, it is no difference.
    let mut silent = fleet("1.6.0", "1.0");
    silent.netdevs[0].firmware = None;
    let found = compare(&leaking, &silent);
    assert!(found.differences.is_empty());
    assert_eq!(found.shared[0].same_firmware, None);
}

#[test]
fn modules_built_with_another_kernel_are_counted_not_listed() {
    let (mut a, mut b) = (report(), healthy());
    b.target.kernel = "6.12.0".into();
    for (report, id) in [(&mut a, "aa"), (&mut b, "bb")] {
        for module in &mut report.modules {
            module.build_id = Some(id.into());
        }
    }
    let found = compare(&a, &b);
    // e1000 is named by the loss, heldleak is of nobody's tree.
    let named: Vec<&str> = found
        .differences
        .iter()
        .filter(|of| of.kind == TraitKind::Module)
        .map(|of| of.name.as_str())
        .collect();
    assert_eq!(named, ["e1000", "heldleak"]);
    assert_eq!(found.rebuilt_modules, 2);
    // With one kernel another build id is remarkable.
    b.target.kernel = a.target.kernel.clone();
    assert_eq!(compare(&a, &b).rebuilt_modules, 0);
    assert_eq!(compare(&a, &b).differences.len(), 3);
}

#[test]
fn the_same_leak_of_another_address_is_no_difference() {
    let mut other = report();
    other.host.name = Some("db9".into());
    for finding in &mut other.findings {
        finding.signature = finding.signature.replace("246e96433e38", "525400a15e01");
        let group = finding.group.as_mut();
        if let Some(group) = group {
            *group = group.replace("246e96433e38", "525400a15e01");
        }
    }
    let found = compare(&report(), &other);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(found.relation.relative, Relative::Others);
    assert!(found.is_equal());
    assert!(compare(&report(), &report()).is_equal());
}

#[test]
fn two_moments_have_a_rate() {
    let mut later = report();
    later.host.captured_at = Some("2026-11-02T06:05:06Z".into());
    later.findings[0].pages += 1024;
    later.findings[0].bytes += 4 << 20;
    let found = compare(&report(), &later);
    assert_eq!(found.relation.relative, Relative::SameHost);
    assert_eq!(found.relation.seconds, Some(7200));
    let growth = &found.findings[0];
    assert_eq!(growth.kind, "ethernet/to e1000/o0");
    assert_eq!(growth.change.bytes, 4 << 20);
    assert_eq!(growth.change.bytes_per_hour, Some(2_097_152.0));
    // A host without a name is nobody.
    for name in ["(none)", "localhost", "localhost.localdomain"] {
        later.host.name = Some(name.into());
        let mut one = report();
        one.host.name = Some(name.into());
        let found = compare(&one, &later);
        assert_eq!(found.relation.relative, Relative::Unknown);
        assert_eq!(found.findings[0].change.bytes_per_hour, None);
        one.host.boot_id = Some("b".into());
        later.host.boot_id = Some("b".into());
        let found = compare(&one, &later);
        assert_eq!(found.relation.relative, Relative::SameBoot);
        later.host.boot_id = None;
    }
}

#[test]
fn hosts_of_other_size_and_page_size_are_compared_by_bytes_and_share() {
    let mut large = healthy();
    large.target.page_size = 65536;
    large.target.mem_total_bytes *= 16;
    for row in &mut large.ledger {
        row.bytes = row.pages * 65536;
    }
    let found = compare(&healthy(), &large);
    let free = found.classes.iter().find(|of| of.class == "free").unwrap();
    let (a, b) = (free.change.a.unwrap(), free.change.b.unwrap());
    assert_eq!(b.bytes, a.bytes * 16);
    assert!(free.change.share.unwrap().abs() < 1e-9);
    let kinds: Vec<TraitKind> = found.differences.iter().map(|of| of.kind).collect();
    assert_eq!(kinds, [TraitKind::PageSize]);
    // What is no part of MemTotal has no share of it, and stands last.
    assert_eq!(found.classes.last().unwrap().class, "reserved");
    assert_eq!(found.classes.last().unwrap().change.share, None);
}

#[test]
fn without_memtotal_there_are_no_shares() {
    let mut empty = healthy();
    empty.target.mem_total_bytes = 0;
    let found = compare(&report(), &empty);
    assert!(found.classes.iter().all(|of| of.change.share.is_none()));
    let lost = 11_702 * 4096;
    assert_eq!(found.classes[0].change.bytes.abs(), lost, "by bytes then");
    serde_json::to_string(&found).unwrap();
}

#[test]
fn within_the_bounds_of_estimates_nothing_differs() {
    let sampled = |pages: u64| {
        let mut report = report();
        report.sample = Some(Sample {
            seed: 1,
            pages: 1,
            looked_at: 1,
            units: 1,
            read: 1,
        });
        report.verdict = Verdict::Suspect;
        let finding = &mut report.findings[0];
        finding.pages = pages;
        finding.estimate = Some(Estimate {
            low: pages - 500,
            high: pages + 500,
        });
        report
    };
    assert!(compare(&sampled(11_000), &sampled(11_900)).is_equal());
    let found = compare(&sampled(11_000), &sampled(12_100));
    assert_eq!(found.findings.len(), 1);
    let bounds = found.findings[0].change.a.unwrap().bounds;
    assert_eq!(bounds, Some((10_500 * 4096, 11_500 * 4096)));
    // A sample counts what is held along with what is lost.
    let found = compare(&sampled(11_000), &healthy());
    assert!(found.findings.is_empty());
    assert!(found.notes.iter().any(|note| note.contains("--quick")));
}

#[test]
fn of_counters_findings_are_not_denied() {
    let mut live = other();
    live.target.format = "live".into();
    live.verdict = Verdict::Incomplete;
    let found = compare(&report(), &live);
    assert_eq!(found.b.leaks, None);
    assert!(found.findings.is_empty() && found.holders.is_empty());
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.starts_with("of B only counters"))
    );
    // The classes that counters tell apart are added up.
    live.ledger[3].class = "slab_reclaimable".into();
    let classes = compare(&report(), &live).classes;
    assert!(
        classes.iter().all(|of| !of.class.starts_with("slab")),
        "{classes:?}"
    );
}

#[test]
fn objects_out_of_reach_are_compared() {
    let mut host = healthy();
    host.heap.push(HeapLoss {
        kind: "vmalloc".into(),
        name: "hold_array+0x14/0x90 [pagelab]".into(),
        count: 3,
        of: 4,
        bytes: 12_288,
        points_to: Vec::new(),
    });
    let mut rebuilt = host.clone();
    rebuilt.heap[0].name = "hold_array+0x18/0xa0 [pagelab]".into();
    assert!(compare(&host, &rebuilt).heap.is_empty());
    let found = compare(&healthy(), &host);
    assert_eq!(found.heap[0].name, "hold_array [pagelab]");
    assert_eq!(found.heap[0].change.b.unwrap().count, Some(3));
}

#[test]
fn absurd_numbers_do_no_harm() {
    let mut absurd = report();
    absurd.target.page_size = u64::MAX;
    absurd.target.mem_total_bytes = 1;
    absurd.host.captured_at = Some("-009999-01-01T00:00:00Z".into());
    absurd.dying_cgroups.count = u64::MAX;
    absurd.dying_cgroups.charged_pages = u64::MAX;
    for finding in &mut absurd.findings {
        finding.pages = u64::MAX;
        finding.estimate = Some(Estimate {
            low: u64::MAX,
            high: 0,
        });
    }
    for row in &mut absurd.ledger {
        row.pages = u64::MAX;
    }
    for (a, b) in [
        (&absurd, &report()),
        (&report(), &absurd),
        (&absurd, &absurd),
    ] {
        let found = compare(a, b);
        assert!(found.notes.iter().any(|note| note.contains("contradict")));
        serde_json::to_string(&found).unwrap();
    }
}

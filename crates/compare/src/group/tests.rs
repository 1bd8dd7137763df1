//! Fleets in which it is known who leaks and why.

use super::*;
use crate::testing::{device, healthy, module, report};
use crate::traits::{Trait, TraitKind};

/// Numbers that look drawn, the same in every run (Knuth's MMIX generator).
struct Draw(u64);

impl Draw {
    /// True in so many of a hundred.
    fn percent(&mut self, share: u64) -> bool {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 100 < share
    }
}

/// A host with thirty modules of which it has some, drawn.
fn host(number: usize, leaks: bool, draw: &mut Draw) -> Report {
    let mut host = if leaks { report() } else { healthy() };
    host.host.name = Some(format!("node{number}"));
    host.host.boot_id = Some(format!("boot-{number}"));
    host.target.kernel = "6.12.40".into();
    host.target.build = None;
    host.netdevs = vec![device("eth0", "igb", Some("3.25"))];
    host.modules = (0..30)
        .filter(|_| draw.percent(50))
        .map(|noise| module(&format!("noise{noise}"), None))
        .collect();
    host.modules.push(module("igb", None));
    host
}

fn with_ice(host: &mut Report, firmware: &str) {
    host.netdevs.push(device("ens1", "ice", Some(firmware)));
    host.modules.push(module("ice", None));
}

/// Forty hosts. Twenty have ice with firmware 1.5.2, of which eighteen leak; six have
/// ice with another firmware. The kernel 6.12.49 is on most of the first and on some
/// of the others, where it does nothing. One of the others leaks for another reason.
fn planted() -> Vec<Report> {
    let mut draw = Draw(1);
    let fleet = (0..40).map(|number| {
        let cohort = number < 20;
        let leaks = if cohort { number >= 2 } else { number == 39 };
        let mut host = host(number, leaks, &mut draw);
        if cohort {
            with_ice(&mut host, "1.5.2");
        } else if number < 26 {
            with_ice(&mut host, "1.6.0");
        }
        // 18 of the 20, and 4 of the others.
        if (cohort && number % 9 != 4) || (28..32).contains(&number) {
            host.target.kernel = "6.12.49".into();
        }
        host
    });
    fleet.collect()
}

fn compared(fleet: &[Report]) -> GroupComparison {
    let mut group = Group::new(None);
    for (number, report) in fleet.iter().enumerate() {
        group.add(&format!("{number}.json"), report);
    }
    group.compare()
}

/// The traits of a standing, a string for those that the same hosts have.
fn of(comparison: &GroupComparison, standing: Standing) -> Vec<String> {
    let of = comparison.associations.iter();
    let of = of.filter(|of| of.standing == standing);
    of.map(|of| {
        let traits: Vec<String> = of.traits.iter().map(Trait::to_string).collect();
        traits.join(" = ")
    })
    .collect()
}

fn find<'a>(comparison: &'a GroupComparison, kind: TraitKind, value: &str) -> &'a Association {
    let mut all = comparison.associations.iter();
    all.find(|of| {
        let mut traits = of.traits.iter();
        traits.any(|of| of.kind == kind && of.value == value)
    })
    .unwrap()
}

#[test]
fn the_planted_cohort_is_named_and_the_confounder_is_not() {
    let found = compared(&planted());
    assert_eq!((found.hosts, found.leaking), (40, 19));
    assert_eq!(found.conclusion, Conclusion::Cohort);
    assert_eq!(of(&found, Standing::Cohort), ["firmware 1.5.2 of ice"]);
    assert_eq!(of(&found, Standing::Inseparable), Vec::<String>::new());
    let firmware = &found.associations[0];
    assert_eq!((firmware.with.leaking, firmware.with.hosts), (18, 20));
    assert_eq!((firmware.without.leaking, firmware.without.hosts), (1, 20));
    let more = firmware.difference;
    assert!(
        more.low.unwrap() > 0.5 && more.high.unwrap() < 1.0,
        "{more:?}"
    );
    assert!(firmware.p_corrected < 1e-4);
    // The kernel passes for a cause as long as it is looked at alone.
    let kernel = find(&found, TraitKind::Kernel, "6.12.49");
    assert!(kernel.p_corrected < 0.05, "{kernel:?}");
    assert_eq!(kernel.standing, Standing::Explained);
    assert_eq!(kernel.explained_by, [0]);
    // So does the driver, of which only one firmware leaks.
    let explained = of(&found, Standing::Explained);
    assert!(
        explained.contains(&"driver ice = module ice".to_owned()),
        "{explained:?}"
    );
}

#[test]
fn what_is_adjusted_adds_up() {
    let found = compared(&planted());
    assert!(!found.adjusted.is_empty());
    for pair in &found.adjusted {
        let strata = pair.strata.iter().flat_map(|of| [of.with, of.without]);
        let (leaking, hosts) =
            strata.fold((0, 0), |sum, of| (sum.0 + of.leaking, sum.1 + of.hosts));
        assert_eq!((leaking, hosts), (found.leaking, found.hosts));
        let remains = pair.p_value < 0.05;
        let standing = found.associations[pair.of].standing;
        if pair.of == 0 {
            assert!(remains, "{pair:?}");
        } else if pair.by == 0 {
            assert!(!remains || standing != Standing::Explained, "{pair:?}");
        }
    }
}

/// Firmware and kernel both make hosts leak, and most hosts that have one have the
/// other: a cause is called explained by the other one no more often than an interval
/// of 95 % is wrong.
#[test]
fn a_second_cause_is_not_explained_by_the_first() {
    let mistaken = (0..100).filter(|seed| {
        let mut draw = Draw(2000 + seed);
        let fleet: Vec<Report> = (0..60)
            .map(|number| {
                let (firmware, kernel) = (number < 24, (4..27).contains(&number));
                let leaks = draw.percent(if firmware || kernel { 90 } else { 4 });
                let mut host = host(number, leaks, &mut draw);
                if firmware {
                    with_ice(&mut host, "1.5.2");
                }
                if kernel {
                    host.target.kernel = "6.12.49".into();
                }
                host
            })
            .collect();
        let found = compared(&fleet);
        let firmware = find(&found, TraitKind::Firmware, "1.5.2").standing;
        let kernel = find(&found, TraitKind::Kernel, "6.12.49").standing;
        [firmware, kernel].contains(&Standing::Explained)
    });
    let mistaken = mistaken.count();
    assert!(mistaken <= 5, "{mistaken} of 100 fleets");
}

/// Of fleets in which leaking has nothing to do with any trait one in twenty may be
/// accused, no more: that is what the correction promises.
#[test]
fn where_there_is_no_cause_none_is_named() {
    let accused = (0..100).filter(|seed| {
        let mut draw = Draw(1000 + seed);
        let fleet: Vec<Report> = (0..40)
            .map(|number| {
                let leaks = draw.percent(40);
                let mut host = host(number, leaks, &mut draw);
                if draw.percent(50) {
                    with_ice(&mut host, if draw.percent(50) { "1.5.2" } else { "1.6.0" });
                }
                if draw.percent(50) {
                    host.target.kernel = "6.12.49".into();
                }
                host
            })
            .collect();
        compared(&fleet).conclusion != Conclusion::None
    });
    let accused = accused.count();
    assert!(accused <= 5, "{accused} of 100 fleets");
}

#[test]
fn traits_of_the_same_hosts_are_one() {
    let mut fleet = planted();
    for (number, host) in fleet.iter_mut().enumerate() {
        let kernel = if number < 20 { "6.12.49" } else { "6.12.40" };
        host.target.kernel = kernel.into();
    }
    let found = compared(&fleet);
    let both = "firmware 1.5.2 of ice = kernel 6.12.49";
    assert_eq!(of(&found, Standing::Cohort), [both]);
    assert!(of(&found, Standing::Inseparable).is_empty());
}

/// Eight hosts leak; all have one trait and all but one the other.
#[test]
fn traits_that_too_few_hosts_tell_apart_are_told_together() {
    let fleet: Vec<Report> = (0..18)
        .map(|number| {
            let mut host = host(number, number < 8, &mut Draw(7));
            if number < 8 {
                with_ice(&mut host, "1.5.2");
            }
            if number < 7 {
                host.target.kernel = "6.12.49".into();
            }
            host
        })
        .collect();
    let found = compared(&fleet);
    let ice = "driver ice = firmware 1.5.2 of ice = module ice";
    assert_eq!(of(&found, Standing::Cohort), [ice]);
    assert_eq!(of(&found, Standing::Inseparable), ["kernel 6.12.49"]);
}

#[test]
fn few_hosts_are_too_few() {
    let fleet = planted();
    let few = compared(&[fleet[5].clone(), fleet[30].clone(), fleet[31].clone()]);
    assert_eq!(few.conclusion, Conclusion::TooFew);
    let wide = few.associations[0].difference;
    assert!(wide.low.unwrap() < 0.2, "{wide:?}");
    let alike = compared(&fleet[2..12]);
    assert_eq!(alike.conclusion, Conclusion::AllAlike);
    assert_eq!(compared(&[]).conclusion, Conclusion::AllAlike);
}

#[test]
fn a_host_counts_once_and_with_its_worst_report() {
    let mut fleet = planted();
    let mut earlier = fleet[5].clone();
    earlier.host.captured_at = Some("2026-11-01T04:05:06Z".into());
    earlier.verdict = pagehound_model::Verdict::None;
    earlier.findings.clear();
    fleet.insert(0, earlier);
    let found = compared(&fleet);
    assert_eq!((found.reports, found.again, found.copies), (41, 1, 0));
    assert_eq!((found.hosts, found.leaking), (40, 19));
    // A name is not enough to count once, and that is said.
    fleet[0].host.boot_id = None;
    let found = compared(&fleet);
    assert_eq!((found.again, found.hosts), (0, 41));
    assert!(
        found.notes[0].starts_with("reports of node5 "),
        "{:?}",
        found.notes
    );
}

/// Three hosts of which one leaks, and five copies of the report of each.
#[test]
fn copies_of_a_report_are_one_host() {
    let fleet = planted();
    let mut few = Vec::new();
    for (number, path) in [(5, "a"), (30, "b"), (31, "c")] {
        let mut host = fleet[number].clone();
        host.host.captured_at = Some(format!("2026-11-02T04:05:{number:02}Z"));
        let mut redacted = host.clone();
        redacted.host.name = None;
        redacted.host.boot_id = None;
        redacted.target.path = path.into();
        few.extend([redacted.clone(), host.clone(), redacted, host]);
    }
    let found = compared(&few);
    assert_eq!((found.hosts, found.leaking), (3, 1));
    assert_eq!((found.again, found.copies, found.unverified), (9, 9, 0));
    assert_eq!(found.conclusion, Conclusion::TooFew);
    // Without the originals they are as many hosts, which nothing verifies.
    few.retain(|host| host.host.name.is_none());
    let found = compared(&few);
    assert_eq!((found.hosts, found.again, found.copies), (3, 3, 3));
    assert_eq!(found.unverified, 3);
    let note = "3 of the hosts tell neither a boot id nor a host name";
    assert!(found.notes[0].starts_with(note), "{:?}", found.notes);
}

#[test]
fn a_signature_that_nothing_has_is_told_with_what_there_is() {
    let mut group = Group::new(Some("typo".into()));
    for report in planted() {
        group.add("r.json", &report);
    }
    let (part, kinds) = group.unmatched().unwrap();
    assert_eq!(part, "typo");
    let kinds: Vec<&str> = kinds.collect();
    assert!(kinds.contains(&"ethernet/to e1000/o0"), "{kinds:?}");
    let mut group = Group::new(Some("to e1000".into()));
    assert!(group.unmatched().is_some(), "nothing was read");
    group.add("r.json", &report());
    assert!(group.unmatched().is_none());
    assert!(Group::new(None).unmatched().is_none());
}

#[test]
fn what_is_not_proved_is_left_out_aloud() {
    let mut fleet = planted();
    fleet[3].verdict = pagehound_model::Verdict::Suspect;
    fleet[30].target.format = "live".into();
    fleet[30].verdict = pagehound_model::Verdict::Incomplete;
    let found = compared(&fleet);
    assert_eq!((found.hosts, found.leaking), (38, 18));
    let paths: Vec<&str> = found.left_out.iter().map(|of| of.path.as_str()).collect();
    assert_eq!(paths, ["3.json", "30.json"]);
    assert!(found.left_out[1].why.starts_with("counters only"));
}

#[test]
fn one_kind_of_leak_can_be_asked_for() {
    let mut group = Group::new(Some("to e1000".into()));
    let mut fleet = planted();
    // This one leaks otherwise.
    fleet[39].findings = vec![crate::testing::frames_of("igb")];
    for report in &fleet {
        group.add("r.json", report);
    }
    let found = group.compare();
    assert_eq!((found.hosts, found.leaking), (40, 18));
    assert_eq!(found.associations[0].without.leaking, 0);
    assert!(found.associations[0].odds_ratio.high.is_none(), "unbounded");
}

/// A fleet whose hosts all have modules of their own beside the planted cohort: within
/// the limits the cohort is named, and what was not looked at is told.
#[test]
fn the_work_is_bounded_and_what_is_left_out_is_told() {
    let mut fleet = planted();
    for (number, host) in fleet.iter_mut().enumerate() {
        let own = (0..50).map(|own| module(&format!("own{number}_{own}"), Some("1")));
        host.modules.extend(own);
    }
    // Many are over-represented: a driver each that the leaking ones have but for one.
    for missing in 2..20 {
        for host in (2..20).filter(|host| *host != missing) {
            let name = format!("with{missing}");
            fleet[host].modules.push(module(&name, None));
        }
    }
    let limits = Limits {
        traits: 3000,
        asked: 80,
        tests: 70,
        adjusted: 15,
    };
    let mut group = Group::new(None);
    group.limits = limits;
    for (number, report) in fleet.iter().enumerate() {
        group.add(&format!("{number}.json"), report);
    }
    assert_eq!(group.catalogue.len(), 3000);
    let found = group.compare();
    assert!(found.tests <= 70 && found.associations.len() as u64 == found.tests);
    assert!(found.adjusted.len() <= 15 * 14, "{}", found.adjusted.len());
    assert_eq!(found.conclusion, Conclusion::Cohort);
    let firmware = find(&found, TraitKind::Firmware, "1.5.2");
    assert!(matches!(
        firmware.standing,
        Standing::Cohort | Standing::Inseparable
    ));
    for told in ["3,000 different", "not tested", "not adjusted for others"] {
        let notes = &found.notes;
        assert!(
            notes.iter().any(|note| note.contains(told)),
            "{told}: {notes:?}"
        );
    }
}

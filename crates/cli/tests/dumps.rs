//! The commands over real dumps, against what was planted in them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

mod common;

use assert_cmd::Command;
use common::corpus;
use pagehound_model::{Report, Verdict};
use std::collections::HashMap;

/// Dumps of x86_64 with what the corpus says of them: whether pages are lost.
const DUMPS: [(&str, bool); 5] = [
    ("bond-leak-6.1-x86_64", true),
    ("bond-leak-6.1-x86_64-d31-lzo", true),
    ("healthy-6.1-x86_64", false),
    ("mixed-5.10-x86_64", true),
    ("frames-7.2-x86_64", true),
];

/// What a command prints about a dump; it must end with `status`.
fn run(command: &str, dump: &str, args: &[&str], status: i32) -> String {
    let mut line = Command::cargo_bin("pagehound").unwrap();
    let output = line
        .arg(command)
        .arg(corpus(&format!("{dump}.kdump")))
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{command} {dump} {args:?}: {stderr}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Planted pages by kind, from the guest itself: frame number and order.
fn planted(dump: &str) -> HashMap<u32, Vec<(u64, u32)>> {
    let truth = std::fs::read_to_string(corpus(&format!("{dump}.truth.txt"))).unwrap();
    let (_, planted) = truth.split_once("== planted (pfn kind order)\n").unwrap();
    let mut kinds: HashMap<u32, Vec<(u64, u32)>> = HashMap::new();
    for line in planted.lines().take_while(|line| !line.starts_with("==")) {
        let numbers: Vec<u64> = line
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        let &[pfn, kind, order] = numbers.as_slice() else {
            panic!("{line}")
        };
        kinds
            .entry(kind as u32)
            .or_default()
            .push((pfn, order as u32));
    }
    kinds
}

/// State of every page, as `pages --each` prints it.
fn states(dump: &str) -> HashMap<u64, String> {
    let rows = run("pages", dump, &["--each"], 0);
    let mut rows = rows.lines();
    assert_eq!(rows.next(), Some("pfn,class,order,refcount,state,finding"));
    rows.map(|row| {
        let mut columns = row.split(',');
        let pfn = columns.next().unwrap().parse().unwrap();
        (pfn, columns.nth(3).unwrap().to_owned())
    })
    .collect()
}

#[test]
fn reports_are_sound_and_say_what_is_lost() {
    let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
    for (dump, lost) in DUMPS {
        let value = json(&run("diagnose", dump, &["--json"], i32::from(lost)));
        let wrong: Vec<String> = schema
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{dump}: {wrong:?}");
        let report: Report = serde_json::from_value(value).unwrap();
        assert_eq!(report.contradictions(), Vec::<String>::new(), "{dump}");
        assert_eq!(report.verdict == Verdict::Lost, lost, "{dump}");
    }
}

#[test]
fn the_line_between_lost_and_not_moves() {
    let dump = "bond-leak-6.1-x86_64-d31-lzo";
    run("diagnose", dump, &["--quiet", "--fail-on", "lost:40M"], 1);
    run("diagnose", dump, &["--quiet", "--fail-on", "lost:1G"], 0);
    run("diagnose", dump, &["--quiet", "--fail-on", "never"], 0);
}

#[test]
fn the_reference_case_has_its_owner() {
    let text = run("diagnose", "bond-leak-6.1-x86_64-d31-lzo", &[], 1);
    let headline = text.lines().next().unwrap();
    assert!(
        headline.starts_with("LEAK  45.6 MiB lost: Ethernet frames received by em1, em2 "),
        "{text}"
    );
    assert!(
        headline.contains("e1000, under bond0, MAC 24:6e:96:43:3e:38"),
        "{text}"
    );
}

#[test]
fn planted_pages_have_their_state() {
    for (dump, _) in DUMPS {
        let states = states(dump);
        for (kind, pages) in planted(dump) {
            let all = pages
                .iter()
                .flat_map(|&(pfn, order)| pfn..pfn + (1 << order));
            let lost = all.clone().filter(|pfn| states[pfn] == "lost").count();
            let all = all.count();
            match kind {
                // Frames, text, blocks, zeroes, noise: nobody has them.
                1..=3 | 7 | 8 => assert!(
                    lost * 1000 >= all * 995,
                    "{dump}: {lost} of {all} of kind {kind}"
                ),
                // vmalloc, slab, held by a module.
                _ => assert!(
                    lost * 1000 <= all,
                    "{dump}: {lost} of {all} of kind {kind} called lost"
                ),
            }
        }
    }
}

#[test]
fn runs_of_pages_add_up_to_the_report() {
    let dump = "bond-leak-6.1-x86_64-d31-lzo";
    let report: Report = serde_json::from_str(&run("diagnose", dump, &["--json"], 1)).unwrap();
    let all = run("pages", dump, &[], 0);
    let mut rows = all.lines();
    assert_eq!(
        rows.next(),
        Some("pfn,count,class,order,refcount,state,finding")
    );
    let mut sums: HashMap<String, u64> = HashMap::new();
    let mut end = 0;
    for row in rows {
        let columns: Vec<&str> = row.split(',').collect();
        let (pfn, count): (u64, u64) = (columns[0].parse().unwrap(), columns[1].parse().unwrap());
        assert_eq!(pfn, end, "runs follow each other");
        end = pfn + count;
        for (what, column) in [("class", 2), ("state", 5), ("finding", 6)] {
            *sums
                .entry(format!("{what} {}", columns[column]))
                .or_default() += count;
        }
    }
    assert_eq!(end, report.target.pages);
    assert_eq!(sums["state lost"], report.unaccounted.lost_pages);
    assert_eq!(sums["state held"], report.unaccounted.held_pages);
    for finding in &report.findings {
        assert_eq!(
            sums[&format!("finding {}", finding.id)],
            finding.pages,
            "finding {}",
            finding.id
        );
    }
    for row in &report.ledger {
        assert_eq!(
            sums[&format!("class {}", row.class)],
            row.pages,
            "{}",
            row.class
        );
    }
}

#[test]
fn pages_can_be_filtered() {
    let dump = "healthy-6.1-x86_64";
    let all = run("pages", dump, &[], 0);
    let slab = run("pages", dump, &["--class", "slab"], 0);
    let expected = all
        .lines()
        .filter(|row| row.starts_with("pfn,") || row.contains(",slab,"));
    assert_eq!(
        slab.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    let held = run(
        "pages",
        dump,
        &["--state", "held", "--finding", "1", "--format", "jsonl"],
        0,
    );
    for row in held.lines().map(json) {
        assert_eq!(
            (&row["state"], &row["finding"]),
            (&"held".into(), &1.into())
        );
    }
    assert!(held.lines().count() > 0);
    run("pages", dump, &["--finding", "9999"], 2);
    run("pages", dump, &["--class", "no_such_class"], 2);
}

#[test]
fn one_page_explained() {
    let dump = "mixed-5.10-x86_64";
    let planted = planted(dump);
    let why = |pfn: u64| run("why", dump, &[&format!("{pfn:#x}")], 0);
    let (lost, _) = planted[&1][0];
    let text = why(lost);
    assert!(text.contains("  State     lost, with the "), "{text}");
    assert!(
        text.contains("  Held by   nothing in memory points to it"),
        "{text}"
    );
    assert!(text.contains("000: 24 6e 96 43 3e 38 "), "{text}");
    let text = why(planted[&6][0].0);
    assert!(text.contains("  State     held"), "{text}");
    assert!(!text.contains("nothing in memory"), "{text}");
    let same = [
        run("why", dump, &[&lost.to_string()], 0),
        run("why", dump, &["-p", &format!("{:x}", lost << 12)], 0),
    ];
    assert_eq!(
        same,
        [why(lost), why(lost)],
        "decimal, and a physical address"
    );
    run("why", dump, &["0xffffffffff"], 2);
}

#[test]
fn the_ledger_has_every_class() {
    let ledger = json(&run("ledger", "healthy-6.1-x86_64", &["--json"], 0));
    assert_eq!(ledger["schema"], "pagehound.ledger/1");
    let free = ledger["ledger"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["class"] == "free")
        .unwrap();
    assert_eq!(free["pages"], free["counter"]["pages"]);
    assert!(run("ledger", "healthy-6.1-x86_64", &[], 0).starts_with("Where the memory is "));
    run("ledger", "healthy-6.1-x86_64", &["--classic"], 2);
}

#[test]
fn the_log() {
    let dump = "bond-leak-6.1-x86_64-d31-lzo";
    let all = run("log", dump, &[], 0);
    assert!(
        all.starts_with("[    0.000000] Linux version 6.1."),
        "{all}"
    );
    assert!(all.contains("Kernel panic - not syncing: sysrq triggered crash"));
    let errors = run("log", dump, &["--level", "err+"], 0);
    let (few, many) = (errors.lines().count(), all.lines().count());
    assert!(0 < few && few < many, "{few} of {many}");
    assert!(errors.lines().all(|line| all.contains(line)));
    let times = run("log", dump, &["-T"], 0);
    // The corpus's own header says when the dump was written, in November 2026.
    assert!(
        times
            .lines()
            .all(|line| line.starts_with('[') && line.contains(" 2026] ")),
        "{times}"
    );
    assert_eq!(times.lines().count(), many);
}

#[test]
fn network_devices() {
    let net = json(&run("net", "bond-leak-6.1-x86_64-d31-lzo", &["--json"], 0));
    assert_eq!(net["schema"], "pagehound.net/1");
    let devices = net["devices"].as_array().unwrap();
    for name in ["em1", "em2"] {
        let device = devices
            .iter()
            .find(|device| device["name"] == name)
            .unwrap();
        assert_eq!(device["mac"], "24:6e:96:43:3e:38");
        assert_eq!(
            (&device["driver"], &device["upper"]),
            (&"e1000".into(), &"bond0".into())
        );
    }
    let text = run("net", "bond-leak-6.1-x86_64-d31-lzo", &[], 0);
    assert!(
        text.lines().any(|line| line.starts_with("bond0 ")),
        "{text}"
    );
}

//! The commands over real dumps, against what was planted in them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_model::{Report, State, Verdict};
use pagehound_testdata::{Fate, KINDS, Truth, corpus, demo, kind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// The demo, and with the corpus its dumps of x86_64: whether pages are lost.
fn dumps() -> Vec<(PathBuf, bool)> {
    let mut dumps = vec![(demo(), true)];
    if cfg!(feature = "corpus") {
        let of_corpus = [
            ("bond-leak-6.1-x86_64", true),
            ("bond-leak-6.1-x86_64-d31-lzo", true),
            ("healthy-6.1-x86_64", false),
            ("mixed-5.10-x86_64", true),
            ("frames-7.2-x86_64", true),
        ];
        dumps.extend(of_corpus.map(|(dump, lost)| (corpus(&format!("{dump}.kdump")), lost)));
    }
    dumps
}

/// What a command prints about a dump; it must end with `status`.
fn run(command: &str, dump: &Path, args: &[&str], status: i32) -> String {
    let mut line = Command::cargo_bin("pagehound").unwrap();
    let output = line.arg(command).arg(dump).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{command} {} {args:?}: {stderr}",
        dump.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// State of every page, as `pages --each` prints it.
fn states(dump: &Path) -> HashMap<u64, String> {
    let rows = run("pages", dump, &["--each"], 0);
    let mut rows = rows.lines();
    assert_eq!(
        rows.next(),
        Some("pfn,class,order,refcount,state,finding,holder_kind,holder,holder_pid")
    );
    rows.map(|row| {
        let mut columns = row.split(',');
        let pfn = columns.next().unwrap().parse().unwrap();
        (pfn, columns.nth(3).unwrap().to_owned())
    })
    .collect()
}

/// A file that is no vmlinux of the dump's kernel ends every command with what is
/// wrong, also where the kernel has types of its own and none is needed.
#[test]
fn a_vmlinux_must_be_of_the_dump_s_kernel() {
    let wrong = [
        (
            PathBuf::from("Cargo.toml"),
            "the ELF file vmlinux is wanted",
        ),
        (PathBuf::from("none"), "none: No such file"),
    ];
    for (file, why) in wrong {
        for command in ["info", "ledger", "diagnose"] {
            for without in [None, Some("--without-btf")] {
                let mut line = Command::cargo_bin("pagehound").unwrap();
                line.args([command, "--vmlinux"]).arg(&file).args(without);
                let output = line.arg(demo()).output().unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{command}: {stderr}");
                assert!(stderr.contains(why), "{command}: {stderr}");
            }
        }
    }
}

/// What a quick answer counts it counts right; it calls nothing lost.
#[test]
fn quick_answers_are_sound_and_agree_with_the_whole() {
    let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
    for (dump, lost) in &dumps() {
        let value = json(&run("diagnose", dump, &["--json", "--quick"], 3));
        assert!(schema.is_valid(&value), "{}", dump.display());
        let quick: Report = serde_json::from_value(value).unwrap();
        assert_eq!(quick.contradictions(), [""; 0]);
        assert_eq!(
            quick.verdict == Verdict::Suspect,
            *lost,
            "{}",
            dump.display()
        );
        assert!(!quick.complete && quick.sample.is_some());
        let whole = json(&run("diagnose", dump, &["--json"], i32::from(*lost)));
        let whole: Report = serde_json::from_value(whole).unwrap();
        assert_eq!(quick.unaccounted.lost_pages, 0);
        for (mine, theirs) in quick.ledger.iter().zip(&whole.ledger) {
            // What a page_pool lost counts with it until that is proved.
            if !["raw", "page_pool"].contains(&mine.class.as_str()) {
                assert_eq!((&mine.class, mine.pages), (&theirs.class, theirs.pages));
            }
        }
    }
}

#[test]
fn reports_are_sound_and_say_what_is_lost() {
    let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
    for (dump, lost) in &dumps() {
        let value = json(&run("diagnose", dump, &["--json"], i32::from(*lost)));
        let wrong: Vec<String> = schema
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", dump.display());
        let report: Report = serde_json::from_value(value).unwrap();
        assert_eq!(
            report.contradictions(),
            Vec::<String>::new(),
            "{}",
            dump.display()
        );
        assert_eq!(report.verdict == Verdict::Lost, *lost, "{}", dump.display());
    }
}

#[test]
fn the_line_between_lost_and_not_moves() {
    let dump = &demo();
    run("diagnose", dump, &["--quiet", "--fail-on", "lost:10M"], 1);
    run("diagnose", dump, &["--quiet", "--fail-on", "lost:1G"], 0);
    run("diagnose", dump, &["--quiet", "--fail-on", "never"], 0);
}

#[test]
fn a_leak_has_its_owner() {
    let text = run("diagnose", &demo(), &[], 1);
    let headline = text
        .lines()
        .find(|line| line.contains("Ethernet frames"))
        .unwrap();
    assert!(text.starts_with("LEAK  "), "{text}");
    assert!(
        headline.contains("received by em1, em2 (e1000, under bond0, MAC 52:54:00:a1:5e:01)"),
        "{text}"
    );
}

#[cfg(feature = "corpus")]
#[test]
fn the_reference_case() {
    let text = run(
        "diagnose",
        &corpus("bond-leak-6.1-x86_64-d31-lzo.kdump"),
        &[],
        1,
    );
    // All 11,690 pages.
    let headline = "LEAK  45.7 MiB lost: Ethernet frames received by em1, em2 (e1000, under bond0, MAC 24:6e:96:43:3e:38) ";
    assert!(text.starts_with(headline), "{text}");
}

#[test]
fn planted_pages_have_their_state() {
    for (dump, _) in &dumps() {
        let states = states(dump);
        let truth = Truth::beside(dump);
        for (number, name, fate) in KINDS {
            let pages = truth.pages(number);
            let lost = pages.iter().filter(|pfn| states[pfn] == "lost").count();
            let (all, dump) = (pages.len(), dump.display());
            // NAPI's per-CPU cache keeps the addresses of the last sk_buffs it
            // gave out (napi_skb_cache_get, f450d539c05a, 5.13).
            let permille = if name == "skb" { 950 } else { 995 };
            if fate == Fate::Lost {
                assert!(
                    lost * 1000 >= all * permille,
                    "{dump}: {lost} of {all} of kind {name}"
                );
            } else if fate == Fate::Held {
                assert!(
                    lost * 1000 <= all,
                    "{dump}: {lost} of {all} of kind {name} called lost"
                );
            }
        }
    }
}

#[test]
fn runs_of_pages_add_up_to_the_report() {
    let dump = &demo();
    let report: Report = serde_json::from_str(&run("diagnose", dump, &["--json"], 1)).unwrap();
    let all = run("pages", dump, &[], 0);
    let mut rows = all.lines();
    assert_eq!(
        rows.next(),
        Some("pfn,count,class,order,refcount,state,finding,holder_kind,holder,holder_pid")
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
    // Who of several holders is named may differ from run to run.
    for finding in report
        .findings
        .iter()
        .filter(|finding| finding.verdict == State::Lost)
    {
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
    let dump = &demo();
    fn class(row: &str) -> &str {
        row.split(',').nth(2).unwrap()
    }
    let all = run("pages", dump, &[], 0);
    let slab = run("pages", dump, &["--class", "slab"], 0);
    let expected = all
        .lines()
        .filter(|row| row.starts_with("pfn,") || class(row) == "slab");
    assert_eq!(
        slab.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    let lost = run(
        "pages",
        dump,
        &["--state", "lost", "--finding", "1", "--format", "jsonl"],
        0,
    );
    for row in lost.lines().map(json) {
        assert_eq!(
            (&row["state"], &row["finding"]),
            (&"lost".into(), &1.into())
        );
    }
    assert!(lost.lines().count() > 0);
    let unaccounted = run("pages", dump, &["--class", "unaccounted"], 0);
    let expected = all
        .lines()
        .filter(|row| row.starts_with("pfn,") || ["raw", "detached"].contains(&class(row)));
    assert_eq!(
        unaccounted.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    run("pages", dump, &["--finding", "9999"], 2);
    run("pages", dump, &["--class", "no_such_class"], 2);
}

#[test]
fn one_page_explained() {
    let dump = &demo();
    let truth = Truth::beside(dump);
    let first = |name| *truth.pages(kind(name)).first().unwrap();
    let why = |pfn: u64| run("why", dump, &[&format!("{pfn:#x}")], 0);
    let lost = first("frames");
    let text = why(lost);
    assert!(text.contains("  State     lost, with the "), "{text}");
    assert!(
        text.contains("  Held by   nothing in use points to it"),
        "{text}"
    );
    // What the leak is known by may be shown, the rest only on demand.
    assert!(
        text.contains("  Pattern   52 54 00 a1 5e 01 at offset 0"),
        "{text}"
    );
    assert!(!text.contains("000: "), "{text}");
    let shown = run("why", dump, &[&lost.to_string(), "--show-content"], 0);
    assert!(shown.contains("000: 52 54 00 a1 5e 01 "), "{shown}");
    // An array of struct page pointers in a module's data.
    let held = why(first("array"));
    assert!(held.contains("  State     held"), "{held}");
    assert!(!held.contains("nothing in memory"), "{held}");
    let decimal = run("why", dump, &[&lost.to_string()], 0);
    let physical = run("why", dump, &["-p", &format!("{:x}", lost << 12)], 0);
    assert_eq!([decimal, physical], [text.clone(), text]);
    run("why", dump, &["0xffffffffff"], 2);
}

/// The guest's four pipes are each a `sleep`'s by its own `ps`; its objects hold pages
/// through a vmalloc area of the function that made it.
#[test]
fn the_way_from_a_page_to_its_owner() {
    let dump = &demo();
    let truth = Truth::beside(dump);
    let processes = truth.section("ps").unwrap().into_iter();
    let pids: BTreeSet<&str> = processes
        .filter(|line| line.ends_with(" sleep 1000000"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(pids.len(), 4);
    let rows = run("pages", dump, &["--state", "held", "--format", "jsonl"], 0);
    let rows: Vec<_> = rows.lines().map(json).collect();
    let pipes = rows.iter().filter(|row| row["holder_kind"] == "pipe");
    let pipes: BTreeMap<String, &serde_json::Value> = pipes
        .map(|row| (row["holder_pid"].to_string(), &row["pfn"]))
        .collect();
    assert!(pipes.keys().map(String::as_str).eq(pids), "{pipes:?}");
    let (pid, pfn) = pipes.first_key_value().unwrap();
    let text = run("why", dump, &[&pfn.to_string()], 0);
    for step in [
        "\u{2190} pipe_buffer in ",
        "\u{2190} pipe_inode_info in ",
        "\u{2190} file, descriptor 0 in ",
        &format!("\u{2190} task_struct of sleep (pid {pid}) "),
    ] {
        assert!(text.contains(step), "{step}: {text}");
    }
    let object = truth.pages(kind("objects"));
    let object = object.first().unwrap();
    let text = run("why", dump, &[&object.to_string()], 0);
    assert!(
        text.contains("that object of kmalloc-256 is named by the word at physical "),
        "{text}"
    );
    assert!(text.contains(", in vmalloc hold_objects+"), "{text}");
}

#[test]
fn the_ledger_has_every_class() {
    let ledger = json(&run("ledger", &demo(), &["--json"], 0));
    assert_eq!(ledger["schema"], "pagehound.ledger/1");
    let free = ledger["ledger"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["class"] == "free")
        .unwrap();
    assert_eq!(free["pages"], free["counter"]["pages"]);
    assert!(run("ledger", &demo(), &[], 0).starts_with("Where the memory is "));
    run("ledger", &demo(), &["--classic"], 2);
}

/// Runs `read` where it must fail, and gives what it says.
fn unread(args: &[&str]) -> String {
    let mut line = Command::cargo_bin("pagehound").unwrap();
    let output = line.arg("read").arg(demo()).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_symbol_is_read_by_its_name() {
    let dump = &demo();
    let banner = run("read", dump, &["linux_banner", "4"], 0);
    assert!(banner.contains("   Linux version 6."), "{banner}");
    let (address, _) = banner.split_once(':').unwrap();
    assert_eq!(run("read", dump, &[address, "4"], 0), banner);
    let behind = run("read", dump, &["linux_banner+0x10", "2"], 0);
    assert_eq!(Some(behind.trim_end()), banner.lines().nth(1));
    assert_eq!(run("read", dump, &["linux_banner+16", "2"], 0), behind);
    let nowhere = unread(&["no_such_symbol"]);
    assert!(
        nowhere.contains("no_such_symbol: the kernel image has no such symbol"),
        "{nowhere}"
    );
    // Linked at zero on x86_64 up to 6.14.
    let percpu = unread(&["runqueues"]);
    let (_, there) = percpu.trim_end().split_once("CPU 0 has it at ").unwrap();
    run("read", dump, &[there, "1"], 0);
}

#[test]
fn a_physical_address_that_is_not_said_to_be_one() {
    let text = unread(&["1a2b3000"]);
    assert!(text.contains("add --physical"), "{text}");
    let text = unread(&["ffffa00000000000"]);
    assert!(!text.contains("--physical"), "{text}");
}

#[test]
fn half_a_dump_is_told_in_the_headline() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("half");
    let whole = std::fs::read(demo()).unwrap();
    std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    let text = run("diagnose", &half, &[], 3);
    assert!(
        text.starts_with("UNDECIDED  the dump is cut short or incomplete: "),
        "{text}"
    );
}

#[test]
fn every_finding_has_its_row() {
    let dump = &demo();
    let report: Report = serde_json::from_str(&run("diagnose", dump, &["--json"], 1)).unwrap();
    let usual = run("ledger", dump, &[], 0);
    assert!(usual.contains(" others: see --all "), "{usual}");
    for (command, status) in [("diagnose", 1), ("ledger", 0)] {
        let all = run(command, dump, &["--all"], status);
        assert!(!all.contains("others"), "{all}");
        let (_, rows) = all.split_once("Where the memory is").unwrap();
        for finding in &report.findings {
            let row = format!(" {}. ", finding.id);
            assert!(rows.contains(&row), "{row}: {all}");
        }
    }
}

#[test]
fn the_log() {
    let dump = &demo();
    let all = run("log", dump, &[], 0);
    assert!(all.contains("] Linux version 6.1."), "{all}");
    let errors = run("log", dump, &["--level", "warn+"], 0);
    let (few, many) = (errors.lines().count(), all.lines().count());
    assert!(0 < few && few < many, "{few} of {many}");
    assert!(errors.lines().all(|line| all.contains(line)));
    let times = run("log", dump, &["-T"], 0);
    // The demo was made in 2026.
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
    let net = json(&run("net", &demo(), &["--json"], 0));
    assert_eq!(net["schema"], "pagehound.net/1");
    let devices = net["devices"].as_array().unwrap();
    for name in ["em1", "em2"] {
        let device = devices
            .iter()
            .find(|device| device["name"] == name)
            .unwrap();
        assert_eq!(device["mac"], "52:54:00:a1:5e:01");
        assert_eq!(
            (&device["driver"], &device["upper"]),
            (&"e1000".into(), &"bond0".into())
        );
    }
    let text = run("net", &demo(), &[], 0);
    assert!(
        text.lines().any(|line| line.starts_with("bond0 ")),
        "{text}"
    );
}

#[test]
fn info_and_report_agree() {
    for (dump, lost) in &dumps() {
        let info = json(&run("info", dump, &["--json"], 0));
        let report = json(&run("diagnose", dump, &["--json"], i32::from(*lost)));
        assert_eq!(info["captured_at"], report["host"]["captured_at"]);
        assert!(info["captured_at"].is_string(), "{}", dump.display());
        assert_eq!(info["arch"], report["target"]["arch"]);
        assert_eq!(info["format"], report["target"]["format"]);
    }
}

#[test]
fn what_is_not_mapped_is_told_from_what_is_not_in_the_dump() {
    let dump = &demo();
    let said = |command: &str, address: &str| {
        let mut line = Command::cargo_bin("pagehound").unwrap();
        let output = line.arg(command).arg(dump).arg(address).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command} {address}");
        String::from_utf8(output.stderr).unwrap()
    };
    // The image's range before the image, its last page, and vmalloc's first.
    for address in ["ffffffff80000000", "ffffffffbffff000", "ffffa00000000000"] {
        for command in ["read", "why"] {
            let text = said(command, address);
            assert!(text.contains("not mapped"), "{command}: {text}");
            assert!(!text.contains("not in the dump"), "{command}: {text}");
        }
    }
}

/// Memory that looks like a leak and is none (`known` lists it under "Not to be taken for
/// a leak"), as far as a dump can have it: none of it is in a finding of lost pages, and
/// no finding of anything else is said to be a leak on record.
#[test]
fn look_alikes_are_not_called_leaks() {
    for (dump, lost) in &dumps() {
        let text = run("diagnose", dump, &["--json"], i32::from(*lost));
        let report: Report = serde_json::from_str(&text).unwrap();
        // Rings, pools, fragments, lists of pages kept for later, tables of hardware.
        for holder in &report.holders {
            assert_eq!(
                holder.most_pages.filter(|&most| most < holder.pages),
                None,
                "{holder}"
            );
        }
        for finding in &report.findings {
            let told = matches!(finding.verdict, State::Lost | State::Suspect);
            assert!(told || finding.known_issues.is_empty(), "{finding:?}");
            // 6.1.192, 5.10 and 7.2 of Debian have the fixes of what they have loaded.
            assert!(
                finding.known_issues.is_empty(),
                "{:?}",
                finding.known_issues
            );
        }
        // Never part of MemTotal: only frames of these classes are, and none is a finding.
        let apart = ["crash_kernel", "reserved", "hole"];
        let states = run("pages", dump, &["--format", "jsonl"], 0);
        for row in states.lines().map(json) {
            if apart.contains(&row["class"].as_str().unwrap()) {
                assert_eq!(row["finding"], serde_json::Value::Null, "{row}");
            }
        }
    }
}

#[test]
fn a_bug_report_says_what_whose_how_sure_and_what_next() {
    let text = run("diagnose", &demo(), &["--md"], 1);
    assert!(
        text.starts_with("# Kernel memory leak: 14.2 MiB lost\n"),
        "{text}"
    );
    let cells: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("## 1. 11.7 MiB lost: Ethernet frames"))
        .take_while(|line| !line.starts_with("## 2."))
        .filter_map(|line| line.strip_prefix("| **"))
        .collect();
    let begin = [
        "What** | 3,000 pages of order 0 that nothing in use points to;",
        "How much** | 11.7 MiB, ",
        "How sure** | **proved**: all memory that could refer",
        "Whose** | filled by em1 (driver e1000, at 0000:00:02.0, under bond0, MAC 52:54:00:a1:5e:01)",
        "Known** | no leak on record fits e1000 on 6.1.0-",
        "What next** | watch unaccounted memory by `pagehound ledger` beside `ethtool -S em1`",
    ];
    assert_eq!(cells.len(), begin.len(), "{cells:?}");
    for (cell, begin) in cells.iter().zip(begin) {
        assert!(cell.starts_with(begin), "{cell}");
    }
}

#[test]
fn a_redacted_report_tells_nothing_of_the_site() {
    let dump = &demo();
    let path = dump.display().to_string();
    for format in [&["--json"][..], &["--md"], &[]] {
        let args: Vec<&str> = format.iter().copied().chain(["--redact"]).collect();
        let text = run("diagnose", dump, &args, 1);
        for secret in [
            "a1:5e:01",
            "a15e01",
            "a1 5e 01",
            "ffff8",
            "LABRING",
            path.as_str(),
        ] {
            assert!(!text.contains(secret), "{secret} in {format:?}: {text}");
        }
        assert!(text.contains("52:54:00:xx:xx:xx"), "{text}");
    }
    let text = run("diagnose", dump, &["--json", "--redact"], 1);
    let report: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(report.contradictions(), [""; 0]);
    assert_eq!(report.host.name, None);
}

#[test]
fn a_saved_report_stands_for_its_dump() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("report.json");
    let file = saved.to_str().unwrap();
    run("diagnose", &demo(), &["--json", "-o", file], 1);
    let begin = |text: &str| text.split("Seen: ").next().unwrap().to_owned();
    for args in [&[][..], &["--all"], &["--redact"]] {
        let (of_dump, of_report) = (
            run("diagnose", &demo(), args, 1),
            run("diagnose", &saved, args, 1),
        );
        assert_eq!(begin(&of_report), begin(&of_dump));
    }
    assert!(run("diagnose", &saved, &["--md"], 1).starts_with("# Kernel memory leak"));
    run("diagnose", &saved, &["--fail-on", "lost:1G"], 0);
    let ledger = |dump: &Path| begin(&run("ledger", dump, &[], 0));
    assert_eq!(ledger(&saved), ledger(&demo()));
}

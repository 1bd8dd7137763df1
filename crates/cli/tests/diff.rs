//! `diff` as a shell sees it, over reports of which it is known what they differ by.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_model::{Module, NetDevice, Report, Unaccounted, Verdict};
use pagehound_testdata::demo;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

fn diff<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let mut line = Command::cargo_bin("pagehound").unwrap();
    let output = line.arg("diff").args(args).output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr))
}

/// The host of the reference case.
fn leaking() -> Report {
    serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap()
}

/// Another host, with another network card, that does not leak.
fn healthy() -> Report {
    let mut host = without_leak();
    with_card(&mut host, "virtio_net", None);
    host
}

/// The host of the reference case without what leaked.
fn without_leak() -> Report {
    let mut host = leaking();
    host.host.name = Some("db8".into());
    host.target.path = "vmcore.db8".into();
    host.verdict = Verdict::None;
    let (pages, held) = (host.unaccounted.pages, host.unaccounted.held_pages);
    host.unaccounted = Unaccounted {
        pages: held,
        bytes: held * 4096,
        held_pages: held,
        ..Unaccounted::default()
    };
    host.findings
        .retain(|finding| finding.holders.iter().any(|of| of.kind == "module"));
    for row in &mut host.ledger {
        match row.class.as_str() {
            "raw" => row.pages = held,
            "free" => row.pages += pages - held,
            _ => {}
        }
        row.bytes = row.pages * 4096;
    }
    host
}

/// Gives the host this one network card.
fn with_card(host: &mut Report, driver: &str, firmware: Option<&str>) {
    host.netdevs = vec![NetDevice {
        name: "eth0".into(),
        driver: Some(driver.into()),
        module: Some(driver.into()),
        firmware: firmware.map(str::to_owned),
        ..NetDevice::default()
    }];
    host.modules.retain(|module| module.name != "e1000");
    host.modules.push(Module {
        name: driver.into(),
        version: None,
        srcversion: None,
        build_id: None,
        taints: String::new(),
    });
}

fn save(folder: &TempDir, name: &str, report: &Report) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, serde_json::to_string(report).unwrap()).unwrap();
    path
}

#[test]
fn another_host_with_another_card_does_not_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (leaking(), healthy());
    assert_eq!(b.contradictions(), Vec::<String>::new());
    let (a, b) = (save(&folder, "a.json", &a), save(&folder, "b.json", &b));
    let ran = diff([&a, &b]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_real_dump_against_a_saved_report_names_the_driver_first() {
    let folder = tempfile::tempdir().unwrap();
    let b = save(&folder, "b.json", &healthy());
    let ran = diff([demo().as_os_str(), b.as_os_str(), "--json".as_ref()]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let found = json(&ran);
    assert_eq!(found["schema"], "pagehound.diff/1");
    let first = &found["differences"][0];
    assert_eq!(
        (&first["telling"], &first["kind"]),
        (&"named".into(), &"driver".into())
    );
    assert_eq!(
        (&first["name"], &first["b"]),
        (&"e1000".into(), &serde_json::Value::Null)
    );
    assert_eq!(first["named_by"]["of"], "a");
    // What it is compared to leaks nothing, and has the numbers it was given.
    assert_eq!(
        (&found["a"]["leaks"], &found["b"]["leaks"]),
        (&true.into(), &false.into())
    );
    let largest = &found["findings"][0];
    assert_eq!(largest["kind"], "ethernet/to e1000/o0");
    assert_eq!(
        (&largest["a_state"], &largest["b_state"]),
        (&"lost".into(), &serde_json::Value::Null)
    );
}

#[cfg(feature = "corpus")]
#[test]
fn two_real_dumps_with_one_driver_are_told_by_its_build() {
    let healthy = pagehound_testdata::corpus("healthy-6.1-x86_64.kdump");
    let ran = diff([demo().as_os_str(), healthy.as_os_str(), "--json".as_ref()]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let found = json(&ran);
    // The corpus' guests run an e1000 that is not of the kernel's tree.
    let first = &found["differences"][0];
    assert_eq!(
        (&first["kind"], &first["name"]),
        (&"module".into(), &"e1000".into())
    );
    assert!(first["b"].as_str().unwrap().contains("OE"), "{first}");
    let leaking = pagehound_testdata::corpus("bond-leak-6.1-x86_64.kdump");
    let found = json(&diff([
        leaking.as_os_str(),
        healthy.as_os_str(),
        "--json".as_ref(),
    ]));
    // Those two differ in nothing but what they lose.
    let shared = &found["shared"][0];
    assert_eq!(
        (&shared["name"], &shared["same_build"]),
        (&"e1000".into(), &true.into())
    );
}

#[test]
fn two_moments_of_a_host_grow_by_the_hour() {
    let folder = tempfile::tempdir().unwrap();
    let mut later = leaking();
    later.host.captured_at = Some("2026-11-02T06:05:06Z".into());
    let more = 2560;
    later.findings[0].pages += more;
    later.unaccounted.lost_pages += more;
    later.unaccounted.pages += more;
    for row in &mut later.ledger {
        match row.class.as_str() {
            "raw" => row.pages += more,
            "free" => row.pages -= more,
            _ => {}
        }
        row.bytes = row.pages * 4096;
    }
    later.findings[0].bytes = later.findings[0].pages * 4096;
    later.unaccounted.bytes = later.unaccounted.pages * 4096;
    assert_eq!(later.contradictions(), Vec::<String>::new());
    let (a, b) = (
        save(&folder, "a.json", &leaking()),
        save(&folder, "b.json", &later),
    );
    let ran = diff([&a, &b]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_host_and_itself_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let a = save(&folder, "a.json", &leaking());
    let ran = diff([&a, &a]);
    assert_eq!(ran.status, 0);
    assert!(ran.stdout.starts_with("SAME  "), "{}", ran.stdout);
}

/// Forty hosts: ice with firmware 1.5.2 loses pages on eighteen of twenty; the kernel
/// 6.12.49 is on most of these and on some others, where nothing is lost.
fn fleet(folder: &TempDir) {
    for number in 0..40 {
        let cohort = number < 20;
        let leaks = if cohort { number >= 2 } else { number == 39 };
        let mut host = if leaks { leaking() } else { without_leak() };
        host.host.name = Some(format!("node{number:02}"));
        host.host.boot_id = Some(format!("boot-{number}"));
        host.target.build = None;
        let newer = (cohort && number % 9 != 4) || (28..32).contains(&number);
        host.target.kernel = if newer { "6.12.49" } else { "6.12.40" }.into();
        match number {
            0..20 => with_card(&mut host, "ice", Some("1.5.2")),
            20..26 => with_card(&mut host, "ice", Some("1.6.0")),
            _ => with_card(&mut host, "igb", Some("3.25")),
        }
        // A module of every second host and one of every third are noise.
        for (every, name) in [(2, "zram"), (3, "nfsd")] {
            if number % every == 0 {
                let module = Module {
                    name: name.into(),
                    ..host.modules[0].clone()
                };
                host.modules.push(module);
            }
        }
        save(folder, &format!("node{number:02}.json"), &host);
    }
}

#[test]
fn a_group_names_the_cohort_and_not_the_confounder() {
    let folder = tempfile::tempdir().unwrap();
    fleet(&folder);
    let ran = diff(["--group".as_ref(), folder.path().as_os_str()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(ran.stdout);
    let ran = diff([
        "--group".as_ref(),
        folder.path().as_os_str(),
        "--json".as_ref(),
    ]);
    let found = json(&ran);
    assert_eq!(found["schema"], "pagehound.group/1");
    assert_eq!(found["conclusion"], "cohort");
    let cohort = &found["associations"][0];
    assert_eq!(cohort["traits"][0]["kind"], "firmware");
    assert_eq!(cohort["traits"][0]["value"], "1.5.2");
    assert_eq!(cohort["standing"], "cohort");
    let standing = |kind: &str, value: &str| {
        let mut all = found["associations"].as_array().unwrap().iter();
        let of = all.find(|of| {
            let mut traits = of["traits"].as_array().unwrap().iter();
            traits.any(|of| of["kind"] == kind && of["value"] == value)
        });
        of.unwrap()["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing("kernel", "6.12.49"), "explained");
}

#[test]
fn what_is_no_report_in_a_folder_is_left_out_aloud() {
    let folder = tempfile::tempdir().unwrap();
    fleet(&folder);
    let error = r#"{"schema": "pagehound.error/1", "error": "the dump is too small"}"#;
    std::fs::write(folder.path().join("node40.json"), error).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let ran = diff(["--group".as_ref(), folder.path().as_os_str()]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("1 report ("), "{}", ran.stdout);
    assert!(ran.stdout.contains("dump is too small"), "{}", ran.stdout);
}

#[test]
fn a_group_without_the_leak_in_question_has_no_cohort() {
    let folder = tempfile::tempdir().unwrap();
    fleet(&folder);
    let args = ["--group", "--signature", "to ice"].map(OsStr::new);
    let ran = diff(args.into_iter().chain([folder.path().as_os_str()]));
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    let told = "no finding of any report matches \"to ice\"; kinds are: ethernet/to e1000/o0";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let leaking = ["node02", "node03", "node04"];
    let leaking = leaking.map(|name| folder.path().join(format!("{name}.json")));
    let args = [OsStr::new("--group")].into_iter();
    let ran = diff(args.chain(leaking.iter().map(|path| path.as_os_str())));
    assert_eq!(ran.status, 0);
    let told = "NOTHING TO COMPARE  all 3 hosts leak: add reports of some that do not";
    assert!(ran.stdout.starts_with(told), "{}", ran.stdout);
    let few = ["node02", "node30", "node31"].map(|name| folder.path().join(format!("{name}.json")));
    let files = few.iter().map(|path| path.as_os_str());
    let ran = diff([OsStr::new("--group")].into_iter().chain(files));
    assert_eq!(ran.status, 0);
    assert!(
        ran.stdout.starts_with("TOO FEW TO TELL  "),
        "{}",
        ran.stdout
    );
}

#[test]
fn copies_of_redacted_reports_are_no_cohort() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mut host) in [("a", leaking()), ("b", healthy())] {
        host.host.name = None;
        for copy in 0..6 {
            save(&folder, &format!("{name}{copy}.json"), &host);
        }
    }
    let ran = diff(["--group".as_ref(), folder.path().as_os_str()]);
    assert_eq!(ran.status, 0);
    for told in [
        "TOO FEW TO TELL  ",
        "1 of 2 hosts leak; 12 reports read, 10 of a moment and machine",
        "2 of the hosts tell neither a boot id nor a host name",
    ] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("Mantel"), "{}", ran.stdout);
}

#[test]
fn a_module_of_one_build_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let mut host = if number < 10 {
            leaking()
        } else {
            without_leak()
        };
        host.host.boot_id = Some(format!("boot-{number}"));
        host.modules.retain(|module| module.name != "lab");
        if number < 10 {
            host.modules.push(Module {
                name: "lab".into(),
                taints: "OE".into(),
                version: None,
                srcversion: None,
                build_id: None,
            });
        }
        save(&folder, &format!("{number}.json"), &host);
    }
    let group = ["--group".as_ref(), folder.path().as_os_str()];
    let text = diff(group).stdout;
    let told = "COHORT  module lab: 10 of 10 hosts with it leak, 0 of 10 without";
    assert!(text.starts_with(told), "{text}");
    assert!(!text.contains("tainted"), "{text}");
    let all = [group[0], group[1], "--all".as_ref()];
    assert!(diff(all).stdout.contains("module lab tainted OE"));
}

#[test]
fn hosts_of_different_size_have_a_share_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut large = healthy();
    large.target.mem_total_bytes *= 2;
    let (a, b) = (
        save(&folder, "a.json", &leaking()),
        save(&folder, "b.json", &large),
    );
    let text = diff([&a, &b]).stdout;
    assert!(text.contains("A % of MemTotal  B % of MemTotal"), "{text}");
    assert!(text.contains("The hosts are of different size"), "{text}");
}

#[test]
fn a_few_pages_between_two_moments_end_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let mut later = without_leak();
    later.host.captured_at = Some("2026-11-02T04:05:36Z".into());
    for row in &mut later.ledger {
        match row.class.as_str() {
            "anonymous" => row.pages += 300,
            "free" => row.pages -= 300,
            _ => {}
        }
        row.bytes = row.pages * 4096;
    }
    let a = save(&folder, "a.json", &without_leak());
    let b = save(&folder, "b.json", &later);
    let ran = diff([&a, &b]);
    assert_eq!(ran.status, 0, "{}", ran.stdout);
    assert!(ran.stdout.starts_with("NO GROWTH  "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("MemTotal  an hour"), "{}", ran.stdout);
    assert!(ran.stdout.contains("between the two are 30 s"));
    assert_eq!(
        json(&diff([a.as_os_str(), b.as_os_str(), "--json".as_ref()]))["matters"],
        false
    );
}

#[test]
fn what_one_does_not_tell_is_not_said_to_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut silent = leaking();
    silent.netdevs.clear();
    silent.modules.clear();
    let a = save(&folder, "a.json", &silent);
    let b = save(&folder, "b.json", &leaking());
    let text = diff([&a, &b]).stdout;
    assert!(!text.contains("evices, drivers"), "{text}");
    assert!(
        text.contains("both tell the kernel only, which is the same"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_compared_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let a = save(&folder, "a.json", &leaking());
    let (net, text) = (folder.path().join("net.json"), folder.path().join("b.txt"));
    std::fs::write(&net, r#"{"schema": "pagehound.net/1"}"#).unwrap();
    std::fs::write(&text, "x").unwrap();
    let refused = |args: &[&Path], wanted: &str| {
        let ran = diff(args);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    };
    let group = Path::new("--group");
    refused(&[&a], "two targets, and here is one");
    refused(&[&a, &a, &a], "--group");
    refused(&[&a, &net], "its schema is pagehound.net/1");
    refused(&[&a, folder.path()], "`pagehound diff --group");
    refused(&[&a, Path::new("/nowhere/b.json")], "there is no such file");
    refused(&[group, &a, &a], "3 reports or more, and here is one");
    refused(&[group, &a, &a, &text], "no saved report");
    refused(
        &[group, &a, Path::new("live")],
        "--group compares saved reports",
    );
    refused(
        &[group, folder.path(), &a],
        "3 reports or more, and here is one",
    );
    refused(&[group, &a, &net], "its schema is pagehound.net/1");
    refused(&[&a, &a, Path::new("-o"), &a], "the target itself");
    let ran = diff([a.as_os_str(), net.as_os_str(), "--json".as_ref()]);
    assert_eq!(
        (ran.status, &json(&ran)["schema"]),
        (2, &"pagehound.error/1".into())
    );
}

#[test]
fn the_answer_goes_into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        save(&folder, "a.json", &leaking()),
        save(&folder, "b.json", &healthy()),
    );
    let out = folder.path().join("out");
    let ran = diff([a.as_os_str(), b.as_os_str(), "-o".as_ref(), out.as_os_str()]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert_eq!(std::fs::read_to_string(out).unwrap(), diff([&a, &b]).stdout);
}

#[test]
fn names_out_of_reports_cannot_write_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (leaking(), healthy());
    let evil = "\x1b[2J\u{202e}\r\nevil";
    for host in [&mut a, &mut b] {
        host.host.name = Some(evil.into());
        host.target.path = evil.into();
        host.target.kernel = evil.into();
        host.modules.push(Module {
            name: evil.into(),
            ..host.modules[0].clone()
        });
    }
    a.target.build = Some(evil.into());
    a.netdevs[0].driver = Some(evil.into());
    a.findings[0].owners[0].driver = Some(evil.into());
    a.ledger[0].class = evil.into();
    let (one, other) = (save(&folder, "a.json", &a), save(&folder, "b.json", &b));
    b.netdevs[0].firmware = Some(evil.into());
    b.host.name = None;
    save(&folder, "c.json", &b);
    let pair = diff([&one, &other]).stdout;
    let group = [
        "--group".as_ref(),
        folder.path().as_os_str(),
        "--all".as_ref(),
    ];
    for text in [pair, diff(group).stdout] {
        assert!(text.contains("evil"), "{text}");
        let printed = text.lines().flat_map(str::chars);
        let mut odd = printed.filter(|c| c.is_control() || *c == '\u{202e}');
        assert_eq!(odd.next(), None, "{text}");
    }
}

/// Reports of one host at each hour, of which anonymous memory grows by `pages` an hour.
fn hourly(folder: &Path, hours: u64, pages: u64) -> Vec<PathBuf> {
    let write = |hour: u64| {
        let mut report = without_leak();
        report.host.captured_at = Some(format!("2026-11-02T{hour:02}:00:00Z"));
        report.target.path = format!("{hour}.json");
        for row in &mut report.ledger {
            match row.class.as_str() {
                "anonymous" => row.pages += hour * pages,
                "free" => row.pages -= hour * pages,
                _ => {}
            }
            row.bytes = row.pages * 4096;
            row.counter = None;
        }
        let path = folder.join(format!("{hour}.json"));
        std::fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
        path
    };
    (0..hours).map(write).collect()
}

#[test]
fn a_series_tells_what_grows() {
    let folder = tempfile::tempdir().unwrap();
    let files = hourly(folder.path(), 6, 500);
    let args = |more: &'static [&'static str]| {
        let more = more.iter().map(|arg| arg.as_ref());
        let all: Vec<&OsStr> = more
            .chain(files.iter().map(|file| file.as_os_str()))
            .collect();
        all
    };
    let ran = diff(args(&["--series", "--json"]));
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    let found = json(&ran);
    assert_eq!(found["schema"], "pagehound.series/1");
    assert_eq!(found["moments"].as_array().unwrap().len(), 6);
    let row = &found["rows"][0];
    assert_eq!(
        (&row["name"], &row["grows"]),
        (&"anonymous".into(), &true.into())
    );
    assert_eq!(row["bytes_per_hour"], 500.0 * 4096.0);
    assert_eq!(row["change_bytes"], 5 * 500 * 4096);
    let ran = diff(args(&["--series"]));
    assert_eq!(ran.status, 1);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_series_of_a_steady_host_is_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let mut args: Vec<PathBuf> = vec!["--series".into()];
    args.extend(hourly(folder.path(), 4, 0));
    let ran = diff(&args);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    assert!(
        ran.stdout
            .starts_with("NOTHING GROWS  4 moments over 3.0 hours\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_is_no_series_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let meminfo = folder.path().join("meminfo");
    std::fs::write(&meminfo, "MemTotal: 1000 kB\nMemFree: 10 kB\n").unwrap();
    let ran = diff([
        OsStr::new("--series"),
        meminfo.as_os_str(),
        meminfo.as_os_str(),
    ]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr
            .contains("meminfo: does not tell when it was; give reports that"),
        "{}",
        ran.stderr
    );
    let mut files = hourly(folder.path(), 3, 0);
    let mut other: Report = serde_json::from_slice(&std::fs::read(&files[1]).unwrap()).unwrap();
    (other.host.name, other.host.boot_id) = (Some("db9".into()), None);
    std::fs::write(&files[1], serde_json::to_string(&other).unwrap()).unwrap();
    files.insert(0, "--series".into());
    let ran = diff(&files);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.contains("a series is of one host"),
        "{}",
        ran.stderr
    );
    let ran = diff(["--series", "--group", "x"]);
    assert_eq!(ran.status, 2);
}

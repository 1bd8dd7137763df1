//! Captures: what every command says of one is what it says of the dump it was made of.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_testdata::{corpus, demo};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The demo; with the corpus all of its dumps.
fn dumps() -> Vec<PathBuf> {
    let mut dumps = vec![demo()];
    if cfg!(feature = "corpus") {
        let of_corpus = [
            "bond-leak-6.1-x86_64",
            "bond-leak-6.1-x86_64-d31-lzo",
            "healthy-6.1-x86_64",
            "mixed-5.10-x86_64",
            "frames-7.2-x86_64",
            "frames-6.1-arm64",
        ];
        dumps.extend(of_corpus.map(|dump| corpus(&format!("{dump}.kdump"))));
    }
    dumps
}

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

fn pagehound<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let mut line = Command::cargo_bin("pagehound").unwrap();
    let output = line.args(args).output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What a command prints of a target, without what it says on standard error.
fn of(command: &str, target: &Path, args: &[&str]) -> (i32, String) {
    let mut line = vec![command.to_owned(), target.display().to_string()];
    line.extend(args.iter().map(|&arg| arg.to_owned()));
    let ran = pagehound(line);
    (ran.status, ran.stdout)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The capture of `dump`, made with these options.
fn captured(dump: &Path, options: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.phc");
    let mut line = vec!["capture".to_owned(), dump.display().to_string()];
    line.extend(["-o".to_owned(), file.display().to_string()]);
    line.extend(options.iter().map(|&option| option.to_owned()));
    let ran = pagehound(line);
    assert_eq!(ran.status, 0, "{}: {}", dump.display(), ran.stderr);
    (folder, file)
}

/// The capture as GNU tar and zstd unpack it.
fn unpacked(file: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tar = std::process::Command::new("tar")
        .args(["--zstd", "-C"])
        .arg(folder.path())
        .arg("-xf")
        .arg(file)
        .output()
        .unwrap();
    assert!(tar.status.success(), "{tar:?}");
    folder
}

/// What may differ: how long it took, and what the target was called.
fn without_run(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("timing");
    let target = report["target"].as_object_mut();
    if let Some(target) = target {
        target.remove("path");
        target.remove("format");
    }
    report
}

#[test]
fn every_command_says_of_a_capture_what_it_says_of_the_dump() {
    for dump in dumps() {
        let (_folder, capture) = captured(&dump, &[]);
        let name = dump.display();
        let mode = fs::metadata(&capture).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let report = of("diagnose", &dump, &["--json"]);
        let again = of("diagnose", &capture, &["--json"]);
        assert_eq!(report.0, again.0, "{name}");
        assert_eq!(
            without_run(json(&again.1)),
            without_run(json(&report.1)),
            "{name}"
        );
        for (command, args) in [
            ("log", &[][..]),
            ("log", &["--level", "warn+"]),
            ("net", &["--json"]),
            ("info", &["--json"]),
            ("ledger", &["--json"]),
        ] {
            let (status, of_dump) = of(command, &dump, args);
            let (again, of_capture) = of(command, &capture, args);
            assert_eq!((again, status), (0, 0), "{name}: {command}");
            let named = |text: &str| {
                text.replace(&*capture.to_string_lossy(), "X")
                    .replace(&*dump.to_string_lossy(), "X")
            };
            assert_eq!(
                named(&of_capture),
                named(&of_dump),
                "{name}: {command} {args:?}"
            );
        }
        let check = |target: &Path| {
            let ran = pagehound([
                "known".as_ref(),
                "--json".as_ref(),
                "--check".as_ref(),
                target.as_os_str(),
            ]);
            let mut told = json(&ran.stdout);
            told.as_object_mut().unwrap().remove("target");
            (ran.status, told)
        };
        assert_eq!(check(&capture), check(&dump), "{name}");
        let (status, text) = of("diff", &capture, &[&dump.to_string_lossy()]);
        assert_eq!(status, 0, "{name}: {text}");
        // The boot time is of the second.
        if of("log", &dump, &["-T"]).0 == 0 {
            assert_eq!(
                of("log", &capture, &["-T"]),
                of("log", &dump, &["-T"]),
                "{name}"
            );
        }
        pages_agree(&dump, &capture);
    }
}

/// A row of `pages`: frames, and all that is said of them.
struct Row {
    first: u64,
    count: u64,
    class: String,
    order: String,
    rest: String,
}

fn rows(target: &Path) -> Vec<Row> {
    let (status, text) = of("pages", target, &[]);
    assert_eq!(status, 0);
    let row = |line: &str| {
        let fields: Vec<&str> = line.splitn(5, ',').collect();
        Row {
            first: fields[0].parse().unwrap(),
            count: fields[1].parse().unwrap(),
            class: fields[2].to_owned(),
            order: fields[3].to_owned(),
            rest: fields[4].to_owned(),
        }
    };
    text.lines().skip(1).map(row).collect()
}

/// Rows of single pages are those of the dump, and all rows of pages that matter are; what
/// is counted adds up.
fn pages_agree(dump: &Path, capture: &Path) {
    let name = dump.display();
    let (of_dump, of_capture) = (rows(dump), rows(capture));
    let facts = |rows: &[Row]| {
        let mut facts = std::collections::BTreeMap::new();
        for row in rows.iter().filter(|row| !row.order.is_empty()) {
            for pfn in row.first..row.first + row.count {
                let told = format!("{},{},{}", row.class, row.order, row.rest);
                assert_eq!(facts.insert(pfn, told), None, "{name}: {pfn}");
            }
        }
        facts
    };
    let (each, exact) = (facts(&of_dump), facts(&of_capture));
    for (pfn, told) in &exact {
        assert_eq!(each.get(pfn), Some(told), "{name}: {pfn}");
    }
    let matters = |class: &str| ["raw", "detached", "page_pool"].contains(&class);
    for (pfn, told) in &each {
        let class = told.split(',').next().unwrap();
        assert!(!matters(class) || exact.contains_key(pfn), "{name}: {pfn}");
    }
    let by_class = |rows: &[Row]| {
        let mut sums = std::collections::BTreeMap::new();
        for row in rows {
            *sums.entry(row.class.clone()).or_insert(0) += row.count;
        }
        sums
    };
    assert_eq!(by_class(&of_capture), by_class(&of_dump), "{name}");
    // Counted pages are a part, or the block size does nothing.
    assert!(
        exact.len() < each.len() && exact.len() > each.len() / 2,
        "{name}"
    );
}

#[test]
fn one_page_is_explained_as_far_as_it_is_known() {
    let dump = demo();
    let (_folder, capture) = captured(&dump, &[]);
    let (_, report) = of("diagnose", &dump, &["--json"]);
    let report = json(&report);
    let lost = &report["findings"][0];
    assert_eq!(lost["verdict"], "lost");
    let content = unpacked(&capture);
    let lime = fs::read(content.path().join("content.lime")).unwrap();
    // LiME's header: magic, version, first and last byte.
    assert_eq!(&lime[..8], b"EMiL\x01\0\0\0");
    let sampled = u64::from_le_bytes(lime[8..16].try_into().unwrap()) >> 12;
    for pfn in [sampled, lost["sample_pfns"][0].as_u64().unwrap()] {
        let args = [&pfn.to_string(), "--json", "--show-content"];
        let (status, of_dump) = of("why", &dump, &args);
        let (again, of_capture) = of("why", &capture, &args);
        assert_eq!((status, again), (0, 0));
        let (of_dump, of_capture) = (json(&of_dump), json(&of_capture));
        for field in ["pfn", "physical", "virtual", "class", "state", "checked"] {
            assert_eq!(of_capture[field], of_dump[field], "{pfn}: {field}");
        }
        assert_eq!(of_capture["finding"], of_dump["finding"]["id"], "{pfn}");
        assert_eq!(
            of_capture["refcount"], of_dump["page_struct"]["refcount"],
            "{pfn}"
        );
        if pfn == sampled {
            assert_eq!(of_capture["content"], of_dump["content"]);
            assert_eq!(of_capture["patterns"], of_dump["patterns"]);
        }
        let (_, text) = of("why", &capture, &[&pfn.to_string()]);
        assert!(text.contains("not in a capture"), "{text}");
    }
    let end = report["target"]["pages"].as_u64().unwrap();
    let beyond = pagehound(["why", &capture.to_string_lossy(), &end.to_string()]);
    assert_eq!(beyond.status, 2);
    assert!(
        beyond.stderr.contains("there is no page"),
        "{}",
        beyond.stderr
    );
}

#[test]
fn search_and_read_are_of_the_sampled_pages_and_say_so() {
    let dump = demo();
    let (_folder, capture) = captured(&dump, &[]);
    let content = unpacked(&capture);
    let lime = fs::read(content.path().join("content.lime")).unwrap();
    let at = u64::from_le_bytes(lime[8..16].try_into().unwrap());
    let text = |target: &Path| of("read", target, &["--physical", &format!("{at:x}"), "8"]);
    let (status, words) = text(&capture);
    assert_eq!(status, 0);
    // What words point to, the dump knows better.
    let hex =
        |text: &str| -> Vec<String> { text.lines().map(|line| line[..50].to_owned()).collect() };
    assert_eq!(hex(&words), hex(&text(&dump).1));
    let word = u64::from_le_bytes(lime[32..40].try_into().unwrap());
    let (status, found) = of("search", &capture, &["--physical", &format!("{word:x}")]);
    assert_eq!(status, 0);
    assert!(found.contains(&format!("{at:x}: {word:x}\n")), "{found}");
    let of_dump = of("search", &dump, &["--physical", &format!("{word:x}")]).1;
    let of_dump: BTreeSet<&str> = of_dump.lines().collect();
    assert!(found.lines().all(|line| of_dump.contains(line)));
    let ran = pagehound([
        "search",
        &capture.to_string_lossy(),
        "--text",
        "no such text anywhere",
    ]);
    assert_eq!((ran.status, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("sampled: only these"), "{}", ran.stderr);
    for (args, wanted) in [
        (&["read", "X", "linux_banner"][..], "sampled: no symbols"),
        (&["read", "X", "--physical", "0"], "sampled: the bytes at 0"),
    ] {
        let path = capture.to_string_lossy();
        let args = args
            .iter()
            .map(|arg| if *arg == "X" { &path } else { *arg });
        let ran = pagehound(args.collect::<Vec<_>>());
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
}

/// Nothing of the site is in any entry: neither the host's name, nor addresses of devices
/// beyond the vendor's half, nor processes, nor bytes of pages.
#[test]
fn a_redacted_capture_tells_nothing_of_the_site() {
    for dump in dumps() {
        let (_folder, capture) = captured(&dump, &["--redact"]);
        let folder = unpacked(&capture);
        let name = dump.display();
        let mut all = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap();
            assert!(
                [
                    "capture.json",
                    "report.json",
                    "info.json",
                    "net.json",
                    "pages.json",
                    "pages.map"
                ]
                .contains(&file.as_str()),
                "{name}: {file}"
            );
            all.extend(fs::read(entry.path()).unwrap());
        }
        let all = String::from_utf8_lossy(&all).to_lowercase();
        let info = json(&of("info", &dump, &["--json"]).1);
        let host = info["host"].as_str().unwrap().to_lowercase();
        let mut secrets = vec![
            info["kernel"]["boot_id"]
                .as_str()
                .unwrap_or("no boot")
                .to_owned(),
            info["kernel"]["direct_map"].as_str().unwrap()[..8].to_owned(),
            dump.file_stem().unwrap().to_str().unwrap().to_owned(),
        ];
        let net = json(&of("net", &dump, &["--json"]).1);
        for device in net["devices"].as_array().unwrap() {
            if let Some(mac) = device["mac"]
                .as_str()
                .filter(|mac| *mac != "00:00:00:00:00:00")
            {
                secrets.extend([mac[9..].to_owned(), mac[9..].replace(':', "")]);
            }
        }
        let holders = json(&of("diagnose", &dump, &["--json"]).1);
        let of_findings = holders["findings"].as_array().unwrap();
        let of_findings = of_findings
            .iter()
            .flat_map(|it| it["holders"].as_array().unwrap());
        let holders = of_findings.chain(holders["holders"].as_array().unwrap());
        let processes = holders.filter(|holder| !holder["pid"].is_null());
        let processes: BTreeSet<&str> = processes.map(|it| it["name"].as_str().unwrap()).collect();
        // The guest's program is called like its module, and modules stay.
        let modules = info["kernel"]["modules"].as_array().unwrap();
        let is_module = |name: &&str| modules.iter().any(|module| module == name);
        let processes = processes.into_iter().filter(|name| !is_module(name));
        for secret in &secrets {
            assert!(!all.contains(secret.as_str()), "{name}: {secret}");
        }
        // Short names are a part of other words.
        for word in processes.map(str::to_lowercase).chain([host]) {
            let quoted = format!("\"{word}\"");
            assert!(!all.contains(&quoted), "{name}: {quoted}");
            assert!(!all.contains(&format!(" {word} ")), "{name}: {word}");
        }
        // It says the same of the leak.
        let (status, redacted) = of("diagnose", &dump, &["--json"]);
        let (again, from) = of("diagnose", &capture, &["--json"]);
        assert_eq!(again, status, "{name}");
        let sums = |text: &str| json(text)["unaccounted"].clone();
        assert_eq!(sums(&from), sums(&redacted), "{name}");
        for command in ["log", "search", "read"] {
            let arg: &[&str] = match command {
                "log" => &[],
                "search" => &["--text", "x"],
                _ => &["--physical", "1000"],
            };
            let mut line = vec![command, capture.to_str().unwrap()];
            line.extend(arg);
            let ran = pagehound(line);
            assert_eq!(ran.status, 2, "{command}");
            assert!(
                ran.stderr.contains("it is redacted"),
                "{command}: {}",
                ran.stderr
            );
        }
    }
}

#[test]
fn what_is_broken_or_was_changed_is_refused() {
    let (folder, capture) = captured(&demo(), &[]);
    let refused = |bytes: &[u8]| {
        let file = folder.path().join("bad.phc");
        fs::write(&file, bytes).unwrap();
        let ran = pagehound(["diagnose", file.to_str().unwrap()]);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        ran.stderr
    };
    let bytes = fs::read(&capture).unwrap();
    let cut = refused(&bytes[..bytes.len() / 2]);
    assert!(cut.contains("cut or broken"), "{cut}");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    refused(&flipped);
    // Whatever a bit of it means, and whatever is missing of the end or stands behind it.
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        refused(&flipped);
    }
    for cut in [1, 3, 4, 7] {
        refused(&bytes[..bytes.len() - cut]);
    }
    refused(&[bytes.as_slice(), b"more"].concat());
    refused(&[bytes.as_slice(), bytes.as_slice()].concat());
    // Entries that were changed, packed again by tar and zstd.
    let again = |file: &str, from: &str, to: &str| {
        let unpacked = unpacked(&capture);
        let path = unpacked.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{file}: {from}");
        fs::write(&path, changed).unwrap();
        let made = unpacked.path().join("again");
        let tar = std::process::Command::new("tar")
            .args(["--zstd", "--exclude=again", "-C"])
            .arg(unpacked.path())
            .arg("-cf")
            .arg(&made)
            .args([
                "capture.json",
                "report.json",
                "info.json",
                "net.json",
                "log",
            ])
            .args(["pages.json", "pages.map", "content.lime"])
            .output()
            .unwrap();
        assert!(tar.status.success(), "{tar:?}");
        refused(&fs::read(made).unwrap())
    };
    for (file, from, to, why) in [
        (
            "capture.json",
            "pagehound.capture/1",
            "pagehound.capture/9",
            "its schema is pagehound.capture/9",
        ),
        (
            "capture.json",
            "\"page_size\": 4096",
            "\"page_size\": 0",
            "no page has 0 bytes",
        ),
        (
            "capture.json",
            "\"frames\": ",
            "\"frames\": 1",
            "has other frames",
        ),
        (
            "report.json",
            "\"verdict\": \"lost\"",
            "\"verdict\": \"none\"",
            "contradicts itself",
        ),
        (
            "report.json",
            "\"pages\": 28640",
            "\"pages\": 28641",
            "28640 is not 28641",
        ),
        (
            "pages.json",
            "\"finding\": 1",
            "\"finding\": 2",
            "one of them was changed",
        ),
        (
            "info.json",
            "pagehound.info/1",
            "pagehound.info/9",
            "its schema is pagehound.info/9",
        ),
        (
            "capture.json",
            "\"redacted\": false",
            "\"redacted\": true",
            "and there is a log",
        ),
        (
            "pages.json",
            "\"class\": \"",
            "\"class\": \"no_",
            "no class of pages",
        ),
    ] {
        let told = again(file, from, to);
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_capture_is_as_small_as_it_must_be_and_says_what_it_cost() {
    let dump = demo();
    let (_folder, none) = captured(&dump, &["--content", "0"]);
    let entries = unpacked(&none);
    assert!(!entries.path().join("content.lime").exists());
    let header = json(&fs::read_to_string(entries.path().join("capture.json")).unwrap());
    assert_eq!(header["pages"]["sampled_pages"], 0);
    assert_eq!(header["missing"], Value::Array(Vec::new()));
    let length = |file: &Path| fs::metadata(file).unwrap().len();
    let header = |file: &Path| {
        let text = fs::read_to_string(unpacked(file).path().join("capture.json"));
        json(&text.unwrap())
    };
    // First it has less content, and all of the map.
    let (_folder, all) = captured(&dump, &[]);
    let most = (length(&none) + length(&all)) / 2;
    let (_folder, small) = captured(&dump, &["--size", &most.to_string()]);
    assert!(length(&small) <= most);
    let (told, whole) = (header(&small), header(&all));
    assert_eq!(
        told["pages"]["exact_frames"],
        whole["pages"]["exact_frames"]
    );
    let sampled = |header: &Value| header["pages"]["sampled_pages"].as_u64().unwrap();
    assert!(sampled(&told) < sampled(&whole) && sampled(&told) > 0);
    let why = told["missing"].to_string();
    assert!(why.contains("less of pages was taken along"), "{why}");
    // Then less of the map, of which sums stay right.
    let most = length(&none) - 256;
    let (_folder, small) = captured(&dump, &["--size", &most.to_string()]);
    assert!(length(&small) <= most);
    let told = header(&small);
    assert_eq!(sampled(&told), 0);
    let exact = |header: &Value| header["pages"]["exact_frames"].as_u64().unwrap();
    assert!(exact(&told) < exact(&whole));
    let why = told["missing"].to_string();
    assert!(why.contains("counted by blocks"), "{why}");
    let pages = |target: &Path| {
        let rows = rows(target).into_iter();
        let raw = rows.filter(|row| row.class == "raw");
        raw.map(|row| row.count).sum::<u64>()
    };
    assert_eq!(pages(&small), pages(&dump));
    for (size, why) in [
        ("1000", "allow 16K at least"),
        ("16384", "allow more with --size"),
    ] {
        let out = none.with_file_name("out").display().to_string();
        let line = [
            "capture",
            dump.to_str().unwrap(),
            "--size",
            size,
            "-o",
            &out,
        ];
        let ran = pagehound(line);
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
}

#[test]
fn what_was_saved_is_not_captured_again() {
    let (folder, capture) = captured(&demo(), &[]);
    let out = folder.path().join("b.phc");
    for target in [capture, demo().with_extension("truth.txt")] {
        let ran = pagehound([
            "capture".as_ref(),
            target.as_os_str(),
            "-o".as_ref(),
            out.as_os_str(),
        ]);
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("saved before"), "{}", ran.stderr);
        assert!(!out.exists());
    }
}

/// This host's counters: what the ledger of the capture says is what it says of the folder
/// that tar unpacks.
#[test]
fn the_counters_of_this_host_are_a_folder_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("live.phc");
    let ran = pagehound(["capture".as_ref(), "-o".as_ref(), file.as_os_str()]);
    assert!([0, 3].contains(&ran.status), "{}", ran.stderr);
    let unpacked = unpacked(&file);
    let (status, of_folder) = of("ledger", unpacked.path(), &["--json"]);
    assert_eq!(status, 0);
    let (status, of_capture) = of("ledger", &file, &["--json"]);
    assert_eq!(status, 0);
    let told = |text: &str| {
        let mut told = json(text);
        told.as_object_mut().unwrap().remove("target");
        told
    };
    assert_eq!(told(&of_capture), told(&of_folder));
    let meminfo = fs::read(unpacked.path().join("proc/meminfo")).unwrap();
    assert!(meminfo.starts_with(b"MemTotal:"));
    assert_eq!(of("ledger", &file, &["--classic"]).0, 0);
    let report = of("diagnose", &file, &["--json"]);
    assert_eq!(json(&report.1)["schema"], "pagehound.report/1");
}

//! `diagnose --mem-limit`: the same answers within that much resident memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use pagehound_testdata::{corpus, demo};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The demo, and with the corpus its dumps.
fn dumps() -> Vec<PathBuf> {
    let mut dumps = vec![demo()];
    if cfg!(feature = "corpus") {
        let of_corpus = [
            "bond-leak-6.1-x86_64",
            "bond-leak-6.1-x86_64-d31-lzo",
            "frames-6.1-arm64",
            "frames-7.2-x86_64",
            "healthy-6.1-x86_64",
            "mixed-5.10-x86_64",
        ];
        dumps.extend(of_corpus.map(|dump| corpus(&format!("{dump}.kdump"))));
    }
    dumps
}

/// What `diagnose --json` answers, without the time it took, and its largest resident
/// set in bytes.
fn diagnose(dump: &Path, args: &[&str]) -> (Value, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pagehound"))
        .arg("diagnose")
        .arg(dump)
        .arg("--json")
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let said = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    // Its rusage would also count this process, which it was for a moment.
    let mut peak = 0;
    let status = loop {
        peak = resident(child.id()).unwrap_or(0).max(peak);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    assert!(peak > 0);
    let text = said.join().unwrap();
    assert_ne!(status.code(), Some(2), "{}: {text}", dump.display());
    let mut report: Value = serde_json::from_str(&text).unwrap();
    report.as_object_mut().unwrap().remove("timing").unwrap();
    (report, peak)
}

/// The largest resident set a process had so far, in bytes; none once it has ended, or
/// before it is the program it is to be.
fn resident(pid: u32) -> Option<u64> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
    (program == Path::new(env!("CARGO_BIN_EXE_pagehound"))).then_some(kb << 10)
}

#[test]
fn the_answer_within_96_mib_is_the_same() {
    for dump in dumps() {
        let (free, _) = diagnose(&dump, &[]);
        for threads in ["1", "16"] {
            let limited = ["--mem-limit", "96M", "--threads", threads];
            let (limited, peak) = diagnose(&dump, &limited);
            assert_eq!(limited, free, "{}", dump.display());
            let mib = peak >> 20;
            assert!(mib < 96, "{}: {mib} MiB", dump.display());
        }
    }
}

/// What `diagnose` says where it is refused, and the limit that it says would do.
fn refused(dump: &Path, limit: &str) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_pagehound"))
        .args(["diagnose", "--mem-limit", limit, "--fail-on", "never"])
        .arg(dump)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    if output.status.code() != Some(2) {
        return None;
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    let first = stderr.lines().next().unwrap();
    let (_, enough) = first.rsplit_once("--mem-limit ").unwrap();
    Some(enough.to_owned())
}

#[test]
fn what_is_said_to_be_enough_is_enough() {
    for dump in dumps() {
        // As for a dump of no memory; then the frames count, then the units.
        let mut limit = "30M".to_owned();
        let mut steps = 0;
        while let Some(enough) = refused(&dump, &limit) {
            assert_ne!(enough, limit, "{}", dump.display());
            limit = enough;
            steps += 1;
        }
        assert!((1..=2).contains(&steps), "{}: {limit}", dump.display());
        let (free, _) = diagnose(&dump, &[]);
        let (limited, peak) = diagnose(&dump, &["--mem-limit", &limit, "--threads", "16"]);
        assert_eq!(limited, free, "{}", dump.display());
        let mib: u64 = limit.strip_suffix('M').unwrap().parse().unwrap();
        assert!(peak <= mib << 20, "{}: {peak} > {limit}", dump.display());
    }
}

#[test]
fn less_than_any_dump_needs_is_refused_with_what_to_do() {
    assert_eq!(refused(&demo(), "29M").as_deref(), Some("30M"));
}

//! `search` and `read` against what crash prints for the same dumps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_testdata::{Truth, corpus, root};
use std::io::Read;

const DUMP: &str = "bond-leak-6.1-x86_64-d31-lzo";

/// What crash printed, without the blank at the end of its lines.
fn crash(file: &str) -> Vec<String> {
    let path = root().join("tests/fixtures/crash").join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    if file.ends_with(".gz") {
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Lines of `pagehound search DUMP …`, its status and what it said beside them.
fn search(dump: &str, args: &[&str]) -> (Vec<String>, i32, String) {
    let mut command = Command::cargo_bin("pagehound").unwrap();
    let output = command
        .arg("search")
        .arg(corpus(&format!("{dump}.kdump")))
        .args(args)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    (
        lines,
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

#[test]
fn the_lines_crash_prints() {
    for (dump, direct_map) in [(DUMP, "ff17cdc9"), ("bond-leak-6.1-x86_64", "ff3b5415")] {
        // crash prints a match once for every mapping; ours is the direct map.
        let mut lines = crash(&format!("{dump}.search.txt.gz"));
        lines.retain(|line| line.starts_with(direct_map));
        let (found, status, said) = search(dump, &["0000383e43966e24", "-m", "0xffff000000000000"]);
        assert_eq!(status, 0);
        assert!(said.contains(" matches in "), "{said}");
        assert_eq!(sorted(found), sorted(lines), "{dump}");
    }
}

#[test]
fn the_physical_lines_crash_prints() {
    for (args, file) in [
        (
            &["-p", "0000383e43966e24", "-m", "0xffff000000000000"][..],
            "search-p.txt.gz",
        ),
        (&["-p", "-w", "43966e24"], "search-p-w.txt.gz"),
        (
            &["-p", "-w", "00006e24", "-m", "ffff0000"],
            "search-p-w-m.txt.gz",
        ),
    ] {
        let (found, status, _) = search(DUMP, args);
        assert_eq!(status, 0);
        assert_eq!(
            sorted(found),
            sorted(crash(&format!("{DUMP}.{file}"))),
            "{args:?}"
        );
    }
}

#[test]
fn a_part_of_memory() {
    let all = crash(&format!("{DUMP}.search-p.txt.gz"));
    let address = |line: &String| u64::from_str_radix(line.split(':').next().unwrap(), 16).unwrap();
    let (start, end) = (address(&all[10]), address(&all[20]));
    let expected: Vec<String> = all
        .iter()
        .filter(|line| (start..end).contains(&address(line)))
        .cloned()
        .collect();
    assert!(expected.len() >= 5);
    let word = ["-p", "0000383e43966e24", "-m", "ffff000000000000"];
    let (start, end, length) = (
        format!("{start:x}"),
        format!("{end:x}"),
        format!("{}", end - start),
    );
    for range in [["-s", &start, "-e", &end], ["-s", &start, "-l", &length]] {
        let (found, status, _) = search(DUMP, &[&word[..], &range[..]].concat());
        assert_eq!(
            (sorted(found), status),
            (sorted(expected.clone()), 0),
            "{range:?}"
        );
    }
}

/// The truth file has the driver's own count of the pages it lost.
#[test]
fn frames_at_the_begin_of_raw_pages() {
    let leaked = Truth::beside(&corpus(&format!("{DUMP}.kdump"))).leaked() as usize;
    let (found, _, _) = search(
        DUMP,
        &["--mac", "24:6e:96:43:3e:38", "--at", "0", "--in", "raw"],
    );
    assert!(
        found.len().abs_diff(leaked) * 1000 <= leaked * 5,
        "{} of {leaked}",
        found.len()
    );
    assert!(
        found
            .iter()
            .all(|line| line.contains("000: 24 6e 96 43 3e 38"))
    );
}

#[test]
fn status_is_that_of_grep() {
    assert_eq!(search(DUMP, &["--text", "no such text in any kernel"]).1, 1);
    assert_eq!(search(DUMP, &["--text", "Linux version"]).1, 0);
    assert_eq!(search(DUMP, &["--text", "x", "--in", "nosuchclass"]).1, 2);
    assert_eq!(search(DUMP, &["--regex", "("]).1, 2);
    assert_eq!(
        search(DUMP, &["deadbeef", "-s", "0", "-e", "1000"]).1,
        2,
        "not in the direct map"
    );
}

#[test]
fn memory_as_crash_finds_it() {
    let line = crash(&format!("{DUMP}.search.txt.gz")).swap_remove(3);
    let (address, word) = line.split_once(": ").unwrap();
    let mut command = Command::cargo_bin("pagehound").unwrap();
    let output = command
        .arg("read")
        .arg(corpus(&format!("{DUMP}.kdump")))
        .args([address, "1"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with(&format!("{address}:  {word:0>16} ")),
        "{text}"
    );
}

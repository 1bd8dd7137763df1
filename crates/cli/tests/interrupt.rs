//! Ctrl-C: what was found so far is printed, with how much was searched, and
//! the status is 130. Each test waits for a sign that the work has begun, not
//! for time to pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagehound_testdata::corpus;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Output, Stdio};

/// The dump with the most pages in it.
const DUMP: &str = "bond-leak-6.1-x86_64.kdump";

/// `pagehound COMMAND DUMP …` on one thread.
fn command(command: &str, args: &[&str]) -> Command {
    let mut line = Command::new(assert_cmd::cargo::cargo_bin("pagehound"));
    line.arg(command)
        .arg(corpus(DUMP))
        .args(["--threads", "1"])
        .args(args)
        .env("TERM", "xterm")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    line
}

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
}

/// Runs `line` on a terminal and interrupts it once its bar shows: the sign that pages
/// are being read.
fn interrupted(mut line: Command) -> Output {
    let terminal = nix::pty::openpty(None, None).unwrap();
    line.stderr(Stdio::from(terminal.slave));
    let child = line.spawn().unwrap();
    // Its copies of the terminal's other end are the child's alone from here.
    drop(line);
    let mut bar = File::from(terminal.master);
    let mut shown = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&shown).contains(" pages, ") {
        let read = bar.read(&mut chunk).unwrap();
        shown.extend_from_slice(&chunk[..read]);
    }
    interrupt(&child);
    // A terminal nobody reads would stop the child; it ends with an error.
    let rest = std::thread::spawn(move || while bar.read(&mut chunk).is_ok_and(|read| read > 0) {});
    let output = child.wait_with_output().unwrap();
    rest.join().unwrap();
    output
}

/// Who pipes may stall: that is no reason to wait for him.
#[test]
fn the_wait_for_standard_input_ends() {
    let mut line = Command::new(assert_cmd::cargo::cargo_bin("pagehound"));
    line.args(["info", "-"]).stdin(Stdio::piped());
    let mut child = line.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: when all is written some of it has been read.
    let begin = [&b"KDUMP   "[..], &[1; 1 << 17]].concat();
    stdin.write_all(&begin).unwrap();
    interrupt(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
}

/// The number before `what`, thousands set apart with commas.
fn number_before(text: &str, what: &str) -> u64 {
    let (before, _) = text.split_once(what).unwrap_or_else(|| panic!("{text}"));
    let word = before.rsplit(' ').next().unwrap();
    word.replace(',', "").parse().unwrap()
}

/// Matches of zeroes are more than the pipe takes: the search cannot end before
/// it is read to its end.
#[test]
fn a_search_tells_what_it_found_and_how_far_it_was() {
    let mut child = command("search", &["0"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    interrupt(&child);
    let mut found = first.to_vec();
    stdout.read_to_end(&mut found).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    let lines = found.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(found.last(), Some(&b'\n'), "the last line is whole");
    assert_eq!(number_before(&said, " matches in "), lines, "{said}");
    let (searched, all) = (number_before(&said, " of 69,664 present pages"), 69_664);
    assert!(0 < searched && searched < all, "{said}");
    assert!(said.trim_end().ends_with("; interrupted"), "{said}");
}

#[test]
fn a_diagnosis_is_undecided_and_says_how_much_it_searched() {
    let output = interrupted(command("diagnose", &[]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.starts_with("UNDECIDED"), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let (_, note) = words.split_once("ended early, with ").unwrap();
    let searched = number_before(note, " MiB searched for references");
    // 272 MiB are in the dump.
    assert!(searched < 272, "{text}");
}

/// An image has no note that says where its kernel is: all of it is searched, which of
/// a TiB takes longer than anybody waits.
#[test]
fn the_search_of_an_image_ends() {
    const TIB: u64 = 1 << 40;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    // LiME's header of one range, behind which lies what the range says: zeroes.
    let mut header = b"EMiL\x01\0\0\0".to_vec();
    header.extend(0u64.to_le_bytes());
    header.extend((TIB - 1).to_le_bytes());
    header.extend([0; 8]);
    let file = File::create(&path).unwrap();
    file.write_all_at(&header, 0).unwrap();
    file.set_len(32 + TIB).unwrap();
    let mut line = Command::new(assert_cmd::cargo::cargo_bin("pagehound"));
    line.arg("info")
        .arg(&path)
        .env("TERM", "xterm")
        .stdout(Stdio::piped());
    let output = interrupted(line);
    assert_eq!(output.status.code(), Some(130));
}

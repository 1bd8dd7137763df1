//! `contrib/`: what runs in the kernel that kdump boots.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use pagehound_testdata::demo;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../contrib")
        .join(name)
}

/// A kernel that kdump booted, with the demo's memory to look at.
struct Second {
    folder: TempDir,
    command: Command,
}

impl Second {
    /// With so many MiB available.
    fn new(available: u64) -> Second {
        let folder = tempfile::tempdir().unwrap();
        let meminfo = folder.path().join("meminfo");
        let kb = available << 10;
        let text = format!(
            "MemTotal: 999999 kB\nMemFree: 1024 kB\nMemAvailable: {kb} kB\nBuffers: 0 kB\n"
        );
        fs::write(&meminfo, text).unwrap();
        let mut command = Command::new("sh");
        command
            .arg(contrib("kdump-report"))
            .env("PAGEHOUND", env!("CARGO_BIN_EXE_pagehound"))
            .env("PAGEHOUND_VMCORE", demo())
            .env("PAGEHOUND_MEMINFO", meminfo)
            .env_remove("KDUMP_COREDIR")
            .stdin(Stdio::null());
        Second { folder, command }
    }

    /// With a program that does as `script` says in place of pagehound.
    fn with(script: &str) -> Second {
        let mut second = Second::new(256);
        let program = second.program("fake", script);
        second.command.env("PAGEHOUND", program);
        second
    }

    /// A program of that name.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let program = self.at(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// What is said when reports go to the folder `crash`; the status is always 0.
    fn report(&mut self) -> String {
        let crash = self.at("crash");
        self.run(&[crash.to_str().unwrap()])
    }

    fn run(&mut self, args: &[&str]) -> String {
        let output = self.command.args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(output.stdout, b"");
        said
    }

    /// Names in `crash`, without the time in those of reports.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("crash")).unwrap();
        let name = |name: String| name.chars().filter(|c| !c.is_ascii_digit()).collect();
        entries
            .map(|entry| name(entry.unwrap().file_name().into_string().unwrap()))
            .collect()
    }

    /// The only report.
    fn text(&self) -> String {
        let mut entries = fs::read_dir(self.at("crash")).unwrap();
        let text = fs::read_to_string(entries.next().unwrap().unwrap().path()).unwrap();
        assert!(entries.next().is_none());
        text
    }
}

fn without_time(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).unwrap();
    report.as_object_mut().unwrap().remove("timing").unwrap();
    report
}

#[test]
fn the_report_is_that_of_the_dump() {
    let mut second = Second::new(128);
    let said = second.report();
    let name = "crash/pagehound-report-";
    assert!(
        said.contains(name) && said.ends_with(".json: pages are lost\n"),
        "{said}"
    );
    assert_eq!(second.names(), ["pagehound-report-.json"]);
    let output = Command::new(env!("CARGO_BIN_EXE_pagehound"))
        .args(["diagnose", "--json"])
        .arg(demo())
        .output()
        .unwrap();
    let of_dump = String::from_utf8(output.stdout).unwrap();
    assert_eq!(without_time(&second.text()), without_time(&of_dump));
}

#[test]
fn the_folder_of_kdump_tools_is_taken_without_another() {
    let mut second = Second::new(128);
    let crash = second.at("crash");
    second.command.env("KDUMP_COREDIR", crash);
    second.run(&[]);
    assert_eq!(second.names(), ["pagehound-report-.json"]);
}

#[test]
fn where_there_is_too_little_memory_a_line_says_so() {
    let mut second = Second::new(40);
    let said = second.report();
    let line = "crashkernel= is too small: full report needs 30 MiB, and 8 of the 40 MiB available can be had; \
                make it 22 MiB larger";
    assert!(said.starts_with(&format!("pagehound: {line}\n")), "{said}");
    assert_eq!(second.names(), ["pagehound-report-.txt"]);
    assert_eq!(second.text(), format!("{line}\n"));
    // Not even what is left to others.
    let said = Second::new(20).report();
    assert!(said.contains("0 of the 20 MiB available"), "{said}");
}

#[test]
fn old_kernels_tell_what_is_free() {
    let mut second = Second::new(0);
    fs::write(
        second.at("meminfo"),
        "MemTotal: 999999 kB\nMemFree: 40960 kB\nBuffers: 0 kB\n",
    )
    .unwrap();
    let said = second.report();
    assert!(said.contains("8 of the 40 MiB available"), "{said}");
}

/// That nothing is known of the memory is no reason to call it too small.
#[test]
fn what_memory_there_is_must_be_told() {
    for text in ["", "garbage\n", "MemAvailable: lots kB\n"] {
        let mut second = Second::new(0);
        fs::write(second.at("meminfo"), text).unwrap();
        let said = second.report();
        assert!(
            said.ends_with("meminfo does not tell how much memory is available\n"),
            "{text}: {said}"
        );
    }
}

#[test]
fn an_error_is_told_in_words() {
    let mut second = Second::new(256);
    let (file, crash) = (second.at("no-dump"), second.at("crash"));
    fs::write(&file, "no dump").unwrap();
    second.command.env("PAGEHOUND_VMCORE", &file);
    let said = second.run(&[crash.to_str().unwrap()]);
    assert!(said.contains("pagehound: no full report: "), "{said}");
    assert!(!said.contains("pagehound.error/1"), "{said}");
}

#[test]
fn a_sample_needs_less() {
    let script = "for last; do :; done
        case $* in
        *' --threads 1 --mem-limit 224M '*' --quick '*) echo '{}' >$last; exit 3 ;;
        esac
        echo 'pagehound: it needs at least 300 MiB: --mem-limit 300M' >&2; exit 2";
    let mut second = Second::with(script);
    let said = second.report();
    assert!(said.contains("needs 300 MiB, and 224 of the 256"), "{said}");
    assert!(said.ends_with(".json: nothing is proved\n"), "{said}");
    assert_eq!(second.text(), "{}\n");
}

#[test]
fn without_a_place_to_write_the_console_has_it() {
    let mut second = Second::new(128);
    let said = second.run(&["-"]);
    assert!(
        said.starts_with("pagehound: LEAK  14.2 MiB lost\n"),
        "{said}"
    );
    // A file is in the way.
    let mut second = Second::new(128);
    fs::write(second.at("crash"), "").unwrap();
    let said = second.report();
    assert!(said.contains("pagehound: LEAK  14.2 MiB lost\n"), "{said}");
}

#[test]
fn what_cannot_be_written_is_sampled_for_the_console() {
    let script = "case $* in
        *' -o '*) echo 'pagehound: No space left on device' >&2; exit 2 ;;
        *--quick*) echo 'a sample'; exit 3 ;;
        esac
        exit 2";
    let mut second = Second::with(script);
    let said = second.report();
    assert!(
        said.contains("no full report: pagehound: No space left"),
        "{said}"
    );
    assert!(said.ends_with("pagehound: a sample\n"), "{said}");
}

#[test]
fn it_ends_in_bounded_time() {
    // At the signal it would tell what it saw, but has seen nothing.
    let mut second = Second::with("exec sleep 1000");
    second.command.env("PAGEHOUND_SECONDS", "1");
    let said = second.report();
    assert!(
        said.contains("no full report: ended with status 124"),
        "{said}"
    );
    let told =
        "for last; do :; done; trap 'echo {} >$last; exit 130' INT; while :; do sleep 0.1; done";
    let mut second = Second::with(told);
    second.command.env("PAGEHOUND_SECONDS", "1");
    let said = second.report();
    assert!(said.ends_with(".json: cut short after 1 s\n"), "{said}");
    assert_eq!(second.text(), "{}\n");
}

#[test]
fn it_is_the_first_to_go() {
    let mut second = Second::with("cat /proc/self/oom_score_adj; exit 1");
    let said = second.run(&["-"]);
    assert_eq!(said, "pagehound: 1000\n");
}

#[test]
fn ten_reports_stay() {
    let mut second = Second::with("for last; do :; done; echo new >$last");
    let crash = second.at("crash");
    fs::create_dir(&crash).unwrap();
    for number in 10..22 {
        let kind = if number % 2 == 0 { "json" } else { "txt" };
        let name = format!("pagehound-report-200101{number}000000.{kind}");
        fs::write(crash.join(name), "").unwrap();
    }
    for other in ["200101010000", "kexec_cmd", "pagehound-report-notes.txt"] {
        fs::write(crash.join(other), "").unwrap();
    }
    second.report();
    let mut names: Vec<String> = fs::read_dir(&crash)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // The nine newest and the new one, and what is no report.
    assert_eq!(names.len(), 13, "{names:?}");
    assert_eq!(names[0], "200101010000");
    assert_eq!(names[2], "pagehound-report-20010113000000.txt");
    let newest = names
        .iter()
        .filter(|name| name.as_str() > "pagehound-report-20010122");
    assert_eq!(newest.filter(|name| name.ends_with(".json")).count(), 1);
}

#[test]
fn elsewhere_it_does_nothing() {
    for vmcore in ["/nowhere", "/dev/null"] {
        let mut second = Second::new(128);
        second.command.env("PAGEHOUND_VMCORE", vmcore);
        let said = second.report();
        assert!(
            said.contains("this is not the kernel that kdump boots"),
            "{said}"
        );
        assert!(!second.at("crash").exists());
    }
    let mut second = Second::new(128);
    second.command.env("PAGEHOUND", "/nowhere/pagehound");
    let said = second.report();
    assert_eq!(
        said,
        "pagehound: no report: /nowhere/pagehound is not installed here\n"
    );
}

/// The folder that the hook of kdump-utils hands over, by what kdump.conf says; `mounts`
/// is what findmnt knows: source, where, options.
fn handed_over(conf: &str, mounts: &str) -> (String, String) {
    let second = Second::new(128);
    fs::write(second.at("kdump.conf"), conf).unwrap();
    fs::write(second.at("mounts"), mounts).unwrap();
    let log = second.at("log");
    let report = second.program("report", "echo \"$1\"; exit 1");
    // -k: what is mounted; -s: what fstab has.
    second.program(
        "findmnt",
        "known=; [ $1 = -s ] && known=fstab
         for last; do :; done
         while read -r source target options; do
             case $* in
             *--source*) [ \"$source\" = \"$last\" ] || continue ;;
             *'-O ro'*) [ \"$target $options\" = \"$last ro\" ] || continue ;;
             *) [ \"$target\" = \"$last\" ] || continue ;;
             esac
             [ \"$options\" = fstab ] && [ -z \"$known\" ] && continue
             echo \"$target\"; found=1
         done <\"${0%/*}/mounts\"
         [ -n \"$found\" ]",
    );
    second.program("mount", "echo \"$@\" >>\"${0%/*}/log\"");
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .arg(contrib("kdump-utils/60-pagehound"))
        .env("PATH", format!("{}:{path}", second.folder.path().display()))
        .env("PAGEHOUND_KDUMP_CONF", second.at("kdump.conf"))
        .env("PAGEHOUND_KDUMP_REPORT", report)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    let folder = String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned();
    (folder, fs::read_to_string(log).unwrap_or_default())
}

#[test]
fn the_hook_finds_where_the_dump_goes() {
    let folder = |conf: &str| {
        let mounts = "/dev/vda2 /sysroot ro\n/dev/vdb1 /kdumproot/crash rw\n\
                      /dev/vdb1 /also/here rw\nhost:/dumps /kdumproot/nfs fstab\n";
        handed_over(conf, mounts)
    };
    let read_write = |at: &str| format!("-o remount,rw {at}\n");
    // What dracut puts into the initrd for a host that configured nothing.
    let (at, done) = folder("path /var/crash\ncore_collector makedumpfile -l\next4 /dev/vda2\n");
    assert_eq!(
        (at.as_str(), done),
        ("/sysroot//var/crash", read_write("/sysroot"))
    );
    let (at, done) = folder("xfs /dev/vdb1\npath /dumps\n");
    assert_eq!(
        (at.as_str(), done.as_str()),
        ("/kdumproot/crash//dumps", "")
    );
    let (at, done) = folder("nfs host:/dumps\npath /\n");
    assert_eq!(
        (at.as_str(), done.as_str()),
        ("/kdumproot/nfs//", "/kdumproot/nfs\n")
    );
    // Nothing but the root file system.
    assert_eq!(folder("").0, "/sysroot//var/crash");
    for nowhere in [
        "ssh user@host\npath /dumps\n",
        "raw /dev/sdc\n",
        "dracut_args --mount \"/dev/x /y xfs\"\n",
        "xfs /dev/none\n",
    ] {
        assert_eq!(
            folder(nowhere),
            ("-".to_owned(), String::new()),
            "{nowhere}"
        );
    }
    assert_eq!(
        folder("dracut_args --omit-drivers \"a b\"\n").0,
        "/sysroot//var/crash"
    );
}

#[test]
fn the_unit_runs_it_before_the_dump_whatever_comes_of_it() {
    let unit = fs::read_to_string(contrib("kdump-tools/pagehound.conf")).unwrap();
    let lines: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    let program = "/usr/lib/pagehound/kdump-report";
    let run = format!("ExecStartPre=-{program}");
    assert_eq!(
        lines,
        ["[Service]", run.as_str(), "TimeoutStartSec=infinity"]
    );
    // Where the hook looks for it, and where it is installed.
    let hook = fs::read_to_string(contrib("kdump-utils/60-pagehound")).unwrap();
    assert!(hook.contains(&format!(":-{program}}}")));
    let readme = fs::read_to_string(contrib("README.md")).unwrap();
    assert!(readme.contains(&format!("contrib/kdump-report {program}")));
}

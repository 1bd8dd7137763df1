//! `ready`: what a host has for evidence, and what it lacks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A Debian host with kdump-tools, by its saved files.
fn host() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        (
            "proc/meminfo",
            "MemTotal: 4194304 kB\nMemFree: 1048576 kB\n",
        ),
        ("proc/cmdline", "ro crashkernel=192M page_owner=on\n"),
        ("proc/sysrq-trigger", ""),
        ("proc/sys/kernel/panic_on_oops", "0\n"),
        ("sys/kernel/kexec_crash_size", "201326592\n"),
        ("sys/kernel/kexec_crash_loaded", "1\n"),
        ("sys/kernel/btf/vmlinux", "BTF"),
        (
            "etc/default/kdump-tools",
            "USE_KDUMP=1\nKDUMP_COREDIR=\"/srv/\x1b[31mcrash\"\n",
        ),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn ready(root: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pagehound"))
        .arg("ready")
        .arg(root)
        .args(args)
        .output()
        .unwrap();
    let noted = String::from_utf8_lossy(&output.stderr);
    assert_eq!(noted, "");
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn text_says_what_was_found_and_what_to_do() {
    let host = host();
    let (status, text) = ready(host.path(), &[]);
    // Of saved files, disks and memory are not known.
    assert_eq!(status, Some(3));
    assert!(
        text.starts_with("NOT READY  3 things are missing\n"),
        "{text}"
    );
    let row = |name: &str| {
        let mut rows = text.lines().filter(|line| line.starts_with(name));
        let row = rows.next().unwrap_or_else(|| panic!("{name}: {text}"));
        row.strip_prefix(name).unwrap().trim().to_owned()
    };
    assert_eq!(row("crash kernel "), "ok  192.0 MiB reserved");
    assert!(row("dump folder ").starts_with("ok  /srv/"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert!(row("kcore ").starts_with("?  "), "{text}");
    assert!(row("page owner ").starts_with("ok  "), "{text}");
    assert!(text.contains("→ contrib/README.md"), "{text}");
    assert!(text.contains("panic_on_oops is 0"), "{text}");
    let last = "To take a dump (this crashes the host), as root: echo c > /proc/sysrq-trigger\n";
    assert!(text.ends_with(last), "{text}");
    fs::write(host.path().join("sys/kernel/kexec_crash_loaded"), "0\n").unwrap();
    let (_, text) = ready(host.path(), &[]);
    assert!(!text.contains("sysrq-trigger"), "{text}");
}

#[test]
fn json_has_the_same() {
    let host = host();
    let (status, text) = ready(host.path(), &["--json"]);
    assert_eq!(status, Some(3));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["schema"], "pagehound.ready/1");
    assert_eq!(json["ready"], false);
    assert_eq!(json["trigger"], "echo c > /proc/sysrq-trigger");
    assert_eq!(json["notes"].as_array().unwrap().len(), 1);
    let checks = json["checks"].as_array().unwrap();
    let check = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    let crash_kernel = check("crash kernel");
    assert_eq!(crash_kernel["state"], "ok");
    assert_eq!(crash_kernel["needed"], true);
    assert_eq!(crash_kernel["do"], Value::Null);
    assert_eq!(check("kcore")["state"], "unknown");
    let hook = check("report hook");
    assert_eq!(
        (&hook["state"], &hook["needed"]),
        (&"no".into(), &false.into())
    );
    assert!(hook["do"].is_string());
}

#[test]
fn this_host_is_looked_at_and_left_alone() {
    let output = Command::new(env!("CARGO_BIN_EXE_pagehound"))
        .arg("ready")
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)));
    assert_eq!(output.stderr, b"");
    let empty = tempfile::tempdir().unwrap();
    for nothing in [Path::new("/nowhere"), empty.path()] {
        let output = Command::new(env!("CARGO_BIN_EXE_pagehound"))
            .arg("ready")
            .arg(nothing)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", nothing.display());
    }
}

//! `pagehound known`: the list, and what it says of a host.

#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

use assert_cmd::Command;
use pagehound_testdata::demo;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

fn known(args: &[&OsStr]) -> Ran {
    let mut line = Command::cargo_bin("pagehound").unwrap();
    let output = line.arg("known").args(args).output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

/// A saved meminfo of a host with this kernel and these modules.
fn host(folder: &Path, version: &str, modules: &[&str]) -> std::path::PathBuf {
    let meminfo = folder.join("meminfo");
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("meminfo", "MemTotal:       24684096 kB\n".to_owned());
    write("version", format!("Linux version {version}\n"));
    let lines = modules
        .iter()
        .map(|name| format!("{name} 16384 0 - Live 0x0000000000000000\n"));
    write("modules", lines.collect());
    meminfo
}

/// Fixes of what `known --check` names, each with its module.
fn affected(ran: &Ran) -> Vec<(String, Option<String>)> {
    let entries = json(ran)["affected"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    entries
        .iter()
        .map(|entry| (text(&entry["fix"]).unwrap(), text(&entry["module"])))
        .collect()
}

#[test]
fn the_whole_list() {
    let ran = known(&["--json".as_ref()]);
    let all = json(&ran);
    assert_eq!(all["schema"], "pagehound.known/1");
    assert!(all["leaks"].as_array().unwrap().len() >= 53);
    assert_eq!(all["look_alikes"].as_array().unwrap().len(), 9);
    let first = &all["leaks"][0];
    assert_eq!(first["ranges"], serde_json::json!(["4.12..4.14"]));
    let text = known(&[]);
    assert_eq!((text.status, text.stderr.as_str()), (0, ""));
    for leak in all["leaks"].as_array().unwrap() {
        assert!(
            text.stdout.contains(leak["fix"].as_str().unwrap()),
            "{leak}"
        );
    }
}

#[test]
fn words_narrow_it_down() {
    let one = known(&["2b9478ffc550f17c6cd8c69057234e91150f5972".as_ref()]);
    assert_eq!(one.status, 0);
    assert!(
        one.stdout.starts_with("2b9478ffc550  i40e: "),
        "{}",
        one.stdout
    );
    assert!(one.stdout.contains("Fixed in  4.14\n"), "{}", one.stdout);
    let both = known(&["--json".as_ref(), "ice".as_ref(), "ethernet".as_ref()]);
    let leaks = json(&both)["leaks"].as_array().unwrap().clone();
    assert!(
        leaks.iter().any(|leak| leak["fix"] == "84bf1ac85af8"),
        "{leaks:?}"
    );
    assert!(
        leaks.iter().all(|leak| leak["fix"] != "2b9478ffc550"),
        "{leaks:?}"
    );
    let none = known(&["nobody-has-this".as_ref()]);
    assert_eq!((none.status, none.stdout.as_str()), (1, ""));
    assert!(
        none.stderr.contains("no entry has all these words"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_host_is_told_what_its_modules_can_lose() {
    let folder = tempfile::tempdir().unwrap();
    let check = |version: &str, modules: &[&str]| {
        let meminfo = host(folder.path(), version, modules);
        known(&["--json".as_ref(), "--check".as_ref(), meminfo.as_os_str()])
    };
    let i40e = ("2b9478ffc550".to_owned(), Some("i40e".to_owned()));
    let ran = check("4.13.9 (root@db7) (gcc) #1 SMP", &["i40e", "ixgbe"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(affected(&ran).contains(&i40e), "{}", ran.stdout);
    let ran = check("4.14.1 (root@db7) (gcc) #1 SMP", &["i40e", "ixgbe"]);
    assert!(!affected(&ran).contains(&i40e), "{}", ran.stdout);
    let ran = check("4.13.9 (root@db7) (gcc) #1 SMP", &["ixgbe"]);
    assert!(!affected(&ran).contains(&i40e), "{}", ran.stdout);
    // His changelog tells, not his version.
    let ran = check("3.10.0-862.el7.x86_64 (mockbuild@redhat) #1 SMP", &["i40e"]);
    assert_eq!(ran.status, 3);
    assert!(affected(&ran).contains(&i40e), "{}", ran.stdout);
    // It began as 4.18, which has what 4.14 has.
    let later = check("4.18.0-147.el8.x86_64 (mockbuild@redhat) #1 SMP", &["i40e"]);
    assert!(!affected(&later).contains(&i40e), "{}", later.stdout);
    assert!(json(&ran)["vendor"].as_str().unwrap().contains("Red Hat"));
    let ran = check("next (me@here) #1", &["i40e"]);
    assert_eq!((ran.status, affected(&ran)), (3, Vec::new()));
}

#[test]
fn a_dump_is_checked_by_its_own_modules() {
    let demo = demo();
    let ran = known(&["--json".as_ref(), "--check".as_ref(), demo.as_os_str()]);
    // Debian's 6.1.0-56 is made of 6.1.192, which has the fixes on record.
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert_eq!(json(&ran)["version"], "6.1.192");
    assert_eq!(json(&ran)["modules"], 5);
}

#[test]
fn what_cannot_be_checked_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let meminfo = host(folder.path(), "4.13.9", &[]);
    std::fs::remove_file(folder.path().join("modules")).unwrap();
    let ran = known(&["--check".as_ref(), meminfo.as_os_str()]);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("`version` and `modules` are needed"),
        "{}",
        ran.stderr
    );
    let ran = known(&["--check".as_ref(), "live".as_ref(), "i40e".as_ref()]);
    assert_eq!(ran.status, 2);
}

//! Archives of sos, packed in every way and unpacked: one answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_hunt::host::HostFiles;
use pagehound_live::saved;
use pagehound_procfs::{Text, Tree, Unread};
use pagehound_synth::Tar;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder at the top.
const TOP: &str = "sosreport-db7-2026-11-24-abcdefg";

/// What is in it beside `proc` and `sys` of the saved host: as sos 4.12 has it, whose own
/// archive of a host was looked at.
const COMMANDS: &[(&str, &str)] = &[
    (
        "sos_commands/kernel/uname_-a",
        "Linux db7 6.1.0-13-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29) x86_64 GNU/Linux\n",
    ),
    (
        "sos_commands/kernel/dmesg",
        "[    0.128414] setup_percpu: NR_CPUS:256 nr_cpumask_bits:2 nr_cpu_ids:2 nr_node_ids:1\n\
         [    0.133344] percpu: Embedded 53 pages/cpu s185496 r0 d31592 u1048576\n",
    ),
    ("sos_commands/date/date", "Tue Nov 24 02:48:37 CET 2026\n"),
    (
        "sos_commands/date/date_--utc",
        "Tue Nov 24 01:48:37 UTC 2026\n",
    ),
    ("sos_commands/host/hostname", "db7\n"),
    (
        "sos_commands/networking/ip_-s_-d_link",
        "2: em1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP mode DEFAULT group default qlen 1000\n    \
         link/ether 24:6e:96:43:3e:38 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 68 maxmtu 9702\n",
    ),
    (
        "sos_commands/networking/ethtool_-i_em1",
        "driver: ixgbe\nversion: 6.1.0\nfirmware-version: 0x800009e0\nbus-info: 0000:01:00.0\n",
    ),
    ("proc/modules", "ixgbe 540672 0 - Live 0x0000000000000000\n"),
    (
        "proc/sys/kernel/random/boot_id",
        "2f5a0a4c-4b5e-4f0e-9f0e-6d2a1b7c9d10\n",
    ),
    (
        "proc/4711/net/sockstat",
        "TCP: inuse 9 orphan 0 tw 0 alloc 9 mem 25\n",
    ),
    ("etc/shadow", "root:secret\n"),
    ("version.txt", "sos report: 4.12.0"),
];

const LINKS: &[(&str, &str)] = &[
    ("uname", "sos_commands/kernel/uname_-a"),
    ("hostname", "sos_commands/host/hostname"),
    ("proc/net", "4711/net"),
    (
        "sys/class/net/em1",
        "../../devices/pci0000:00/0000:01:00.0/net/em1",
    ),
];

enum Entry {
    File(Vec<u8>),
    Link(&'static str),
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// Files below `folder`, by path from `root`.
fn walk(root: &Path, folder: &Path, entries: &mut Vec<(String, Entry)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, entries);
            continue;
        }
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        entries.push((name, Entry::File(std::fs::read(&path).unwrap())));
    }
}

fn entries() -> Vec<(String, Entry)> {
    let root = fixtures().join("host");
    let mut entries = Vec::new();
    walk(&root, &root, &mut entries);
    // Its log lies elsewhere, and the folder of sockets is a link here.
    entries.retain(|(path, _)| path != "dmesg" && !path.starts_with("proc/net/"));
    let files = COMMANDS.iter();
    entries.extend(
        files.map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec()))),
    );
    let links = LINKS.iter();
    entries.extend(links.map(|(path, target)| ((*path).to_owned(), Entry::Link(target))));
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    entries
}

fn tar(entries: &[(String, Entry)]) -> Vec<u8> {
    let tar = entries
        .iter()
        .fold(Tar::new(0).folder(TOP), |tar, (path, entry)| {
            let path = format!("{TOP}/{path}");
            match entry {
                Entry::File(bytes) => tar.file(&path, bytes),
                Entry::Link(target) => tar.link(&path, target),
            }
        });
    tar.bytes()
}

/// The folder unpacked in `at`.
fn unpack(entries: &[(String, Entry)], at: &Path) -> PathBuf {
    let top = at.join(TOP);
    for (path, entry) in entries {
        let path = top.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            Entry::File(bytes) => std::fs::write(path, bytes).unwrap(),
            Entry::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        }
    }
    top
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn run(args: &[&str], target: &Path) -> (i32, String, String) {
    let output = Command::cargo_bin("pagehound")
        .unwrap()
        .args(args)
        .arg(target)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What it prints as JSON, without what it was called and how long it took.
fn answer(args: &[&str], target: &Path) -> Value {
    let (status, stdout, stderr) = run(args, target);
    assert!(
        matches!(status, 0 | 3),
        "{args:?} {}: {status} {stderr}",
        target.display()
    );
    let path = target.to_str().unwrap();
    let mut value: Value = serde_json::from_str(&stdout.replace(path, "TARGET")).unwrap();
    value.as_object_mut().unwrap().remove("timing");
    value
}

/// The archive as it is packed and unpacked; `sosreport-db7.tar.xz` is what GNU tar and
/// XZ Utils (`tar -cJf`) made of the folder that [`unpack`] writes.
fn targets(at: &Path) -> Vec<PathBuf> {
    let entries = entries();
    let tar = tar(&entries);
    let write = |name: &str, bytes: &[u8]| {
        let path = at.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    vec![
        unpack(&entries, at),
        write("db7.tar", &tar),
        write("db7.tar.gz", &gzip(&tar)),
        write("db7.tar.zst", &zstd::encode_all(&tar[..], 3).unwrap()),
        fixtures().join("sos/sosreport-db7.tar.xz"),
    ]
}

#[test]
fn archives_and_their_folder_give_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let targets = targets(folder.path());
    for args in [
        &["diagnose", "--json"][..],
        &["ledger", "--json"],
        &["ledger", "--classic", "--json"],
        &["known", "--json", "--check"],
    ] {
        let expected = answer(args, &targets[0]);
        for target in &targets[1..] {
            // The folder is named where its files are.
            let text = serde_json::to_string(&expected).unwrap();
            let expected: Value =
                serde_json::from_str(&text.replace("TARGET/proc", "TARGET")).unwrap();
            assert_eq!(
                answer(args, target),
                expected,
                "{args:?} {}",
                target.display()
            );
        }
    }
}

#[test]
fn what_sos_tells_in_its_own_way_is_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    for target in targets(folder.path()) {
        let value = answer(&["diagnose", "--json"], &target);
        let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
        let whole = run(&["diagnose", "--json"], &target).1;
        assert!(schema.is_valid(&serde_json::from_str(&whole).unwrap()));
        assert_eq!(value["host"]["name"], "db7");
        assert_eq!(value["host"]["captured_at"], "2026-11-24T01:48:37Z");
        assert_eq!(
            value["host"]["boot_id"],
            "2f5a0a4c-4b5e-4f0e-9f0e-6d2a1b7c9d10"
        );
        assert_eq!(value["target"]["kernel"], "6.1.0-13-amd64");
        assert_eq!(value["target"]["arch"], "x86_64");
        let device = &value["netdevs"][0];
        assert_eq!(device["name"], "em1");
        assert_eq!(device["mac"], "24:6e:96:43:3e:38");
        assert_eq!(device["driver"], "ixgbe");
        assert_eq!(device["firmware"], "0x800009e0");
        assert_eq!(device["bus"], "0000:01:00.0");
        assert_eq!(value["modules"][0]["name"], "ixgbe");
        // Through the link proc/net.
        let sockets = value["explained"].as_array().unwrap().iter();
        let sockets: Vec<&Value> = sockets
            .filter(|it| it["source"].as_str().unwrap().contains("sockstat"))
            .collect();
        assert_eq!(sockets.len(), 1, "{:?}", value["explained"]);
        assert_eq!(sockets[0]["bytes"], 25 * 4096);
    }
}

#[test]
fn what_is_not_there_is_not_in_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = entries();
    entries.retain(|(path, _)| path != "proc/vmallocinfo");
    let top = unpack(&entries, folder.path());
    let archive = folder.path().join("a.tar");
    std::fs::write(&archive, tar(&entries)).unwrap();
    for target in [top, archive] {
        let (status, stdout, stderr) = run(&["ledger"], &target);
        assert_eq!((status, stderr.as_str()), (0, ""));
        assert!(
            stdout.contains("not in the archive: vmallocinfo"),
            "{stdout}"
        );
    }
}

#[test]
fn a_cut_archive_gives_a_partial_answer_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let tar = tar(&entries());
    let path = folder.path().join("cut.tar.gz");
    let (mut answers, mut refused) = (0, 0);
    for length in (512..tar.len() - 1024).step_by(tar.len() / 24) {
        std::fs::write(&path, gzip(&tar[..length])).unwrap();
        let (status, stdout, stderr) = run(&["ledger"], &path);
        match status {
            0 => assert!(stdout.contains("cut at byte"), "{length}: {stdout}"),
            _ => assert!(
                stderr.contains("an archive without proc/meminfo (cut at byte"),
                "{stderr}"
            ),
        }
        answers += i32::from(status == 0);
        refused += i32::from(status == 2);
    }
    assert!(answers > 4 && refused > 0, "{answers} {refused}");
}

#[test]
fn a_packed_dump_is_refused_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let dump = std::fs::read(pagehound_testdata::demo()).unwrap();
    let path = folder.path().join("vmcore.gz");
    std::fs::write(&path, gzip(&dump[..1 << 20])).unwrap();
    let (status, _, stderr) = run(&["diagnose"], &path);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("compressed with gzip") && stderr.contains("gzip -dc"),
        "{stderr}"
    );
    // Commands about pages take no archive.
    let path = folder.path().join("a.tar");
    std::fs::write(&path, tar(&entries())).unwrap();
    let (status, _, stderr) = run(&["info"], &path);
    assert_eq!(status, 2);
    assert!(stderr.contains("a tar archive"), "{stderr}");
}

#[test]
fn an_archive_without_a_host_or_with_two_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar.gz");
    let none = Tar::new(0).file("dump/vmcore", &[0; 100]);
    std::fs::write(&path, gzip(&none.bytes())).unwrap();
    let (status, _, stderr) = run(&["diagnose"], &path);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("an archive without proc/meminfo; give one that sos made"),
        "{stderr}"
    );
    let meminfo = b"MemTotal: 1000 kB\nMemFree: 10 kB\n";
    let two = Tar::new(0)
        .file("a/proc/meminfo", meminfo)
        .file("b/proc/meminfo", meminfo);
    std::fs::write(&path, gzip(&two.bytes())).unwrap();
    let (status, _, stderr) = run(&["diagnose"], &path);
    assert_eq!(status, 2);
    assert!(stderr.contains("more than one host (a, b)"), "{stderr}");
}

/// A tree that has every folder, and notes which files are asked for.
#[derive(Default)]
struct Asked(std::cell::RefCell<std::collections::BTreeSet<String>>);

impl Tree for Asked {
    fn read(&self, path: &str, _: u64) -> Result<Text, Unread> {
        self.0.borrow_mut().insert(path.to_owned());
        let bytes = match path {
            "proc/meminfo" => b"MemTotal: 1000 kB\n".to_vec(),
            "sys/bus/virtio/devices/0/device" => b"0x0005\n".to_vec(),
            _ => return Err(Unread::NotThere),
        };
        Ok(Text { bytes, cut: false })
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, Unread> {
        let name = match folder.rsplit('/').next().unwrap() {
            "net" => "em1",
            "block" => "zram0",
            "node" => "node0",
            "hugepages" => "hugepages-2048kB",
            "per_cpu" => "cpu0",
            _ => "0",
        };
        Ok(vec![name.to_owned()])
    }

    fn link(&self, path: &str) -> Option<String> {
        Some(path.to_owned())
    }

    fn resolve(&self, path: &str) -> Option<String> {
        Some(path.to_owned())
    }
}

#[test]
fn all_that_a_host_is_asked_for_is_kept_of_an_archive() {
    let asked = Asked::default();
    HostFiles::of(&asked, "asked".to_owned()).unwrap();
    let asked = asked.0.into_inner();
    assert!(asked.len() > 40, "{asked:?}");
    let tar = asked
        .iter()
        .fold(Tar::new(0), |tar, path| tar.file(path, b"x"));
    let bytes = tar.bytes();
    let host = saved::open(&bytes[..], saved::bounds(0), PathBuf::from("a.tar"));
    let files = host.unwrap().unwrap().files;
    let lost: Vec<&String> = asked
        .iter()
        .filter(|path| files.read(path, 9).is_err())
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}

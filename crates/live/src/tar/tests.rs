use super::*;
use pagehound_procfs::{Text, Tree, Unread};
use pagehound_synth::{Tar, seal_tar_header};

/// What GNU tar 1.34 made of one folder, in blocks of one record (`-b1`): names of more
/// than 100, and where the format allows of more than 255 bytes, links, a pipe, a name
/// in UTF-8 and, but in ustar, sparse files of one and of six pieces.
const USTAR: &[u8] = include_bytes!("../../../../tests/fixtures/tar/ustar.tar");
const GNU: &[u8] = include_bytes!("../../../../tests/fixtures/tar/gnu.tar");
const PAX: &[u8] = include_bytes!("../../../../tests/fixtures/tar/pax.tar");
/// Of the same, `host/proc`.
const V7: &[u8] = include_bytes!("../../../../tests/fixtures/tar/v7.tar");
/// The begin of archives of one file of 9 GiB.
const GNU_9G: &[u8] = include_bytes!("../../../../tests/fixtures/tar/gnu-9g.tar");
const PAX_9G: &[u8] = include_bytes!("../../../../tests/fixtures/tar/pax-9g.tar");

/// 2023-11-14 22:13:20 UTC, when all of the fixtures were last written.
const WRITTEN: u64 = 1_700_000_000;

fn reader(bytes: &[u8]) -> Reader<&[u8]> {
    Reader::new(bytes, Bounds::default())
}

/// All entries with their content, and how the archive ended.
fn all(bytes: &[u8]) -> (Vec<(Entry, Vec<u8>)>, Result<(), TarError>, u64) {
    let mut reader = reader(bytes);
    let mut entries = Vec::new();
    let end = loop {
        let read = reader.next_entry().and_then(|entry| {
            let content = reader.content(u64::MAX)?;
            Ok(entry.map(|entry| (entry, content.bytes)))
        });
        match read {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let after = reader.next_entry();
    assert!(matches!(after, Ok(None)), "{after:?}");
    (entries, end, reader.left_out())
}

/// `path kind size` of each.
fn listed(bytes: &[u8]) -> Vec<String> {
    let (entries, end, left_out) = all(bytes);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(left_out, 0);
    let line = |(entry, content): &(Entry, Vec<u8>)| {
        assert_eq!(entry.modified, Some(WRITTEN), "{}", entry.path);
        if entry.kind == Kind::File {
            assert_eq!(entry.size, content.len() as u64);
        }
        let kind = match &entry.kind {
            Kind::File => format!("file {}", entry.size),
            Kind::Link(target) => format!("-> {target}"),
            Kind::SameAs(path) => format!("= {path}"),
            Kind::Folder => "folder".to_owned(),
            Kind::Other => "other".to_owned(),
        };
        format!("{} {kind}", entry.path)
    };
    entries.iter().map(line).collect()
}

/// What `tar t` lists of the folder, in its order.
fn packed(format: &str) -> Vec<String> {
    let (a, b, e) = ("a".repeat(70), "b".repeat(60), "e".repeat(90));
    let to = |steps: usize| "c/".repeat(steps) + "d";
    let long = format != "ustar";
    let rows = [
        (true, "host folder".to_owned()),
        (true, format!("host/{a} folder")),
        (true, format!("host/{a}/{b} file 5")),
        (long, format!("host/{a}/{e} folder")),
        (long, format!("host/{a}/{e}/{e} folder")),
        (long, format!("host/{a}/{e}/{e}/f file 7")),
        (long, format!("host/far -> {}", to(100))),
        (long, "host/holes other".to_owned()),
        (long, "host/many other".to_owned()),
        (true, format!("host/near -> {}", to(45))),
        (true, "host/pipe other".to_owned()),
        (true, "host/proc folder".to_owned()),
        (true, "host/proc/empty file 0".to_owned()),
        (true, "host/proc/meminfo file 28".to_owned()),
        (true, "host/proc/same = host/proc/meminfo".to_owned()),
        (true, "host/proc/vmstat file 1500".to_owned()),
        (true, "host/proc/zürich file 1".to_owned()),
        (true, "host/sys folder".to_owned()),
        (true, "host/sys/class folder".to_owned()),
        (true, "host/sys/class/net folder".to_owned()),
        (
            true,
            "host/sys/class/net/eth0 -> ../../devices/eth0".to_owned(),
        ),
        (true, "host/sys/devices folder".to_owned()),
        (true, "host/sys/devices/eth0 folder".to_owned()),
        (true, "host/sys/devices/eth0/address file 18".to_owned()),
    ];
    let rows = rows.into_iter().filter(|(there, _)| *there);
    rows.map(|(_, row)| row).collect()
}

#[test]
fn gnu_tars_archives_are_read_in_all_its_formats() {
    assert_eq!(listed(USTAR), packed("ustar"));
    assert_eq!(listed(GNU), packed("gnu"));
    assert_eq!(listed(PAX), packed("pax"));
    let of_proc = packed("ustar").into_iter();
    let of_proc: Vec<_> = of_proc.filter(|row| row.starts_with("host/proc")).collect();
    assert_eq!(listed(V7), of_proc);
    for archive in [USTAR, GNU, PAX, V7] {
        let (entries, ..) = all(archive);
        let content = |name: &str| {
            let mut entries = entries.iter();
            let entry = entries.find(|(entry, _)| entry.path.ends_with(name));
            entry.map(|(_, content)| content.as_slice()).unwrap()
        };
        assert_eq!(content("proc/meminfo"), b"MemTotal:       24684096 kB\n");
        assert_eq!(content("proc/vmstat"), b"v".repeat(1500));
    }
}

#[test]
fn sizes_beyond_octal_are_read() {
    for archive in [GNU_9G, PAX_9G] {
        let mut reader = reader(archive);
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!((entry.path.as_str(), entry.size), ("big", 9 << 30));
        let end = reader.next_entry();
        assert!(matches!(end, Err(TarError::Cut { .. })), "{end:?}");
    }
}

#[test]
fn a_cut_archive_gives_what_came_before_and_says_so() {
    let (whole, ..) = all(PAX);
    let end = PAX.len() - 1024;
    for length in (0..end).step_by(512).chain([end - 1, end, 700, 5000]) {
        let (entries, stopped, _) = all(&PAX[..length]);
        assert!(matches!(stopped, Err(TarError::Cut { at }) if at <= length as u64));
        assert_eq!(entries, whole[..entries.len()], "cut at {length}");
    }
    // One block of zeroes is enough.
    assert!(all(&PAX[..end + 512]).1.is_ok());
}

#[test]
fn names_that_lead_out_of_the_archive_are_left_out() {
    let long = "n".repeat(4097);
    let tar = Tar::new(0)
        .folder("./")
        .file("../../etc/passwd", b"x")
        .file("a/../../b", b"x")
        .file("/etc/shadow", b"x")
        .file(&long, b"x")
        .file("././proc/meminfo", b"right");
    let (entries, end, left_out) = all(&tar.bytes());
    assert!(end.is_ok());
    let names: Vec<_> = entries
        .iter()
        .map(|(entry, _)| entry.path.as_str())
        .collect();
    // A pax header may be longer than a name: only the path in it says what is too long.
    assert_eq!(names, ["etc/shadow", "proc/meminfo"]);
    assert_eq!(left_out, 3);
}

#[test]
fn extended_headers_that_are_too_long_or_broken_spoil_one_entry() {
    let name = |length: usize| vec![b'n'; length];
    let broken = Tar::new(0)
        .header("x", b'x', 100 << 10, "")
        .content(&name(100 << 10))
        .file("named in 100 KiB", b"x")
        .header("././@LongLink", b'L', 100 << 10, "")
        .content(&name(100 << 10))
        .file("a GNU name of 100 KiB", b"x")
        .header("x", b'x', 7, "")
        .content(b"9 path=")
        .file("not finished", b"x")
        .header("g", b'g', 3, "")
        .content(b"xyz")
        .file("whole", b"right");
    let (entries, end, left_out) = all(&broken.bytes());
    assert!(end.is_ok(), "{end:?}");
    assert_eq!((entries.len(), left_out), (1, 3));
    assert_eq!(
        (entries[0].0.path.as_str(), entries[0].1.as_slice()),
        ("whole", &b"right"[..])
    );
}

#[test]
fn sizes_no_file_has_end_the_reading() {
    let begin = || Tar::new(0).file("proc/meminfo", b"x");
    let mut no_number = begin().file("y", b"").unended();
    let at = no_number.len() - 512;
    no_number[at + 124..at + 136].copy_from_slice(b"12345678901x");
    seal_tar_header(&mut no_number[at..]);
    let (entries, end, _) = all(&no_number);
    assert!(matches!(end, Err(TarError::Size { at: 1024 })), "{end:?}");
    assert_eq!(entries.len(), 1);
    for size in [1 << 62, (1 << 63) - 1, 64 << 30] {
        let (entries, end, _) = all(&begin().header("y", b'0', size, "").bytes());
        assert!(
            matches!(end, Err(TarError::Bytes(most)) if most == 64 << 30),
            "{end:?}"
        );
        assert_eq!(entries.len(), 1);
    }
    let (entries, end, _) = all(&begin().header("y", b'0', 1 << 63, "").bytes());
    assert!(matches!(end, Err(TarError::Size { at: 1024 })), "{end:?}");
    assert_eq!(entries.len(), 1);
}

#[test]
fn what_is_no_header_ends_the_reading() {
    let mut bytes = Tar::new(0).file("a", b"x").file("b", b"x").bytes();
    bytes[1024] ^= 1;
    let (entries, end, _) = all(&bytes);
    assert_eq!(entries.len(), 1);
    let text = end.unwrap_err().to_string();
    assert!(
        text.starts_with("byte 1024 of the unpacked archive is no tar header"),
        "{text}"
    );
}

#[test]
fn bounds_end_the_reading() {
    let bytes = (0..10)
        .fold(Tar::new(0), |tar, _| tar.file("a", b"x"))
        .bytes();
    let bounds = Bounds {
        entries: 4,
        bytes: 1 << 20,
        ..Bounds::default()
    };
    let archive = Archive::read(&bytes[..], bounds, |_| true);
    assert_eq!(archive.stopped.unwrap().to_string(), "more than 4 entries");
    let bounds = Bounds {
        entries: 100,
        bytes: 3000,
        ..Bounds::default()
    };
    let archive = Archive::read(&bytes[..], bounds, |_| true);
    assert_eq!(
        archive.stopped.unwrap().to_string(),
        "more than 3000 bytes unpacked"
    );
    // Zeroes without an end, as a bomb unpacks to, are an archive's end.
    let zeroes = Archive::read(std::io::repeat(0), Bounds::default(), |_| true);
    assert!(zeroes.stopped.is_none() && zeroes.paths().next().is_none());
    // Content without an end is passed over up to the bound.
    let endless = Tar::new(0).header("a", b'0', 1 << 20, "").unended();
    let endless = std::io::Read::chain(&endless[..], std::io::repeat(b'x'));
    let bounds = Bounds {
        entries: 100,
        bytes: 2 << 20,
        ..Bounds::default()
    };
    let archive = Archive::read(endless, bounds, |_| false);
    assert!(
        matches!(archive.stopped, Some(TarError::NoHeader { at, .. }) if at == (1 << 20) + 512)
    );
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let tar = Tar::new(0)
        .file("a", &[b'x'; 2000])
        .file("b", &[b'x'; 2000])
        .file("c", b"x");
    let bounds = Bounds {
        kept: 3000,
        ..Bounds::default()
    };
    let tree = Archive::read(&tar.bytes()[..], bounds, |_| true);
    assert!(tree.stopped.is_none());
    assert_eq!(tree.paths().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(tree.not_kept, 1);
}

fn archive(tar: &Tar) -> Archive {
    let archive = Archive::read(&tar.bytes()[..], Bounds::default(), |_| true);
    assert!(archive.stopped.is_none(), "{:?}", archive.stopped);
    archive
}

fn text(bytes: &[u8], cut: bool) -> Result<Text, Unread> {
    Ok(Text {
        bytes: bytes.to_vec(),
        cut,
    })
}

#[test]
fn an_archive_is_a_tree_below_its_top_folder() {
    let mut tree = Archive::read(GNU, Bounds::default(), |path| !path.ends_with("vmstat"));
    assert_eq!(tree.names("").unwrap(), ["host"]);
    tree.below("host");
    let meminfo = b"MemTotal:       24684096 kB\n";
    assert_eq!(tree.read("proc/meminfo", 28), text(meminfo, false));
    assert_eq!(tree.read("proc/meminfo", 3), text(b"Mem", true));
    assert_eq!(tree.read("proc/same", 99), text(meminfo, false));
    assert_eq!(tree.read("proc/vmstat", 9), Err(Unread::NotThere));
    assert_eq!(
        tree.names("proc").unwrap(),
        ["empty", "meminfo", "same", "zürich"]
    );
    assert_eq!(tree.names("sys/class/net").unwrap(), ["eth0"]);
    assert_eq!(tree.names("sys/class/net/eth0").unwrap(), ["address"]);
    assert_eq!(tree.names("proc/meminfo"), Err(Unread::NotThere));
    assert_eq!(tree.names("nowhere"), Err(Unread::NotThere));
    assert_eq!(
        tree.link("sys/class/net/eth0").unwrap(),
        "../../devices/eth0"
    );
    assert_eq!(tree.link("proc/meminfo"), None);
    assert_eq!(
        tree.resolve("sys/class/net/eth0").unwrap(),
        "sys/devices/eth0"
    );
    assert_eq!(tree.resolve("proc/..").unwrap(), "");
    assert_eq!(
        pagehound_procfs::read_line(&tree, "sys/class/net/eth0/address").unwrap(),
        "24:6e:96:43:3e:38"
    );
    assert_eq!(tree.modified("proc/same"), Some(WRITTEN));
    assert_eq!(tree.modified("proc"), None);
}

#[test]
fn links_never_lead_out_of_the_archive_nor_round_for_ever() {
    let deep = "f/".repeat(300);
    let mut tree = archive(
        &Tar::new(0)
            .file("secret", b"x")
            .file("host/proc/meminfo", b"m")
            .file(&format!("host/{deep}g"), b"g")
            .link("host/passwd", "/etc/passwd")
            .link("host/up", "../../etc/passwd")
            .link("host/proc/out", "../../secret")
            .same_as("host/proc/same", "secret")
            .link("host/one", "two")
            .link("host/two", "one")
            .link("host/self", "self/x")
            .same_as("host/ring", "host/ring")
            .link("host/deep", &deep)
            .link("host/in", "proc/../../host/proc/./meminfo"),
    );
    assert_eq!(tree.read("host/in", 9), text(b"m", false));
    tree.below("host");
    for path in [
        "passwd",
        "up",
        "proc/out",
        "proc/same",
        "one",
        "two",
        "self",
        "self/x",
        "ring",
        "deep/g",
        "../secret",
        "proc/meminfo/x",
        // It goes through what is above.
        "in",
    ] {
        assert_eq!(tree.read(path, 9), Err(Unread::NotThere), "{path}");
        assert_eq!(tree.resolve(path), None, "{path}");
    }
    assert_eq!(tree.link("up").unwrap(), "../../etc/passwd");
    // A chain as long as is allowed, and one link more.
    let chain = |links: usize| {
        let tar = Tar::new(0).file("l0", b"x");
        let tar = (0..links).fold(tar, |tar, to| {
            tar.link(&format!("l{}", to + 1), &format!("l{to}"))
        });
        archive(&tar).read(&format!("l{links}"), 9)
    };
    assert_eq!(chain(16), text(b"x", false));
    assert_eq!(chain(17), Err(Unread::NotThere));
}

#[test]
fn the_first_of_equal_names_counts() {
    let tree = archive(
        &Tar::new(0)
            .file("a", b"first")
            .file("a", b"second")
            .link("a", "b"),
    );
    assert_eq!(tree.read("a", 9), text(b"first", false));
}

#[test]
fn names_of_a_folder_are_found_whatever_lies_beside_it() {
    // In ASCII, `-` and `.` come before `/`, and `0` right behind it.
    let tree = archive(
        &Tar::new(0)
            .file("n/a-b/x", b"")
            .file("n/a.b", b"")
            .folder("n/a")
            .file("n/a/y", b"")
            .file("n/a/z/y", b"")
            .file("n/a0", b"")
            .file("n0", b""),
    );
    assert_eq!(tree.names("n").unwrap(), ["a", "a-b", "a.b", "a0"]);
    assert_eq!(tree.names("").unwrap(), ["n", "n0"]);
    assert_eq!(tree.names("n/a").unwrap(), ["y", "z"]);
}

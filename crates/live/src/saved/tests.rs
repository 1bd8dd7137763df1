use super::*;
use pagehound_procfs::{Tree, read_line};
use pagehound_synth::Tar;
use std::time::{Duration, Instant};

/// An archive of 150 KiB that GNU tar and XZ Utils made, see `cli/tests/sos.rs`.
const XZ: &[u8] = include_bytes!("../../../../tests/fixtures/sos/sosreport-db7.tar.xz");

const MEMINFO: &[u8] = b"MemTotal: 1000 kB\n";

fn read(bytes: &[u8]) -> Result<Option<SavedHost>, SavedError> {
    open(bytes, bounds(bytes.len() as u64), PathBuf::from("a.tar.xz"))
}

fn host(bytes: &[u8]) -> SavedHost {
    read(bytes).unwrap().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn xz_is_unpacked_and_only_what_is_wanted_kept() {
    let host = host(XZ);
    assert!(host.problems.is_empty(), "{:?}", host.problems);
    assert_eq!(read_line(&host.files, "hostname").as_deref(), Some("db7"));
    assert!(host.files.read("proc/net/sockstat", 99).is_ok());
    assert!(!host.files.paths().any(|path| path.ends_with("etc/shadow")));
}

#[test]
fn a_cut_or_changed_file_gives_what_came_before() {
    let mut told = [0u32; 3];
    let mut count = |bytes: &[u8]| match read(bytes) {
        Ok(Some(host)) => {
            told[0] += 1;
            assert!(!host.problems.is_empty());
        }
        Ok(None) => told[1] += 1,
        Err(SavedError::NoHost { stopped, .. }) => {
            told[2] += 1;
            assert!(stopped.is_some());
        }
        Err(error) => panic!("{error}"),
    };
    for length in (0..XZ.len() - 64).step_by(512) {
        count(&XZ[..length]);
    }
    // A byte is changed in the middle of the packed data, which xz's checks tell.
    for at in (64..XZ.len() - 64).step_by(512) {
        let mut changed = XZ.to_vec();
        changed[at] ^= 0x55;
        count(&changed);
    }
    assert!(told.iter().all(|&count| count > 0), "{told:?}");
}

/// A file of 60 GiB as its header says, and zeroes: 32 KiB unpack to a GiB.
#[test]
fn a_bomb_ends_by_the_bounds() {
    let begin =
        Tar::new(0)
            .file("sos/proc/meminfo", MEMINFO)
            .header("sos/proc/vmstat", b'0', 60 << 30, "");
    let zeroes = zstd(&vec![0; 64 << 20]);
    let mut bomb = zstd(&begin.unended());
    for _ in 0..96 {
        bomb.extend(&zeroes);
    }
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let start = Instant::now();
    let ended = host(&bomb);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(
        ended.problems[0].starts_with("more than "),
        "{:?}",
        ended.problems
    );
    assert_eq!(
        ended.files.paths().collect::<Vec<_>>(),
        ["sos/proc/meminfo"]
    );
    // The same without a size that gives it away.
    let zeroes = zstd(&Tar::new(0).file("x", &vec![0; 32 << 20]).unended());
    let mut bomb = zstd(&Tar::new(0).file("sos/proc/meminfo", MEMINFO).unended());
    for _ in 0..64 {
        bomb.extend(&zeroes);
    }
    let start = Instant::now();
    let ended = host(&bomb);
    assert!(start.elapsed() < Duration::from_secs(10));
    let most = UNPACKED + RATIO * bomb.len() as u64;
    assert_eq!(
        ended.problems,
        [format!(
            "more than {most} bytes unpacked: what lies behind that is not counted"
        )]
    );
}

#[test]
fn what_is_no_archive_is_left_to_others() {
    assert!(read(b"").unwrap().is_none());
    assert!(read(b"KDUMP   and more").unwrap().is_none());
    assert!(read(&zstd(&[7; 4096])).unwrap().is_none());
    for packed in [
        &b"\xfd7zXZ\0"[..],
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
        b"\x1f\x8bgarbage",
    ] {
        assert!(read(packed).unwrap().is_none());
    }
}

#[test]
fn memory_for_unpacking_is_bounded() {
    // Made by `xz --lzma2=dict=1536MiB` of a tar archive. It is refused as packed dumps
    // are, with the command that unpacks it.
    let packed = include_bytes!("../../../../tests/fixtures/sos/dictionary.tar.xz");
    assert!(read(packed).unwrap().is_none());
}

#[test]
fn the_host_s_folder_is_found() {
    let top = Tar::new(0).file("./proc/meminfo", MEMINFO);
    assert!(read_line(&host(&top.bytes()).files, "proc/meminfo").is_some());
    let two = Tar::new(0)
        .file("a/proc/meminfo", MEMINFO)
        .file("proc/meminfo", MEMINFO);
    assert!(matches!(
        read(&two.bytes()),
        Err(SavedError::Several { .. })
    ));
    let deep = Tar::new(0).file("a/b/proc/meminfo", MEMINFO);
    let error = read(&deep.bytes()).unwrap_err().to_string();
    assert!(
        error.starts_with("a.tar.xz: an archive without proc/meminfo; give"),
        "{error}"
    );
}

#[test]
fn entries_that_lead_out_are_told() {
    let tar = Tar::new(0)
        .file("proc/meminfo", MEMINFO)
        .file("../../../etc/cron.d/x", b"x")
        .link("proc/vmstat", "/etc/passwd")
        .link("proc/zoneinfo", "../../../../../etc/passwd");
    let host = host(&tar.bytes());
    assert!(
        host.problems[0].starts_with("1 entries of the archive"),
        "{:?}",
        host.problems
    );
    for path in ["proc/vmstat", "proc/zoneinfo"] {
        assert!(host.files.read(path, 9).is_err());
    }
}

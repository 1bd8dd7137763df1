//! What processes have open or mapped that takes memory of no counter of its own:
//! `/proc/<pid>/{fd,fdinfo,maps}`. Of other users' processes only root is told.
//!
//! Files are never opened, for opening a pipe or a device has effects; links and
//! descriptions of descriptors are read.

use crate::line::{Lines, decimal, hex};
use crate::tree::read_some;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

/// More processes, and descriptors of one, are not looked at.
const MAX_PROCESSES: usize = 1 << 16;
const MAX_DESCRIPTORS: usize = 1 << 12;

/// How much of one `fdinfo` and `maps` is read, in bytes.
const MAX_INFO: u64 = 1 << 14;
const MAX_MAPS: u64 = 1 << 22;

/// What a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// What it is.
    pub kind: OwnedKind,
    /// Bytes of it; see `kind`.
    pub bytes: u64,
    /// The first process that was found to have it.
    pub pid: u32,
    /// That process's name.
    pub comm: String,
}

/// Kinds of memory that processes have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnedKind {
    /// A `memfd_create()` file: its blocks, in shmem.
    Memfd,
    /// A ring of packets, mapped.
    PacketRing,
    /// A buffer of perf events, mapped.
    PerfBuffer,
    /// A ring of io_uring, mapped.
    UringRing,
    /// A BPF map of this type (`BPF_MAP_TYPE_*`): what it charges to memlock.
    BpfMap(u64),
    /// System memory of a client of this DRM driver.
    Drm(String),
}

/// What was found of all processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// What they have, each thing once.
    pub owned: Vec<Owned>,
    /// Processes that there are, and those that were looked at in time.
    pub all: usize,
    /// See `all`.
    pub looked_at: usize,
    /// Whether some are another user's, whose descriptors may not be read.
    pub hidden: bool,
}

/// Looks at the processes of `proc` until `end`.
///
/// # Errors
/// `proc` cannot be listed.
pub fn read_processes(proc: &Path, end: Instant) -> std::io::Result<Processes> {
    let entries =
        std::fs::read_dir(proc)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = entries.filter_map(|name| u32::try_from(decimal(&name)?).ok());
    let mut pids: Vec<u32> = pids.take(MAX_PROCESSES).collect();
    pids.sort_unstable();
    let mut found = Processes {
        all: pids.len(),
        ..Processes::default()
    };
    let mut seen = BTreeSet::new();
    for pid in pids {
        if Instant::now() >= end {
            break;
        }
        let folder = proc.join(pid.to_string());
        let Some(owned) = process(&folder, end) else {
            found.hidden = true;
            found.looked_at += 1;
            continue;
        };
        found.looked_at += 1;
        let comm = || text(&folder.join("comm"), 64).trim_end().to_owned();
        for (key, (kind, bytes)) in owned {
            if bytes > 0 && seen.insert((kind.clone(), key)) {
                found.owned.push(Owned {
                    kind,
                    bytes,
                    pid,
                    comm: comm(),
                });
            }
        }
    }
    Ok(found)
}

/// What tells a thing from others of its kind: inodes, numbers, devices.
type Key = String;

/// What one process has; none where this user may not know.
fn process(folder: &Path, end: Instant) -> Option<BTreeMap<Key, (OwnedKind, u64)>> {
    let mut owned = BTreeMap::new();
    let descriptors = match std::fs::read_dir(folder.join("fd")) {
        Ok(descriptors) => descriptors,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
        // It has ended.
        Err(_) => return Some(owned),
    };
    let mut has_rings = false;
    for descriptor in descriptors.take(MAX_DESCRIPTORS) {
        if Instant::now() >= end {
            break;
        }
        let Ok(descriptor) = descriptor else { break };
        let path = descriptor.path();
        let target = std::fs::read_link(&path).ok();
        let Some(target) = target.as_deref().and_then(Path::to_str) else {
            continue;
        };
        let info = || {
            text(
                &folder.join("fdinfo").join(descriptor.file_name()),
                MAX_INFO,
            )
        };
        if target.starts_with("/memfd:") {
            if let Ok(file) = std::fs::metadata(&path) {
                // Blocks are of 512 bytes, whatever the file system's are.
                let bytes = file.blocks().saturating_mul(512);
                let key = format!("memfd {} {}", file.dev(), file.ino());
                owned.insert(key, (OwnedKind::Memfd, bytes));
            }
        } else if target == "anon_inode:bpf-map" {
            owned.extend(bpf_map(&info()));
        } else if target.starts_with("/dev/dri/") {
            owned.extend(drm_client(&info()));
        }
        has_rings |= target.starts_with("socket:") || ring_kind(target).is_some();
    }
    if has_rings {
        let pid = folder.file_name().and_then(|name| name.to_str());
        let maps = text(&folder.join("maps"), MAX_MAPS);
        rings(&maps, pid.unwrap_or_default(), &mut owned);
    }
    Some(owned)
}

/// Its first bytes, or nothing.
fn text(path: &Path, most: u64) -> String {
    let file = std::fs::File::open(path).and_then(|file| read_some(file, most));
    let bytes = file.map_or(Vec::new(), |text| text.bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `key: value` of a description.
fn value<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim))
}

/// The fdinfo of a BPF map (kernel/bpf/syscall.c, `bpf_map_show_fdinfo`).
fn bpf_map(info: &str) -> Option<(Key, (OwnedKind, u64))> {
    let number = |key| decimal(value(info, key)?);
    let id = number("map_id")?;
    let kind = OwnedKind::BpfMap(number("map_type")?);
    Some((format!("bpf {id}"), (kind, number("memlock")?)))
}

/// The fdinfo of a DRM client (Documentation/gpu/drm-usage-stats.rst): of all regions
/// those that are system memory, by what is allocated. A client may have several
/// descriptors.
fn drm_client(info: &str) -> Option<(Key, (OwnedKind, u64))> {
    let driver = value(info, "drm-driver")?;
    let client = value(info, "drm-client-id")?;
    let device = value(info, "drm-pdev").unwrap_or_default();
    let size = |key: &str| {
        let mut words = value(info, key)?.split_ascii_whitespace();
        let number = decimal(words.next()?)?;
        let unit = match words.next() {
            Some("KiB") => 1 << 10,
            Some("MiB") => 1 << 20,
            _ => 1,
        };
        number.checked_mul(unit)
    };
    let regions = ["gtt", "system", "system0", "memory"];
    let bytes = regions.iter().filter_map(|region| {
        // `drm-memory-` was the name before `drm-resident-` and `drm-total-`.
        let names = ["total", "memory"];
        names
            .iter()
            .find_map(|name| size(&format!("drm-{name}-{region}")))
    });
    let bytes = bytes.fold(0, u64::saturating_add);
    let key = format!("drm {device} {client}");
    Some((key, (OwnedKind::Drm(driver.to_owned()), bytes)))
}

fn ring_kind(name: &str) -> Option<OwnedKind> {
    match name {
        "anon_inode:[perf_event]" => Some(OwnedKind::PerfBuffer),
        "anon_inode:[io_uring]" => Some(OwnedKind::UringRing),
        _ => None,
    }
}

/// The rings of a maps: `start-end rights offset device inode name`. A mapped socket is
/// a ring of packets. Inodes of sockets are their own; of what has one inode in
/// common each mapping is another thing.
fn rings(maps: &str, pid: &str, owned: &mut BTreeMap<Key, (OwnedKind, u64)>) {
    for line in Lines::new("maps", maps.as_bytes()) {
        let Ok(line) = line.as_str() else { continue };
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(inode), Some(name)) = (words.next(), words.nth(3), words.next())
        else {
            continue;
        };
        let (kind, key) = if name.starts_with("socket:[") {
            (OwnedKind::PacketRing, format!("socket {inode}"))
        } else if let Some(kind) = ring_kind(name) {
            (kind, format!("{name} {pid} {range}"))
        } else {
            continue;
        };
        let ends = range.split_once('-');
        let ends = ends.and_then(|(start, end)| hex(start).zip(hex(end)));
        if let Some((start, end)) = ends {
            let size = end.saturating_sub(start);
            let known = owned.entry(key).or_insert((kind, 0));
            known.1 = known.1.max(size);
        }
    }
}

/// For tests of what others wrote: every parser of this file.
#[doc(hidden)]
pub fn parse_all(text: &str) -> usize {
    let mut owned = BTreeMap::new();
    rings(text, "", &mut owned);
    owned.extend(bpf_map(text));
    owned.extend(drm_client(text));
    owned.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn of(owned: &Processes) -> Vec<(OwnedKind, u64, u32)> {
        let owned = owned.owned.iter();
        let mut owned: Vec<_> = owned
            .map(|it| (it.kind.clone(), it.bytes, it.pid))
            .collect();
        owned.sort();
        owned
    }

    #[test]
    fn each_thing_is_found_once() {
        let proc = tempfile::tempdir().unwrap();
        for pid in ["7", "8", "self"] {
            let at = |path: &str| proc.path().join(pid).join(path);
            std::fs::create_dir_all(at("fd")).unwrap();
            std::fs::create_dir_all(at("fdinfo")).unwrap();
            std::fs::write(at("comm"), format!("p{pid}\n")).unwrap();
            symlink("anon_inode:bpf-map", at("fd/3")).unwrap();
            let map = "pos:\t0\nmap_type:\t27\nmax_entries:\t4096\nmemlock:\t12288\nmap_id:\t5\n";
            std::fs::write(at("fdinfo/3"), map).unwrap();
            symlink("/dev/dri/renderD128", at("fd/4")).unwrap();
            let drm = "drm-driver:\tamdgpu\ndrm-client-id:\t9\ndrm-pdev:\t0000:c1:00.0\n\
                drm-memory-vram:\t900 KiB\ndrm-memory-gtt:\t100 KiB\ndrm-total-system0:\t1 MiB\n";
            std::fs::write(at("fdinfo/4"), drm).unwrap();
            symlink("socket:[4711]", at("fd/5")).unwrap();
            symlink("pipe:[1]", at("fd/6")).unwrap();
            symlink("/memfd:gone (deleted)", at("fd/7")).unwrap();
            let maps = "7f0000000000-7f0000400000 rw-s 00000000 00:08 4711                       socket:[4711]\n\
                7f1000000000-7f1000003000 rw-s 00000000 00:0e 1051                       anon_inode:[perf_event]\n\
                7f2000000000-7f2000001000 r--p 00000000 08:01 12 /usr/bin/x\n";
            std::fs::write(at("maps"), maps).unwrap();
        }
        let found = read_processes(proc.path(), soon()).unwrap();
        assert_eq!((found.all, found.looked_at, found.hidden), (2, 2, false));
        let expected = [
            (OwnedKind::PacketRing, 4 << 20, 7),
            (OwnedKind::PerfBuffer, 0x3000, 7),
            (OwnedKind::PerfBuffer, 0x3000, 8),
            (OwnedKind::BpfMap(27), 12_288, 7),
            (
                OwnedKind::Drm("amdgpu".to_owned()),
                (100 << 10) + (1 << 20),
                7,
            ),
        ];
        assert_eq!(of(&found), expected);
        assert_eq!(found.owned[0].comm, "p7");
    }

    #[test]
    fn a_time_that_is_over_ends_the_search() {
        let proc = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(proc.path().join("7/fd")).unwrap();
        let found = read_processes(proc.path(), Instant::now()).unwrap();
        assert_eq!((found.all, found.looked_at), (1, 0));
        assert!(read_processes(&proc.path().join("none"), soon()).is_err());
    }

    #[test]
    fn no_more_descriptors_are_looked_at_than_the_bound() {
        let proc = tempfile::tempdir().unwrap();
        for folder in ["fd", "fdinfo"] {
            std::fs::create_dir_all(proc.path().join("7").join(folder)).unwrap();
        }
        for number in 0..MAX_DESCRIPTORS + 500 {
            let at = |folder: &str| proc.path().join("7").join(folder).join(number.to_string());
            symlink("anon_inode:bpf-map", at("fd")).unwrap();
            let map = format!("map_type:\t1\nmemlock:\t4096\nmap_id:\t{number}\n");
            std::fs::write(at("fdinfo"), map).unwrap();
        }
        let found = read_processes(proc.path(), soon()).unwrap();
        assert_eq!(found.owned.len(), MAX_DESCRIPTORS);
    }

    #[test]
    fn a_memfd_of_this_process_is_found_with_its_blocks() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let memfd = rustix::fs::memfd_create("pagehound-test", flags).unwrap();
        std::fs::File::from(memfd.try_clone().unwrap())
            .write_all(&[1; 1 << 20])
            .unwrap();
        let found = read_processes(Path::new("/proc"), soon()).unwrap();
        let mine = found
            .owned
            .iter()
            .find(|owned| owned.kind == OwnedKind::Memfd && owned.pid == std::process::id());
        assert_eq!(mine.unwrap().bytes, 1 << 20);
    }
}

//! Shared memory by what it is for: mounts, segments, and files without a name.

use super::{Found, Part, believed};
use crate::host::HostFiles;
use crate::host::facts::Facts;
use pagehound_procfs as procfs;
use procfs::OwnedKind;
use std::collections::BTreeMap;

const SHMEM: &str = "shmem";

pub(super) fn find(files: &HostFiles, facts: &Facts<'_>, found: &mut Found) {
    // Blocks of a file may be swapped out.
    let swapped = facts.kb("SwapTotal") > facts.kb("SwapFree");
    let part = if swapped { Part::at_most } else { Part::exact };
    for (point, bytes) in &files.tmpfs {
        let mount = part(SHMEM, "tmpfs", believed(*bytes), "statfs");
        found.parts.push(mount.of(point.clone()));
    }
    let text = files.sysvipc_shm.as_deref().unwrap_or_default();
    match procfs::sysvipc_shm(text) {
        Ok(segments) => {
            let bytes = segments.iter().map(|segment| segment.rss);
            let bytes = believed(bytes.fold(0, u64::saturating_add));
            let name = match segments.len() {
                1 => "1 System V segment".to_owned(),
                count => format!("{count} System V segments"),
            };
            // Segments of huge pages are in another row.
            let source = "/proc/sysvipc/shm rss";
            found.parts.push(Part::at_most(SHMEM, name, bytes, source));
        }
        Err(error) => {
            let note = format!("{error}; the file is left out");
            found.notes.push(note);
        }
    }
    let mut memfds: BTreeMap<&str, u64> = BTreeMap::new();
    let owned = files.processes.iter().flat_map(|found| &found.owned);
    for owned in owned.filter(|owned| owned.kind == OwnedKind::Memfd) {
        let sum = memfds.entry(&owned.comm).or_default();
        *sum = sum.saturating_add(believed(owned.bytes));
    }
    for (comm, bytes) in memfds {
        let memfd = part(SHMEM, "memfd", bytes, "/proc/<pid>/fd, blocks");
        found.parts.push(memfd.of(comm));
    }
}

//! What processes have that no counter has: rings, BPF ring buffers, graphics.

use super::{Found, Part, UNACCOUNTED, believed, row_bytes};
use crate::host::HostFiles;
use crate::host::ledger::HostRow;
use pagehound_procfs as procfs;
use procfs::{Owned, OwnedKind};
use std::collections::BTreeMap;

/// Owners of one kind that are told.
const TOLD: usize = 5;

/// Bytes of other BPF maps that are worth a note: every host has some.
const MANY_MAPS: u64 = 16 << 20;

/// `BPF_MAP_TYPE_RINGBUF` of include/uapi/linux/bpf.h: pages one by one. Other maps are
/// slabs, per-CPU memory and vmalloc areas.
const RING_BUFFER: u64 = 27;

/// Drivers whose buffers are files of shmem; those of others are pages of TTM.
const SHMEM_DRIVERS: [&str; 8] = [
    "i915",
    "panfrost",
    "panthor",
    "lima",
    "v3d",
    "etnaviv",
    "msm",
    "virtio_gpu",
];

pub(super) fn find(files: &HostFiles, rows: &[HostRow], found: &mut Found) {
    let Some(processes) = &files.processes else {
        return;
    };
    let mut kinds: BTreeMap<(String, &'static str, &'static str), Vec<&Owned>> = BTreeMap::new();
    let mut maps = (0u64, 0u64);
    for owned in &processes.owned {
        if matches!(owned.kind, OwnedKind::BpfMap(kind) if kind != RING_BUFFER) {
            maps = (maps.0 + 1, maps.1.saturating_add(believed(owned.bytes)));
        } else if let Some(kind) = kind(&owned.kind, rows) {
            kinds.entry(kind).or_default().push(owned);
        }
    }
    for ((name, within, source), owned) in kinds {
        let mut owners: BTreeMap<String, u64> = BTreeMap::new();
        for owned in owned {
            let owner = format!("{} ({})", owned.comm, owned.pid);
            let sum = owners.entry(owner).or_default();
            *sum = sum.saturating_add(believed(owned.bytes));
        }
        let (told, rest) = super::largest(owners.into_iter().collect(), TOLD);
        let part = |bytes| Part::at_most(within, name.clone(), bytes, source);
        let told = told.into_iter().map(|(owner, bytes)| part(bytes).of(owner));
        found.parts.extend(told);
        found.parts.push(part(rest).of("other processes"));
    }
    if maps.1 >= MANY_MAPS {
        found.notes.push(format!(
            "{} BPF maps that processes have open take {} kB of slabs, vmalloc and percpu (fdinfo memlock); maps that are \
             only pinned are not seen",
            maps.0,
            maps.1 / 1024
        ));
    }
    if processes.looked_at < processes.all {
        found.notes.push(format!(
            "there was time to look at {} of {} processes",
            processes.looked_at, processes.all
        ));
    }
}

/// What it is called, the row that it is in, and the file that tells.
fn kind(kind: &OwnedKind, rows: &[HostRow]) -> Option<(String, &'static str, &'static str)> {
    let maps = "/proc/<pid>/maps";
    let fdinfo = "/proc/<pid>/fdinfo";
    Some(match kind {
        // Has rows of its own with mounts.
        OwnedKind::Memfd => return None,
        OwnedKind::PacketRing => ("packet rings".to_owned(), UNACCOUNTED, maps),
        OwnedKind::PerfBuffer => ("perf buffers".to_owned(), UNACCOUNTED, maps),
        OwnedKind::UringRing => ("io_uring rings".to_owned(), UNACCOUNTED, maps),
        OwnedKind::BpfMap(_) => ("BPF ring buffers".to_owned(), UNACCOUNTED, fdinfo),
        OwnedKind::Drm(driver) => {
            let within = if SHMEM_DRIVERS.contains(&driver.as_str()) {
                "shmem"
            } else if row_bytes(rows, "GPU, in use") > 0 {
                "GPU, in use"
            } else {
                UNACCOUNTED
            };
            // A word of the driver's, and so of the kernel's.
            (format!("graphics of {driver}"), within, fdinfo)
        }
    })
}

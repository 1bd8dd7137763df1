//! What stacks and drivers have taken page by page, where they tell: ZFS, sockets,
//! network devices.

use super::{Found, Part, UNACCOUNTED, believed, pages_bytes};
use crate::host::HostFiles;
use crate::host::facts::Facts;
use pagehound_procfs as procfs;

pub(super) fn find(files: &HostFiles, facts: &Facts<'_>, found: &mut Found) {
    zfs(files, found);
    sockets(files, facts, found);
    dmabufs(files, found);
    let mlx5 = Part::exact(
        UNACCOUNTED,
        "firmware of mlx5 devices",
        pages_bytes(facts, files.mlx5_pages),
        "debugfs mlx5/*/pages/fw_pages_total",
    );
    found.parts.push(mlx5);
}

/// Buffers of the ARC that are scattered over pages; linear ones and all descriptions
/// are slabs (module/os/linux/zfs/abd_os.c). The size of the ARC is both.
fn zfs(files: &HostFiles, found: &mut Found) {
    let [abdstats, arcstats] = files.zfs.each_ref();
    let value = |name| procfs::kstat(abdstats.as_deref().unwrap_or_default(), name).unwrap_or(0);
    let bytes = value("scatter_data_size").saturating_add(value("scatter_chunk_waste"));
    let source = "/proc/spl/kstat/zfs/abdstats scatter_*";
    let part = Part::exact(UNACCOUNTED, "ZFS buffers", believed(bytes), source);
    found.parts.push(part);
    let arc = |name| procfs::kstat(arcstats.as_deref().unwrap_or_default(), name);
    if let (Some(size), Some(least)) = (arc("size"), arc("c_min")) {
        found.notes.push(format!(
            "the ARC of ZFS has {} kB in all, in slabs too; it shrinks to {} kB when memory is short",
            size / 1024,
            least / 1024
        ));
    }
}

/// What sockets have claimed is filled with fragments, which no counter has, and with
/// slab objects.
fn sockets(files: &HostFiles, facts: &Facts<'_>, found: &mut Found) {
    let [v4, v6] = files.sockstat.each_ref();
    let [v4, v6] = [v4, v6].map(|text| procfs::sockstat(text.as_deref().unwrap_or_default()));
    let claimed = pages_bytes(facts, v4.pages);
    let sockets = Part::at_most(
        UNACCOUNTED,
        "TCP and UDP sockets",
        claimed,
        "/proc/net/sockstat mem",
    );
    let fragments = Part::at_most(
        UNACCOUNTED,
        "packets with parts missing",
        believed(v4.fragments.saturating_add(v6.fragments)),
        "/proc/net/sockstat* FRAG memory",
    );
    found.parts.extend([sockets, fragments]);
}

/// The heap `system` allocates page by page. What drivers export is what they have
/// already, in shmem or as graphics, so that it is only told.
fn dmabufs(files: &HostFiles, found: &mut Found) {
    let source = "/sys/kernel/dmabuf/buffers/*/size";
    for buffers in &files.dmabufs {
        if buffers.exporter.starts_with("system") {
            let bytes = believed(buffers.bytes);
            let part = Part::at_most(UNACCOUNTED, "buffers of DMA heaps", bytes, source);
            found.parts.push(part);
        } else {
            found.notes.push(format!(
                "buffers that {} shares have {} kB ({source})",
                buffers.exporter,
                buffers.bytes / 1024
            ));
        }
    }
}

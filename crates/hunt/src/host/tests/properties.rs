//! Whatever the figures, nothing panics, the rows add up, and both ways agree.

use super::super::{HostFiles, classic, ledger};
use super::{consistent, of_meminfo};
use pagehound_procfs::{
    HugepagePool, MachineMemory, NodeText, Owned, OwnedKind, Processes, TraceRings, ZramDevice,
};
use proptest::prelude::*;

const FIELDS: [&str; 36] = [
    "Buffers",
    "Cached",
    "SwapCached",
    "Active",
    "Inactive",
    "Unevictable",
    "AnonPages",
    "Shmem",
    "Slab",
    "SReclaimable",
    "SUnreclaim",
    "KReclaimable",
    "PageTables",
    "SecPageTables",
    "KernelStack",
    "ShadowCallStack",
    "Bounce",
    "WritebackTmp",
    "NFS_Unstable",
    "VmallocUsed",
    "VmallocChunk",
    "VmallocTotal",
    "Percpu",
    "HardwareCorrupted",
    "CmaFree",
    "Unaccepted",
    "Balloon",
    "GPUActive",
    "GPUReclaim",
    "Zswap",
    "Quicklists",
    "Hugetlb",
    "Hugepagesize",
    "EarlyMemtestBad",
    "Other",
    "MemAvailable",
];

/// Any size a counter can show, extremes included.
fn kb() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0u64..100_000_000,
        Just(super::super::MAX_KB),
        Just(super::super::MAX_KB + 1),
        Just(u64::MAX),
        any::<u64>(),
    ]
}

fn files() -> impl Strategy<Value = HostFiles> {
    let fields = prop::collection::vec((0..FIELDS.len(), kb()), 0..40);
    let zones = prop::option::of((kb(), kb(), kb()));
    let areas = prop::option::of((kb(), kb(), any::<bool>()));
    let pools = prop::option::of((kb(), kb()));
    (
        (1u64..1 << 46, 0u64..1 << 46, kb()),
        fields,
        zones,
        areas,
        pools,
        prop::option::of(kb()),
    )
        .prop_map(|((total, free, huge), fields, zones, areas, pools, zspages)| {
            let mut text = format!("MemTotal: {total} kB\nMemFree: {free} kB\nHugePages_Total: {huge}\n");
            for (field, kb) in fields {
                text += &format!("{}: {kb} kB\n", FIELDS[field]);
            }
            HostFiles {
                zoneinfo: zones.map(|(managed, present, count)| {
                    // Half of the time a zone that fits MemTotal.
                    let managed = if managed % 2 == 0 { total / 4 } else { managed };
                    format!("Node 0, zone N\n present {present}\n managed {managed}\n pagesets\n cpu: 0\n count: {count}\n").into_bytes()
                }),
                vmallocinfo: areas.map(|(stacks, other, hidden)| {
                    let fork = if hidden { "0xffffffff81000000" } else { "kernel_clone+0x1/0x2" };
                    format!(
                        "0x0-0x0 20480 {fork} pages={stacks} vmalloc\n0x0-0x0 8192 f+0x1/0x2 pages={other} vmalloc\n\
                         0x0-0x0 {other} pcpu_get_vm_areas+0x0/0x1 vmalloc\n"
                    ).into_bytes()
                }),
                hugepages: pools.map(|(page_size, total)| vec![HugepagePool { page_size, total, free: 0 }]),
                vmstat: zspages.map(|pages| format!("nr_zspages {pages}\nnr_isolated_file {pages}\n").into_bytes()),
                ..of_meminfo(&text)
            }
        })
}

/// The same with files that tell what rows consist of: figures that fit nothing.
fn with_parts(files: HostFiles, more: [u64; 8], nodes: u32) -> HostFiles {
    let [a, b, c, d, e, f, g, h] = more;
    let node = |node| {
        let meminfo =
            format!("MemTotal: {a} kB\nMemFree: {b} kB\nFilePages: {c} kB\nSwapCached: {d} kB\n");
        let text = NodeText {
            node,
            meminfo: meminfo.into_bytes(),
        };
        (
            text,
            vec![HugepagePool {
                page_size: e,
                total: f,
                free: 0,
            }],
        )
    };
    let owned = |kind, bytes| Owned {
        kind,
        bytes,
        pid: 1,
        comm: "x".to_owned(),
    };
    HostFiles {
        slabinfo: Some(
            format!("a 1 2 3 4 5 : tunables 0 0 0 : slabdata 6 {a} 8\nb 1 2 3 4 {b} : tunables 0 0 0 : slabdata 6 {c} 8\n")
                .into_bytes(),
        ),
        log: Some(format!("percpu: Embedded {d} pages/cpu s1\nMemory: 1K/2K available ({e}K kernel code, {f}K bss)\n").into_bytes()),
        possible_cpus: Some(g),
        sockstat: [Some(format!("TCP: mem {h}\nUDP: mem {a}\nFRAG: memory {b}\n").into_bytes()), None],
        tmpfs: vec![("/a".to_owned(), c), ("/b".to_owned(), d)],
        zram: vec![ZramDevice { name: "zram0".to_owned(), data: e, memory: f }],
        trace_rings: vec![TraceRings { instance: None, size_kb: vec![g, h], piece_kb: Some(a) }],
        mlx5_pages: b,
        zswap_pool: Some(c),
        nodes: (0..nodes).map(node).collect(),
        installed: MachineMemory { modules: Some(d), crash_kernel: Some(g) },
        processes: Some(Processes {
            owned: vec![
                owned(OwnedKind::Memfd, h),
                owned(OwnedKind::PacketRing, a),
                owned(OwnedKind::BpfMap(27), b),
                owned(OwnedKind::BpfMap(1), c),
                owned(OwnedKind::Drm("i915".to_owned()), d),
                owned(OwnedKind::Drm("xe".to_owned()), e),
            ],
            ..Processes::default()
        }),
        ..files
    }
}

proptest! {
    #[test]
    fn rows_add_up(files in files(), more in prop::array::uniform8(kb()), pages in 0u32..5) {
        consistent(&with_parts(files, more, pages));
    }

    #[test]
    fn bytes_are_answered_or_refused(
        text in prop::collection::vec(any::<u8>(), 0..200),
        other in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let files = HostFiles {
            vmallocinfo: Some(other.clone()),
            zoneinfo: Some(other.clone()),
            vmstat: Some(other.clone()),
            slabinfo: Some(other.clone()),
            log: Some(other.clone()),
            iomem: Some(other.clone()),
            sysvipc_shm: Some(other.clone()),
            zfs: [Some(other.clone()), Some(other.clone())],
            modules: Some(other),
            ..of_meminfo("MemTotal: 4000 kB\nMemFree: 4 kB\n")
        };
        consistent(&files);
        let files = HostFiles { meminfo: text.clone(), ..files };
        prop_assert_eq!(classic(&files).is_ok(), ledger(&files).is_ok());
        let _ = HostFiles::from_sections(&text, String::new());
    }
}

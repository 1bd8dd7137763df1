//! Parts of rows, nodes, and what lies below MemTotal: of a real host, whose figures were
//! worked out from its files with another program, and of hosts made up from what the
//! kernel's sources and documents say.

use super::super::{Bound, HostFiles, HostLedger, Part};
use super::{consistent, of_meminfo, row_kb};
use pagehound_procfs::{
    DmaBufs, HugepagePool, MachineMemory, NodeText, Owned, OwnedKind, Processes, TraceRings,
    ZramDevice,
};
use std::path::{Path, PathBuf};

/// A folder of files of a guest with 6.18, two processors and 24 GiB.
fn real() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host")
}

fn part<'a>(ledger: &'a HostLedger, within: &str, name: &str) -> &'a Part {
    let mut parts = ledger.parts.iter();
    let part = parts.find(|part| (part.within, part.name.as_str()) == (within, name));
    part.unwrap_or_else(|| panic!("no {name} within {within}: {:#?}", ledger.parts))
}

fn kb(ledger: &HostLedger, within: &str, name: &str) -> u64 {
    part(ledger, within, name).bytes / 1024
}

/// `kb` of `MemTotal: 16000000 kB` are in no row.
fn host(more: &str) -> HostFiles {
    of_meminfo(&format!(
        "MemTotal: 16000000 kB\nMemFree: 8000004 kB\nCached: 1000000 kB\nShmem: 200000 kB\nSlab: 400000 kB\n\
         SReclaimable: 100000 kB\nVmallocUsed: 50000 kB\nAnonPages: 5549996 kB\n{more}"
    ))
}

/// What [`host`] leaves.
const LEFT: i64 = 1_000_000;

#[test]
fn the_files_of_a_real_host() {
    let (_, ledger) = consistent(&HostFiles::from_folder(&real()).unwrap());
    assert_eq!(ledger.total_bytes, 24_684_096 * 1024);
    assert_eq!(ledger.unaccounted_bytes, 17_532 * 1024);
    // 53 of 101 pages a CPU were there before the page allocator.
    assert_eq!(row_kb(&ledger, "percpu"), 808 - 53 * 2 * 4);
    for (name, size) in [
        ("cache ext4_inode_cache", 273_504),
        ("cache buffer_head", 265_036),
        ("cache radix_tree_node", 90_928),
        ("cache dentry", 73_864),
        ("other caches", 23_568),
        ("in no cache: large kmalloc()", 6_560),
    ] {
        assert_eq!(kb(&ledger, "slab", name), size, "{name}");
    }
    let slab = ledger.parts.iter().filter(|part| part.within == "slab");
    assert_eq!(slab.map(|part| part.bytes).sum::<u64>(), 814_240 * 1024);
    assert_eq!(kb(&ledger, "vmalloc", "htab_map_alloc"), 8_092);
    assert_eq!(kb(&ledger, "vmalloc", "bpf_prog_pack_alloc"), 2_048);
    let below: Vec<_> = ledger
        .below
        .iter()
        .map(|row| (row.name, row.bytes / 1024))
        .collect();
    let image = 18_468 + 2_544 + 10_276 + 1_168;
    let expected = [
        ("present", 25_165_432),
        ("memory map", 393_216),
        ("kernel image", image),
        ("first per-CPU chunk", 424),
        ("other, reserved at boot", 481_336 - 393_216 - image - 424),
        ("MemTotal", 24_684_096),
    ];
    assert_eq!(below, expected);
    // Root's files are there, and nothing is asked for that would not help.
    assert_eq!(ledger.notes, Vec::<String>::new());
    assert_eq!(ledger.nodes, []);
}

#[test]
fn shared_memory_by_what_it_is_for() {
    let memfd = |pid, comm: &str, bytes| Owned {
        kind: OwnedKind::Memfd,
        bytes,
        pid,
        comm: comm.to_owned(),
    };
    let segments = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap\n\
        0 1 1600 4194304 9 9 2 0 0 0 0 0 0 0 2097152 0\n0 2 1600 4194304 9 9 2 0 0 0 0 0 0 0 1048576 0\n";
    let files = HostFiles {
        tmpfs: vec![("/dev/shm".to_owned(), 100_000 << 10)],
        sysvipc_shm: Some(segments.as_bytes().to_vec()),
        processes: Some(Processes {
            owned: vec![memfd(7, "db", 30_000 << 10), memfd(8, "db", 20_000 << 10)],
            ..Processes::default()
        }),
        ..host("SwapTotal: 1000 kB\nSwapFree: 1000 kB\n")
    };
    let (_, ledger) = consistent(&files);
    let shm = part(&ledger, "shmem", "tmpfs");
    assert_eq!(
        (shm.owner.as_deref(), shm.bytes),
        (Some("/dev/shm"), 100_000 << 10)
    );
    assert_eq!(shm.bound, Bound::Exact);
    let memfds = part(&ledger, "shmem", "memfd");
    assert_eq!(
        (memfds.owner.as_deref(), memfds.bytes),
        (Some("db"), 50_000 << 10)
    );
    let segments = part(&ledger, "shmem", "2 System V segments");
    assert_eq!((segments.bound, segments.bytes), (Bound::AtMost, 3 << 20));
    // What was swapped out is in no memory, but still a block of its file.
    let meminfo = String::from_utf8(files.meminfo.clone()).unwrap();
    let swapped = HostFiles {
        meminfo: meminfo
            .replace("SwapFree: 1000", "SwapFree: 10")
            .into_bytes(),
        ..files
    };
    let (_, ledger) = consistent(&swapped);
    assert_eq!(part(&ledger, "shmem", "tmpfs").bound, Bound::AtMost);
}

/// The mount says more than Shmem: the part is no more than its row, and what follows
/// has nothing left.
#[test]
fn no_part_is_more_than_its_row() {
    let files = HostFiles {
        tmpfs: vec![
            ("/a".to_owned(), 150_000 << 10),
            ("/b".to_owned(), 149_000 << 10),
        ],
        ..host("")
    };
    let (_, ledger) = consistent(&files);
    let parts: Vec<_> = ledger.parts.iter().map(|part| part.bytes >> 10).collect();
    assert_eq!(parts, [150_000, 50_000]);
}

#[test]
fn what_drivers_and_stacks_took_page_by_page() {
    let abdstats = "7 1 0x01 21 1008 2 3\nname type data\nscatter_data_size 4 102400\nscatter_chunk_waste 4 2048\n";
    let arcstats = "13 1 0x01 96 1 2 3\nname type data\nc_min 4 1024\nsize 4 204800\n";
    let owned = |kind, bytes| Owned {
        kind,
        bytes,
        pid: 7,
        comm: "tcpdump".to_owned(),
    };
    let files = HostFiles {
        zfs: [abdstats, arcstats].map(|text| Some(text.as_bytes().to_vec())),
        sockstat: [
            Some(b"TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 100\nUDP: inuse 0 mem 28\nFRAG: inuse 1 memory 3000\n".to_vec()),
            Some(b"FRAG6: inuse 1 memory 1000\n".to_vec()),
        ],
        mlx5_pages: 5,
        trace_rings: vec![TraceRings {
            instance: Some("net".to_owned()),
            size_kb: vec![1408, 1408],
            piece_kb: None,
        }],
        vmstat: Some(
            b"nr_memmap_pages 512\nnr_iommu_pages 300\nnr_foll_pin_acquired 50001\nnr_foll_pin_released 1\n".to_vec(),
        ),
        dying_cgroups: Some(4_711),
        processes: Some(Processes {
            owned: vec![
                owned(OwnedKind::PacketRing, 4 << 20),
                owned(OwnedKind::BpfMap(27), 1 << 20),
                owned(OwnedKind::BpfMap(1), 32 << 20),
                owned(OwnedKind::Drm("amdgpu".to_owned()), 8 << 20),
                owned(OwnedKind::Drm("i915".to_owned()), 16 << 20),
            ],
            all: 9,
            looked_at: 5,
            hidden: false,
        }),
        ..host("SecPageTables: 4000 kB\n")
    };
    let (_, ledger) = consistent(&files);
    let of = |name| part(&ledger, "unaccounted", name).bytes;
    assert_eq!(of("ZFS buffers"), 104_448);
    assert_eq!(of("TCP and UDP sockets"), 128 * 4096);
    assert_eq!(of("packets with parts missing"), 4000);
    assert_eq!(of("firmware of mlx5 devices"), 5 * 4096);
    assert_eq!(of("memory map"), 512 * 4096);
    // 354 pages of 4,080 bytes hold 1,408 KiB; one more is the reader's.
    assert_eq!(of("trace buffers"), 2 * 355 * 4096);
    assert_eq!(of("packet rings"), 4 << 20);
    assert_eq!(of("BPF ring buffers"), 1 << 20);
    assert_eq!(of("graphics of amdgpu"), 8 << 20);
    assert_eq!(part(&ledger, "shmem", "graphics of i915").bytes, 16 << 20);
    let rings = part(&ledger, "unaccounted", "packet rings");
    assert_eq!(
        (rings.owner.as_deref(), rings.bound),
        (Some("tcpdump (7)"), Bound::AtMost)
    );
    assert_eq!(kb(&ledger, "secondary page tables", "of IOMMUs"), 1_200);
    for note in [
        "32768 kB of slabs, vmalloc",
        "ARC of ZFS has 200 kB",
        "5 of 9 processes",
        "200000 kB of user memory are pinned",
        "4711 control groups were removed",
    ] {
        let told = ledger.notes.iter().any(|known| known.contains(note));
        assert!(told, "{note}: {:?}", ledger.notes);
    }
}

#[test]
fn compressed_pages_by_who_has_them() {
    let zram0 = ZramDevice {
        name: "zram0".to_owned(),
        data: 1 << 30,
        memory: 50_000 << 10,
    };
    let files = HostFiles {
        zram: vec![zram0],
        vmstat: Some(b"nr_zspages 25000\n".to_vec()),
        ..host("Zswap: 4000 kB\n")
    };
    let (_, ledger) = consistent(&files);
    assert_eq!(row_kb(&ledger, "zsmalloc"), 100_000);
    assert_eq!(kb(&ledger, "zsmalloc", "zram0"), 50_000);
    assert_eq!(kb(&ledger, "zsmalloc", "zswap"), 4_000);
    // A kernel that does not count them.
    let files = HostFiles {
        vmstat: None,
        zswap_pool: Some(8 << 20),
        ..files
    };
    let meminfo = host("").meminfo;
    let (_, ledger) = consistent(&HostFiles { meminfo, ..files });
    assert_eq!(kb(&ledger, "unaccounted", "zram0"), 50_000);
    assert_eq!(kb(&ledger, "unaccounted", "zswap"), 8_192);
}

#[test]
fn huge_pages_by_size_and_use() {
    let pool = |page_size, total, free| HugepagePool {
        page_size,
        total,
        free,
    };
    let files = HostFiles {
        hugepages: Some(vec![pool(2 << 20, 10, 4), pool(32 << 20, 1, 1)]),
        dmabufs: vec![DmaBufs {
            exporter: "system".to_owned(),
            bytes: 12_288,
        }],
        ..host("HugePages_Total: 10\nHugepagesize: 2048 kB\n")
    };
    let (_, ledger) = consistent(&files);
    assert_eq!(
        kb(&ledger, "huge pages", "pages of 2048 kB, in use"),
        6 * 2048
    );
    assert_eq!(
        kb(&ledger, "huge pages", "pages of 2048 kB, free"),
        4 * 2048
    );
    assert_eq!(kb(&ledger, "huge pages", "pages of 32768 kB, free"), 32_768);
    let heap = part(&ledger, "unaccounted", "buffers of DMA heaps");
    assert_eq!((heap.bytes, heap.bound), (12_288, Bound::AtMost));
}

/// Two units more than CPUs, which have no pages although Percpu counts them.
#[test]
fn the_first_chunk_of_percpu_is_no_part_of_mem_total() {
    let log =
        "percpu: Embedded 50 pages/cpu s1 r2 d3 u524288\npcpu-alloc: [0] 0 1 2 - [1] 3 4 5 -\n";
    let files = HostFiles {
        log: Some(log.as_bytes().to_vec()),
        possible_cpus: Some(6),
        // 60 pages for each of 8 units.
        ..host("Percpu: 1920 kB\n")
    };
    let (_, ledger) = consistent(&files);
    assert_eq!(row_kb(&ledger, "percpu"), 10 * 6 * 4);
    // Without the lines that tell units, a unit a CPU.
    let log = "percpu: Embedded 50 pages/cpu s1 r2 d3 u524288\n";
    let plain = HostFiles {
        log: Some(log.as_bytes().to_vec()),
        possible_cpus: Some(8),
        ..files.clone()
    };
    let (_, ledger) = consistent(&plain);
    assert_eq!(row_kb(&ledger, "percpu"), 10 * 8 * 4);
    // A log that does not fit is not believed, nor one without CPUs.
    for (pages, cpus) in [(61, Some(8)), (50, None), (50, Some(0))] {
        let log = format!("percpu: Embedded {pages} pages/cpu s1\n");
        let odd = HostFiles {
            log: Some(log.into_bytes()),
            possible_cpus: cpus,
            ..files.clone()
        };
        let (_, ledger) = consistent(&odd);
        assert_eq!(row_kb(&ledger, "percpu"), 1_920);
    }
}

#[test]
fn from_what_is_installed_down_to_mem_total() {
    // 32 GiB of modules, of which Linux has 31, and of these manages 30.
    let gib = 1u64 << 30;
    let meminfo = of_meminfo(&format!("MemTotal: {} kB\nMemFree: 4 kB\n", 30 << 20)).meminfo;
    let zoneinfo = format!(
        "Node 0, zone Normal\n pages free 1\n present {}\n managed {}\n",
        31 * gib / 4096,
        30 * gib / 4096
    );
    let iomem = format!("100000-{:x} : System RAM\n", 0x10_0000 + 31 * gib - 1);
    let files = HostFiles {
        meminfo,
        zoneinfo: Some(zoneinfo.into_bytes()),
        iomem: Some(iomem.into_bytes()),
        vmstat: Some(b"nr_memmap_boot_pages 126976\n".to_vec()),
        installed: MachineMemory {
            modules: Some(32 * gib),
            crash_kernel: Some(256 << 20),
        },
        ..HostFiles::default()
    };
    let (_, ledger) = consistent(&files);
    let mib: Vec<_> = ledger
        .below
        .iter()
        .map(|row| (row.name, row.bytes >> 20))
        .collect();
    let expected = [
        ("installed", 32 * 1024),
        ("firmware and devices", 1024),
        ("crash kernel", 256),
        ("memory map", 496),
        ("other, reserved at boot", 1024 - 256 - 496),
        ("MemTotal", 30 * 1024),
    ];
    assert_eq!(mib, expected);
    // Both parts of the second kernel's memory, of which older kernels tell one.
    let low = "6f000000-7effffff : Crash kernel\n";
    let high = "7c0000000-7cfffffff : Crash kernel\n";
    let iomem = [
        files.iomem.clone().unwrap(),
        [low, high].concat().into_bytes(),
    ]
    .concat();
    let both = HostFiles {
        iomem: Some(iomem),
        ..files.clone()
    };
    let (_, ledger) = consistent(&both);
    let crash = ledger.below.iter().find(|row| row.name == "crash kernel");
    assert_eq!(crash.unwrap().bytes, 512 << 20);
    // Without the counter the map is 64 bytes a page.
    let older = HostFiles {
        vmstat: None,
        ..files
    };
    let (_, ledger) = consistent(&older);
    let map = ledger
        .below
        .iter()
        .find(|row| row.name == "memory map, by estimate");
    assert_eq!(map.unwrap().bytes, 31 * gib / 64);
}

#[test]
fn a_node_that_has_what_no_counter_has_is_named() {
    let node = |node, free: u32, huge| {
        let meminfo = format!(
            "MemTotal: 8000000 kB\nMemFree: {free} kB\nFilePages: 500000 kB\nAnonPages: 2774998 kB\n\
             Slab: 200000 kB\nKernelStack: 1000 kB\n"
        );
        let text = NodeText {
            node,
            meminfo: meminfo.into_bytes(),
        };
        let pool = HugepagePool {
            page_size: 2 << 20,
            total: huge,
            free: 0,
        };
        (text, vec![pool])
    };
    let areas = "0x0-0x0 20480 kernel_clone+0x1/0x2 pages=500 vmalloc N0=250 N1=250\n\
        0x0-0x0 20480 f+0x1/0x2 pages=12000 vmalloc N0=12000\n";
    let files = HostFiles {
        nodes: vec![node(0, 3_500_002, 0), node(1, 4_400_002, 4)],
        vmallocinfo: Some(areas.as_bytes().to_vec()),
        ..host("KernelStack: 2000 kB\nHugetlb: 8192 kB\nPercpu: 0 kB\n")
    };
    let (_, ledger) = consistent(&files);
    let kb: Vec<_> = ledger
        .nodes
        .iter()
        .map(|node| (node.node, node.unaccounted_bytes / 1024))
        .collect();
    let left = 8_000_000 - 500_000 - 2_774_998 - 200_000;
    let first = left - 3_500_002 - 12_250 * 4;
    let second = left - 4_400_002 - 250 * 4 - 8_192;
    assert_eq!(kb, [(0, first), (1, second)]);
    assert_eq!(ledger.unaccounted_bytes / 1024, LEFT - 8_192);
    let told: Vec<_> = ledger
        .notes
        .iter()
        .filter(|note| note.starts_with("node"))
        .collect();
    assert_eq!(told.len(), 1, "{:?}", ledger.notes);
    assert!(
        told[0].starts_with(&format!("node 0 has {first} kB")),
        "{told:?}"
    );
}

#[test]
fn a_balloon_of_older_kernels_is_told_by_its_events() {
    let vmstat = "balloon_inflate 30000\nballoon_deflate 5000\n";
    let files = HostFiles {
        vmstat: Some(vmstat.as_bytes().to_vec()),
        modules: Some(b"vmw_balloon 1 0 - Live 0x0\n".to_vec()),
        ..host("")
    };
    let (_, ledger) = consistent(&files);
    assert_eq!(row_kb(&ledger, "balloon"), 100_000);
    // The counter of 6.17 is better, and says that there is none.
    let meminfo = host("Balloon: 0 kB\n").meminfo;
    let (_, ledger) = consistent(&HostFiles { meminfo, ..files });
    assert!(ledger.rows.iter().all(|row| row.name != "balloon"));
}

#[test]
fn what_root_would_add_is_one_line() {
    let files = HostFiles {
        denied: vec![
            "vmallocinfo",
            "slabinfo",
            "tracing",
            "processes",
            "iomem",
            "DMI",
        ],
        ..host("")
    };
    let (_, ledger) = consistent(&files);
    let root: Vec<_> = ledger
        .notes
        .iter()
        .filter(|note| note.contains("root would add"))
        .collect();
    assert_eq!(root.len(), 1, "{:?}", ledger.notes);
    for name in [
        "vmallocinfo",
        "slab caches",
        "trace buffers",
        "memfd",
        "memory modules",
    ] {
        assert!(root[0].contains(name), "{name}: {root:?}");
    }
}

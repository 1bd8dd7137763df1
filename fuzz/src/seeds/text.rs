//! What is text: `/proc`, VMCOREINFO, reports. Grammars by the kernel's sources; the
//! machines are made up.

use super::Seed;
use crate::targets::report::REFERENCE;

const MEMINFO: &str = "MemTotal:       16000000 kB\nMemFree:         8000004 kB\nMemAvailable:   12000000 kB\n\
    Buffers:          100000 kB\nCached:          4000000 kB\nSwapCached:            0 kB\n\
    AnonPages:       1000000 kB\nMapped:           300000 kB\nShmem:            200000 kB\n\
    KReclaimable:     800000 kB\nSlab:            1800000 kB\nSReclaimable:     800000 kB\n\
    SUnreclaim:      1000000 kB\nKernelStack:      20000 kB\nPageTables:        79996 kB\n\
    SecPageTables:      1000 kB\nBounce:                0 kB\nVmallocTotal:   34359738367 kB\n\
    VmallocUsed:       50000 kB\nVmallocChunk:          0 kB\nPercpu:             5000 kB\n\
    HardwareCorrupted:     0 kB\nAnonHugePages:    409600 kB\nCmaTotal:          0 kB\n\
    HugePages_Total:       4\nHugePages_Free:        2\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n\
    Hugepagesize:       2048 kB\nHugetlb:            8192 kB\nDirectMap4k:     1000000 kB\n";

const VMALLOCINFO: &str = "0x0000000000000000-0x0000000000000000   20480 kernel_clone+0x9b/0x3f0 pages=4 vmalloc N0=4\n\
    0x0000000000000000-0x0000000000000000 4100096 alloc_large_system_hash+0x1/0x2 pages=1000 vmalloc vpages N0=500 N1=500\n\
    0x0000000000000000-0x0000000000000000 8192 pci_iomap+0x1/0x2 [i40e] phys=0x00000000a0000000 ioremap\n\
    0x0000000000000000-0x0000000000000000    8192 bpf_prog_alloc_no_stats+0x33/0x140 pages=1 user vmalloc\n";

const ZONEINFO: &str = "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 0\n      nr_mapped    441\n  \
    pages free     3808\n        boost    0\n        min      34\n        spanned  4095\n        present  3998\n        \
    managed  3840\n        cma      0\n        protection: (0, 193, 193, 193, 193)\n      nr_free_pages 3808\n      \
    nr_zspages   7\n  pagesets\n    cpu: 0\n              count:    12\n              high:     3\n              \
    batch:    1\n  vm stats threshold: 4\n  node_unreclaimable:  0\n  start_pfn:           1\n\
    Node 1, zone   Normal\n  pages free     5\n        present  6\n      nr_zspages   9\n";

const MODULES: &str = "i40e 425984 0 - Live 0x0000000000000000 (OE)\nveth 32768 2 bridge,br_netfilter, Live 0xffffffffc0a5b000\n";
const VERSION: &str = "Linux version 4.13.9-1-generic (build@host) (gcc version 7.2.0 (GCC)) #1 SMP Sun Oct 22 09:14:33 UTC 2017\n";
const VMSTAT: &str = "nr_free_pages 2000001\nnr_zspages 7\nnr_kernel_misc_reclaimable 0\nballoon_inflate 512\nballoon_deflate 12\n";
const ALLOCINFO: &str = "allocinfo - version: 1.0\n#     <size>  <calls> <tag info>\n    \
    27148288     6628 drivers/net/ethernet/intel/e1000/e1000_main.c:4513 [e1000] func:e1000_alloc_jumbo_rx_buffers\n     \
    6815744     1664 mm/shmem.c:1812 func:shmem_alloc_folio\n";
const PAGE_OWNER: &str = "Page allocated via order 1, mask 0x1(GFP_KERNEL), pid 1, tgid 1 (init), ts 5 ns\n\
    PFN 0x1000 type Unmovable Block 8 type Unmovable Flags 0x100(slab)\n post_alloc_hook+0x10/0x20\n \
    i40e_alloc_mapped_page+0x40/0x110 [i40e]\n\nPage allocated via order 0, migratetype Unmovable\n \
    get_page+0x1/0x2\nnr_base_pages: 77\n\n";
const PAGE_OWNER_STACKS: &str = " post_alloc_hook+0x10/0x20\n alloc_pages_mpol+0x1/0x2\n i40e_setup_rx_descriptors+0x5/0x90 [i40e]\nnr_base_pages: 4096\n\n";

pub(super) fn procfs() -> Vec<Seed> {
    let files = [
        ("meminfo", MEMINFO),
        ("vmallocinfo", VMALLOCINFO),
        ("zoneinfo", ZONEINFO),
        ("modules", MODULES),
        ("version", VERSION),
        ("vmstat", VMSTAT),
        ("allocinfo", ALLOCINFO),
        ("page_owner", PAGE_OWNER),
        ("page_owner_stacks", PAGE_OWNER_STACKS),
        (
            "buddyinfo",
            "Node 0, zone      DMA      1      1      1      0      2      1      1      0      1      1      3\n\
             Node 0, zone   Normal   4381   1093    185   1530    567    102      4      0      0      0      0\n",
        ),
        (
            "slabinfo",
            "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n\
             kmalloc-8            1      2      8    512    1 : tunables    0    0    0 : slabdata      6      7      0\n",
        ),
        (
            "iomem",
            "00001000-0009fbff : System RAM\n10000000-febfffff : PCI Bus 0000:00\n  fe000000-fe003fff : 0000:00:03.0\n    \
             fe000000-fe003fff : virtio-pci-modern\nfffffffffffff000-ffffffffffffffff : x : y\n",
        ),
        ("hugepages", "hugepages-2048kB"),
    ];
    files.map(|(name, text)| (name, text.into())).into()
}

pub(super) fn host() -> Vec<Seed> {
    let of = |files: &[(&str, &str)]| -> Vec<u8> {
        let part = |(name, text): &(&str, &str)| format!("== {name}\n{text}");
        files.iter().map(part).collect::<String>().into()
    };
    // Of 3.10, where vmalloc memory is address space, and stacks are not in it.
    let old = MEMINFO
        .replace("VmallocUsed:       50000", "VmallocUsed:     8500000")
        .replace("VmallocChunk:          0", "VmallocChunk: 34350000000");
    vec![
        ("meminfo-alone", of(&[("meminfo", MEMINFO)])),
        ("meminfo-3.10", of(&[("meminfo", &old)])),
        (
            "all",
            of(&[
                ("meminfo", MEMINFO),
                ("vmallocinfo", VMALLOCINFO),
                ("zoneinfo", ZONEINFO),
                ("vmstat", VMSTAT),
                ("modules", MODULES),
                ("version", VERSION),
                ("allocinfo", ALLOCINFO),
                ("page_owner", PAGE_OWNER_STACKS),
            ]),
        ),
    ]
}

pub(super) fn report() -> Vec<Seed> {
    let error = r#"{"schema": "pagehound.error/1", "tool_version": "0.1.0", "error": "too small"}"#;
    let other = r#"{"schema": "pagehound.report/2", "tool_version": "9.0.0"}"#;
    vec![
        ("reference", REFERENCE.into()),
        ("error", error.into()),
        ("of-another-schema", other.into()),
    ]
}

const VMCOREINFO: &str = "OSRELEASE=6.1.0-56-cloud-amd64\nBUILD-ID=0123456789abcdef0123456789abcdef01234567\n\
    PAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff82a1a4c0\nSYMBOL(swapper_pg_dir)=ffffffff82a10000\n\
    SYMBOL(_stext)=ffffffff81000000\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.lru)=8\n\
    LENGTH(zone.free_area)=11\nLENGTH(mem_section)=2048\nNUMBER(phys_base)=-16777216\n\
    NUMBER(kimage_voffset)=0xffff7fffc0000000\nNUMBER(PG_slab)=9\nKERNELOFFSET=1c00000\nCRASHTIME=1700000000\n";

pub(super) fn vmcoreinfo() -> Vec<Seed> {
    // In a page of its own, and as the note that the kernel keeps ready.
    let mut memory = vec![0; 4096];
    memory.extend(VMCOREINFO.bytes());
    memory.resize(3 * 4096 - 40, 0);
    memory.extend(11u32.to_le_bytes());
    memory.extend((VMCOREINFO.len() as u32).to_le_bytes());
    memory.extend(0u32.to_le_bytes());
    memory.extend(b"VMCOREINFO\0\0");
    memory.extend(VMCOREINFO.bytes());
    vec![("text", VMCOREINFO.into()), ("memory", memory)]
}

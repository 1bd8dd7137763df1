//! Kernels of other times and configurations. The meminfos are made up; which fields
//! exist and what they mean is taken from the kernels' sources.

use super::super::HostFiles;
use super::{consistent, missed, of_meminfo, row_kb};

/// 16,000,000 kB in all; 1,000,000 kB of it in no other field. Pages of 4 KiB: not all
/// counters are multiples of 16 kB.
const COMMON: &str = "MemTotal: 16000000 kB\nMemFree: 8000004 kB\nBuffers: 100000 kB\nCached: 4000000 kB\n\
    SwapCached: 0 kB\nActive: 3100000 kB\nInactive: 2000000 kB\nUnevictable: 0 kB\nAnonPages: 1000000 kB\n\
    Shmem: 200000 kB\nSlab: 1800000 kB\nSReclaimable: 800000 kB\nSUnreclaim: 1000000 kB\nPageTables: 79996 kB\n\
    KernelStack: 20000 kB\nBounce: 0 kB\n";

fn host(more: &str) -> HostFiles {
    of_meminfo(&format!("{COMMON}{more}"))
}

/// What [`COMMON`] leaves, stacks subtracted: 16,000,000 less all its fields.
const LEFT: i64 = 1_000_000;

/// Areas of `stacks` stacks of 16 KiB and one of 1,000 pages.
fn areas(stacks: usize) -> Option<Vec<u8>> {
    let stack = "0x0-0x0   20480 _do_fork+0xe4/0x3a0 pages=4 vmalloc N0=4\n";
    let other = "0x0-0x0 4100096 alloc_large_system_hash+0x1/0x2 pages=1000 vmalloc N0=1000\n\
        0x0-0x0 8589938688 pci_iomap+0x1/0x2 phys=0xa0000000 ioremap\n";
    Some((stack.repeat(stacks) + other).into_bytes())
}

#[test]
fn before_4_4_vmalloc_used_is_address_space() {
    // 3.10: 8 GiB of device memory make up most of it; stacks are not in it.
    let mut files = host(
        "VmallocTotal: 34359738367 kB\nVmallocUsed: 8500000 kB\nVmallocChunk: 34350000000 kB\n",
    );
    let (classic, ledger) = consistent(&files);
    assert_eq!(classic.unaccounted_kb, LEFT - 8_500_000);
    assert_eq!(classic.corrected_kb, classic.unaccounted_kb);
    assert!(ledger.unaccounted_bytes < 0);
    let note = ledger
        .rows
        .iter()
        .find(|row| row.name == "vmalloc")
        .unwrap()
        .note
        .clone();
    assert!(note.unwrap().contains("address space"));

    files.vmallocinfo = areas(0);
    let (classic, ledger) = consistent(&files);
    assert_eq!(row_kb(&ledger, "vmalloc"), 4_000);
    assert_eq!(row_kb(&ledger, "kernel stacks"), 20_000);
    assert_eq!(classic.unaccounted_kb, LEFT - 8_500_000);
    assert_eq!(missed(&classic, "vmalloc").unwrap().kb, 8_500_000 - 4_000);
    assert_eq!(classic.corrected_kb, LEFT - 4_000);
}

/// RHEL 7: the Percpu field of 4.20 on a 3.10 that counts address space.
#[test]
fn a_backported_field_does_not_make_a_new_kernel() {
    let files = host("VmallocUsed: 30000 kB\nVmallocChunk: 34350000000 kB\nPercpu: 5000 kB\n");
    let (classic, ledger) = consistent(&files);
    assert_eq!(row_kb(&ledger, "kernel stacks"), 20_000);
    assert_eq!(row_kb(&ledger, "vmalloc"), 30_000);
    assert_eq!(classic.corrected_kb, LEFT - 30_000 - 5_000);
}

#[test]
fn from_4_4_to_5_2_vmallocinfo_replaces_a_zero() {
    let zero = "VmallocTotal: 34359738367 kB\nVmallocUsed: 0 kB\nVmallocChunk: 0 kB\n";
    let mut files = host(zero);
    let (classic, ledger) = consistent(&files);
    assert_eq!(classic.unaccounted_kb, LEFT);
    let note = ledger
        .rows
        .iter()
        .find(|row| row.name == "vmalloc")
        .unwrap()
        .note
        .clone();
    assert!(note.unwrap().contains("4.4 to 5.2"));

    // VMAP_STACK (4.9): 1,250 stacks, of which KernelStack is the same memory.
    files.vmallocinfo = areas(1250);
    let (classic, ledger) = consistent(&files);
    let step = classic
        .steps
        .iter()
        .find(|step| step.name == "VmallocUsed")
        .unwrap();
    assert_eq!(step.kb, 20_000 + 4_000);
    assert!(step.source.contains("vmallocinfo"), "{step:?}");
    assert_eq!(classic.unaccounted_kb, LEFT - 24_000);
    assert_eq!(missed(&classic, "kernel stacks").unwrap().kb, 20_000);
    assert_eq!(
        (row_kb(&ledger, "kernel stacks"), row_kb(&ledger, "vmalloc")),
        (20_000, 4_000)
    );
    assert_eq!(classic.corrected_kb, LEFT - 4_000);

    // The same kernel without VMAP_STACK.
    files.vmallocinfo = areas(0);
    let (classic, _) = consistent(&files);
    assert_eq!(classic.corrected_kb, LEFT - 4_000);
    assert_eq!(classic.unaccounted_kb, classic.corrected_kb);
}

#[test]
fn a_new_kernel_without_vmap_stack_counts_nothing_twice() {
    let mut files = host("VmallocUsed: 4000 kB\nVmallocChunk: 0 kB\nPercpu: 5000 kB\n");
    files.vmallocinfo = areas(0);
    let (classic, ledger) = consistent(&files);
    assert_eq!(
        (row_kb(&ledger, "kernel stacks"), row_kb(&ledger, "vmalloc")),
        (20_000, 4_000)
    );
    // No chunk of percpu memory in vmallocinfo: Percpu is the boot-time one.
    assert_eq!(row_kb(&ledger, "percpu"), 0);
    assert_eq!(classic.corrected_kb, LEFT - 4_000);
    // Without vmallocinfo: 4,000 kB cannot hold 20,000 kB of stacks.
    files.vmallocinfo = None;
    let (classic, _) = consistent(&files);
    assert_eq!(classic.corrected_kb, LEFT - 4_000 - 5_000);
}

#[test]
fn huge_pages_of_other_sizes() {
    let more = "HugePages_Total: 10\nHugepagesize: 2048 kB\n";
    let (classic, _) = consistent(&host(more));
    assert_eq!(classic.corrected_kb, LEFT - 20_480);
    // 4.16 and later: 10 of 2 MiB and one of 1 GiB.
    let field = format!("{more}Hugetlb: {} kB\n", 20_480 + 1_048_576);
    let (classic, _) = consistent(&host(&field));
    assert_eq!(classic.unaccounted_kb, LEFT - 20_480);
    assert_eq!(missed(&classic, "huge pages").unwrap().kb, -1_048_576);
    // Earlier kernels: /sys has all sizes.
    let mut files = host(more);
    files.hugepages = Some(vec![
        pagehound_procfs::HugepagePool {
            page_size: 2 << 20,
            total: 10,
            free: 0,
        },
        pagehound_procfs::HugepagePool {
            page_size: 1 << 30,
            total: 1,
            free: 1,
        },
    ]);
    let (classic, _) = consistent(&files);
    assert_eq!(missed(&classic, "huge pages").unwrap().kb, -1_048_576);
}

#[test]
fn a_swap_cache_page_that_is_mapped_counts_once() {
    // LRU lists hold 5,100,000 kB: all of Cached, Buffers and AnonPages.
    let swapped = |kb: u64, lru: u64| {
        let text = COMMON
            .replace("SwapCached: 0", &format!("SwapCached: {kb}"))
            .replace("Active: 3100000", &format!("Active: {lru}"));
        consistent(&of_meminfo(&text)).0
    };
    // All of it mapped; none of it mapped; half.
    assert_eq!(swapped(60_000, 3_100_000).corrected_kb, LEFT);
    assert_eq!(swapped(60_000, 3_160_000).corrected_kb, LEFT - 60_000);
    assert_eq!(swapped(60_000, 3_130_000).corrected_kb, LEFT - 30_000);
    // The lists never make it more than there is, or less than nothing.
    assert_eq!(swapped(60_000, 3_900_000).corrected_kb, LEFT - 60_000);
    assert_eq!(swapped(60_000, 3_000_000).corrected_kb, LEFT);
}

#[test]
fn pages_on_lru_lists_that_nothing_accounts_for_are_pointed_out() {
    let text = COMMON.replace("Inactive: 2000000", "Inactive: 2900000");
    let (_, ledger) = consistent(&of_meminfo(&text));
    assert!(
        ledger
            .notes
            .iter()
            .any(|note| note.starts_with("900000 kB on the LRU lists"))
    );
    let (_, ledger) = consistent(&host(""));
    assert!(!ledger.notes.iter().any(|note| note.contains("LRU")));
}

#[test]
fn fields_of_new_kernels_count_and_overlaps_do_not() {
    let (classic, ledger) = consistent(&host(
        "KReclaimable: 810000 kB\nSecPageTables: 3000 kB\nGPUActive: 50000 kB\nGPUReclaim: 7000 kB\nZswap: 9000 kB\n\
         WritebackTmp: 100 kB\nUnaccepted: 600000 kB\nCmaFree: 64000 kB\nShadowCallStack: 400 kB\nNFS_Unstable: 8 kB\n\
         HardwareCorrupted: 4 kB\n",
    ));
    let counted = 10_000 + 3_000 + 50_000 + 7_000 + 9_000 + 100;
    assert_eq!(classic.unaccounted_kb, LEFT - 4);
    assert_eq!(classic.corrected_kb, LEFT - 4 - counted);
    for field in ["Unaccepted", "CmaFree", "ShadowCallStack", "NFS_Unstable"] {
        assert!(
            ledger.notes.iter().any(|note| note.starts_with(field)),
            "{field}"
        );
    }
}

#[test]
fn zram_is_in_vmstat_only() {
    let mut files = host("Zswap: 4000 kB\n");
    files.vmstat = Some(b"nr_free_pages 1\nnr_zspages 25000\n".to_vec());
    let (classic, ledger) = consistent(&files);
    assert_eq!(row_kb(&ledger, "zsmalloc"), 100_000);
    assert_eq!(classic.corrected_kb, LEFT - 100_000);
}

fn zones(managed: u64, present: u64) -> Option<Vec<u8>> {
    let text = format!(
        "Node 0, zone Normal\n  pages free 1\n present {present}\n managed {managed}\n  pagesets\n    cpu: 0\n count: 300\n"
    );
    Some(text.into_bytes())
}

#[test]
fn a_balloon_counts_where_its_pages_still_belong_to_mem_total() {
    let text = "Balloon: 400000 kB\n";
    let with = |zoneinfo: Option<Vec<u8>>, modules: &str| {
        let files = HostFiles {
            zoneinfo,
            modules: Some(modules.as_bytes().to_vec()),
            ..host(text)
        };
        let (classic, _) = consistent(&files);
        let pcp = if files.zoneinfo.is_some() { 1_200 } else { 0 };
        LEFT - pcp - classic.corrected_kb
    };
    // 100,000 kB are not managed: not the balloon's 400,000, whatever the driver.
    assert_eq!(
        with(zones(4_000_000, 4_025_000), "virtio_balloon 1 0 - Live 0x0"),
        400_000
    );
    // 500,000 kB are not managed: the balloon's may be among them.
    assert_eq!(
        with(zones(4_000_000, 4_125_000), "virtio_balloon 1 0 - Live 0x0"),
        0
    );
    assert_eq!(
        with(zones(4_000_000, 4_125_000), "vmw_balloon 1 0 - Live 0x0"),
        400_000
    );
    assert_eq!(with(zones(4_000_000, 4_125_000), ""), 0);
    // Virtio's stays in MemTotal where the host may have it deflated.
    let deflates = HostFiles {
        zoneinfo: zones(4_000_000, 4_125_000),
        modules: Some(b"virtio_balloon 1 0 - Live 0x0".to_vec()),
        balloon_deflates: true,
        ..host(text)
    };
    let (classic, _) = consistent(&deflates);
    assert_eq!(LEFT - 1_200 - classic.corrected_kb, 400_000);
    // Meminfo alone: it would fit, so it is taken to count.
    assert_eq!(with(None, ""), 400_000);
    // It would not fit.
    let (classic, _) = consistent(&host("Balloon: 2000000 kB\n"));
    assert_eq!(classic.corrected_kb, LEFT);
}

#[test]
fn pages_of_64_kib() {
    let mut files = host("VmallocUsed: 0 kB\nVmallocChunk: 0 kB\n");
    files.zoneinfo = zones(250_000, 250_000);
    files.vmallocinfo = areas(0);
    let (classic, ledger) = consistent(&files);
    assert_eq!(ledger.page_size, 65536);
    assert_eq!(row_kb(&ledger, "free, on per-CPU lists"), 19_200);
    assert_eq!(row_kb(&ledger, "vmalloc"), 64_000);
    assert_eq!(classic.unaccounted_pages, (LEFT - 64_000) / 64);
}

#[test]
fn files_of_another_machine_are_left_out_with_a_note() {
    let mut files = host("");
    files.zoneinfo = zones(1_234_567, 1_300_000);
    files.vmstat = Some(b"nr_zspages 25000\n".to_vec());
    let (classic, ledger) = consistent(&files);
    assert_eq!(classic.corrected_kb, LEFT);
    assert!(
        ledger.notes[0].contains("another machine"),
        "{:?}",
        ledger.notes
    );
}

#[test]
fn broken_companions_are_left_out_with_a_note_that_names_the_line() {
    let mut files = host("VmallocUsed: 0 kB\n");
    files.zoneinfo = Some(b"nonsense\n".to_vec());
    files.vmallocinfo = Some(b"0x0-0x0 4096 pages=1 vmalloc\nnonsense\n".to_vec());
    files.vmstat = Some(b"nr_zspages x\n".to_vec());
    let (classic, ledger) = consistent(&files);
    assert_eq!(classic.corrected_kb, LEFT);
    for start in [
        "zoneinfo, line 1:",
        "vmallocinfo, line 2:",
        "vmstat, line 1:",
    ] {
        assert!(
            ledger.notes.iter().any(|note| note.starts_with(start)),
            "{start}"
        );
    }
}

#[test]
fn a_counter_below_zero_is_not_believed() {
    let files = HostFiles {
        vmallocinfo: areas(1250),
        ..host("VmallocUsed: 18446744073709549568 kB\nVmallocChunk: 0 kB\n")
    };
    let (classic, _) = consistent(&files);
    assert_eq!(classic.corrected_kb, LEFT - 4_000);
    assert!(classic.notes[0].starts_with("VmallocUsed is 18446744073709549568"));
}

#[test]
fn what_is_no_meminfo_is_an_error_that_says_what_is_wrong() {
    for (text, says) in [
        ("", "no MemTotal"),
        ("MemTotal: 5\nMemFree: 1 kB\n", "no MemTotal"),
        ("MemTotal: 5 kB\n", "no MemFree"),
        (
            "MemTotal: 99999999999999999 kB\nMemFree: 1 kB\n",
            "more than any machine has",
        ),
        ("MemTotal: 5 kB\nhello\n", "line 2"),
    ] {
        let error = super::ledger(&of_meminfo(text)).unwrap_err();
        assert!(error.to_string().contains(says), "{text:?}: {error}");
        assert!(super::classic(&of_meminfo(text)).is_err());
    }
}

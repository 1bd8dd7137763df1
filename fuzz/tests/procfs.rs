//! Whatever the bytes, no parser of `/proc` text panics, and an iterator ends after its
//! first error: the target of that name over texts that get past the first check.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pagehound_fuzz::TARGETS;
use pagehound_procfs as procfs;
use proptest::prelude::*;

/// Runs every parser over `text`; each row is looked at in full.
fn parse_all(text: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == "procfs");
    (target.unwrap().run)(text);
}

/// Words of all the grammars, so that lines get past the first check.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Node"),
        Just("0,"),
        Just("zone"),
        Just("DMA"),
        Just("pages"),
        Just("free"),
        Just("managed"),
        Just("pagesets"),
        Just("cpu:"),
        Just("count:"),
        Just("MemTotal:"),
        Just("kB"),
        Just(":"),
        Just("tunables"),
        Just("slabdata"),
        Just("0x0-0xffffffffffffffff"),
        Just("pages=18446744073709551615"),
        Just("pages=x"),
        Just("phys=0x1"),
        Just("vmalloc"),
        Just("Page allocated via order"),
        Just("\nPage allocated via order 1, mask 0x0, pid 1"),
        Just("\nPFN 0x1"),
        Just("\n f+0x1/0x2"),
        Just("\nnr_base_pages: 1"),
        Just("a.c:1"),
        Just("func:f"),
        Just("N0=3"),
        Just("N="),
        Just("f+0x1/0x2"),
        Just("[m]"),
        Just("0-ffffffffffffffff"),
        Just("Live"),
        Just("-"),
        Just("a,b,"),
        Just("(OE)"),
        Just("Linux"),
        Just("version"),
        Just("=="),
        Just("#"),
        Just("slabinfo"),
        Just("2.1"),
        Just("\nkey shmid cpid rss\n"),
        Just(" - tmpfs tmpfs rw"),
        Just("0:23 / /dev/shm"),
        Just("\\040"),
        Just("\npercpu: Embedded 18446744073709551615 pages/cpu"),
        Just("\npcpu-alloc: [0] 0 1 -"),
        Just("\nMemory: 1K/2K available (18446744073709551615K kernel code, 1K bss)"),
        Just("\nTCP: mem"),
        Just("\nFRAG: memory 18446744073709551615"),
        Just("\nsize 4 "),
        Just("\nmap_id:\t1\nmap_type:\t27\nmemlock:"),
        Just("\ndrm-driver: x\ndrm-client-id: 1\ndrm-total-gtt: 18446744073709551615 MiB"),
        Just("\n0-ffffffffffffffff rw-s 0 0:0 1 socket:[1]"),
        Just("\nf-0 rw-s 0 0:0 1 anon_inode:[perf_event]"),
        Just("\n"),
        Just("\n"),
        Just("\r\n"),
        Just("18446744073709551615"),
        Just("1"),
        Just("0"),
        Just("\u{e9}"),
        Just("\t"),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn bytes(text in prop::collection::vec(any::<u8>(), 0..400)) {
        parse_all(&text);
    }

    #[test]
    fn words_of_the_grammars(words in prop::collection::vec(word(), 0..60)) {
        parse_all(words.join(" ").as_bytes());
    }

    /// A good file with some bytes overwritten.
    #[test]
    fn damaged_files(at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        const GOOD: &str = "Node 0, zone      DMA\n  per-node stats\n      nr_zspages 3\n  pages free 1\n        managed 3840\n  \
            pagesets\n    cpu: 0\n              count: 7\n0x01-0x02   20480 kernel_clone+0x9b/0x3f0 pages=4 vmalloc N0=4\n\
            kmalloc-8 1 2 3 4 5 : tunables 0 0 0 : slabdata 6 7 8\n00001000-0009fbff : System RAM\nMemTotal: 12 kB\n";
        let mut text = GOOD.as_bytes().to_vec();
        for (index, byte) in at {
            let index = index.index(text.len());
            text[index] = byte;
        }
        parse_all(&text);
        for line in text.split(|&byte| byte == b'\n') {
            parse_all(line);
        }
    }
}

/// Trees that anybody made: every reader over files and folders with odd content.
mod trees {
    use super::*;
    use std::collections::BTreeMap;

    /// A tree of files with the same text, whatever is asked for.
    struct Everywhere(Vec<u8>);

    impl procfs::Tree for Everywhere {
        fn read(&self, _: &str, most: u64) -> Result<procfs::Text, procfs::Unread> {
            let bytes = self.0.iter().copied().take(most as usize).collect();
            Ok(procfs::Text { bytes, cut: false })
        }

        fn names(&self, _: &str) -> Result<Vec<String>, procfs::Unread> {
            let names = [
                "node0",
                "node4294967296",
                "zram0",
                "memory0",
                "cpu0",
                "hugepages-4kB",
                "",
            ];
            Ok(names.map(str::to_owned).to_vec())
        }

        fn link(&self, _: &str) -> Option<String> {
            String::from_utf8(self.0.clone()).ok()
        }

        fn resolve(&self, path: &str) -> Option<String> {
            Some(path.to_owned())
        }
    }

    proptest! {
        #[test]
        fn readers_of_folders(text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(word(), 0..20).prop_map(|words| words.join(" ").into_bytes()),
            Just(b"0xffffffffffffffff\n".to_vec()),
            Just(b"18446744073709551615 18446744073709551615 18446744073709551615\n".to_vec()),
            Just(b"System RAM\n".to_vec()),
        ]) {
            let tree = Everywhere(text);
            let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
            for rings in procfs::read_trace_rings(&tree).unwrap_or_default() {
                seen.insert(rings.bytes(4096), rings.bytes(u64::MAX));
            }
            let _ = procfs::read_zram(&tree);
            let _ = procfs::read_machine_memory(&tree);
            let _ = procfs::read_dmabufs(&tree);
            let _ = procfs::read_netdevs(&tree);
            let _ = procfs::read_module_builds(&tree);
            let _ = procfs::read_hugepages(&tree);
            for node in procfs::read_nodes(&tree) {
                let _ = procfs::meminfo(&node.meminfo);
            }
        }
    }
}

#[test]
fn a_very_long_line_and_very_many_lines_are_read_in_linear_time() {
    let long = [b"0x0-0x0 8192 ".as_slice(), &b"word ".repeat(1 << 18)].concat();
    parse_all(&long);
    let many = b"Node 0, zone DMA\n".repeat(1 << 16);
    assert_eq!(procfs::zoneinfo(&many).unwrap().len(), 1 << 16);
}

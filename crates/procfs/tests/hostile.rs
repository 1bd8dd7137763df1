//! Whatever the bytes, no parser panics, and an iterator ends after its first error.

use pagehound_procfs as procfs;
use proptest::prelude::*;

/// Runs every parser over `text`; each row is looked at in full.
fn parse_all(text: &[u8]) {
    fn drain<T>(rows: procfs::Rows<'_, T>, mut see: impl FnMut(&T)) {
        let mut errors = 0;
        for row in rows {
            assert_eq!(errors, 0, "a row after an error");
            match row {
                Ok(row) => see(&row),
                Err(error) => {
                    assert!(error.line > 0 && error.content.len() <= 300, "{error}");
                    errors += 1;
                }
            }
        }
    }
    if let Ok(info) = procfs::meminfo(text) {
        info.fields.iter().for_each(|field| {
            assert!(info.kb(field.name).is_some() || info.count(field.name).is_some());
        });
    }
    if let Ok(zones) = procfs::zoneinfo(text) {
        for zone in &zones {
            let _ = zone.stat("nr_zspages");
        }
    }
    drain(procfs::vmallocinfo(text), |area| {
        let _ = (area.function(), area.nodes().count());
    });
    drain(procfs::buddyinfo(text), |zone| {
        let _ = zone.pages();
    });
    drain(procfs::slabinfo(text), |cache| {
        let _ = cache.pages();
    });
    drain(procfs::iomem(text), |range| {
        assert!(range.start <= range.end);
    });
    drain(procfs::modules(text), |module| {
        let _ = module.used_by().count();
    });
    drain(procfs::vmstat(text), |_| {});
    drain(procfs::allocinfo(text), |site| {
        assert!(!site.function.is_empty());
    });
    let mut errors = 0;
    for row in procfs::page_owner(text) {
        assert_eq!(errors, 0, "a row after an error");
        match row {
            Ok(row) => assert!(row.stack().count() <= text.len()),
            Err(_) => errors += 1,
        }
    }
    let _ = procfs::version(text);
    let _ = procfs::lockdown(text);
    if let Some(place) = procfs::vmcoreinfo_place(text) {
        assert!(place.start < place.end);
    }
    let _ = procfs::looks_like_meminfo(text);
    let total: usize = procfs::sections(text).map(|part| part.text.len()).sum();
    assert!(total <= text.len());
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

#[test]
fn a_very_long_line_and_very_many_lines_are_read_in_linear_time() {
    let long = [b"0x0-0x0 8192 ".as_slice(), &b"word ".repeat(1 << 18)].concat();
    parse_all(&long);
    let many = b"Node 0, zone DMA\n".repeat(1 << 16);
    assert_eq!(procfs::zoneinfo(&many).unwrap().len(), 1 << 16);
}

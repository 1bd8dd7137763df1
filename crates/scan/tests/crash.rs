//! Searches of real dumps against what crash prints for them; see
//! `tests/fixtures/crash/README.md` for its commands.

#![cfg(feature = "corpus")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::io::Read;
use std::ops::ControlFlow;

use flate2::read::GzDecoder;

use pagehound_scan::{End, Found, Pass, Pattern, PatternSet, Width, search};

const SMALL: &str = "bond-leak-6.1-x86_64-d31-lzo";
const LARGE: &str = "bond-leak-6.1-x86_64";

/// Lines that crash printed: addresses and the text after the colon.
fn crash(dump: &str, command: &str) -> Vec<(u64, String)> {
    let path = pagehound_testdata::root().join("tests/fixtures/crash");
    let plain = path.join(format!("{dump}.{command}.txt"));
    let text = std::fs::read(&plain).unwrap_or_else(|_| {
        let packed = std::fs::read(plain.with_extension("txt.gz")).expect("fixture");
        let mut text = Vec::new();
        GzDecoder::new(packed.as_slice())
            .read_to_end(&mut text)
            .expect("gzip");
        text
    });
    String::from_utf8_lossy(&text)
        .lines()
        .map(|line| {
            let (address, rest) = line.split_once(": ").expect("address: value");
            let address = u64::from_str_radix(address, 16).expect("hex address");
            (address, rest.trim_end().to_owned())
        })
        .collect()
}

/// Physical addresses and words (bytes: empty) that our search finds.
fn ours(dump: &str, patterns: &[Pattern]) -> Vec<(u64, String)> {
    let path = pagehound_testdata::corpus(&format!("{dump}.kdump"));
    let dump = pagehound_vmcore::open(&path).unwrap_or_else(|error| panic!("{error}"));
    let memory = dump.memory.as_ref();
    let set = PatternSet::compile(patterns, None, memory.page_size()).expect("patterns");
    let mut lines = Vec::new();
    let tally = search(
        &Pass::new(memory),
        &set,
        |_| true,
        |matches| {
            lines.extend(matches.iter().map(|found| {
                let address = found.pfn.addr(memory.page_shift()).0 + u64::from(found.offset);
                match found.found {
                    Found::Word(word) => (address, format!("{word:x}")),
                    Found::Bytes(_) => (address, String::new()),
                }
            }));
            ControlFlow::Continue(())
        },
    );
    assert_eq!(tally.end, End::Complete);
    assert_eq!((tally.seen, tally.unreadable), (tally.total, 0));
    assert_eq!(tally.total, memory.coverage().present);
    lines
}

fn value(value: &str, mask: Option<&str>, width: Width) -> Pattern {
    Pattern::parse_value(value, mask, width).expect("value")
}

fn assert_same(got: &[(u64, String)], want: &[(u64, String)]) {
    let differs = got.iter().zip(want).position(|(got, want)| got != want);
    if let Some(at) = differs {
        panic!("line {at}: {:x?} instead of {:x?}", got[at], want[at]);
    }
    assert_eq!(got.len(), want.len());
}

#[test]
fn masked_words_of_the_reference_case() {
    let mask = Some("0xffff000000000000");
    let pattern = [value("0000383e43966e24", mask, Width::W64)];
    for (dump, direct_map, lines) in [
        (SMALL, 0xff17_cdc9_4000_0000, 11_701),
        (LARGE, 0xff3b_5415_0000_0000, 14_093),
    ] {
        let got = ours(dump, &pattern);
        assert_eq!(got.len(), lines);
        assert_same(&got, &crash(dump, "search-p"));
        let mut virt = crash(dump, "search");
        virt.retain(|(address, _)| *address < 0xffff_ffff_0000_0000);
        let got: Vec<_> = got
            .into_iter()
            .map(|(address, word)| (direct_map + address, word))
            .collect();
        assert_same(&got, &virt);
    }
}

#[test]
fn smaller_words() {
    let exact = value("43966e24", None, Width::W32);
    assert_same(&ours(SMALL, &[exact]), &crash(SMALL, "search-p-w"));
    let masked = value("00006e24", Some("ffff0000"), Width::W32);
    assert_same(&ours(SMALL, &[masked]), &crash(SMALL, "search-p-w-m"));
    let half = value("3e43", None, Width::W16);
    assert_same(&ours(SMALL, &[half]), &crash(SMALL, "search-p-h"));
}

#[test]
fn texts() {
    let texts = ["NETDEV WATCHDOG", "e1000_main"];
    let got = ours(SMALL, &texts.map(|text| Pattern::text(text).expect("text")));
    let want = crash(SMALL, "search-p-c");
    assert!(
        want.iter()
            .all(|(_, line)| texts.iter().any(|text| line.starts_with(text)))
    );
    let addresses = |lines: &[(u64, String)]| lines.iter().map(|line| line.0).collect::<Vec<_>>();
    assert_eq!(addresses(&got), addresses(&want));
}

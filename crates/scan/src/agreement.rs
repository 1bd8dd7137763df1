//! One expectation, every path: borrowed and copied pages, one thread and
//! several, pages in and out of order, against what trying every position says.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pagehound_vmcore::{Fault, FaultReason, Pfn, PhysicalMemory};
use proptest::prelude::*;

use crate::testing::{Counter, Page, TestMemory, naive};
use crate::{End, Found, Match, Pass, Pattern, PatternSet, Tally, Width, search};

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// `memory` by every path that a pass can take.
fn paths(memory: &TestMemory) -> Vec<(String, TestMemory, NonZeroUsize)> {
    let mut paths = Vec::new();
    for backwards in [false, true] {
        for count in [1, 2, 5] {
            let memory = TestMemory {
                backwards,
                ..memory.clone()
            };
            let name = format!("backwards {backwards}, {count} threads");
            paths.push((name, memory, threads(count)));
        }
    }
    paths
}

/// Checks that a search by every path finds what the definition says, in file
/// order.
fn check(memory: &TestMemory, patterns: &[Pattern], at: Option<usize>, select: fn(Pfn) -> bool) {
    let set = PatternSet::compile(patterns, at, memory.page_size()).unwrap();
    let mut want_by_page: BTreeMap<u64, Vec<Match>> = BTreeMap::new();
    for pfn in memory.present().into_iter().filter(|pfn| select(Pfn(*pfn))) {
        let found = want_by_page.entry(pfn).or_default();
        for (pattern, index) in patterns.iter().zip(0..) {
            found.extend(naive(memory, pfn, pattern, index, at));
        }
        found.sort_by_key(|found| (found.offset, found.pattern));
    }
    for (name, memory, threads) in paths(memory) {
        let order = memory.present();
        let want: Vec<Match> = order
            .iter()
            .flat_map(|pfn| want_by_page.get(pfn).into_iter().flatten().copied())
            .collect();
        let progress = Counter::default();
        let mut got = Vec::new();
        let pass = Pass {
            threads,
            progress: &progress,
            ..Pass::new(&memory)
        };
        let tally = search(&pass, &set, select, |matches| {
            assert!(!matches.is_empty());
            got.extend_from_slice(matches);
            ControlFlow::Continue(())
        });
        assert_eq!(got, want, "{name}");
        check_tally(&memory, &tally, select);
        assert_eq!(progress.begun.into_inner(), order.len() as u64);
        assert_eq!(progress.read.into_inner(), tally.seen + tally.unreadable);
        assert_eq!(progress.skipped.into_inner(), tally.skipped);
        assert_eq!(progress.matches.into_inner(), want.len() as u64);
    }
}

fn check_tally(memory: &TestMemory, tally: &Tally, select: fn(Pfn) -> bool) {
    let present = memory.present();
    let chosen: Vec<u64> = present
        .iter()
        .copied()
        .filter(|pfn| select(Pfn(*pfn)))
        .collect();
    let mut broken: Vec<u64> = chosen
        .iter()
        .copied()
        .filter(|pfn| matches!(memory.pages.get(pfn), Some(Page::Broken)))
        .collect();
    broken.sort_unstable();
    assert_eq!(tally.end, End::Complete);
    assert_eq!(tally.total, present.len() as u64);
    assert_eq!(tally.skipped, (present.len() - chosen.len()) as u64);
    assert_eq!(tally.seen, (chosen.len() - broken.len()) as u64);
    assert_eq!(tally.bytes, tally.seen << memory.page_shift);
    assert_eq!(tally.unreadable, broken.len() as u64);
    let faults: Vec<u64> = tally.faults.iter().map(|(pfn, _)| pfn.0).collect();
    if broken.len() <= 64 {
        assert_eq!(faults, broken);
    } else {
        assert_eq!(faults.len(), 64);
    }
    for (pfn, Fault { addr, reason }) in &tally.faults {
        assert_eq!(*addr, pfn.addr(memory.page_shift));
        assert_eq!(
            *reason,
            FaultReason::Unreadable("does not decompress".into())
        );
    }
}

fn everything(_: Pfn) -> bool {
    true
}

fn two_of_three(pfn: Pfn) -> bool {
    !pfn.0.is_multiple_of(3)
}

/// 300 pages of zeroes from frame 16 on, with a broken page, excluded pages and
/// a hole; a chunk has 64 pages.
fn holey() -> TestMemory {
    let pages = (16..316)
        .filter(|pfn| !(200..210).contains(pfn))
        .map(|pfn| {
            let page = match pfn {
                60 => Page::Broken,
                100..105 => Page::Excluded,
                _ => Page::Here(vec![0; 4096]),
            };
            (pfn, page)
        })
        .collect();
    TestMemory {
        page_shift: 12,
        pages,
        backwards: false,
    }
}

/// Places of interest in [`holey`]: edges of pages, chunks, runs and memory.
const EDGES: [u64; 10] = [16, 17, 59, 61, 80, 99, 105, 149, 199, 315];

fn reference_patterns() -> Vec<Pattern> {
    vec![
        Pattern::parse_value("0000383e43966e24", Some("0xffff000000000000"), Width::W64).unwrap(),
        Pattern::parse_value("43966e24", None, Width::W32).unwrap(),
        Pattern::parse_value("6e00", Some("ff"), Width::W16).unwrap(),
        Pattern::parse_range("0001000000000000..ffff383e43966e24").unwrap(),
        Pattern::parse_mac("24:6e:96:43:3e:38").unwrap(),
        Pattern::parse_hex("6e ?? 43 3?").unwrap(),
        Pattern::parse_hex("?4 6? 9?").unwrap(),
        Pattern::text(b"n\x96C>8\0").unwrap(),
        Pattern::text([0x38, 0, 0x24]).unwrap(),
    ]
}

#[test]
fn frames_are_found_at_every_edge_by_every_path() {
    let frame = [
        0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38, 0x00, 0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38,
    ];
    for shift in [0i64, -1, -3, -6, -7, -12, 2, 8, 0x7f3] {
        let mut memory = holey();
        for pfn in EDGES {
            memory.write(((pfn << 12) as i64 + shift) as u64, &frame);
            memory.write((((pfn + 1) << 12) as i64 + shift) as u64, &frame);
        }
        check(&memory, &reference_patterns(), None, everything);
        check(&memory, &reference_patterns(), None, two_of_three);
        if shift >= 0 && shift % 8 == 0 {
            check(
                &memory,
                &reference_patterns(),
                Some(shift as usize),
                everything,
            );
        }
        let bytes: Vec<Pattern> = reference_patterns().split_off(4);
        check(
            &memory,
            &bytes,
            Some((4096 + shift) as usize % 4096),
            two_of_three,
        );
    }
}

#[test]
fn values_alone_need_no_neighbours() {
    let mut memory = holey();
    for pfn in EDGES {
        memory.write((pfn << 12) + 4088, &0x2200_383e_4396_6e24_u64.to_le_bytes());
    }
    check(&memory, &reference_patterns()[..4], None, everything);
    check(&memory, &reference_patterns()[..1], Some(4088), everything);
    check(&memory, &[], None, everything);
}

#[test]
fn bytes_are_found_where_they_overlap() {
    let mut memory = holey();
    for start in [17 << 12, (80 << 12) - 3, (105 << 12) - 2] {
        memory.write(start, b"abababaaaa");
    }
    let texts = ["aa", "aba", "ababa"].map(|text| Pattern::text(text).unwrap());
    let wild = Pattern::parse_hex("61 ?? 61 6?").unwrap();
    check(&memory, &[&texts[..], &[wild]].concat(), None, everything);
}

#[test]
fn many_values_under_one_mask_are_told_apart() {
    for (width, mask) in [
        (Width::W16, 0xff00),
        (Width::W32, 0xffff_0000),
        (Width::W64, 0xffff_0000_0000_0000),
    ] {
        let mut memory = holey();
        let mut patterns = Vec::new();
        for i in 0..40u64 {
            // A few values are asked for twice, others never.
            let value = ((i % 35) * 0x0101_0101_0101) & width.max() & !mask;
            if i % 3 != 0 {
                patterns.push(Pattern::Value { value, mask, width });
            }
            let word = value | (i << 60);
            memory.write((17 << 12) + 3000 + 40 * i, &word.to_le_bytes());
        }
        check(&memory, &patterns, None, |pfn| pfn.0 == 17);
        check(&memory, &patterns, Some(3000), |pfn| pfn.0 < 20);
    }
}

#[test]
fn faults_are_counted_beyond_those_that_are_kept() {
    let mut memory = holey();
    for pfn in 110..190 {
        memory.pages.insert(pfn, Page::Broken);
    }
    check(&memory, &reference_patterns(), None, everything);
}

#[test]
fn large_pages_are_like_small_ones() {
    let page = |_| Page::Here(vec![0; 65536]);
    let pages = (3..12).map(|pfn| (pfn, page(pfn))).collect();
    let mut memory = TestMemory {
        page_shift: 16,
        pages,
        backwards: false,
    };
    for pfn in 3..12 {
        memory.write((pfn << 16) - 3, &[0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);
    }
    check(&memory, &reference_patterns(), None, everything);
    check(&memory, &reference_patterns()[4..], Some(65533), everything);
}

#[test]
fn nothing_present_gives_nothing() {
    let pages = BTreeMap::from([(7, Page::Excluded)]);
    let memory = TestMemory {
        page_shift: 12,
        pages,
        backwards: false,
    };
    check(&memory, &reference_patterns(), None, everything);
}

/// What is read together must not show: a page is a text, whichever pages lie
/// beside it.
#[test]
fn regular_expressions_see_each_page_as_a_text_of_its_own() {
    let mut memory = holey();
    let mut want = Vec::new();
    for (pfn, offset, text) in [
        (62, 4080, &b"eth0: Link is Up"[..]),
        (79, 0, b"eth1: Link is Up"),
        (80, 0, b"eth77: Link is Sideways"),
        (144, 0, b"eth2: Link is Up"),
        (20, 4000, b"eth3: Link is Up"),
    ] {
        memory.write((pfn << 12) + offset, text);
        want.push((pfn, offset as u32, Found::Bytes(text.len() as u32)));
    }
    // Goes on in the next page.
    memory.write((99 << 12) + 4090, b"eth4: Link is Up");
    want.sort_unstable_by_key(|(pfn, ..)| *pfn);
    let pattern = Pattern::Regex(r"eth\d+: Link is [A-Z]\w+".into());
    let set = PatternSet::compile(&[pattern], None, 4096).unwrap();
    for (name, memory, threads) in paths(&memory) {
        let mut got = Vec::new();
        search(
            &Pass {
                threads,
                ..Pass::new(&memory)
            },
            &set,
            everything,
            |matches| {
                got.extend(matches.iter().map(|m| (m.pfn.0, m.offset, m.found)));
                ControlFlow::Continue(())
            },
        );
        got.sort_unstable_by_key(|(pfn, ..)| *pfn);
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn expressions_begin_and_end_with_the_page() {
    let mut memory = holey();
    for pfn in 17..100u64 {
        memory.write(pfn << 12, b"RING");
        memory.write((pfn << 12) + 4092, b"TAIL");
    }
    for (text, at, offset, len) in [
        ("^RING", None, 0, 4),
        (r"\ARING", Some(0), 0, 4),
        ("TAIL$", None, 4092, 4),
        ("(?s)^RING.*$", None, 0, 4096),
        ("(?s)TAIL.*", Some(4092), 4092, 4),
    ] {
        let set = PatternSet::compile(&[Pattern::Regex(text.into())], at, 4096).unwrap();
        for (name, memory, threads) in paths(&memory) {
            let mut got = Vec::new();
            search(
                &Pass {
                    threads,
                    ..Pass::new(&memory)
                },
                &set,
                |pfn| (17..100).contains(&pfn.0),
                |matches| {
                    got.extend(matches.iter().map(|m| (m.pfn.0, m.offset, m.found)));
                    ControlFlow::Continue(())
                },
            );
            got.sort_unstable_by_key(|(pfn, ..)| *pfn);
            // Page 60 is broken.
            let want: Vec<_> = (17..100)
                .filter(|pfn| *pfn != 60)
                .map(|pfn| (pfn, offset, Found::Bytes(len)))
                .collect();
            assert_eq!(got, want, "{text} {name}");
        }
    }
}

#[test]
fn fold_visits_each_page_once_with_its_bytes() {
    let mut memory = holey();
    for pfn in 16..316u64 {
        memory.write(pfn << 12, &pfn.to_le_bytes());
    }
    for (name, memory, threads) in paths(&memory) {
        for select in [everything, two_of_three] {
            let progress = Counter::default();
            let pass = Pass {
                threads,
                progress: &progress,
                ..Pass::new(&memory)
            };
            let outcome = pass.fold(select, Vec::new, |seen: &mut Vec<u64>, pfn, page| {
                assert_eq!(page.len(), 4096);
                assert_eq!(
                    page.first_chunk().map(|b| u64::from_le_bytes(*b)),
                    Some(pfn.0)
                );
                seen.push(pfn.0);
            });
            assert!(outcome.states.len() <= threads.get());
            check_tally(&memory, &outcome.tally, select);
            assert_eq!(
                progress.read.into_inner(),
                outcome.tally.seen + outcome.tally.unreadable
            );
            let mut seen = outcome.states.concat();
            seen.sort_unstable();
            let mut want = memory.present();
            want.retain(|pfn| select(Pfn(*pfn)) && *pfn != 60);
            want.sort_unstable();
            assert_eq!(seen, want, "{name}");
        }
    }
}

#[test]
fn cancelling_keeps_what_was_found_and_says_how_much_was_seen() {
    for (name, memory, threads) in paths(&holey()) {
        let cancel = AtomicBool::new(false);
        let visits = AtomicU64::new(0);
        let visit = |seen: &mut Vec<u64>, pfn: Pfn, _: &[u8]| {
            seen.push(pfn.0);
            if visits.fetch_add(1, Ordering::Relaxed) == 100 {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let visit_run = |seen: &mut Vec<u64>, first: Pfn, run: &mut Vec<u8>| {
            for (pfn, page) in (first.0..).zip(run.chunks_exact(4096)) {
                visit(seen, Pfn(pfn), page);
            }
        };
        let pass = Pass {
            threads,
            cancel: &cancel,
            ..Pass::new(&memory)
        };
        let outcome = pass.fold(everything, Vec::new, visit);
        assert_eq!(outcome.tally.end, End::Cancelled, "{name}");
        assert_eq!(outcome.states.concat().len() as u64, outcome.tally.seen);
        assert!(
            (101..250).contains(&outcome.tally.seen),
            "{name}: {}",
            outcome.tally.seen
        );

        cancel.store(false, Ordering::Relaxed);
        visits.store(0, Ordering::Relaxed);
        let mut got = Vec::new();
        let tally = pass.ordered(everything, Vec::new, visit_run, std::mem::take, |part| {
            got.extend(part);
            ControlFlow::Continue(())
        });
        assert_eq!(tally.end, End::Cancelled, "{name}");
        assert_eq!(got.len() as u64, tally.seen);
        let order = memory.present();
        let places: Vec<_> = got
            .iter()
            .map(|pfn| order.iter().position(|p| p == pfn))
            .collect();
        assert!(places.is_sorted(), "{name}");

        let tally = search(
            &pass,
            &PatternSet::compile(&[], None, 4096).unwrap(),
            everything,
            |_| panic!("nothing to find"),
        );
        assert_eq!((tally.end, tally.seen), (End::Cancelled, 0), "{name}");
    }
}

#[test]
fn a_sink_that_breaks_gets_nothing_more() {
    let mut memory = holey();
    for pfn in 16..316u64 {
        memory.write((pfn << 12) + 16, b"found");
    }
    let set = PatternSet::compile(&[Pattern::text("found").unwrap()], None, 4096).unwrap();
    for (name, memory, threads) in paths(&memory) {
        let calls = Mutex::new(0);
        let tally = search(
            &Pass {
                threads,
                ..Pass::new(&memory)
            },
            &set,
            everything,
            |matches| {
                *calls.lock().unwrap() += matches.len();
                ControlFlow::Break(())
            },
        );
        assert_eq!(tally.end, End::Stopped, "{name}");
        assert_eq!(*calls.lock().unwrap() as u64, tally.seen, "{name}");
        assert!(tally.seen + tally.unreadable == 64, "{name}: one chunk");
    }
}

/// Bytes of few kinds, so that short patterns turn up and overlap.
fn dull_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x24, 0xff]), len)
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let width = prop::sample::select(vec![Width::W16, Width::W32, Width::W64]);
    let value = (dull_bytes(8), dull_bytes(8), width).prop_map(|(value, mask, width)| {
        let word = |bytes: Vec<u8>| {
            bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)) & width.max()
        };
        // At least one bit of one byte has to matter.
        Pattern::Value {
            value: word(value),
            mask: word(mask) & !0x10,
            width,
        }
    });
    let range = (dull_bytes(8), 1u64..1 << 50).prop_map(|(start, len)| {
        let start = start.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)) >> 1;
        Pattern::Range(start..start + len)
    });
    let care = prop::collection::vec(prop::sample::select(vec![0u8, 0xf, 0xf0, 0xff, 0xff]), 1..6);
    let bytes = (dull_bytes(6), care).prop_map(|(bytes, mut care)| {
        care[0] |= 1;
        let byte = |(value, care)| crate::MaskedByte { value, care };
        Pattern::Bytes(bytes.into_iter().zip(care).map(byte).collect())
    });
    prop_oneof![value, range, bytes]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_patterns_in_any_memory(
        bytes in prop::collection::vec((0u64..12, dull_bytes(64)), 0..20),
        missing in prop::collection::vec((0u64..12, any::<bool>()), 0..3),
        patterns in prop::collection::vec(any_pattern(), 1..6),
        at in prop::option::of((0usize..8).prop_map(|at| at * 8)),
    ) {
        // Pages of 64 bytes: one block each.
        let mut memory = TestMemory {
            page_shift: 6,
            pages: bytes.into_iter().map(|(pfn, bytes)| (pfn, Page::Here(bytes))).collect(),
            backwards: false,
        };
        for (pfn, broken) in missing {
            memory.pages.insert(pfn, if broken { Page::Broken } else { Page::Excluded });
        }
        check(&memory, &patterns, at, everything);
        check(&memory, &patterns, at, two_of_three);
    }

    #[test]
    fn one_page_of_any_length(
        page in (0usize..300).prop_flat_map(dull_bytes),
        patterns in prop::collection::vec(any_pattern(), 1..6),
    ) {
        let set = PatternSet::compile(&patterns, None, 4096).unwrap();
        let mut got = Vec::new();
        set.find(&page, Pfn(0), &mut got);
        let pages = BTreeMap::from([(0, Page::Here(page))]);
        let memory = TestMemory { page_shift: 12, pages, backwards: false };
        let mut want = Vec::new();
        for (pattern, index) in patterns.iter().zip(0..) {
            want.extend(naive(&memory, 0, pattern, index, None));
        }
        want.sort_by_key(|found| (found.offset, found.pattern));
        prop_assert_eq!(got, want);
    }
}

//! What units agree on, byte by byte.

use super::*;
use crate::testing::DEMO;

#[test]
fn nine_of_ten_make_a_majority() {
    let bytes = |same: usize, other: u8| {
        (0..same)
            .map(|_| 7)
            .chain((0..100 - same).map(move |at| other.wrapping_add(at as u8)))
    };
    assert_eq!(majority(bytes(90, 100)), Some(7));
    assert_eq!(majority(bytes(89, 100)), None);
    assert_eq!(majority(std::iter::empty()), None);
}

/// A page of which `text` is fixed: `.` varies, `0` is zero, others stand for
/// themselves.
fn fixed(text: &str) -> Vec<Option<u8>> {
    text.bytes()
        .map(|byte| match byte {
            b'.' => None,
            b'0' => Some(0),
            byte => Some(byte),
        })
        .collect()
}

#[test]
fn runs_begin_and_end_with_a_byte_that_says_something() {
    assert_eq!(runs(&fixed("00abcd00....")), [(2, 6)]);
    // Up to six bytes may vary inside.
    assert_eq!(runs(&fixed("abcd......efgh")), [(0, 14)]);
    assert_eq!(runs(&fixed("abcd.......efgh")), [(0, 4), (11, 15)]);
    // Three bytes are chance, and so is fill.
    assert_eq!(runs(&fixed("..abc..........")), []);
    assert_eq!(runs(&fixed("aaaaaaaaaaaaaaaa")), []);
    assert_eq!(runs(&[]), []);
}

#[test]
fn no_run_is_longer_than_a_line() {
    let long: String = (0..200).map(|at| char::from(b'A' + at % 26)).collect();
    let runs = runs(&fixed(&long));
    assert!(runs.iter().all(|(start, end)| end - start <= LONGEST));
    assert_eq!(runs.first(), Some(&(0, LONGEST)));
    // All of it is told, run by run.
    assert!(runs.windows(2).all(|pair| pair[0].1 == pair[1].0));
}

/// The module filled each block with `LABRING2 of <its frame in 8 digits>\n`.
#[test]
fn planted_blocks_agree_on_their_text_and_not_on_their_numbers() {
    let blocks = DEMO.of_kind("order2");
    let patterns = patterns(&DEMO.kernel, blocks.len(), blocks.into_iter());
    let first = patterns.first().unwrap();
    assert_eq!(first.offset, 0);
    // "LABRING2 of 0000", then what differs from block to block.
    assert!(
        first.bytes.starts_with(&b"LABRING2 of 0000".map(Some)),
        "{first:?}"
    );
    assert!(first.bytes.ends_with(&[None, Some(b'\n')]), "{first:?}");
    assert!(first.share > 0.9);
    assert!(patterns.len() <= PATTERNS);
}

#[test]
fn one_unit_agrees_with_nobody() {
    let one = &DEMO.of_kind("order2")[..1];
    assert_eq!(patterns(&DEMO.kernel, 1, one.iter().copied()).len(), 0);
}

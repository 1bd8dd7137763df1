//! What `why` says of pages, against what crash and drgn answered to the lines that it
//! prints for them: `cargo xtask evidence` has typed these into both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_testdata::evidence::{Answer, PageAnswers, compare, lines, parse};
use pagehound_testdata::{Fate, Truth, demo, fate, kind_name, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

fn answered() -> Vec<PageAnswers> {
    let path = root().join("tests/fixtures/why/demo.txt");
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).unwrap()
}

fn why(pfn: u64, args: &[&str]) -> String {
    let mut command = Command::cargo_bin("pagehound").unwrap();
    let command = command.arg("why").arg(demo()).arg(pfn.to_string());
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The pages with their answers, and what `why` says of each; asking takes a second.
fn pages() -> &'static [(PageAnswers, Value)] {
    static PAGES: LazyLock<Vec<(PageAnswers, Value)>> = LazyLock::new(|| {
        let told = |page: PageAnswers| {
            let text = why(page.pfn, &["--json", "--show-content"]);
            (page, serde_json::from_str(&text).unwrap())
        };
        answered().into_iter().map(told).collect()
    });
    &PAGES
}

#[test]
fn claims_are_what_crash_and_drgn_answer() {
    let (mut compared, mut answers) = (0, 0);
    for (page, facts) in pages() {
        compared += compare(facts, page).unwrap();
        answers += page.answers.len();
    }
    assert_eq!(compared, answers);
    // Of every kind that the guest planted there is a page.
    let truth = Truth::beside(&demo());
    let asked: BTreeSet<u64> = pages().iter().map(|(page, _)| page.pfn).collect();
    for kind in truth.planted().map(|block| block.kind) {
        let mut planted = truth.pages(kind).into_iter();
        assert!(planted.any(|pfn| asked.contains(&pfn)), "kind {kind}");
    }
}

/// Whatever words crash finds, none that counts names a lost page.
#[test]
fn crash_finds_no_word_for_lost_pages_but_what_does_not_count() {
    let truth = Truth::beside(&demo());
    let mut seen = BTreeSet::new();
    for (page, facts) in pages() {
        let planted = truth.planted().find(|planted| {
            let pages = planted.pfn..planted.pfn + (1 << planted.order);
            pages.contains(&page.pfn)
        });
        let Some(planted) = planted.filter(|planted| fate(planted.kind) == Some(Fate::Lost)) else {
            continue;
        };
        let words = facts["named_by"]["words"].as_array().unwrap();
        let counting = words.iter().filter(|word| word["barred"].is_null());
        // Pages that lost sk_buffs alone name are lost through their cache.
        if kind_name(planted.kind) != "skb" {
            assert_eq!(counting.count(), 0, "{planted:?}");
        }
        seen.insert(planted.kind);
    }
    let kinds = truth.planted().map(|planted| planted.kind);
    let lost: BTreeSet<u32> = kinds
        .filter(|&kind| fate(kind) == Some(Fate::Lost))
        .collect();
    assert_eq!(seen, lost);
}

/// A claim that is not the tools' answer must be noticed.
#[test]
fn a_false_claim_is_noticed() {
    let found = pages().iter().find(|(page, _)| page.what == "array");
    let (page, why) = found.unwrap();
    assert!(compare(why, page).is_ok());
    for (pointer, value) in [
        ("/physical", Value::from("1000")),
        ("/page_struct/refcount", Value::from(2)),
        ("/page_struct/flags", Value::from("0")),
        ("/named_by/words/0/word", Value::from("ffff000000000000")),
        ("/named_by/words/0/at", Value::from("1000")),
        ("/held_by/1/names", Value::from(page.pfn + 1)),
        ("/content/0", Value::from("000: 00 00")),
        ("/reproduce/0/line", Value::from("vtop 0")),
    ] {
        let mut wrong = why.clone();
        *wrong.pointer_mut(pointer).expect(pointer) = value;
        assert!(compare(&wrong, page).is_err(), "{pointer}");
    }
    // An answer that lacks a word, as where a search finds less.
    let mut less = page.clone();
    let search =
        |answer: &&mut Answer| answer.line.starts_with("search") && !answer.text.is_empty();
    less.answers.iter_mut().find(search).unwrap().text.clear();
    assert!(compare(why, &less).is_err());
}

/// The text has the same lines as the JSON, each as it must be typed: a page that is
/// lost, one at the end of a chain, one with an owner.
#[test]
fn the_text_has_every_line_as_it_is_typed() {
    let asked = ["frames", "private", "pipe"];
    let asked = pages()
        .iter()
        .filter(|(page, _)| asked.contains(&page.what.as_str()));
    let mut seen = 0;
    for (page, facts) in asked {
        let text = why(page.pfn, &[]);
        let (_, blocks) = text.split_once("\nThe same in crash\n").unwrap();
        let (crash, drgn) = blocks.split_once("\nand in drgn\n").unwrap();
        let typed = |tool: &str, block: &str| {
            let lines = block.lines().filter(|line| !line.starts_with("# "));
            let lines = lines.map(|line| (tool.to_owned(), line.to_owned()));
            lines.collect::<Vec<_>>()
        };
        let printed = [typed("crash", crash), typed("drgn", drgn)].concat();
        let mut expected = lines(facts).unwrap();
        // Text has one tool after the other.
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(printed, expected);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

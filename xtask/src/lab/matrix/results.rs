//! The table, and lab/RESULTS.md around it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Cell, Named, Outcome};

/// What follows it was written by hand, and the next run keeps it.
const BY_HAND: &str = "<!-- Written by hand from here on; the next run keeps it. -->";

const LEGEND: &str = "\
A row is a dump; dumps of one guest follow each other. `missed`: planted lost pages that are not called lost, of all. `held`: pages that
something holds, called lost, of all. `beyond`: pages called lost that nobody planted. `apart`: pages called lost in this dump or in the first
of the same crash (all memory), but not in both. `owner`: drivers named for lost pages. `control`: pages of the control group that the census
missed. `ledger`: what was counted less what the kernel's own counter says, in pages; `page_table` has the kernel's own tables beyond the
counter, `slab` lacks the large `kmalloc()` blocks in it. `s`: seconds for the verdict. An `incomplete` dump was
cut short on purpose: the only goal is that nothing held is called lost.";

const NAMED: &str = "\
A row is one sort of held pages in the first dump of a guest. `type`: the kind planted, or the owner where the guest knows only how many pages
it has. `owner`: how the owner must be called; where a process has it open, with the number of the right process. `named`: pages with that
owner, of those planted; of an owner whose pages are all known, also those in all. The goal is within 1 %.";

/// The whole file; `before` is what it said until now.
pub(super) fn text(outcome: &Outcome, before: &str) -> String {
    let now = jiff::Timestamp::now().to_string();
    let date = now.split('T').next().unwrap_or_default();
    let versions: Vec<&str> = outcome.versions.iter().map(String::as_str).collect();
    let by_hand = before.split_once(BY_HAND).map_or("\n", |(_, rest)| rest);
    format!(
        "# What the lab found\n\n\
         Written by `cargo xtask lab matrix`, or by `lab rescore` from the dumps it kept, on {date}. {}.\n\n\
         {}\n\n{LEGEND}\n\n{}\n## Holders by name\n\n{NAMED}\n\n{}\n## What fell short\n\n{}\n{BY_HAND}{by_hand}",
        versions.join("; "),
        summary(outcome),
        table(&outcome.cells),
        names(&outcome.cells),
        shortfalls(outcome),
    )
}

/// How many dumps met their goals.
pub(super) fn summary(outcome: &Outcome) -> String {
    let cells = &outcome.cells;
    let met = cells.iter().filter(|cell| cell.missed().is_empty()).count();
    let sum = |number: fn(&Cell) -> u64| {
        let whole = cells.iter().filter(|cell| !cell.cut);
        whole.map(number).sum::<u64>()
    };
    let compared = cells.iter().filter_map(|cell| cell.apart);
    let (all, agree) = compared.fold((0, 0), |(all, agree), apart| {
        (all + 1, agree + u32::from(apart == 0))
    });
    format!(
        "{met} of {} dumps meet every goal; {} planned dumps were not taken; {} guests have no score. Found: {} of {} planted lost pages; called lost: {} of {} held ones, \
         and {} beyond the planted. {agree} of {all} filtered dumps name the same lost pages as the unfiltered one of their crash.",
        cells.len(),
        outcome.absent.len(),
        outcome.failed.len(),
        sum(|cell| cell.score.found),
        sum(|cell| cell.score.planted),
        sum(|cell| cell.score.held_called_lost),
        sum(|cell| cell.score.held),
        sum(|cell| cell.score.extra),
    )
}

/// A row a dump.
pub(super) fn table(cells: &[Cell]) -> String {
    let mut text = "| scenario | kernel | arch | dump | recall % | missed | held | beyond | apart | owner | verdict | control | ledger | s |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for cell in cells {
        text.push_str(&row(cell));
    }
    text
}

/// A row for each sort of held pages in the first dump of a guest.
fn names(cells: &[Cell]) -> String {
    let mut text = "| type | owner | kernel | arch | scenario | planted | named | in all |\n\
                    |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut seen = BTreeSet::new();
    let first = cells.iter().filter(|cell| {
        let guest = (&cell.kernel, &cell.arch, &cell.scenario);
        !cell.cut && seen.insert(guest)
    });
    let mut rows: Vec<(&Named, &Cell)> = first
        .flat_map(|cell| cell.named.iter().map(move |one| (one, cell)))
        .collect();
    rows.sort_by_key(|(one, _)| (&one.owner, &one.what));
    for (one, cell) in rows {
        let in_all = one.in_all.map_or("–".to_owned(), |all| all.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {in_all} |",
            one.what, one.owner, cell.kernel, cell.arch, cell.scenario, one.planted, one.named,
        );
    }
    text
}

fn row(cell: &Cell) -> String {
    let score = &cell.score;
    let ledger: Vec<String> = cell
        .ledger
        .iter()
        .map(|(class, difference)| format!("{class} {difference:+}"))
        .collect();
    let of = |part: u64, whole: u64| match whole {
        0 => "–".to_owned(),
        whole => format!("{part}/{whole}"),
    };
    let missed = score.planted.saturating_sub(score.found);
    let mut row = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        row,
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} |",
        cell.scenario,
        cell.kernel,
        cell.arch,
        cell.way,
        match score.planted {
            0 => "–".to_owned(),
            _ => format!("{:.2}", score.recall() * 100.0),
        },
        of(missed, score.planted),
        of(score.held_called_lost, score.held),
        score.extra,
        cell.apart
            .map_or_else(|| "–".to_owned(), |apart| apart.to_string()),
        match (cell.drivers.as_str(), cell.owner) {
            ("", Some(_)) => "none",
            ("", None) => "–",
            (drivers, _) => drivers,
        },
        cell.verdict,
        of(cell.control.0, cell.control.1),
        ledger.join(", "),
        cell.seconds,
    );
    row
}

/// What is not there or missed a goal, dumps with the same shortfall in one line.
pub(super) fn shortfalls(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (guest, reason) in &outcome.failed {
        let _ = writeln!(text, "- {guest}: no score: {reason}");
    }
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for (way, guest) in &outcome.absent {
        add(&mut lines, format!("not taken: {way}"), guest);
    }
    for cell in &outcome.cells {
        let missed = cell.missed();
        if missed.is_empty() {
            continue;
        }
        let (scenario, kernel, arch) = (&cell.scenario, &cell.kernel, &cell.arch);
        let line = format!("{scenario} {kernel} {arch}: {}", missed.join("; "));
        add(&mut lines, line, &cell.way);
    }
    for (line, of) in lines {
        let _ = writeln!(text, "- {line} ({})", of.join(", "));
    }
    if text.is_empty() {
        text.push_str("Nothing.\n");
    }
    text
}

/// Adds what `line` is true of to those of which it is true already.
fn add<'a>(lines: &mut Vec<(String, Vec<&'a str>)>, line: String, of: &'a str) {
    match lines.iter_mut().find(|(other, _)| *other == line) {
        Some((_, all)) => all.push(of),
        None => lines.push((line, vec![of])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::score::Score;

    fn cell(way: &str, found: u64) -> Cell {
        Cell {
            kernel: "6.1".into(),
            arch: "x86_64".into(),
            scenario: "bond".into(),
            way: way.into(),
            cut: false,
            score: Score {
                planted: 100,
                found,
                held: 10,
                held_called_lost: 0,
                extra: 3,
                extra_allowed: 32,
            },
            named: Vec::new(),
            control: (0, 50),
            verdict: "lost".into(),
            drivers: "e1000".into(),
            owner: Some(true),
            ledger: vec![("slab".into(), -3)],
            apart: None,
            seconds: 0.25,
        }
    }

    #[test]
    fn a_row_has_what_was_missed_of_what() {
        assert_eq!(
            row(&cell("qemu-elf", 99)),
            "| bond | 6.1 | x86_64 | qemu-elf | 99.00 | 1/100 | 0/10 | 3 | – | e1000 | lost | 0/50 | slab -3 | 0.2 |\n"
        );
    }

    #[test]
    fn names_are_of_the_first_dump_of_each_guest() {
        let mut first = cell("a", 100);
        first.named = vec![Named {
            what: "packet".into(),
            owner: "packet ring".into(),
            planted: 544,
            named: 540,
            in_all: Some(541),
        }];
        let other = cell("b", 100);
        let text = names(&[first, other]);
        assert!(
            text.ends_with("|\n| packet | packet ring | 6.1 | x86_64 | bond | 544 | 540 | 541 |\n")
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn dumps_that_were_not_taken_are_counted_and_named() {
        let way = "incomplete:16:-d 0 -c".to_owned();
        let outcome = Outcome {
            cells: vec![cell("a", 100)],
            absent: vec![(way.clone(), "one".into()), (way, "two".into())],
            ..Outcome::default()
        };
        let text = text(&outcome, "");
        assert!(text.contains("1 of 1 dumps meet every goal; 2 planned dumps were not taken;"));
        assert!(text.contains("\n- not taken: incomplete:16:-d 0 -c (one, two)\n"));
    }

    #[test]
    fn dumps_that_fall_short_alike_share_a_line_and_what_is_by_hand_stays() {
        let outcome = Outcome {
            cells: vec![cell("a", 50), cell("b", 100), cell("c", 50)],
            ..Outcome::default()
        };
        let first = text(&outcome, "");
        assert!(first.contains("\n- bond 6.1 x86_64: recall 50.000 % < 99.5 % (a, c)\n"));
        let edited = format!("{first}\nBecause.\n");
        assert_eq!(text(&outcome, &edited), edited);
    }
}

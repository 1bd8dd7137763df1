//! The table of all memory.

use super::page::{BAD, DOUBT, LABEL, PLAIN, Page};
use super::table::{self, Column, Kind};
use super::{finding, number};
use pagehound_model::{LedgerRow, Report, State, UNACCOUNTED, Unaccounted};
use std::io;

/// Rows for what is held.
const HOLDERS: usize = 5;

/// Widest label, longer ones are cut; and how wide they are where there is room.
const LABEL_WIDTH: usize = 50;
const LEAST: usize = 34;

/// A row of the table: the label, pages, and what the kernel says of them.
struct Row {
    style: anstyle::Style,
    label: String,
    pages: u64,
    counter: String,
    counter_name: String,
}

/// The ledger: every class with its pages, size, share of all pages, and the
/// kernel's own count; the unaccounted pages broken down by finding.
pub fn ledger(report: &Report, page: &mut Page) -> io::Result<()> {
    let is_raw = |row: &&LedgerRow| UNACCOUNTED.contains(&row.class.as_str());
    let mut rows: Vec<Row> = report
        .ledger
        .iter()
        .filter(|row| !is_raw(row))
        .map(class)
        .collect();
    if report.unaccounted.pages > 0 {
        rows.push(Row {
            style: PLAIN,
            label: "  unaccounted".into(),
            pages: report.unaccounted.pages,
            counter: String::new(),
            counter_name: String::new(),
        });
        rows.extend(breakdown(report));
    }
    rows.push(Row {
        style: LABEL,
        label: "  total".into(),
        pages: report.target.pages,
        counter: String::new(),
        counter_name: String::new(),
    });

    let rows: Vec<table::Row> = rows
        .into_iter()
        .map(|row| table::Row {
            style: row.style,
            cells: vec![
                table::cut(&row.label, LABEL_WIDTH),
                number::thousands(row.pages),
                number::size(row.pages.saturating_mul(report.target.page_size)),
                number::percent(row.pages, report.target.pages),
                row.counter,
                row.counter_name,
            ],
        })
        .collect();
    let right = |heading, label| Column {
        heading,
        kind: Kind::Right { label },
    };
    let columns = [
        Column {
            heading: "Where the memory is",
            kind: Kind::Label { least: LEAST },
        },
        right("pages", 0),
        right("size", 0),
        right("share", 20),
        // Beside labels that still tell findings apart.
        right("kernel counts", 40),
        Column {
            heading: "",
            kind: Kind::Rest,
        },
    ];
    table::print(&columns, &rows, page)
}

fn class(row: &LedgerRow) -> Row {
    let counter = row.counter.as_ref();
    let pages = counter.map(|counter| number::thousands(counter.pages));
    let name = counter.map(|counter| counter.name.clone());
    Row {
        style: PLAIN,
        label: format!("  {}", row.class.replace(['-', '_'], " ")),
        pages: row.pages,
        counter: pages.unwrap_or_default(),
        counter_name: name.unwrap_or_default(),
    }
}

/// The unaccounted pages by finding, and by state what is in no finding.
fn breakdown(report: &Report) -> Vec<Row> {
    let Unaccounted {
        lost_pages,
        suspect_pages,
        held_pages,
        unknown_pages,
        ..
    } = report.unaccounted;
    let states = [
        (State::Lost, lost_pages, BAD),
        (State::Suspect, suspect_pages, DOUBT),
        (State::Held, held_pages, PLAIN),
        (State::Unknown, unknown_pages, PLAIN),
    ];
    let mut rows = Vec::new();
    for (state, pages, style) in states {
        let row = |label: &str, pages| Row {
            style,
            label: format!("    {:<8} {label}", finding::state(state)),
            pages,
            counter: String::new(),
            counter_name: String::new(),
        };
        let mut found: Vec<(String, u64)> = Vec::new();
        for finding in report
            .findings
            .iter()
            .filter(|finding| finding.verdict == state)
        {
            let title = finding::short_title(finding, report);
            match found.iter_mut().find(|(known, _)| *known == title) {
                Some((_, pages)) => *pages = pages.saturating_add(finding.pages),
                None => found.push((title, finding.pages)),
            }
        }
        // What is lost or suspect is told to the last page; of the many
        // holders of the rest, the largest.
        if matches!(state, State::Held | State::Unknown) {
            found.truncate(HOLDERS);
        }
        let told = found
            .iter()
            .fold(0u64, |sum, (_, pages)| sum.saturating_add(*pages));
        let rest = pages.saturating_sub(told);
        let none = found.is_empty();
        rows.extend(found.iter().map(|(title, pages)| row(title, *pages)));
        if rest > 0 {
            rows.push(row(if none { "" } else { "others" }, rest));
        }
    }
    rows
}

//! The table of all memory.

use super::page::{BAD, DOUBT, FAINT, LABEL, PLAIN, Page};
use super::table::{self, Column, Kind};
use super::{Detail, finding, number, parts};
use pagehound_model::{Finding, LedgerRow, Report, State, UNACCOUNTED, Unaccounted};
use std::io;

/// Rows for what is held, where not all are asked for.
const HOLDERS: usize = 5;

/// Frames without memory, and `kmalloc()` too large for a slab.
const HOLE: &str = "hole";
const LARGE_KMALLOC: &str = "large_kmalloc";

/// Widest label, longer ones are cut; and how wide they are where there is room.
const LABEL_WIDTH: usize = 50;
const LEAST: usize = 34;

/// A row of the table: the label, pages, what the kernel counts, and what there
/// is to say of it.
struct Row {
    style: anstyle::Style,
    label: String,
    pages: u64,
    /// In place of what the pages come to.
    size: Option<String>,
    counter: String,
    note: String,
}

impl Row {
    fn new(style: anstyle::Style, label: impl Into<String>, pages: u64) -> Row {
        Row {
            style,
            label: label.into(),
            pages,
            size: None,
            counter: String::new(),
            note: String::new(),
        }
    }

    fn noted(self, note: impl Into<String>) -> Row {
        Row {
            note: note.into(),
            ..self
        }
    }
}

/// The ledger: every class with its pages, size, share of the memory, and the
/// kernel's own count; the unaccounted pages broken down by finding. Holes are
/// frames, but no memory: they stand below the total.
pub fn ledger(report: &Report, detail: Detail, page: &mut Page) -> io::Result<()> {
    let is_apart =
        |row: &&LedgerRow| UNACCOUNTED.contains(&row.class.as_str()) || row.class == HOLE;
    let mut rows: Vec<Row> = report
        .ledger
        .iter()
        .filter(|row| !is_apart(row))
        .flat_map(|row| {
            let own = std::iter::once(class(row, report));
            own.chain(explained(report, &row.class, detail))
        })
        .collect();
    if report.unaccounted.pages > 0 {
        let classes = format!("classes {}", UNACCOUNTED.join(" and "));
        rows.push(Row::new(PLAIN, "  unaccounted", report.unaccounted.pages).noted(classes));
        rows.extend(explained(report, UNACCOUNTED[0], detail));
        rows.extend(breakdown(report, detail));
    }
    let holes = report
        .ledger
        .iter()
        .filter(|row| row.class == HOLE)
        .fold(0u64, |sum, row| sum.saturating_add(row.pages));
    let memory = report.target.pages.saturating_sub(holes);
    rows.push(Row::new(LABEL, "  total", memory));
    let last = (holes > 0).then(|| Row::new(PLAIN, format!("  {HOLE}"), holes).noted("no memory"));

    let share = |row: &Row| number::percent(row.pages, memory);
    let rows = rows.into_iter().map(|row| (share(&row), row));
    let rows: Vec<table::Row> = rows
        .chain(last.map(|row| (String::new(), row)))
        .map(|(share, row)| {
            let (pages, size, share) = match row.size {
                Some(size) => (String::new(), size, String::new()),
                None => (
                    number::thousands(row.pages),
                    number::size(row.pages.saturating_mul(report.target.page_size)),
                    share,
                ),
            };
            let label = table::cut(&row.label, LABEL_WIDTH);
            table::Row {
                style: row.style,
                cells: vec![label, pages, size, share, row.counter, row.note],
            }
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

/// What the row of `class` consists of. Parts are bytes, and may be less than a page.
fn explained(report: &Report, class: &str, detail: Detail) -> Vec<Row> {
    if report.explained.is_empty() {
        return Vec::new();
    }
    let rows = report.ledger.iter();
    let rows: Vec<(String, u64)> = rows.map(|row| (row.class.clone(), row.bytes)).collect();
    let total = report.target.mem_total_bytes;
    let lines = parts::lines(&report.explained, class, &rows, detail, total);
    let lines = lines.into_iter().map(|line| Row {
        size: Some(line.size),
        ..Row::new(FAINT, line.label, 0).noted(line.source)
    });
    lines.collect()
}

fn class(row: &LedgerRow, report: &Report) -> Row {
    let label = format!("  {}", row.class.replace(['-', '_'], " "));
    let Some(counter) = &row.counter else {
        return Row::new(PLAIN, label, row.pages);
    };
    let marked = || report.ledger.iter().any(|row| row.class == LARGE_KMALLOC);
    let more = match row.class.as_str() {
        // Large kmalloc counts as slab since 5.4 (6a486c0ad4dc); its pages have a
        // type of their own since 6.15.
        "slab" if marked() => ", with large kmalloc",
        _ => "",
    };
    Row {
        counter: number::thousands(counter.pages),
        ..Row::new(PLAIN, label, row.pages).noted(format!("{}{more}", counter.name))
    }
}

/// The unaccounted pages by finding, and by state what is in no finding.
fn breakdown(report: &Report, detail: Detail) -> Vec<Row> {
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
        let row = |label: &str, pages| {
            let label = format!("    {:<8} {label}", finding::state(state));
            Row::new(style, label, pages)
        };
        let of_state = |finding: &&Finding| finding.verdict == state;
        let findings: Vec<&Finding> = report.findings.iter().filter(of_state).collect();
        let mut found = titled(&findings, report, detail);
        // What is lost or suspect is told to the last page; of the many
        // holders of the rest, the largest.
        let listed = match (detail, state) {
            (Detail::Usual, State::Held | State::Unknown) => HOLDERS.min(found.len()),
            _ => found.len(),
        };
        let others = found
            .split_off(listed)
            .iter()
            .map(|(_, all)| all.len())
            .sum();
        let mut rest = pages;
        for (title, all) in found {
            let pages = all
                .iter()
                .fold(0u64, |sum, finding| sum.saturating_add(finding.pages));
            rest = rest.saturating_sub(pages);
            rows.push(match all.as_slice() {
                [only] => row(&format!("{}. {title}", only.id), pages),
                _ => row(&title, pages),
            });
        }
        let label = match others {
            0 if listed == 0 => String::new(),
            0 => "others".into(),
            1 => "1 other: see --all".into(),
            others => format!("{} others: see --all", number::thousands(others as u64)),
        };
        if rest > 0 {
            rows.push(row(&label, rest));
        }
    }
    rows
}

/// The findings by what they are called in a row; those called the same are
/// one row unless all are asked for.
fn titled<'a>(
    findings: &[&'a Finding],
    report: &Report,
    detail: Detail,
) -> Vec<(String, Vec<&'a Finding>)> {
    let mut rows: Vec<(String, Vec<&Finding>)> = Vec::new();
    for &finding in findings {
        let title = finding::short_title(finding, report);
        let known = rows
            .iter_mut()
            .find(|(known, _)| detail == Detail::Usual && *known == title);
        match known {
            Some((_, all)) => all.push(finding),
            None => rows.push((title, vec![finding])),
        }
    }
    rows
}

//! The table of all memory.

use super::page::{BAD, DOUBT, LABEL, PLAIN, Page};
use super::{finding, number};
use pagehound_model::{LedgerRow, Report, State, UNACCOUNTED, Unaccounted};
use std::io;

/// Rows for what is held.
const HOLDERS: usize = 5;

/// Widest label; longer ones are cut.
const LABEL_WIDTH: usize = 50;

/// A row of the table: the label, pages, and what the kernel says of them.
struct Row {
    style: anstyle::Style,
    label: String,
    pages: u64,
    counter: String,
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
        });
        rows.extend(breakdown(report));
    }
    rows.push(Row {
        style: LABEL,
        label: "  total".into(),
        pages: report.target.pages,
        counter: String::new(),
    });

    const HEADING: &str = "Where the memory is";
    let longest = rows
        .iter()
        .map(|row| row.label.chars().count())
        .max()
        .unwrap_or(0);
    let width = longest.clamp(34, LABEL_WIDTH);
    page.line(
        LABEL,
        &format!(
            "{HEADING:<width$}  {:>11}  {:>10}  {:>7}   kernel's own count",
            "pages", "size", "share"
        ),
    )?;
    for row in rows {
        let label = cut(&row.label, width);
        let pages = number::thousands(row.pages);
        let size = number::size(row.pages.saturating_mul(report.target.page_size));
        let share = number::percent(row.pages, report.target.pages);
        page.line(
            row.style,
            &format!(
                "{label:<width$}  {pages:>11}  {size:>10}  {share:>7}   {}",
                row.counter
            ),
        )?;
    }
    Ok(())
}

fn class(row: &LedgerRow) -> Row {
    let counter = row.counter.as_ref();
    let counter = counter
        .map(|counter| format!("{:>11}  {}", number::thousands(counter.pages), counter.name));
    Row {
        style: PLAIN,
        label: format!("  {}", row.class.replace(['-', '_'], " ")),
        pages: row.pages,
        counter: counter.unwrap_or_default(),
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

/// `label` in at most `width` columns.
fn cut(label: &str, width: usize) -> String {
    if label.chars().count() <= width {
        return label.to_owned();
    }
    label
        .chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

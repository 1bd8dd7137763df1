//! What a host has for evidence, and what it lacks, as a table.

use super::page::{BAD, DOUBT, GOOD, LABEL, PLAIN, Page};
use super::table::{self, Column, Kind, Row};
use pagehound_hunt::ready::{Check, Readiness, State};
use std::io;

/// Prints what was found, what to do, and how a dump would be taken.
pub(crate) fn print(readiness: &Readiness, page: &mut Page) -> io::Result<()> {
    let missing = readiness
        .checks
        .iter()
        .filter(|check| check.needed && check.state != State::Ok)
        .count();
    match missing {
        0 => page.headline(GOOD, "READY", "this host can give evidence", "")?,
        1 => page.headline(DOUBT, "NOT READY", "one thing is missing", "")?,
        missing => {
            let text = format!("{missing} things are missing");
            page.headline(DOUBT, "NOT READY", &text, "")?;
        }
    }
    page.gap()?;
    checks(
        "Needed",
        readiness.checks.iter().filter(|check| check.needed),
        page,
    )?;
    page.gap()?;
    checks(
        "Would tell more",
        readiness.checks.iter().filter(|check| !check.needed),
        page,
    )?;
    if !readiness.notes.is_empty() {
        page.gap()?;
    }
    for note in &readiness.notes {
        page.item("Note", note)?;
    }
    page.gap()?;
    match readiness.trigger {
        Some(trigger) => {
            let text = format!("To take a dump (this crashes the host), as root: {trigger}");
            page.paragraph(0, LABEL, &text)
        }
        None => page.paragraph(
            0,
            LABEL,
            "No dump can be taken as long as no crash kernel is loaded.",
        ),
    }
}

fn checks<'a>(
    heading: &'static str,
    checks: impl Iterator<Item = &'a Check>,
    page: &mut Page,
) -> io::Result<()> {
    let columns = [
        Column {
            heading,
            kind: Kind::Label { least: 20 },
        },
        Column {
            heading: "",
            kind: Kind::Left { label: 10 },
        },
        Column {
            heading: "found, and what to do",
            kind: Kind::Rest,
        },
    ];
    let rows: Vec<Row> = checks.flat_map(rows).collect();
    table::print(&columns, &rows, page)
}

/// A row for what was found, and one for what to do about it.
fn rows(check: &Check) -> Vec<Row> {
    let (style, state) = match check.state {
        State::Ok => (PLAIN, "ok"),
        State::No if check.needed => (BAD, "no"),
        State::No => (PLAIN, "no"),
        State::Unknown => (PLAIN, "?"),
    };
    let row = |style, cells: [&str; 3]| Row {
        style,
        cells: cells.map(str::to_owned).to_vec(),
    };
    let mut rows = vec![row(style, [check.name, state, &check.found])];
    if let Some(advice) = &check.advice {
        rows.push(row(PLAIN, ["", "", &format!("→ {advice}")]));
    }
    rows
}

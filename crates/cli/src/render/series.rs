//! Several moments of one host, as text.

use super::Detail;
use super::number::{count, size};
use super::page::{BAD, FAINT, GOOD, PLAIN, Page};
use super::table::{self, Column, Kind, Row};
use pagehound_compare::{Series, Sort, Trend};
use std::io;

/// Rows of the table, where not all are wanted.
const ROWS: usize = 12;

/// Columns of moments between the first and the last.
const BETWEEN: usize = 3;

/// Width of labels where there is room.
const LABEL_WIDTH: usize = 34;

/// What grows, the moments, and each amount over them.
pub fn series(series: &Series, detail: Detail, page: &mut Page) -> io::Result<()> {
    headline(series, page)?;
    page.gap()?;
    for (at, moment) in series.moments.iter().enumerate() {
        let boot = match series.reboots {
            0 => String::new(),
            _ => format!(", boot {}", moment.boot),
        };
        let text = format!(
            "{}: {}{boot}, {} unaccounted of {}",
            moment.path,
            moment.captured_at,
            size(moment.unaccounted_bytes),
            size(moment.mem_total_bytes)
        );
        page.item(&(at + 1).to_string(), &text)?;
    }
    let told = match detail {
        Detail::All => series.rows.len(),
        Detail::Usual => ROWS.min(series.rows.len()),
    };
    if told > 0 {
        page.gap()?;
        amounts(series, told, page)?;
    }
    if told < series.rows.len() {
        let text = format!("{} more, see --all", series.rows.len() - told);
        page.line(FAINT, &text)?;
    }
    page.gap()?;
    if let Some(end) = &series.exhausted {
        let text = format!(
            "memory is used up in {}, if this goes on as it did: {}, {} an hour; {} were left at the last moment, \
             free or given back when needed",
            span(end.hours),
            end.classes.join(" and ").replace('_', " "),
            rate(end.bytes_per_hour),
            size(end.left_bytes)
        );
        page.item("Estimate", &text)?;
    }
    for note in &series.notes {
        page.item("Note", note)?;
    }
    Ok(())
}

fn headline(series: &Series, page: &mut Page) -> io::Result<()> {
    let over = format!(
        "{} over {}{}",
        count(series.moments.len() as u64, "moment"),
        span(series.hours),
        match series.reboots {
            0 => String::new(),
            reboots => format!(", {} between", count(reboots, "reboot")),
        }
    );
    let grows = series.rows.first().filter(|row| row.grows);
    let (style, word, text) = match grows {
        Some(row) => (
            if series.matters { BAD } else { PLAIN },
            "GROWS",
            format!(
                "{}, {} an hour; {over}",
                label(row),
                rate(row.bytes_per_hour.unwrap_or(0.0))
            ),
        ),
        None => (GOOD, "NOTHING GROWS", over),
    };
    page.headline(style, word, &text, "")
}

fn amounts(series: &Series, told: usize, page: &mut Page) -> io::Result<()> {
    let shown = shown(series.moments.len());
    let right = |heading| Column {
        heading,
        kind: Kind::Right { label: 20 },
    };
    let mut columns = vec![Column {
        heading: "What differs",
        kind: Kind::Label { least: LABEL_WIDTH },
    }];
    columns.extend([right("an hour"), right("p"), right("first"), right("last")]);
    columns.extend(shown.iter().map(|_| right("between")));
    let rows = series.rows.iter().take(told).map(|row| {
        let mut bytes = row.bytes.iter();
        let amount = |bytes: Option<&Option<u64>>| {
            let bytes = bytes.copied().flatten();
            bytes.map_or("-".to_owned(), size)
        };
        let ends = [amount(bytes.next()), amount(row.bytes.last())];
        let between = shown.iter().map(|at| amount(row.bytes.get(*at)));
        let mut cells = vec![
            label(row),
            row.bytes_per_hour.map_or("-".to_owned(), rate),
            row.p_value.map_or("-".to_owned(), |p| format!("{p:.3}")),
        ];
        cells.extend(ends);
        cells.extend(between);
        Row {
            style: if row.grows { BAD } else { PLAIN },
            cells,
        }
    });
    table::print(&columns, &rows.collect::<Vec<_>>(), page)
}

/// Which moments between the first and the last have a column: evenly spread.
fn shown(moments: usize) -> Vec<usize> {
    let inner = moments.saturating_sub(2);
    let columns = inner.min(BETWEEN);
    let at = |column: usize| 1 + column * inner / columns.max(1);
    (0..columns).map(at).collect()
}

fn label(row: &Trend) -> String {
    let name = match row.sort {
        Sort::Class => row.name.replace('_', " "),
        Sort::Part | Sort::Finding => row.name.clone(),
    };
    match &row.within {
        Some(class) => format!("{name}, of {}", class.replace('_', " ")),
        None => name,
    }
}

/// `+1.2 MiB`.
fn rate(bytes_per_hour: f64) -> String {
    let sign = if bytes_per_hour < 0.0 { "-" } else { "+" };
    format!("{sign}{}", size(bytes_per_hour.abs() as u64))
}

/// `3.5 hours`, `12 days`.
fn span(hours: f64) -> String {
    match hours {
        hours if hours < 2.0 => count((hours * 60.0).round() as u64, "minute"),
        hours if hours < 72.0 => format!("{hours:.1} hours"),
        hours => format!("{:.0} days", hours / 24.0),
    }
}

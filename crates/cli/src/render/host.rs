//! What the kernel's counters say, without a dump.

use super::number::{count, percent, signed, size, with_sign};
use super::page::{DOUBT, FAINT, GOOD, LABEL, PLAIN, Page};
use super::table::{self, Column, Kind};
use super::{Detail, parts};
use crate::host_report::class;
use anstyle::Style;
use pagehound_hunt::host::{
    BelowRow, Classic, HostAllocation, HostLedger, HostRow, NodeRow, Sign, UNACCOUNTED,
};
use pagehound_model::Explained;
use std::io;

/// Columns of a name, where there is room.
const LEAST: usize = 40;

/// A part of the memory smaller than one in this many is unaccounted on healthy hosts.
const USUAL: u64 = 100;

/// The answer for a host whose counters are all there is; `explained` and `notes` are the
/// ledger's, as they may be told.
pub fn diagnosis(
    ledger: &HostLedger,
    explained: &[Explained],
    notes: &[String],
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    let lost = u64::try_from(ledger.unaccounted_bytes).unwrap_or(0);
    let total = u64::try_from(ledger.total_bytes).unwrap_or(0);
    if lost == 0 {
        page.headline(
            GOOD,
            "ACCOUNTED",
            "the kernel's counters add up to all of the memory",
            "",
        )?;
    } else {
        let text = format!(
            "{}, {} of the memory, is in no counter of the kernel",
            size(lost),
            percent(lost, total)
        );
        page.headline(DOUBT, "UNACCOUNTED", &text, "")?;
        page.gap()?;
        let pages = lost.checked_div(ledger.page_size).unwrap_or(0);
        let pages = count(pages, "page");
        let (what, next) = match lost < total / USUAL {
            true => (
                format!(
                    "{pages}: so much is usual for drivers' buffers and the kernel's own. Only if it \
                     grows it may be a leak."
                ),
                "see whether it grows: `pagehound --json -o before.json`, and some hours later \
                 `pagehound diff before.json live`",
            ),
            false => (
                format!(
                    "{pages}: drivers' and the kernel's own, or lost. Counters cannot tell which; a \
                     crash dump can."
                ),
                "take a dump (kdump; on a hypervisor `virsh dump --memory-only`), then `pagehound DUMP`",
            ),
        };
        page.paragraph(2, PLAIN, &what)?;
        page.item("Next", next)?;
    }
    page.gap()?;
    self::ledger(ledger, explained, notes, detail, page)
}

/// All of MemTotal, row by row, with what rows consist of; nodes, and what lies below.
pub fn ledger(
    ledger: &HostLedger,
    explained: &[Explained],
    notes: &[String],
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    let total = u64::try_from(ledger.total_bytes).unwrap_or(0);
    let classes = ledger.rows.iter();
    let classes: Vec<(String, u64)> = classes
        .map(|row| (class(row.name), u64::try_from(row.bytes).unwrap_or(0)))
        .collect();
    let mut rows = Vec::new();
    for known in ledger.rows.iter().filter(|row| row.bytes != 0) {
        rows.push(row(known, total));
        let lines = parts::lines(explained, &class(known.name), &classes, detail, total);
        rows.extend(lines.into_iter().map(|line| table::Row {
            style: FAINT,
            cells: vec![line.label, line.size, line.share, line.source],
        }));
    }
    rows.push(table::Row {
        style: LABEL,
        cells: vec![
            "  total".to_owned(),
            size(total),
            percent(total, total),
            "meminfo MemTotal".to_owned(),
        ],
    });
    let columns = [
        column("Where the memory is", Kind::Label { least: LEAST }),
        column("size", Kind::Right { label: 0 }),
        column("share", Kind::Right { label: 20 }),
        column("source", Kind::Rest),
    ];
    table::print(&columns, &rows, page)?;
    nodes(ledger, page)?;
    below(ledger, page)?;
    allocations(ledger, page)?;
    page.gap()?;
    self::notes(notes, page)
}

fn row(known: &HostRow, total: u64) -> table::Row {
    let sign = if known.bytes < 0 { "-" } else { "" };
    let bytes = known.bytes.unsigned_abs();
    table::Row {
        style: if known.name == UNACCOUNTED {
            DOUBT
        } else {
            PLAIN
        },
        cells: vec![
            format!("  {}", known.name),
            format!("{sign}{}", size(bytes)),
            format!("{sign}{}", percent(bytes, total)),
            known.source.clone(),
        ],
    }
}

/// What no counter has, node by node.
fn nodes(ledger: &HostLedger, page: &mut Page) -> io::Result<()> {
    if ledger.nodes.is_empty() {
        return Ok(());
    }
    page.gap()?;
    let row = |node: &NodeRow| {
        let sign = if node.unaccounted_bytes < 0 { "-" } else { "" };
        let total = u64::try_from(node.total_bytes).unwrap_or(0);
        let bytes = node.unaccounted_bytes.unsigned_abs();
        table::Row {
            style: PLAIN,
            cells: vec![
                format!("  node {}", node.node),
                format!("{sign}{}", size(bytes)),
                format!("{sign}{}", percent(bytes, total)),
                format!("of {}", size(total)),
            ],
        }
    };
    let rows: Vec<table::Row> = ledger.nodes.iter().map(row).collect();
    let columns = [
        column("Unaccounted by node", Kind::Label { least: LEAST }),
        column("size", Kind::Right { label: 0 }),
        column("share", Kind::Right { label: 20 }),
        column("", Kind::Rest),
    ];
    table::print(&columns, &rows, page)
}

/// What was taken before there was a MemTotal.
fn below(ledger: &HostLedger, page: &mut Page) -> io::Result<()> {
    if ledger.below.is_empty() {
        return Ok(());
    }
    page.gap()?;
    let last = ledger.below.len() - 1;
    let row = |(index, row): (usize, &BelowRow)| {
        let (style, sign) = match index {
            0 => (PLAIN, ' '),
            _ if index == last => (LABEL, '='),
            _ => (PLAIN, '-'),
        };
        table::Row {
            style,
            cells: vec![
                format!("{sign} {}", row.name),
                size(row.bytes),
                row.source.clone(),
            ],
        }
    };
    let rows: Vec<table::Row> = ledger.below.iter().enumerate().map(row).collect();
    let columns = [
        column("Taken before MemTotal", Kind::Label { least: LEAST }),
        column("size", Kind::Right { label: 0 }),
        column("source", Kind::Rest),
    ];
    table::print(&columns, &rows, page)
}

/// Who has allocated most, where the kernel keeps records.
fn allocations(ledger: &HostLedger, page: &mut Page) -> io::Result<()> {
    if ledger.allocations.is_empty() {
        return Ok(());
    }
    page.gap()?;
    let row = |known: &HostAllocation| {
        let module = known.module.as_ref();
        let module = module.map_or(String::new(), |module| format!(" [{module}]"));
        let place = known.place.as_ref();
        let place = place.map_or(String::new(), |place| format!(" {place}"));
        table::Row {
            style: PLAIN,
            cells: vec![
                format!("  {}{module}", known.function),
                size(known.bytes),
                format!("{}{place}", known.source),
            ],
        }
    };
    let rows: Vec<table::Row> = ledger.allocations.iter().map(row).collect();
    let columns = [
        column("Who allocated most", Kind::Label { least: LEAST }),
        column("size", Kind::Right { label: 0 }),
        column("source", Kind::Rest),
    ];
    table::print(&columns, &rows, page)
}

/// The hand formula, line by line, and what it misses.
pub fn classic(classic: &Classic, page: &mut Page) -> io::Result<()> {
    for step in &classic.steps {
        let (sign, style) = match step.sign {
            Sign::Plus => ('+', PLAIN),
            Sign::Minus => ('-', PLAIN),
            Sign::Equals => ('=', LABEL),
        };
        term(style, sign, step.name, &signed(step.kb), &step.source, page)?;
    }
    let pages = format!(
        "That is {} pages of {} ({}).",
        signed(classic.unaccounted_pages),
        size(classic.page_size),
        classic.page_size_source
    );
    page.paragraph(0, PLAIN, &pages)?;
    if !classic.missed.is_empty() {
        page.gap()?;
        page.line(LABEL, "What the formula does not know")?;
        for note in &classic.missed {
            term(
                PLAIN,
                ' ',
                note.name,
                &with_sign(note.kb),
                &note.source,
                page,
            )?;
            if !note.text.is_empty() {
                page.paragraph(6, FAINT, &note.text)?;
            }
        }
        let corrected = signed(classic.corrected_kb);
        term(LABEL, '=', "unaccounted, corrected", &corrected, "", page)?;
    }
    if !classic.notes.is_empty() {
        page.gap()?;
    }
    notes(&classic.notes, page)
}

/// A line of the hand formula; its source only where that has room.
fn term(
    style: Style,
    sign: char,
    name: &str,
    kb: &str,
    source: &str,
    page: &mut Page,
) -> io::Result<()> {
    let columns = [
        column("", Kind::Label { least: LEAST }),
        column("", Kind::Right { label: 0 }),
        column("", Kind::Rest),
    ];
    let cells = vec![
        format!("{sign} {name}"),
        format!("{kb:>14} kB"),
        source.to_owned(),
    ];
    table::rows(&columns, &[table::Row { style, cells }], page)
}

fn column(heading: &'static str, kind: Kind) -> Column {
    Column { heading, kind }
}

fn notes(notes: &[String], page: &mut Page) -> io::Result<()> {
    for note in notes {
        page.item("Note", note)?;
    }
    Ok(())
}

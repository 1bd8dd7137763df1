//! How much of what differs.

use crate::render::number::{count, size, thousands, with_sign};
use crate::render::page::{BAD, DOUBT, FAINT, PLAIN, Page};
use crate::render::table::{self, Column, Kind, Row};
use crate::render::{Detail, finding};
use anstyle::Style;
use pagehound_compare::{Amount, Change, Comparison, FindingChange};
use pagehound_model::{Report, State};
use std::io;

/// Rows of a table, and the least part of MemTotal that is worth one.
const ROWS: usize = 10;
const LEAST: f64 = 0.001;

/// Width of labels where there is room.
const LABEL_WIDTH: usize = 34;

pub(super) fn print(
    comparison: &Comparison,
    reports: &[Report; 2],
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    let findings = comparison.findings.iter().map(|of| Line {
        style: style(of),
        label: title(of, reports),
        change: &of.change,
        counter: None,
        // A loss is told however small it is.
        always: [of.a_state, of.b_state].contains(&Some(State::Lost)),
    });
    table("What was found", findings, comparison, detail, page)?;
    let classes = comparison.classes.iter().map(|of| Line {
        counter: of.counter_bytes,
        ..Line::new(of.class.replace(['-', '_'], " "), &of.change)
    });
    table("Where the memory is", classes, comparison, detail, page)?;
    for (heading, changes) in [
        ("Who has what is held", &comparison.holders),
        ("In use, but out of reach", &comparison.heap),
        ("Control groups", &comparison.cgroups),
    ] {
        let lines = changes
            .iter()
            .map(|of| Line::new(format!("{} {}", of.kind, of.name), &of.change));
        table(heading, lines, comparison, detail, page)?;
    }
    if is_one_size(comparison) {
        return Ok(());
    }
    page.gap()?;
    let text = "% of MemTotal: what each has of its own. The hosts are of different size, so the larger \
                amount can be the smaller share.";
    page.paragraph(0, FAINT, text)
}

/// A row, before it is known whether there is room for it.
struct Line<'a> {
    style: Style,
    label: String,
    change: &'a Change,
    counter: Option<i64>,
    always: bool,
}

impl<'a> Line<'a> {
    fn new(label: String, change: &'a Change) -> Self {
        Line {
            style: PLAIN,
            label,
            change,
            counter: None,
            always: false,
        }
    }
}

fn style(of: &FindingChange) -> Style {
    match [of.a_state, of.b_state].into_iter().flatten().min() {
        Some(State::Lost) => BAD,
        Some(State::Suspect) => DOUBT,
        Some(State::Held | State::Unknown) | None => PLAIN,
    }
}

/// `lost: frames …`, and of both hosts where it is not the same.
fn title(of: &FindingChange, reports: &[Report; 2]) -> String {
    let [a, b] = reports;
    let found = |report: &'_ Report, ids: &[u32]| {
        let findings = report.findings.iter();
        let mut own = findings.filter(|finding| ids.contains(&finding.id));
        own.next().map(|first| finding::short_title(first, report))
    };
    let title = found(a, &of.a_findings).or_else(|| found(b, &of.b_findings));
    let state = match (of.a_state, of.b_state) {
        (Some(a), Some(b)) if a != b => {
            format!("A {}, B {}", finding::state(a), finding::state(b))
        }
        (a, b) => a.or(b).map_or("", finding::state).to_owned(),
    };
    format!("{state}  {}", title.unwrap_or_else(|| of.kind.clone()))
}

fn table<'a>(
    heading: &'static str,
    lines: impl Iterator<Item = Line<'a>>,
    comparison: &Comparison,
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    let lines: Vec<Line<'_>> = lines.collect();
    if lines.is_empty() {
        return Ok(());
    }
    let worth = |line: &Line<'_>| {
        let share = line.change.share.map(f64::abs);
        // What has no share is no part of MemTotal, and changes with the kernel.
        let only_one = line.change.a.is_none() || line.change.b.is_none();
        line.always || share.map_or(only_one, |share| share >= LEAST)
    };
    let told: Vec<&Line<'_>> = match detail {
        Detail::All => lines.iter().collect(),
        Detail::Usual => lines.iter().filter(|line| worth(line)).take(ROWS).collect(),
    };
    let hidden = lines.len() - told.len();
    if told.is_empty() {
        page.gap()?;
        let text = format!(
            "{heading}: {}, see --all",
            count(hidden as u64, "small change")
        );
        return page.line(FAINT, &text);
    }
    let told_too = Told {
        shares: !is_one_size(comparison),
        rate: comparison.relation.rate_seconds().is_some(),
        counter: told.iter().any(|line| line.counter.is_some()),
    };
    let right = |heading, label| Column {
        heading,
        kind: Kind::Right { label },
    };
    let mut columns = vec![
        Column {
            heading,
            kind: Kind::Label { least: LABEL_WIDTH },
        },
        right("A", 0),
        right("B", 0),
        right("B less A", 0),
    ];
    if told_too.shares {
        columns.push(right("A % of MemTotal", 20));
        columns.push(right("B % of MemTotal", 20));
    } else {
        columns.push(right("% of MemTotal", 20));
    }
    if told_too.rate {
        columns.push(right("an hour", 20));
    }
    if told_too.counter {
        columns.push(right("kernel counts", 30));
    }
    let rows: Vec<Row> = told.iter().map(|line| row(line, told_too)).collect();
    page.gap()?;
    table::print(&columns, &rows, page)?;
    if hidden > 0 {
        let text = format!("  {} smaller: see --all", thousands(hidden as u64));
        page.line(FAINT, &text)?;
    }
    Ok(())
}

/// What is told besides the amounts.
#[derive(Clone, Copy)]
struct Told {
    /// The share of each: their difference would be one of different wholes.
    shares: bool,
    rate: bool,
    counter: bool,
}

fn is_one_size(comparison: &Comparison) -> bool {
    comparison.a.mem_total_bytes == comparison.b.mem_total_bytes
}

fn row(line: &Line<'_>, told: Told) -> Row {
    let change = line.change;
    let mut cells = vec![
        format!("  {}", table::cut(&line.label, LABEL_WIDTH + 20)),
        amount(change.a),
        amount(change.b),
        signed(change.bytes),
    ];
    if told.shares {
        cells.extend([change.a, change.b].map(share));
    } else {
        let share = change.share.map(|share| format!("{:+.1}", share * 100.0));
        cells.push(share.unwrap_or_default());
    }
    if told.rate {
        cells.push(change.bytes_per_hour.map_or_else(String::new, |bytes| {
            // Saturates, as far out as no rate is.
            signed(bytes as i64)
        }));
    }
    if told.counter {
        cells.push(line.counter.map(signed).unwrap_or_default());
    }
    Row {
        style: line.style,
        cells,
    }
}

fn amount(amount: Option<Amount>) -> String {
    let Some(amount) = amount else {
        return "-".to_owned();
    };
    match amount.bounds {
        Some((low, high)) => format!("{} to {}", size(low), size(high)),
        None => match amount.count {
            Some(count) => format!("{} ({})", size(amount.bytes), thousands(count)),
            None => size(amount.bytes),
        },
    }
}

fn share(amount: Option<Amount>) -> String {
    let share = amount.and_then(|amount| amount.share);
    share.map_or_else(String::new, |share| format!("{:.1}", share * 100.0))
}

fn signed(bytes: i64) -> String {
    match bytes {
        0 => with_sign(0),
        below if below < 0 => format!("-{}", size(below.unsigned_abs())),
        above => format!("+{}", size(above.unsigned_abs())),
    }
}

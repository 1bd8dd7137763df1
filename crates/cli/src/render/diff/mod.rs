//! Two hosts or moments, as text.

mod answer;
mod machines;
mod tables;

use super::Detail;
use super::number::{percent, size};
use super::page::Page;
use pagehound_compare::{Comparison, Side};
use pagehound_model::{Report, Verdict};
use std::io;

/// The answer in a sentence, what may explain it, and how much of what differs.
/// `reports` are those that were compared.
pub fn diff(
    comparison: &Comparison,
    reports: &[Report; 2],
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    answer::headline(comparison, reports, page)?;
    page.gap()?;
    for (name, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        page.item(name, &of_side(side))?;
    }
    machines::print(comparison, reports, detail, page)?;
    tables::print(comparison, reports, detail, page)?;
    if !comparison.notes.is_empty() {
        page.gap()?;
    }
    for note in &comparison.notes {
        page.item("Note", note)?;
    }
    Ok(())
}

/// `vmcore: host db7, kernel 6.1.0, 496.1 MiB, 2026-11-02T04:05:06Z; 45.7 MiB lost`.
fn of_side(side: &Side) -> String {
    let mut facts = Vec::new();
    if let Some(host) = side.host.as_deref().filter(|host| *host != "(none)") {
        facts.push(format!("host {host}"));
    }
    facts.push(format!("kernel {}", side.kernel));
    facts.push(size(side.mem_total_bytes));
    facts.extend(side.captured_at.clone());
    let unaccounted = format!(
        "{} unaccounted ({})",
        size(side.unaccounted_bytes),
        percent(side.unaccounted_bytes, side.mem_total_bytes)
    );
    format!(
        "{}: {}; {}{unaccounted}",
        side.path,
        facts.join(", "),
        verdict(side)
    )
}

fn verdict(side: &Side) -> String {
    match (side.leaks, side.verdict) {
        (Some(true), _) => format!("{} lost of ", size(side.lost_bytes)),
        (Some(false), _) => "nothing lost of ".to_owned(),
        (None, _) if side.counters_only => "counters only: ".to_owned(),
        (None, _) if side.sampled => "a sample: about ".to_owned(),
        (None, Verdict::Suspect) => format!("{} look lost of ", size(side.suspect_bytes)),
        (None, _) => "incomplete: ".to_owned(),
    }
}

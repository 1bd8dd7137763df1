//! The sentence at the head.

use crate::render::finding;
use crate::render::number::size;
use crate::render::page::{BAD, DOUBT, GOOD, Page};
use anstyle::Style;
use pagehound_compare::{Comparison, FindingChange, Which};
use pagehound_model::{Finding, Report, State};
use std::io;

/// A change of unaccounted memory, with counters alone, that is worth a word: part of
/// MemTotal.
const WORTH: f64 = 0.01;

pub(super) fn headline(
    comparison: &Comparison,
    reports: &[Report; 2],
    page: &mut Page,
) -> io::Result<()> {
    let (style, word, text) = if comparison.is_equal() {
        let text = "nothing differs, as far as it can be told";
        (GOOD, "SAME", text.to_owned())
    } else if comparison.relation.relative.is_one_host() {
        moments(comparison, reports)
    } else {
        hosts(comparison, reports)
    };
    page.headline(style, word, &text, "")
}

/// Two hosts: which of them leaks.
fn hosts(comparison: &Comparison, reports: &[Report; 2]) -> (Style, &'static str, String) {
    let (a, b) = (&comparison.a, &comparison.b);
    match (a.leaks, b.leaks) {
        (Some(true), Some(false)) => (
            BAD,
            "ONLY A LEAKS",
            format!(
                "{} lost{}",
                size(a.lost_bytes),
                mostly(comparison, reports, Which::A)
            ),
        ),
        (Some(false), Some(true)) => (
            BAD,
            "ONLY B LEAKS",
            format!(
                "{} lost{}",
                size(b.lost_bytes),
                mostly(comparison, reports, Which::B)
            ),
        ),
        (Some(true), Some(true)) => (BAD, "BOTH LEAK", both(comparison, reports)),
        (Some(false), Some(false)) => (
            GOOD,
            "NEITHER LEAKS",
            format!(
                "of A {} are unaccounted, of B {}",
                size(a.unaccounted_bytes),
                size(b.unaccounted_bytes)
            ),
        ),
        (Some(true), None) => (
            DOUBT,
            "A LEAKS",
            format!(
                "{} lost{}; of B it is not known",
                size(a.lost_bytes),
                mostly(comparison, reports, Which::A)
            ),
        ),
        (None, Some(true)) => (
            DOUBT,
            "B LEAKS",
            format!(
                "{} lost{}; of A it is not known",
                size(b.lost_bytes),
                mostly(comparison, reports, Which::B)
            ),
        ),
        (None, _) | (_, None) => (
            DOUBT,
            "UNDECIDED",
            format!(
                "what is lost is not known of {}; unaccounted are {} of A and {} of B",
                match (a.leaks, b.leaks) {
                    (None, None) => "either",
                    (None, _) => "A",
                    _ => "B",
                },
                size(a.unaccounted_bytes),
                size(b.unaccounted_bytes)
            ),
        ),
    }
}

/// `; most of it Ethernet frames received by em1 (e1000)`.
fn mostly(comparison: &Comparison, reports: &[Report; 2], of: Which) -> String {
    let Some(largest) = largest(comparison, reports, of) else {
        return String::new();
    };
    let lost = match of {
        Which::A => comparison.a.lost_bytes,
        Which::B => comparison.b.lost_bytes,
    };
    let part = if largest.bytes == lost {
        "all of it"
    } else {
        "most of it"
    };
    let part = if largest.bytes > lost / 2 {
        part
    } else {
        "first"
    };
    format!("; {part} {}", finding::title(largest))
}

/// The largest finding of lost pages of one of the two.
fn largest<'a>(
    comparison: &Comparison,
    reports: &'a [Report; 2],
    of: Which,
) -> Option<&'a Finding> {
    let [a, b] = reports;
    let (report, ids): (_, fn(&FindingChange) -> &Vec<u32>) = match of {
        Which::A => (a, |change| &change.a_findings),
        Which::B => (b, |change| &change.b_findings),
    };
    let changed: Vec<u32> = comparison.findings.iter().flat_map(ids).copied().collect();
    let findings = report.findings.iter();
    let lost = findings.filter(|of| of.verdict == State::Lost && changed.contains(&of.id));
    lost.max_by_key(|finding| finding.bytes)
}

fn both(comparison: &Comparison, reports: &[Report; 2]) -> String {
    let lost = |state: Option<State>| state == Some(State::Lost);
    let count = |a: bool, b: bool| {
        let changes = comparison.findings.iter();
        changes
            .filter(|of| lost(of.a_state) == a && lost(of.b_state) == b)
            .count()
    };
    let mut text = format!(
        "A {}, B {}",
        size(comparison.a.lost_bytes),
        size(comparison.b.lost_bytes)
    );
    for (number, whose, which) in [
        (count(true, false), "only A", Which::A),
        (count(false, true), "only B", Which::B),
    ] {
        let kinds = match number {
            0 => continue,
            1 => "a kind of loss".to_owned(),
            more => format!("{more} kinds of loss"),
        };
        text += &format!("; {whose} has {kinds}");
        let [a, b] = reports;
        let report = if which == Which::A { a } else { b };
        let only = comparison.findings.iter().find(|of| match which {
            Which::A => lost(of.a_state) && !lost(of.b_state),
            Which::B => lost(of.b_state) && !lost(of.a_state),
        });
        let ids = only.map(|of| match which {
            Which::A => &of.a_findings,
            Which::B => &of.b_findings,
        });
        let first = report.findings.iter();
        let mut first = first.filter(|of| ids.is_some_and(|ids| ids.contains(&of.id)));
        if let Some(first) = first.next() {
            let lead = if number == 1 { "" } else { "first " };
            text += &format!(" ({lead}{})", finding::title(first));
        }
    }
    text
}

/// Two moments: what grew.
fn moments(comparison: &Comparison, reports: &[Report; 2]) -> (Style, &'static str, String) {
    let (a, b) = (&comparison.a, &comparison.b);
    let span = match comparison.relation.seconds {
        Some(seconds) if seconds < 0 => format!("; B is {} older", span(seconds.unsigned_abs())),
        Some(seconds) => format!(" in {}", span(seconds.unsigned_abs())),
        None => String::new(),
    };
    let told = a.leaks.is_some() && b.leaks.is_some();
    let (what, [before, now]) = if told {
        ("lost", [a.lost_bytes, b.lost_bytes])
    } else {
        ("unaccounted", comparison.unaccounted())
    };
    let change = now.abs_diff(before);
    let rate = rate(change, comparison.relation.rate_seconds());
    let total = b.mem_total_bytes as f64;
    let worth = told || change as f64 > WORTH * total;
    match now.cmp(&before) {
        std::cmp::Ordering::Greater if worth => (
            if told { BAD } else { DOUBT },
            "IT GROWS",
            format!(
                "{} more {what}{span}{rate}{}",
                size(change),
                if told {
                    mostly(comparison, reports, Which::B)
                } else {
                    String::new()
                }
            ),
        ),
        std::cmp::Ordering::Less if worth => (
            GOOD,
            "LESS",
            format!("{} less {what}{span}{rate}", size(change)),
        ),
        _ if told && now > 0 => (
            BAD,
            "AS MUCH",
            format!(
                "{} lost in both{span}: what leaked does not leak now",
                size(now)
            ),
        ),
        _ => (
            if told { GOOD } else { DOUBT },
            "NO GROWTH",
            format!("{} {what} before, {} now{span}", size(before), size(now)),
        ),
    }
}

fn rate(bytes: u64, seconds: Option<i64>) -> String {
    seconds.map_or_else(String::new, |seconds| {
        let hour = bytes as f64 * 3600.0 / seconds.unsigned_abs() as f64;
        format!(", {} an hour", size(hour as u64))
    })
}

/// `2.5 h`, `36 s`.
fn span(seconds: u64) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..HOUR => format!("{} min", seconds / 60),
        HOUR..DAY => format!("{:.1} h", seconds as f64 / HOUR as f64),
        _ => format!("{:.1} days", seconds as f64 / DAY as f64),
    }
}

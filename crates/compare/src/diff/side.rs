//! What a report is, and what it cannot say.

use super::result::Side;
use pagehound_model::{Report, Verdict};

pub(super) fn of(report: &Report) -> Side {
    let size = report.target.page_size;
    let all = &report.unaccounted;
    Side {
        path: report.target.path.clone(),
        host: report.host.name.clone(),
        boot_id: report.host.boot_id.clone(),
        captured_at: report.host.captured_at.clone(),
        kernel: report.target.kernel.clone(),
        mem_total_bytes: report.target.mem_total_bytes,
        verdict: report.verdict,
        leaks: leaks(report),
        lost_bytes: all.lost_pages.saturating_mul(size),
        suspect_bytes: all.suspect_pages.saturating_mul(size),
        unaccounted_bytes: all.bytes,
        counters_only: is_counters(report),
        sampled: report.sample.is_some(),
    }
}

/// Whether pages are lost, where that is proved.
pub(super) fn leaks(report: &Report) -> Option<bool> {
    match report.verdict {
        Verdict::Lost => Some(true),
        Verdict::None if report.sample.is_none() && !is_counters(report) => Some(false),
        Verdict::None | Verdict::Suspect | Verdict::Incomplete => None,
    }
}

/// Whether the report is of a host of which only counters were read.
pub(crate) fn is_counters(report: &Report) -> bool {
    matches!(report.target.format.as_str(), "live" | "meminfo")
}

/// What makes the comparison less than it looks.
pub(super) fn doubts(a: &Report, b: &Report) -> Vec<String> {
    let sides = [("A", a), ("B", b)];
    let mut notes = Vec::new();
    let counters = match (is_counters(a), is_counters(b)) {
        (true, true) => Some("both"),
        (true, false) => Some("A"),
        (false, true) => Some("B"),
        (false, false) => None,
    };
    if let Some(of) = counters {
        notes.push(format!(
            "of {of} only counters were read: they do not tell lost pages from held ones; a dump would"
        ));
    }
    for (name, report) in sides {
        if report.sample.is_some() {
            notes.push(format!(
                "{name} is a sample (--quick): nothing of it is proved, and what differs by less \
                 than its bounds is not told"
            ));
        } else if report.verdict == Verdict::Incomplete && !is_counters(report) {
            notes.push(format!(
                "{name} is incomplete: what was not read might hide a leak"
            ));
        }
        if let Some(first) = report.contradictions().first() {
            notes.push(format!(
                "the numbers of {name} contradict each other: {first}"
            ));
        }
        if report.netdevs.is_empty() && report.modules.is_empty() {
            notes.push(format!(
                "{name} tells no network devices and no modules: they are not compared"
            ));
        }
    }
    notes
}

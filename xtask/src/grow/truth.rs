//! The truth beside the dump: that of the base, and what was planted besides.

use std::fmt::Write as _;

use anyhow::Result;
use pagehound_testdata::kind;

use super::plan::{Frame, PLACES, Plan};

/// Sections of the base's truth that are no longer true.
const GONE: [&str; 7] = [
    "meminfo",
    "zoneinfo",
    "buddyinfo",
    "pagetypeinfo",
    "vmstat",
    "iomem",
    "end",
];

/// The text of the truth; `managed` are the frames the allocator has of each
/// zone.
pub(super) fn of(base: &str, plan: &Plan, managed: &[u64]) -> Result<String> {
    let mut text = String::from("== zoneinfo\n");
    for pages in managed {
        writeln!(text, "        managed  {pages}")?;
    }
    let mut section = "";
    for line in base.lines() {
        if let Some(heading) = line.strip_prefix("== ") {
            section = heading.split(' ').next().unwrap_or_default();
        }
        if !GONE.contains(&section) {
            writeln!(text, "{line}")?;
        }
        if section == "planted" && line.starts_with("== ") {
            planted(&mut text, plan)?;
        }
    }
    text.push_str("== end\n");
    Ok(text)
}

/// Lines `START..END kind 0`.
fn planted(text: &mut String, plan: &Plan) -> Result<()> {
    let places: Vec<u32> = PLACES.iter().map(|(name, _)| kind(name)).collect();
    let named = kind("array");
    let kind_of = |frame| match frame {
        Frame::Leak(place) => places.get(usize::from(place)).copied(),
        Frame::Held | Frame::Directory => Some(named),
        _ => None,
    };
    let mut run: Option<(u64, u64, u32)> = None;
    plan.each(|pfn, frame| {
        let kind = kind_of(frame);
        match (&mut run, kind) {
            (Some((_, end, of)), Some(kind)) if *end == pfn && *of == kind => *end += 1,
            (_, Some(kind)) => {
                if let Some((start, end, of)) = run.replace((pfn, pfn + 1, kind)) {
                    writeln!(text, "{start}..{end} {of} 0")?;
                }
            }
            (_, None) => {}
        }
        Ok(())
    })?;
    if let Some((start, end, of)) = run {
        writeln!(text, "{start}..{end} {of} 0")?;
    }
    Ok(())
}

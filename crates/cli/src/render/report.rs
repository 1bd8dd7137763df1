//! The report as text.

use super::number::{count, percent, size, thousands};
use super::page::{BAD, DOUBT, FAINT, GOOD, LABEL, Page};
use super::{Detail, bounds, finding, held, ledger};
use anstyle::Style;
use pagehound_hunt::slab_debug;
use pagehound_model::{Cgroup, Estimate, Finding, Report, State, Verdict};
use pagehound_vmcore::{Format, shell_path};
use std::io;
use std::path::Path;

/// Control groups told unless all are asked for.
const CGROUPS: usize = 8;

/// The verdict, every finding with owner, evidence and next step, the ledger,
/// and how much of the memory was seen.
pub fn report(report: &Report, detail: Detail, page: &mut Page) -> io::Result<()> {
    let told: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| is_told(finding, report))
        .collect();
    let (style, word, text) = verdict(report);
    match told.as_slice() {
        [] => {
            page.headline(style, word, &text, "")?;
            page.gap()?;
            control(report, page)?;
        }
        [only] => {
            page.headline(
                style,
                word,
                &format!("{text}: {}", finding::title(only)),
                finding::confidence(only),
            )?;
            page.gap()?;
            finding::body(only, report, page)?;
            control(report, page)?;
            outlook(only, report, page)?;
        }
        several => {
            page.headline(style, word, &text, "")?;
            page.gap()?;
            control(report, page)?;
            for finding in several {
                page.gap()?;
                let title = format!(
                    "{} {}: {}",
                    size(finding.bytes),
                    state_word(finding),
                    finding::title(finding)
                );
                let number = format!("{}.", finding.id);
                page.headline(
                    finding_style(finding),
                    &number,
                    &title,
                    finding::confidence(finding),
                )?;
                finding::body(finding, report, page)?;
                outlook(finding, report, page)?;
            }
        }
    }
    bounds::beyond(report, page)?;
    if matches!(detail, Detail::All) {
        held::all(report, page)?;
    }
    heap(report, page)?;
    cgroups(report, detail, page)?;
    if let Some(step) = damaged(report) {
        page.item("Next", &step)?;
    }
    page.gap()?;
    ledger(report, detail, page)?;
    page.gap()?;
    seen(report, page)
}

/// What nothing reaches although counters show it.
fn heap(report: &Report, page: &mut Page) -> io::Result<()> {
    if report.heap.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.line(
        LABEL,
        "In use by the counters of slabs and vmalloc, but out of reach",
    )?;
    for loss in &report.heap {
        let what = match loss.kind.as_str() {
            "vmalloc" => format!("vmalloc areas of {}", loss.name),
            _ => format!("objects of slab {}", loss.name),
        };
        let points = match loss.points_to.as_slice() {
            [] => String::new(),
            some => format!(", which point to {}", some.join(", ")),
        };
        page.item(
            "",
            &format!(
                "{} of {} {what}, {}{points}",
                thousands(loss.count),
                thousands(loss.of),
                size(loss.bytes)
            ),
        )?;
    }
    match report.heap.iter().find(|loss| loss.kind == "slab") {
        Some(loss) => page.item("Next", &slab_debug(&loss.name)),
        None => Ok(()),
    }
}

/// Control groups whose memory shows nowhere else: those that are gone, and those that
/// unaccounted pages and slabs are charged to.
fn cgroups(report: &Report, detail: Detail, page: &mut Page) -> io::Result<()> {
    let dying = report.dying_cgroups;
    let page_size = report.target.page_size;
    let told = match detail {
        Detail::All => report.cgroups.len(),
        _ => CGROUPS,
    };
    let worth = |group: &&Cgroup| {
        let bytes = group.unaccounted_pages.saturating_mul(page_size);
        detail == Detail::All
            || group.dying
            || bytes.saturating_add(group.slab_bytes) >= report.target.mem_total_bytes / 100
    };
    let groups: Vec<&Cgroup> = report.cgroups.iter().filter(worth).take(told).collect();
    if dying.count == 0 && groups.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.line(LABEL, "Control groups with unaccounted pages and slabs")?;
    for group in groups {
        let dying = if group.dying { " (removed)" } else { "" };
        let estimate = group.slab_estimate.map(|bounds| {
            format!(
                " (an estimate: between {} and {})",
                size(bounds.low),
                size(bounds.high)
            )
        });
        page.indented(&format!(
            "{}{dying}: {} unaccounted, {} of slabs{}",
            group.path,
            size(group.unaccounted_pages.saturating_mul(page_size)),
            size(group.slab_bytes),
            estimate.unwrap_or_default()
        ))?;
    }
    if dying.count > 0 {
        page.indented(&format!(
            "{} of {} removed, but not gone",
            size(dying.charged_pages.saturating_mul(page_size)),
            count(dying.count, "group"),
        ))?;
    }
    Ok(())
}

/// Lost and suspect pages have a block of their own; what is held or could not
/// be decided is in the ledger, and what a leak's frames left elsewhere is told
/// with the leak.
pub(super) fn is_told(finding: &Finding, report: &Report) -> bool {
    match finding.verdict {
        State::Lost => true,
        State::Suspect => finding::leak_of(finding, report).is_none(),
        State::Held | State::Unknown => false,
    }
}

/// Style, word and text of the headline.
fn verdict(report: &Report) -> (Style, &'static str, String) {
    let (style, word, text) = answer(report);
    let coverage = &report.target.coverage;
    // A container that ends early has pages listed that it does not hold; what
    // was left out on purpose is neither.
    let missing = coverage.absent.saturating_add(coverage.unreadable);
    let text = match (missing, report.verdict) {
        (0, _) => text,
        (_, Verdict::Incomplete) => format!("the dump is cut short or incomplete: {text}"),
        _ => format!("{text} (the dump is cut short or incomplete)"),
    };
    (style, word, text)
}

/// What to do where the dump is damaged and nothing could be told.
pub(super) fn damaged(report: &Report) -> Option<String> {
    let target = &report.target;
    let missing = target.coverage.absent > 0 || target.coverage.unreadable > 0;
    if report.verdict != Verdict::Incomplete || !missing || target.format == Format::Live.name() {
        return None;
    }
    let path = shell_path(Path::new(&target.path));
    Some(format!(
        "compare the file's size and checksum with the original, and copy it again; where that is as \
         short, see what kdump said when it wrote it (the disk may have been full). \
         `pagehound search {path} \u{2026}` works on what is there, `pagehound log {path}` where the \
         kernel's log is among it"
    ))
}

/// A quick answer in a sentence, while the whole one is worked out.
pub fn preview(report: &Report) -> String {
    let (_, word, text) = answer(report);
    let suspects = report.findings.iter();
    let suspects = suspects.filter(|finding| finding.verdict == State::Suspect);
    let titles: Vec<String> = suspects
        .map(|finding| format!("{} {}", about(finding, report), finding::title(finding)))
        .collect();
    let titles = match titles.as_slice() {
        [] => String::new(),
        some => format!(": {}", some.join("; ")),
    };
    format!(
        "At first sight: {word}  {text}{titles}. Looking for what refers to these pages \u{2026}"
    )
}

fn about(finding: &Finding, report: &Report) -> String {
    bounded(finding.pages, finding.estimate, report)
}

/// `about 64.0 GiB (95 %: 61.2 GiB to 66.9 GiB)`.
fn bounded(pages: u64, estimate: Option<Estimate>, report: &Report) -> String {
    let size = |pages: u64| size(pages.saturating_mul(report.target.page_size));
    match estimate {
        Some(Estimate { low, high }) => {
            format!(
                "about {} (95 %: {} to {})",
                size(pages),
                size(low),
                size(high)
            )
        }
        None => size(pages),
    }
}

/// What can be said without a look for references.
fn quick_answer(report: &Report) -> (Style, &'static str, String) {
    let all = &report.unaccounted;
    let text = bounded(all.pages, all.estimate, report);
    match report.verdict {
        Verdict::Suspect => (
            DOUBT,
            "SUSPECT",
            format!("{text} unaccounted, and much of it alike"),
        ),
        Verdict::None | Verdict::Lost | Verdict::Incomplete => (
            DOUBT,
            "UNDECIDED",
            format!(
                "{text} unaccounted, and little of it alike; a full run tells whether it is lost"
            ),
        ),
    }
}

/// What a headline adds where counted memory is out of reach.
fn heap_lost(report: &Report) -> String {
    let bytes = report.heap.iter().map(|loss| loss.bytes);
    match bytes.fold(0, u64::saturating_add) {
        0 => String::new(),
        bytes => format!(
            "; but {} of slabs and vmalloc that nothing points to",
            size(bytes)
        ),
    }
}

/// The same for a whole dump.
fn answer(report: &Report) -> (Style, &'static str, String) {
    if report.sample.is_some() {
        return quick_answer(report);
    }
    let all = &report.unaccounted;
    let size = |pages: u64| size(pages.saturating_mul(report.target.page_size));
    match report.verdict {
        Verdict::Lost => (BAD, "LEAK", format!("{} lost", size(all.lost_pages))),
        Verdict::Suspect => (
            DOUBT,
            "SUSPECT",
            format!(
                "{} look lost, but the proof has a gap",
                size(all.suspect_pages)
            ),
        ),
        Verdict::None => {
            let rest = if all.pages == 0 {
                "every page is accounted for".to_owned()
            } else {
                let parts = [
                    ("held", all.held_pages),
                    ("suspect", all.suspect_pages),
                    ("undecided", all.unknown_pages),
                ];
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(_, pages)| *pages > 0)
                    .map(|(what, pages)| format!("{} {what}", size(*pages)))
                    .collect();
                format!("of {} unaccounted, {}", size(all.pages), parts.join(", "))
            };
            (
                GOOD,
                "CLEAN",
                format!("nothing lost: {rest}{}", heap_lost(report)),
            )
        }
        Verdict::Incomplete => (
            DOUBT,
            "UNDECIDED",
            "nothing found lost, but what was not read might hide it".to_owned(),
        ),
    }
}

fn finding_style(finding: &Finding) -> Style {
    if finding.verdict == State::Lost {
        BAD
    } else {
        DOUBT
    }
}

fn state_word(finding: &Finding) -> &'static str {
    if finding.verdict == State::Lost {
        "lost"
    } else {
        "suspect"
    }
}

fn control(report: &Report, page: &mut Page) -> io::Result<()> {
    // A sample says nothing of references.
    if report.sample.is_some() {
        return Ok(());
    }
    let control = &report.control;
    let (missed, checked) = (thousands(control.missed), thousands(control.checked));
    let text = match control.most_missed() {
        None => "no page known to be held was there to check the search with".to_owned(),
        Some(most) => format!(
            "{missed} of {checked} pages known to be held were missed (at most {:.2} %, 95 %)",
            most * 100.0
        ),
    };
    page.item("Control", &text)
}

fn outlook(finding: &Finding, report: &Report, page: &mut Page) -> io::Result<()> {
    match finding::known(finding, &report.target.kernel) {
        known if known.is_empty() => {}
        known => page.item("Known", &known)?,
    }
    for (number, step) in finding.next.iter().enumerate() {
        page.item(if number == 0 { "Next" } else { "" }, step)?;
    }
    Ok(())
}

/// How much of the memory there was to see, what limits the answer, the time.
fn seen(report: &Report, page: &mut Page) -> io::Result<()> {
    let text = coverage(report);
    page.ends(
        FAINT,
        &format!("Seen: {text}"),
        &format!("{:.1} s", report.timing.seconds),
    )?;
    for warning in &report.warnings {
        page.item("Note", warning)?;
    }
    Ok(())
}

/// How much of the memory is in the dump, and why not the rest.
pub(super) fn coverage(report: &Report) -> String {
    let coverage = &report.target.coverage;
    let lost = coverage.absent.saturating_add(coverage.unreadable);
    let all = coverage
        .present
        .saturating_add(coverage.excluded)
        .saturating_add(lost);
    let mut text = format!(
        "{} of the pages are in the dump",
        percent(coverage.present, all)
    );
    if coverage.present == all {
        text = "All pages are in the dump".to_owned();
    }
    if coverage.excluded > 0 {
        text += &match report.target.dump_level {
            // Bit 1 of the level leaves out pages of zeroes; no bit leaves out
            // raw pages for another reason.
            Some(level) if level & 1 != 0 => {
                format!(
                    "; {} were left out at -d {level}, which keeps raw pages unless they are all zero",
                    percent(coverage.excluded, all)
                )
            }
            Some(level) => format!(
                "; {} were left out at -d {level}, which keeps raw pages",
                percent(coverage.excluded, all)
            ),
            None => format!(
                "; {} were left out on purpose",
                percent(coverage.excluded, all)
            ),
        };
    }
    if coverage.absent > 0 {
        text += &format!("; {} are missing", percent(coverage.absent, all));
    }
    if coverage.unreadable > 0 {
        text += &format!("; {} cannot be read", percent(coverage.unreadable, all));
    }
    text + "."
}

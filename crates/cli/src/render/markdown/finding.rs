//! One finding as Markdown.

use super::text::{Table, code, plain, with_code};
use crate::render::finding as words;
use crate::render::number::{percent, size, thousands};
use pagehound_model::{Evidence, Finding, Report};
use std::io::{self, Write};

/// Patterns told.
const PATTERNS: usize = 6;

/// `11.7 MiB lost: Ethernet frames received by em1 (e1000, …)`.
pub(super) fn heading(finding: &Finding) -> String {
    format!(
        "{} {}: {}",
        size(finding.bytes),
        words::state(finding.verdict),
        plain(&words::title(finding))
    )
}

/// What, how much, how sure, whose, what next.
pub(super) fn in_short(finding: &Finding, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["", ""]);
    let mut row = |label: &str, text: String| {
        if !text.is_empty() {
            table.row(&[format!("**{label}**"), text]);
        }
    };
    row("What", plain(&words::sentence(finding)));
    row(
        "How much",
        format!(
            "{}, {} of MemTotal",
            size(finding.bytes),
            percent(finding.bytes, report.target.mem_total_bytes)
        ),
    );
    let why = of(finding, Evidence::CERTAINTY);
    let but = of(finding, Evidence::LOOK_ALIKE);
    let why: Vec<String> = why.iter().chain(&but).map(|text| plain(text)).collect();
    let why = match why.as_slice() {
        [] => "whether something points to them was not looked for".to_owned(),
        some => some.join("; "),
    };
    row(
        "How sure",
        format!("**{}**: {why}", words::confidence(finding)),
    );
    row("Whose", whose(finding).join("<br>"));
    row(
        "Known",
        plain(&words::known(finding, &report.target.kernel)),
    );
    let steps: Vec<String> = finding.next.iter().map(|step| with_code(step)).collect();
    row("What next", steps.join("<br>"));
    table.write(out)
}

/// Devices, module, cache, function: whoever can be named, a line each.
fn whose(finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    for owner in &finding.owners {
        let details = [
            ("driver ", &owner.driver),
            ("at ", &owner.bus),
            ("under ", &owner.upper),
            ("MAC ", &owner.mac),
        ];
        let details: Vec<String> = details
            .iter()
            .filter_map(|(what, value)| Some(format!("{what}{}", value.as_deref()?)))
            .collect();
        lines.push(plain(&format!(
            "filled by {} ({})",
            owner.name,
            details.join(", ")
        )));
    }
    for text in of(finding, Evidence::BLAME) {
        lines.push(plain(&format!("lost in {text}")));
    }
    for text in words::allocators(finding) {
        lines.push(plain(&text));
    }
    for module in &finding.modules {
        lines.push(plain(&format!("module {}", words::identity(module))));
    }
    if lines.is_empty() {
        lines.push("nobody could be named: see the pattern below".to_owned());
    }
    lines
}

/// What was checked, in numbers, and what the pages hold.
pub(super) fn evidence(finding: &Finding, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if finding.evidence.is_empty() && finding.patterns.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Evidence: {}\n", heading(finding))?;
    let mut table = Table::new(&["What was checked", "Checked", "Agreed", "Result"]);
    // Why it is so sure stands above.
    let checks = finding.evidence.iter();
    for evidence in checks.filter(|evidence| evidence.kind != Evidence::CERTAINTY) {
        table.row(&[
            plain(subject(&evidence.kind)),
            thousands(evidence.checked),
            thousands(evidence.matched),
            plain(&evidence.text),
        ]);
    }
    table.write(out)?;
    if !finding.patterns.is_empty() {
        let mut table = Table::new(&["What the pages hold", "At offset", "In"]);
        for pattern in finding.patterns.iter().take(PATTERNS) {
            table.row(&[
                code(&words::bytes(pattern)),
                thousands(pattern.offset),
                format!("{:.1} %", pattern.share * 100.0),
            ]);
        }
        table.write(out)?;
    }
    if !finding.sample_pfns.is_empty() {
        let frames = finding.sample_pfns.iter().take(8);
        let frames: Vec<String> = frames.map(|pfn| format!("{pfn:#x}")).collect();
        writeln!(
            out,
            "Page frames to look at (of {}-byte pages): {}.\n",
            thousands(report.target.page_size),
            code(&frames.join(" "))
        )?;
    }
    Ok(())
}

/// What a kind of evidence is about.
fn subject(kind: &str) -> &str {
    match kind {
        Evidence::REFERENCES => "pages, for references",
        Evidence::CONTENT => "blocks, for what they hold",
        Evidence::OWNER => "where the owner's name is from",
        Evidence::BLAME => "who had them last",
        Evidence::NODE => "NUMA nodes",
        Evidence::LOOK_ALIKE => "lines of the kernel's log",
        other => other,
    }
}

fn of<'a>(finding: &'a Finding, kind: &str) -> Vec<&'a str> {
    let same = finding.evidence.iter().filter(|one| one.kind == kind);
    same.map(|evidence| evidence.text.as_str()).collect()
}

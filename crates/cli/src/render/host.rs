//! What the kernel's counters say, without a dump.

use super::number::{count, percent, signed, size, with_sign};
use super::page::{DOUBT, FAINT, GOOD, LABEL, PLAIN, Page};
use pagehound_hunt::host::{Classic, HostLedger, Sign};
use std::io;

/// The answer for a host whose counters are all there is.
pub fn diagnosis(ledger: &HostLedger, page: &mut Page) -> io::Result<()> {
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
        page.paragraph(
            2,
            PLAIN,
            &format!(
                "{}: drivers' and the kernel's own, or lost. Counters cannot tell which; a crash dump can.",
                count(pages, "page")
            ),
        )?;
        page.item("Next", "take a dump (kdump; on a hypervisor `virsh dump --memory-only`), then `pagehound DUMP`")?;
    }
    page.gap()?;
    self::ledger(ledger, page)
}

/// All of MemTotal, row by row.
pub fn ledger(ledger: &HostLedger, page: &mut Page) -> io::Result<()> {
    let total = u64::try_from(ledger.total_bytes).unwrap_or(0);
    page.line(
        LABEL,
        &format!(
            "{:<40}  {:>10}  {:>7}   source",
            "Where the memory is", "size", "share"
        ),
    )?;
    for row in ledger.rows.iter().filter(|row| row.bytes != 0) {
        let negative = row.bytes < 0;
        let (bytes, sign) = (row.bytes.unsigned_abs(), if negative { "-" } else { "" });
        let (bytes, share) = (
            format!("{sign}{}", size(bytes)),
            format!("{sign}{}", percent(bytes, total)),
        );
        let style = if row.name == "unaccounted" {
            DOUBT
        } else {
            PLAIN
        };
        page.line(
            style,
            &format!(
                "  {:<38}  {bytes:>10}  {share:>7}   {}",
                row.name, row.source
            ),
        )?;
    }
    page.line(
        LABEL,
        &format!(
            "  {:<38}  {:>10}  {:>7}   meminfo MemTotal",
            "total",
            size(total),
            percent(total, total)
        ),
    )?;
    page.gap()?;
    notes(ledger.notes.iter(), page)
}

/// The hand formula, line by line, and what it misses.
pub fn classic(classic: &Classic, page: &mut Page) -> io::Result<()> {
    for step in &classic.steps {
        let (sign, style) = match step.sign {
            Sign::Plus => ('+', PLAIN),
            Sign::Minus => ('-', PLAIN),
            Sign::Equals => ('=', LABEL),
        };
        page.line(
            style,
            &format!(
                "{sign} {:<38}  {:>14} kB   {}",
                step.name,
                signed(step.kb),
                step.source
            ),
        )?;
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
            page.line(
                PLAIN,
                &format!(
                    "  {:<38}  {:>14} kB   {}",
                    note.name,
                    with_sign(note.kb),
                    note.source
                ),
            )?;
            if !note.text.is_empty() {
                page.paragraph(6, FAINT, &note.text)?;
            }
        }
        page.line(
            LABEL,
            &format!(
                "= {:<38}  {:>14} kB",
                "unaccounted, corrected",
                signed(classic.corrected_kb)
            ),
        )?;
    }
    if !classic.notes.is_empty() {
        page.gap()?;
    }
    notes(classic.notes.iter(), page)
}

fn notes<'a>(notes: impl Iterator<Item = &'a String>, page: &mut Page) -> io::Result<()> {
    for note in notes {
        page.item("Note", note)?;
    }
    Ok(())
}

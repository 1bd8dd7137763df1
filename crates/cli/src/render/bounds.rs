//! What is held beyond its bound, in words.

use super::number::thousands;
use super::page::{LABEL, PLAIN, Page};
use pagehound_model::{Holder, Report};
use std::io;

/// How many of them are told.
const TOLD: usize = 10;

/// Owners with more pages than their own settings allow.
pub(super) fn beyond(report: &Report, page: &mut Page) -> io::Result<()> {
    let beyond: Vec<&Holder> = report
        .holders
        .iter()
        .filter(|holder| holder.is_beyond())
        .collect();
    if beyond.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.line(LABEL, "Held, beyond its bound")?;
    for holder in beyond.iter().take(TOLD) {
        page.paragraph(
            2,
            PLAIN,
            &format!(
                "{holder}: {} pages, {} allowed; {}",
                thousands(holder.pages),
                thousands(holder.most_pages.unwrap_or_default()),
                meaning(holder, &report.target.path),
            ),
        )?;
    }
    if let Some(more) = beyond.len().checked_sub(TOLD).filter(|more| *more > 0) {
        page.paragraph(2, PLAIN, &format!("{} more", thousands(more as u64)))?;
    }
    Ok(())
}

/// What it means, and what to do next.
fn meaning(holder: &Holder, dump: &str) -> String {
    let meaning = match holder.kind.as_str() {
        "page_pool" => {
            "somebody still knows the pages and does not give them back: look for a consumer that \
             keeps received data, watch whether they grow"
        }
        _ => "watch whether they grow",
    };
    match holder.sample_pfn {
        Some(pfn) => format!("{meaning}; `pagehound why {dump} {pfn:#x}` shows one"),
        None => meaning.to_owned(),
    }
}

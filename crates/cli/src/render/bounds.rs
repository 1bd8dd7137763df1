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
                "{} {}: {} pages, {} allowed; {}",
                holder.kind,
                holder.name,
                thousands(holder.pages),
                thousands(holder.most_pages.unwrap_or_default()),
                meaning(&holder.kind),
            ),
        )?;
    }
    if let Some(more) = beyond.len().checked_sub(TOLD).filter(|more| *more > 0) {
        page.paragraph(2, PLAIN, &format!("{} more", thousands(more as u64)))?;
    }
    Ok(())
}

/// What it means, and what to do next.
fn meaning(kind: &str) -> &'static str {
    match kind {
        "page_pool" => {
            "somebody still knows the pages and does not give them back: look for a consumer that \
             keeps received data, watch whether they grow, and show one with `pagehound why`"
        }
        _ => "watch whether they grow, and show one with `pagehound why`",
    }
}

//! Every holder by name, for who asks for all.

use super::number::{count, size, thousands};
use super::page::{LABEL, PLAIN, Page};
use pagehound_model::{Evidence, Finding, Holder, NodePages, Report, State};
use std::collections::BTreeSet;
use std::io;

/// Holders told of one finding, or of one sort.
const TOLD: usize = 20;

/// Holders of unaccounted pages by finding, then owners of pages that have a class of
/// their own.
pub(super) fn all(report: &Report, page: &mut Page) -> io::Result<()> {
    let held = report.findings.iter();
    let held: Vec<&Finding> = held
        .filter(|finding| finding.verdict == State::Held && !finding.holders.is_empty())
        .collect();
    if !held.is_empty() {
        page.gap()?;
        page.line(LABEL, "Held, by whom")?;
    }
    for finding in &held {
        let text = format!(
            "{}. {}: {}",
            finding.id,
            size(finding.bytes),
            list(finding.holders.iter())
        );
        page.paragraph(2, PLAIN, &text)?;
        // Without a name there is what the pages look like, and where they are.
        for evidence in &finding.evidence {
            if evidence.kind == Evidence::FEATURES {
                let nodes = nodes(&finding.nodes);
                page.paragraph(6, PLAIN, &format!("{}; {nodes}", evidence.text))?;
            }
        }
    }
    let told = held.iter().flat_map(|finding| &finding.holders);
    let told: BTreeSet<&str> = told.map(|holder| holder.kind.as_str()).collect();
    let rest = report.holders.iter();
    let rest: Vec<&Holder> = rest
        .filter(|holder| !told.contains(holder.kind.as_str()))
        .collect();
    let kinds: BTreeSet<&str> = rest.iter().map(|holder| holder.kind.as_str()).collect();
    if !kinds.is_empty() {
        page.gap()?;
        page.line(LABEL, "In classes of their own, by whom")?;
    }
    for kind in kinds {
        let of_kind = rest.iter().copied().filter(|holder| holder.kind == kind);
        page.paragraph(2, PLAIN, &list(of_kind))?;
    }
    Ok(())
}

/// `node 0 (12 pages), node 1 (3 pages)`.
fn nodes(nodes: &[NodePages]) -> String {
    let nodes = nodes.iter();
    let told = nodes.map(|of| format!("node {} ({})", of.node, count(of.pages, "page")));
    told.collect::<Vec<_>>().join(", ")
}

fn list<'a>(holders: impl Iterator<Item = &'a Holder>) -> String {
    let mut all: Vec<String> = holders
        .map(|holder| format!("{holder} ({})", count(holder.pages, "page")))
        .collect();
    let more = all.len().saturating_sub(TOLD);
    all.truncate(TOLD);
    if more > 0 {
        all.push(format!("{} more", thousands(more as u64)));
    }
    all.join(", ")
}

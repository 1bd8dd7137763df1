//! What a report promises beyond its schema: the sums.

use crate::{Explained, LedgerRow, Report, State, UNACCOUNTED, Verdict};
use std::collections::BTreeMap;

impl Report {
    /// Every way in which the numbers contradict each other, a sentence each;
    /// empty for a sound report.
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut equal = |what: &str, left: u64, right: u64| {
            if left != right {
                found.push(format!("{what}: {left} is not {right}"));
            }
        };
        let size = self.target.page_size;
        equal(
            "the ledger's sum and target.pages",
            sum(self.ledger.iter().map(|row| row.pages)),
            self.target.pages,
        );
        let coverage = &self.target.coverage;
        equal(
            "the sum of coverage and target.pages",
            sum([
                coverage.present,
                coverage.excluded,
                coverage.absent,
                coverage.unreadable,
                coverage.outside,
            ]),
            self.target.pages,
        );
        for row in &self.ledger {
            equal(
                &format!("bytes of ledger class {}", row.class),
                row.bytes,
                row.pages.wrapping_mul(size),
            );
        }
        let all = &self.unaccounted;
        let rows = self.ledger.iter().map(|row| (row.pages, row.estimate));
        let findings = self.findings.iter().map(|of| (of.pages, of.estimate));
        for (pages, bounds) in rows.chain(findings).chain([(all.pages, all.estimate)]) {
            if let Some(bounds) = bounds {
                equal(
                    "an estimate and its bounds",
                    pages.clamp(bounds.low, bounds.high.max(bounds.low)),
                    pages,
                );
            }
        }
        equal(
            "bytes of unaccounted",
            all.bytes,
            all.pages.wrapping_mul(size),
        );
        let states = [
            (State::Lost, all.lost_pages),
            (State::Suspect, all.suspect_pages),
            (State::Held, all.held_pages),
            (State::Unknown, all.unknown_pages),
        ];
        equal(
            "the states of unaccounted and its pages",
            sum(states.map(|(_, pages)| pages)),
            all.pages,
        );
        let raw = self
            .ledger
            .iter()
            .filter(|row| UNACCOUNTED.contains(&row.class.as_str()));
        equal(
            "the unaccounted ledger rows and unaccounted",
            sum(raw.map(|row| row.pages)),
            all.pages,
        );
        for finding in &self.findings {
            equal(
                &format!("bytes of finding {}", finding.id),
                finding.bytes,
                finding.pages.wrapping_mul(size),
            );
        }
        for (state, pages) in states {
            let of_state = self
                .findings
                .iter()
                .filter(|finding| finding.verdict == state);
            let of_findings = sum(of_state.map(|finding| finding.pages));
            if of_findings > pages {
                found.push(format!(
                    "findings have {of_findings} {state:?} pages, unaccounted has {pages}"
                ));
            }
        }
        let mut part = |what: &str, part: u64, of: u64| {
            if part > of {
                found.push(format!("{what}: {part} of {of}"));
            }
        };
        for finding in &self.findings {
            let (id, all) = (finding.id, finding.pages);
            let holders = finding.holders.iter();
            let nodes = finding.nodes.iter();
            let groups = finding.cgroups.iter();
            for (what, pages) in [
                ("holders", sum(holders.map(|holder| holder.pages))),
                ("nodes", sum(nodes.map(|node| node.pages))),
                ("control groups", sum(groups.map(|group| group.pages))),
            ] {
                part(&format!("{what} of finding {id}"), pages, all);
            }
            for allocator in &finding.allocators {
                let what = format!("pages of an allocator of finding {id}");
                part(&what, allocator.pages, allocator.looked_at);
                part(
                    "pages whose allocator was looked at",
                    allocator.looked_at,
                    all,
                );
            }
        }
        for finding in &self.findings {
            let shares = finding.patterns.iter().map(|pattern| pattern.share);
            for share in shares.filter(|share| !(0.0..=1.0).contains(share)) {
                let id = finding.id;
                found.push(format!("a pattern of finding {id} in {share} of its pages"));
            }
        }
        let mut part = |what: &str, part: u64, of: u64| {
            if part > of {
                found.push(format!("{what}: {part} of {of}"));
            }
        };
        let of_findings = self.findings.iter().flat_map(|finding| &finding.holders);
        for holder in self.holders.iter().chain(of_findings) {
            let nodes = holder.nodes.iter().map(|node| node.pages);
            part(&format!("nodes of {holder}"), sum(nodes), holder.pages);
        }
        let mut explained: BTreeMap<&str, Vec<&Explained>> = BTreeMap::new();
        for counted in self.explained.iter().filter(|part| !part.at_most) {
            explained.entry(&counted.class).or_default().push(counted);
        }
        for (class, parts) in explained {
            let is_of = |row: &&LedgerRow| parts.first().is_some_and(|part| part.is_of(&row.class));
            let rows = sum(self.ledger.iter().filter(is_of).map(|row| row.bytes));
            let counted = sum(parts.iter().map(|part| part.bytes));
            // Rows are whole pages.
            let all = rows.saturating_add(size);
            part(&format!("parts of {class}"), counted, all);
        }
        for loss in &self.heap {
            part(&format!("{} out of reach", loss.name), loss.count, loss.of);
        }
        if self.control.missed > self.control.checked {
            found.push(format!(
                "control: {} of {} missed",
                self.control.missed, self.control.checked
            ));
        }
        if (self.verdict == Verdict::Lost) != (all.lost_pages > 0) {
            found.push(format!(
                "the verdict is {:?}, but {} pages are lost",
                self.verdict, all.lost_pages
            ));
        }
        found
    }
}

/// Saturates, so that a sum that overflows shows as a contradiction.
fn sum(pages: impl IntoIterator<Item = u64>) -> u64 {
    pages.into_iter().fold(0, u64::saturating_add)
}

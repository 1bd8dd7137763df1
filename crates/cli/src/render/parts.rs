//! What a row of a host's ledger consists of, below the row.

use super::Detail;
use super::number::{percent, size};
use pagehound_model::Explained;

/// Parts of one row that are told where not all are asked for, and from which share of
/// their row on.
const TOLD: usize = 5;
const LEAST: u64 = 100;

/// A line below a row: label, size, share of all memory, source.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) size: String,
    pub(super) share: String,
    pub(super) source: String,
}

/// What is below the row of `class`: its parts, and what is left of it without those that
/// are counted. Parts of several rows stand below the last of these. `rows` are the
/// classes and bytes of all rows, `total` all memory.
pub(super) fn lines(
    explained: &[Explained],
    class: &str,
    rows: &[(String, u64)],
    detail: Detail,
    total: u64,
) -> Vec<Line> {
    let mut parts: Vec<&Explained> = explained.iter().filter(|part| part.is_of(class)).collect();
    let Some(first) = parts.first().copied() else {
        return Vec::new();
    };
    parts.retain(|part| part.class == first.class);
    let of_part: Vec<_> = rows
        .iter()
        .filter(|row| first.is_of(&row.0) && row.1 > 0)
        .collect();
    if of_part.last().is_none_or(|row| row.0 != class) {
        return Vec::new();
    }
    let all = of_part
        .iter()
        .fold(0u64, |sum, row| sum.saturating_add(row.1));
    let is_told = |part: &&&Explained| part.bytes.saturating_mul(LEAST) >= all;
    let told: Vec<&Explained> = match detail {
        Detail::All => parts,
        Detail::Usual => parts.iter().filter(is_told).take(TOLD).copied().collect(),
    };
    let mut rest = all;
    let mut lines = Vec::new();
    if of_part.len() > 1 && !told.is_empty() {
        lines.push(Line {
            label: format!("  both of {}", first.class),
            size: size(all),
            share: percent(all, total),
            source: String::new(),
        });
    }
    lines.extend(told.iter().map(|part| {
        let owner = part.owner.as_deref().unwrap_or_default();
        let blank = if owner.is_empty() { "" } else { " " };
        let bound = if part.at_most { "≤ " } else { "" };
        if !part.at_most {
            rest = rest.saturating_sub(part.bytes);
        }
        Line {
            label: format!("    {}{blank}{owner}", part.name),
            size: format!("{bound}{}", size(part.bytes)),
            share: format!("{bound}{}", percent(part.bytes, total)),
            source: part.source.clone(),
        }
    }));
    if rest > 0 && rest < all {
        lines.push(Line {
            label: "    the rest".to_owned(),
            size: size(rest),
            share: percent(rest, total),
            source: String::new(),
        });
    }
    lines
}

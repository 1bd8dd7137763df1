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

/// The parts of the row of `class`, where `all` is all of what they are part of, and what
/// is left of that without the parts that are counted. Of parts of several rows, only
/// `is_last` tells them.
pub(super) fn lines<'a>(
    explained: &'a [Explained],
    class: &str,
    all: impl Fn(&Explained) -> u64,
    is_last: impl Fn(&Explained) -> bool,
    detail: Detail,
    total: u64,
) -> Vec<Line> {
    let is_of = |part: &&Explained| part.is_of(class) && is_last(part);
    let parts: Vec<&'a Explained> = explained.iter().filter(is_of).collect();
    let Some(all) = parts.first().map(|part| all(part)) else {
        return Vec::new();
    };
    let is_told = |part: &&&Explained| part.bytes.saturating_mul(LEAST) >= all;
    let told: Vec<&Explained> = match detail {
        Detail::All => parts,
        Detail::Usual => parts.iter().filter(is_told).take(TOLD).copied().collect(),
    };
    let mut rest = all;
    let mut lines: Vec<Line> = told
        .iter()
        .map(|part| {
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
        })
        .collect();
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

//! Memory of those that have a name: holders, slab caches, control groups.

use super::amounts::{Named, Scale};
use super::redacted::Mask;
use super::result::{Amount, NamedChange, Which};
use super::side::is_counters;
use pagehound_model::{Report, State};
use std::collections::BTreeMap;

/// Whether a report tells more than classes: not of counters, nor of a sample.
fn tells(report: &Report) -> bool {
    report.sample.is_none() && !is_counters(report)
}

/// Who has what is held, by name and without what is one boot's own: process ids,
/// and places in functions, which move with every build.
pub(super) fn holders(a: &Report, b: &Report, scale: &Scale) -> Vec<NamedChange> {
    if !tells(a) || !tells(b) {
        return Vec::new();
    }
    let of = |which, report: &Report| {
        let mut pages: BTreeMap<(String, String), u64> = BTreeMap::new();
        let held = report.findings.iter();
        let held = held.filter(|finding| finding.verdict == State::Held);
        for holder in held.flat_map(|finding| &finding.holders) {
            let key = (holder.kind.clone(), common_name(&holder.name));
            let sum = pages.entry(key).or_default();
            *sum = sum.saturating_add(holder.pages);
        }
        // Pages that counters show, as those of page_pools, are in no finding.
        let mut owned: BTreeMap<(String, String), u64> = BTreeMap::new();
        for holder in &report.holders {
            let key = (holder.kind.clone(), common_name(&holder.name));
            let sum = owned.entry(key).or_default();
            *sum = sum.saturating_add(holder.pages);
        }
        for (key, more) in owned {
            let sum = pages.entry(key).or_default();
            *sum = more.max(*sum);
        }
        let pages = pages.into_iter();
        pages
            .map(|(key, pages)| (key, scale.pages(which, [(pages, None)].into_iter())))
            .collect()
    };
    scale.named(&of(Which::A, a), &of(Which::B, b))
}

/// `hold_array+0x14/0x90 [pagelab]` as `hold_array [pagelab]`.
fn common_name(name: &str) -> String {
    let words = name.split(' ').map(|word| match word.split_once("+0x") {
        Some((function, _)) => function,
        None if word.starts_with("0xffff") || word == "[address]" => "at an address",
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Slab objects and vmalloc areas that nothing reaches.
pub(super) fn heap(a: &Report, b: &Report, scale: &Scale) -> Vec<NamedChange> {
    if !tells(a) || !tells(b) {
        return Vec::new();
    }
    let of = |which, report: &Report| {
        let mut all = Named::new();
        for loss in &report.heap {
            let key = (loss.kind.clone(), common_name(&loss.name));
            let amount = all.entry(key).or_insert_with(|| scale.bytes(which, 0));
            let bytes = amount.bytes.saturating_add(loss.bytes);
            let count = amount.count.unwrap_or(0).saturating_add(loss.count);
            *amount = Amount {
                count: Some(count),
                ..scale.bytes(which, bytes)
            };
        }
        all
    };
    scale.named(&of(Which::A, a), &of(Which::B, b))
}

/// What is charged to control groups, and to those that are gone.
pub(super) fn cgroups(a: &Report, b: &Report, mask: Mask, scale: &Scale) -> Vec<NamedChange> {
    if !tells(a) || !tells(b) {
        return Vec::new();
    }
    let of = |which, report: &Report| {
        let size = report.target.page_size;
        let mut all = Named::new();
        for group in &report.cgroups {
            let pages = group.unaccounted_pages.saturating_mul(size);
            let sum = |slabs: u64| pages.saturating_add(slabs);
            let bounds = group.slab_estimate;
            let amount = Amount {
                bounds: bounds.map(|bounds| (sum(bounds.low), sum(bounds.high))),
                ..scale.bytes(which, sum(group.slab_bytes))
            };
            let of_name = all
                .entry(("cgroup".to_owned(), mask.group(&group.path)))
                .or_insert_with(|| scale.bytes(which, 0));
            *of_name = scale.sum(which, *of_name, amount);
        }
        let dying = report.dying_cgroups;
        if dying.count > 0 {
            let bytes = dying.charged_pages.saturating_mul(size);
            let amount = Amount {
                count: Some(dying.count),
                ..scale.bytes(which, bytes)
            };
            all.insert(("removed cgroups".to_owned(), String::new()), amount);
        }
        all
    };
    scale.named(&of(Which::A, a), &of(Which::B, b))
}

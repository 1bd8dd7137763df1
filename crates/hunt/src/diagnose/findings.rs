//! All findings of a dump, the gravest first: which groups get one of their own,
//! and what is too little for that.

use std::collections::BTreeMap;

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::Finding;
use pagehound_vmcore::Pfn;

use super::finding::Maker;
use super::groups::{Group, groups};
use super::parts::Parts;
use super::verdict::stray;
use crate::attribution::Attribution;
use crate::census::Census;
use crate::fingerprint::{Fingerprints, GROUP};
use crate::holders::HolderName;
use crate::units::Units;

/// Held groups that get a finding of their own; the rest is one together.
const HELD_GROUPS: usize = 12;

/// All findings, and the id of each unit's by its number.
pub(super) fn findings(
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    census: &Census,
    prints: &Fingerprints,
    attribution: &Attribution,
) -> (Vec<Finding>, Vec<u32>) {
    let groups = groups(kernel, pages, units, census, prints);
    let parts = Parts {
        kernel,
        pages,
        prints,
        attribution,
    };
    let maker = Maker { parts, census };
    let mut made: Vec<(Finding, Vec<Pfn>)> = Vec::new();
    let mut strays: Vec<Pfn> = Vec::new();
    let limit = stray(kernel, pages);
    let mut held_left: Vec<(HolderName, Vec<Pfn>)> = Vec::new();
    let mut through: BTreeMap<HolderName, u64> = BTreeMap::new();
    for (group, units) in &groups {
        if let Group::Through(cache, _) = group {
            *through.entry(cache.clone()).or_default() += parts.count(units);
        }
    }
    for (group, units) in groups {
        match group {
            Group::Orphan(key, order, detached) => {
                if units.len() < GROUP || !key.is_telling() && parts.count(&units) <= limit {
                    strays.extend(units);
                } else {
                    made.push((maker.orphans(key, order, detached, &units), units));
                }
            }
            Group::Company(key, holder) => {
                made.push((maker.company(key, &holder, &units), units));
            }
            // Too few to tell a leak from an object that is reached in a way the
            // census does not know.
            Group::Through(holder, _) if through.get(&holder).is_none_or(|&all| all <= limit) => {
                held_left.push((holder, units));
            }
            Group::Through(cache, order) => {
                made.push((maker.through(&cache, order, &units), units));
            }
            Group::Held(holder) => held_left.push((holder, units)),
            Group::InTransit => made.push((maker.in_transit(&units), units)),
        }
    }
    if !strays.is_empty() {
        strays.sort_unstable();
        let finding = maker.strays(&strays, limit);
        made.push((finding, strays));
    }
    held_left.sort_by_key(|(_, units)| std::cmp::Reverse(parts.count(units)));
    let rest: Vec<Pfn> = held_left
        .split_off(held_left.len().min(HELD_GROUPS))
        .into_iter()
        .flat_map(|(_, units)| units)
        .collect();
    for (holder, units) in held_left {
        made.push((maker.held(&holder, &units), units));
    }
    if !rest.is_empty() {
        let holder = HolderName {
            kind: "other",
            name: "smaller holders".into(),
        };
        made.push((maker.held(&holder, &rest), rest));
    }
    made.sort_by_key(|(finding, _)| (finding.verdict, std::cmp::Reverse(finding.pages)));
    let mut index = vec![0; units.len()];
    let mut findings = Vec::new();
    for (number, (mut finding, heads)) in (0u32..).zip(made) {
        finding.id = number + 1;
        for unit in heads.into_iter().filter_map(|head| units.number(head)) {
            if let Some(id) = index.get_mut(unit) {
                *id = finding.id;
            }
        }
        findings.push(finding);
    }
    (findings, index)
}

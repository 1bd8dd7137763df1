//! All findings of a dump, the gravest first: which groups get one of their own,
//! and what is too little for that.

use std::collections::BTreeMap;

use pagehound_model::Finding;

use super::finding::{Holding, Maker};
use super::groups::{Group, Groups};
use super::members::Members;
use super::parts::Parts;
use super::verdict::stray;
use crate::allocators::Allocators;
use crate::census::Census;
use crate::fingerprint::GROUP;
use crate::holders::{Climb, HolderName};
use crate::units::Units;

/// Held groups that get a finding of their own; the rest is one together.
const HELD_GROUPS: usize = 12;

/// Units of one holder.
pub(super) type Part<'a> = (&'a HolderName, Members<'a>);

/// All that findings are drawn from.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) units: &'a Units,
    pub(super) census: &'a Census,
    pub(super) climb: &'a Climb,
}

/// All findings, the groups of all units, and the id of each group's finding by its
/// number.
pub(super) fn findings(seen: &Seen<'_>) -> (Vec<Finding>, Groups, Vec<u32>) {
    let &Seen {
        parts,
        units,
        census,
        ..
    } = seen;
    let groups = Groups::of(seen);
    let maker = Maker { parts, census };
    let mut made: Vec<(Finding, Members<'_>)> = Vec::new();
    let mut strays: Vec<Members<'_>> = Vec::new();
    let limit = stray(parts.kernel, parts.pages);
    let mut held: BTreeMap<(&str, &str), Vec<Part<'_>>> = BTreeMap::new();
    let mut through: BTreeMap<&HolderName, u64> = BTreeMap::new();
    for (group, units) in groups.all(units) {
        if let Group::Through(cache, _) = group {
            *through.entry(cache).or_default() += units.pages();
        }
    }
    for (group, units) in groups.all(units) {
        match group {
            &Group::Orphan(key, order, detached) => {
                if units.len() < GROUP || !key.is_telling() && units.pages() <= limit {
                    strays.push(units);
                } else {
                    made.push((maker.orphans(key, order, detached, &units), units));
                }
            }
            Group::Company(key, holder) => {
                made.push((maker.company(*key, holder, &units), units));
            }
            // Too few to tell a leak from an object that is reached in a way the
            // census does not know.
            Group::Through(holder, _) if through.get(holder).is_none_or(|&all| all <= limit) => {
                held.entry(holder.family())
                    .or_default()
                    .push((holder, units));
            }
            Group::Through(cache, order) => {
                made.push((maker.through(cache, *order, &units), units));
            }
            Group::Owned(kind) => made.push((maker.owned(kind, &units), units)),
            Group::Held(holder) => held
                .entry(holder.family())
                .or_default()
                .push((holder, units)),
            Group::InTransit => made.push((maker.in_transit(&units), units)),
        }
    }
    if let Some(strays) = Members::together(strays) {
        let finding = maker.strays(&strays, limit);
        made.push((finding, strays));
    }
    let (known, unknown): (Vec<_>, Vec<_>) = held
        .into_values()
        .partition(|parts| parts.iter().all(|(holder, _)| holder.is_known()));
    let mut known: Vec<(u64, Vec<Part<'_>>)> = known
        .into_iter()
        .map(|parts| (parts.iter().map(|(_, units)| units.pages()).sum(), parts))
        .collect();
    known.sort_by_key(|(pages, _)| std::cmp::Reverse(*pages));
    let rest = known.split_off(known.len().min(HELD_GROUPS));
    let rest: Vec<Part<'_>> = rest.into_iter().flat_map(|(_, parts)| parts).collect();
    let families = known.into_iter().map(|(_, parts)| (Holding::One, parts));
    let together = [
        (Holding::Several, rest),
        (Holding::Unknown, unknown.into_iter().flatten().collect()),
    ];
    for (holding, parts) in families.chain(together) {
        if let Some(units) = Members::together(parts.iter().map(|(_, units)| units.clone())) {
            made.push((maker.held(holding, &parts, &units), units));
        }
    }
    made.sort_by_key(|(finding, _)| (finding.verdict, std::cmp::Reverse(finding.pages)));
    let mut ids = vec![0; groups.len()];
    let mut findings = Vec::new();
    let allocators = Allocators::of(parts.kernel, parts.pages);
    for (number, (mut finding, members)) in (0u32..).zip(made) {
        finding.id = number + 1;
        finding.allocators = allocators.among(members.heads(), members.len());
        for &group in members.numbers() {
            if let Some(id) = ids.get_mut(usize::from(group)) {
                *id = finding.id;
            }
        }
        findings.push(finding);
    }
    (findings, groups, ids)
}

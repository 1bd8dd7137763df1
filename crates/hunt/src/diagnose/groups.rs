//! Unaccounted units into groups: lost by what they hold, held by who holds
//! them.

use std::collections::{BTreeMap, HashMap, HashSet};

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_vmcore::Pfn;

use crate::census::{Census, Fate, Via};
use crate::fingerprint::{Fingerprints, GROUP, Key, order};
use crate::holders::{HolderName, Holders};
use crate::units::Units;

/// What sets findings apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Group {
    /// Nothing refers to it: by content, order, and whether it once was cache.
    Orphan(Key, u32, bool),
    /// Referred to by slab objects nobody refers to: by cache and order.
    Through(HolderName, u32),
    /// Referred to, with the content of something lost: by content and holder.
    Company(Key, HolderName),
    /// Referred to: by holder.
    Held(HolderName),
    /// Caught between allocated and free.
    InTransit,
}

/// Every unaccounted unit, by its group.
pub(super) fn groups(
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    census: &Census,
    prints: &Fingerprints,
) -> BTreeMap<Group, Vec<Pfn>> {
    let mut lost: HashMap<Key, usize> = HashMap::new();
    let mut listed: HashSet<u64> = HashSet::new();
    let unaccounted = |head: &Pfn| pages.map.class(*head).is_unaccounted();
    let heads = || units.heads().filter(unaccounted);
    for head in heads() {
        match census.fate(pages, head) {
            Fate::Orphan => *lost.entry(prints.key(head)).or_default() += 1,
            Fate::Held => {
                if let Some(Via::PageStruct(from)) = census.via(head) {
                    listed.extend([head.0, from.0]);
                }
            }
            Fate::InTransit => {}
        }
    }
    let mut holders = Holders::new(kernel, pages, census);
    let mut groups: BTreeMap<Group, Vec<Pfn>> = BTreeMap::new();
    for head in heads() {
        let key = prints.key(head);
        let group = match census.fate(pages, head) {
            Fate::InTransit => Group::InTransit,
            Fate::Orphan => {
                let detached = pages.map.class(head) == Class::Detached;
                Group::Orphan(key, order(pages, head), detached)
            }
            Fate::Held => {
                let company =
                    key.is_telling() && lost.get(&key).is_some_and(|&units| units >= GROUP);
                let holder = holders.of(head);
                if census.is_lost_through_cache(head) {
                    let order = order(pages, head);
                    groups
                        .entry(Group::Through(holder, order))
                        .or_default()
                        .push(head);
                    continue;
                }
                // A place on a list through page->lru is ownership, not a
                // word that may have been left behind.
                if company && !listed.contains(&head.0) {
                    Group::Company(key, holder)
                } else {
                    Group::Held(holder)
                }
            }
        };
        groups.entry(group).or_default().push(head);
    }
    groups
}

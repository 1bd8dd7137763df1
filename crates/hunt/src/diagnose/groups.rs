//! Unaccounted units into groups: lost by what they hold, held by who holds
//! them.

use std::collections::{BTreeMap, HashMap};

use pagehound_kernel::Class;
use pagehound_model::Content;
use pagehound_vmcore::Pfn;

use super::findings::Seen;
use super::members::Members;
use crate::census::{Bits, Fate, Via};
use crate::fingerprint::{GROUP, Key, order};
use crate::holders::{HolderName, Holders};
use crate::units::Units;

/// What sets findings apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Group {
    /// Nothing refers to it: by content, order, and whether it once was cache.
    Orphan(Key, u32, bool),
    /// Referred to by slab objects nobody refers to: by cache and order.
    Through(HolderName, u32),
    /// Referred to by what owns it, whatever it holds: by the kind of that.
    Owned(&'static str),
    /// Referred to, with the content of something lost: by content and holder.
    Company(Key, HolderName),
    /// Referred to: by holder.
    Held(HolderName),
    /// Caught between allocated and free.
    InTransit,
}

/// Which group each unit is in, two bytes a unit.
pub(crate) struct Groups {
    /// Number of the group by that of the unit; 0 for none.
    of: Vec<u16>,
    /// The groups with their numbers.
    numbers: BTreeMap<Group, u16>,
    /// Units and pages of each group by its number.
    sizes: Vec<(usize, u64)>,
}

/// Groups after which new ones go with others: as many tasks may hold pages on
/// their stacks, and only the largest groups are told.
const MOST: usize = u16::MAX as usize;

/// What is said of the content of groups there are too many of.
const MIXED: Key = Key::Kind(Content::Mixed);

impl Groups {
    /// Every unaccounted unit, by its group.
    pub(super) fn of(seen: &Seen<'_>) -> Groups {
        let &Seen {
            parts,
            units,
            census,
            climb,
        } = seen;
        let (kernel, pages, prints) = (parts.kernel, parts.pages, parts.prints);
        let mut lost: HashMap<Key, usize> = HashMap::new();
        let listed = Bits::new(pages.map.end());
        let unaccounted = |head: &Pfn| pages.map.class(*head).is_unaccounted();
        for head in units.heads().filter(unaccounted) {
            match census.fate(pages, head) {
                Fate::Orphan => *lost.entry(prints.key(head)).or_default() += 1,
                Fate::Held => {
                    if let Some(Via::PageStruct(from)) = census.via(head) {
                        listed.set(head);
                        listed.set(from);
                    }
                }
                Fate::InTransit => {}
            }
        }
        let mut holders = Holders::new(kernel, pages, census, climb);
        let mut groups = Groups {
            of: vec![0; units.len()],
            numbers: BTreeMap::new(),
            sizes: vec![(0, 0)],
        };
        for (number, head) in units.heads().enumerate() {
            if !unaccounted(&head) {
                continue;
            }
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
                    let lost = census.is_lost_through_cache(head);
                    if let Some(owner) = pages.claims.owner(head) {
                        let group = Group::Owned(owner.kind.name());
                        groups.put(number, group, pages.map.unit(head).len());
                        continue;
                    }
                    let holder = holders.of(head);
                    if lost {
                        Group::Through(holder, order(pages, head))
                    } else if company && !listed.get(head) {
                        // A place on a list through page->lru is ownership, not a
                        // word that may have been left behind.
                        Group::Company(
                            key,
                            HolderName {
                                pid: None,
                                ..holder
                            },
                        )
                    } else {
                        Group::Held(holder)
                    }
                }
            };
            groups.put(number, group, pages.map.unit(head).len());
        }
        groups
    }

    fn put(&mut self, unit: usize, group: Group, pages: u64) {
        let number = self.number(group);
        if let Some(slot) = self.of.get_mut(unit) {
            *slot = number;
        }
        if let Some((units, all)) = self.sizes.get_mut(usize::from(number)) {
            *units += 1;
            *all += pages;
        }
    }

    /// The number of a group; of one too many that of those like it.
    fn number(&mut self, group: Group) -> u16 {
        if let Some(&number) = self.numbers.get(&group) {
            return number;
        }
        // The last numbers are for what the rest goes with.
        let group = match group {
            group if self.sizes.len() + 8 < MOST => group,
            Group::Orphan(_, _, detached) => Group::Orphan(MIXED, 0, detached),
            Group::InTransit => Group::InTransit,
            Group::Owned(kind) => Group::Owned(kind),
            Group::Through(..) => Group::Through(HolderName::others(), 0),
            Group::Company(..) => Group::Company(MIXED, HolderName::others()),
            Group::Held(_) => Group::Held(HolderName::others()),
        };
        let next = self.sizes.len() as u16;
        let number = *self.numbers.entry(group).or_insert(next);
        if number == next {
            self.sizes.push((0, 0));
        }
        number
    }

    /// All groups with their units, in the order of groups.
    pub(super) fn all<'a>(
        &'a self,
        units: &'a Units,
    ) -> impl Iterator<Item = (&'a Group, Members<'a>)> {
        self.numbers.iter().map(move |(group, &number)| {
            let (count, pages) = self.size(number);
            let members = Members::new(units, &self.of, number, count, pages);
            (group, members)
        })
    }

    fn size(&self, number: u16) -> (usize, u64) {
        let size = self.sizes.get(usize::from(number));
        size.copied().unwrap_or_default()
    }

    /// The number of the group a unit is in, 0 for none.
    pub(super) fn number_of(&self, unit: usize) -> u16 {
        self.of.get(unit).copied().unwrap_or(0)
    }

    /// One more than the highest number of a group.
    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }
}

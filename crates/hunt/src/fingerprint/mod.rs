//! Fingerprints: what the pages the census decides over have in common,
//! without being told what to look for.
//!
//! Units that hold Ethernet frames are grouped by destination address. Of the
//! rest, values that recur at the same offset of many units (anchors) set
//! groups apart: the commonest first, its units taken out, and so on. What a
//! group's units agree on byte by byte becomes its patterns.

mod anchors;
mod consensus;
mod content;
mod ethernet;
mod table;
mod traits;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::Content;
use pagehound_scan::{NoProgress, Pass};
use pagehound_vmcore::{Mac, Pfn};

pub(crate) use anchors::Anchor;
pub use ethernet::{Frame, frames};
use table::Table;
use traits::{Reading, Traits};

use crate::census::{Bits, Naming};
use crate::units::Units;

/// What the units of a group share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// Frames to this address.
    Ethernet(Mac),
    /// A value at an offset.
    Anchor(Anchor),
    /// Nothing but the kind of bytes.
    Kind(Content),
    /// The content is not in the dump.
    Absent,
}

/// Bytes that units of a group have at the same place.
#[derive(Clone, PartialEq, Debug)]
pub struct Shared {
    /// Offset in the unit, in bytes.
    pub offset: u64,
    /// The bytes, `None` where they vary.
    pub bytes: Vec<Option<u8>>,
    /// Part of the units that has them, 0 to 1.
    pub share: f64,
}

impl Key {
    /// Whether units of this group have something in common: zeroes and noise
    /// are alike without that.
    pub(crate) fn is_telling(self) -> bool {
        matches!(self, Key::Ethernet(_) | Key::Anchor(_))
    }
}

/// Groups of units, by what they hold.
pub struct Fingerprints {
    units: Arc<Units>,
    table: Table,
    /// See [`Reading::sums`].
    sums: Vec<u32>,
    /// The group of each of the table's different traits.
    keys: Vec<Key>,
    /// Bytes of content read.
    pub bytes_read: u64,
}

/// Units from which on a group is one and not chance.
pub(crate) const GROUP: usize = 8;

impl Fingerprints {
    /// Reads every unit and groups them; `devices` are the addresses
    /// of this machine's network devices.
    pub(crate) fn of(
        kernel: &Kernel<'_>,
        pages: &Pages,
        units: &Arc<Units>,
        naming: &Naming,
        pass: &Pass<'_>,
        devices: &[Mac],
    ) -> Fingerprints {
        let Reading {
            mut table,
            sums,
            bytes_read,
        } = traits::read(kernel, pages, units, naming, pass, devices);
        anchor(&mut table, kernel, pages, units, naming, pass);
        let mut keys: Vec<Key> = table.different().iter().map(Traits::key).collect();
        join_group_addresses(&mut keys, &table.counts());
        Fingerprints {
            units: Arc::clone(units),
            table,
            sums,
            keys,
            bytes_read,
        }
    }

    /// The group of a unit.
    pub fn key(&self, head: Pfn) -> Key {
        let number = self.units.number(head);
        let id = number.and_then(|number| self.table.id(number));
        let key = id.and_then(|id| self.keys.get(id));
        key.copied().unwrap_or(Key::Absent)
    }

    /// What the bytes of a unit make, of a host that runs: another number where they
    /// are others.
    pub(crate) fn sum(&self, head: Pfn) -> u32 {
        let number = self.units.number(head);
        let sum = number.and_then(|number| self.sums.get(number));
        sum.copied().unwrap_or_default()
    }

    fn traits(&self, head: Pfn) -> Option<&Traits> {
        self.table.get(self.units.number(head)?)
    }

    /// The group most of `heads` belong to.
    pub(crate) fn main_key(&self, heads: impl Iterator<Item = Pfn>) -> Key {
        let mut counts: BTreeMap<Key, usize> = BTreeMap::new();
        for head in heads {
            *counts.entry(self.key(head)).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(Key::Absent, |(key, _)| key)
    }

    /// Whether a unit is a page of VMCOREINFO. A crashing kernel replaces its
    /// pointer to that page by one to a safe copy (crash_save_vmcoreinfo,
    /// 1229384f5b85, 4.13), so nothing refers to it any more.
    pub(crate) fn is_vmcoreinfo(&self, head: Pfn) -> bool {
        self.traits(head).is_some_and(|unit| unit.vmcoreinfo)
    }

    /// Kind of bytes most of `heads` hold.
    pub fn content(&self, heads: impl Iterator<Item = Pfn>) -> Content {
        let mut counts: BTreeMap<Content, usize> = BTreeMap::new();
        let mut all = 0;
        for head in heads {
            all += 1;
            if let Some(unit) = self.traits(head) {
                *counts.entry(unit.content).or_default() += 1;
            }
        }
        let most = counts.iter().max_by_key(|(_, count)| **count);
        match most {
            Some((&content, &count)) if count * 10 >= all * 6 => content,
            _ => Content::Mixed,
        }
    }

    /// The patterns of a group of `count` units: for frames first the address at
    /// each offset it is found at, then what the units agree on byte by byte.
    pub fn patterns(
        &self,
        kernel: &Kernel<'_>,
        key: Key,
        count: usize,
        heads: impl Iterator<Item = Pfn> + Clone,
    ) -> Vec<Shared> {
        let mut patterns = Vec::new();
        if let Key::Ethernet(mac) = key {
            patterns = self.addresses(mac, count, heads.clone());
        }
        if count >= GROUP {
            for pattern in consensus::patterns(kernel, count, heads) {
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
        }
        patterns
    }

    fn addresses(&self, mac: Mac, all: usize, heads: impl Iterator<Item = Pfn>) -> Vec<Shared> {
        let mut offsets: BTreeMap<u32, usize> = BTreeMap::new();
        for unit in heads.filter_map(|head| self.traits(head)) {
            if unit.dst == Some(mac) {
                for offset in unit.offsets() {
                    *offsets.entry(offset).or_default() += 1;
                }
            }
        }
        let mut patterns: Vec<Shared> = offsets
            .into_iter()
            .filter(|(_, count)| count * 20 >= all)
            .map(|(offset, count)| Shared {
                offset: u64::from(offset),
                bytes: mac.0.map(Some).to_vec(),
                share: share(count, all),
            })
            .collect();
        patterns.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.offset.cmp(&b.offset)));
        patterns.truncate(4);
        patterns
    }
}

/// Groups units of no address by values they share, those of each order apart.
fn anchor(
    table: &mut Table,
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    naming: &Naming,
    pass: &Pass<'_>,
) {
    let mut orders: BTreeMap<u32, usize> = BTreeMap::new();
    let wanted = Bits::new(pages.map.end());
    for (number, head) in units.heads().enumerate() {
        if table.get(number).is_some_and(Traits::wants_anchor) {
            wanted.set(head);
            *orders.entry(order(pages, head)).or_default() += 1;
        }
    }
    let anchors: BTreeMap<u32, Vec<Anchor>> = orders
        .into_iter()
        .map(|(wanted_order, count)| {
            let heads = units.heads();
            let heads = heads.filter(|&head| wanted.get(head));
            let heads = heads.filter(|&head| order(pages, head) == wanted_order);
            (wanted_order, anchors::find(kernel, naming, count, heads))
        })
        .collect();
    if anchors.values().all(Vec::is_empty) {
        return;
    }
    let quiet = Pass {
        progress: &NoProgress,
        ..*pass
    };
    quiet.ordered(
        |pfn| wanted.get(pfn),
        Vec::new,
        |found: &mut Vec<(Pfn, Anchor)>, first, run| {
            let size = kernel.page_size() as usize;
            for (head, page) in (first.0..).map(Pfn).zip(run.chunks_exact(size)) {
                let known = anchors.get(&order(pages, head));
                let anchor = known.and_then(|known| anchors::of_page(page, naming, known));
                found.extend(anchor.map(|anchor| (head, anchor)));
            }
        },
        std::mem::take,
        |found| {
            for (head, anchor) in found {
                if let Some(number) = units.number(head) {
                    table.change(number, |known| Some(known?.anchored(anchor)));
                }
            }
            ControlFlow::Continue(())
        },
    );
}

/// Frames to group addresses (broadcast, multicast) go with the address of the
/// device that received them: the commonest single one. `counts` are the units
/// of each key.
fn join_group_addresses(keys: &mut [Key], counts: &[usize]) {
    let mut single: BTreeMap<Mac, usize> = BTreeMap::new();
    for (key, count) in keys.iter().zip(counts) {
        if let Key::Ethernet(mac) = key
            && !mac.is_group()
        {
            *single.entry(*mac).or_default() += count;
        }
    }
    single.retain(|_, count| *count > 0);
    let Some((&main, _)) = single.iter().max_by_key(|(_, count)| **count) else {
        return;
    };
    for key in keys {
        if let Key::Ethernet(mac) = key
            && mac.is_group()
        {
            *mac = main;
        }
    }
}

/// log2 of the pages in the unit, rounded up.
pub(crate) fn order(pages: &Pages, head: Pfn) -> u32 {
    pages
        .map
        .unit(head)
        .len()
        .next_power_of_two()
        .trailing_zeros()
}

pub(crate) fn share(part: usize, all: usize) -> f64 {
    let exact = part as f64 / all.max(1) as f64;
    (exact * 10_000.0).round() / 10_000.0
}

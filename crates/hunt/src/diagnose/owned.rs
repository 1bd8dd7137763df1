//! Owners by the kernel's own structures, added up for people.

use std::collections::BTreeMap;

use pagehound_kernel::{Claimant, Pages};
use pagehound_model::{Evidence, Finding, Holder, thousands};
use pagehound_vmcore::Pfn;

use super::nodes::{ByNode, Nodes};

/// Owners of a kind told one by one; the rest is one together.
const LISTED: usize = 100;

/// What one owner has of the units that are looked at.
#[derive(Default)]
struct Has {
    pages: u64,
    nodes: ByNode,
    first: Option<Pfn>,
}

/// Owners of one name and process.
#[derive(Default)]
struct Sum {
    owners: u64,
    has: Has,
    module: Option<String>,
    /// The most those may have that have a bound.
    most: u64,
    bounded: u64,
}

impl Sum {
    fn add(&mut self, owner: &Claimant, has: &Has) {
        self.owners += 1;
        self.has.pages += has.pages;
        self.has.nodes.merge(&has.nodes);
        self.has.first = [self.has.first, has.first].into_iter().flatten().min();
        if self.module.is_none() {
            self.module.clone_from(&owner.module);
        }
        self.most = self.most.saturating_add(owner.most.unwrap_or(0));
        self.bounded += u64::from(owner.most.is_some());
    }

    fn holder(&self, kind: &str, (name, pid): (&str, Option<u32>)) -> Holder {
        Holder {
            kind: kind.to_owned(),
            name: name.to_owned(),
            pages: self.has.pages,
            pid,
            module: self.module.clone(),
            most_pages: (self.bounded == self.owners).then_some(self.most),
            nodes: self.has.nodes.told(),
            sample_pfn: self.has.first.map(|pfn| pfn.0),
        }
    }
}

/// Owners of these units, each unit with the number of its owner, by kind, name and
/// process, the largest first; beyond [`LISTED`] of a kind the others as one.
fn of_units(pages: &Pages, units: impl Iterator<Item = (Pfn, usize)>) -> Vec<Holder> {
    let nodes = Nodes::of(pages);
    let mut all: BTreeMap<usize, Has> = BTreeMap::new();
    for (head, number) in units {
        let has = all.entry(number).or_default();
        let length = pages.map.unit(head).len();
        has.pages += length;
        has.nodes.add(nodes.node(head), length);
        has.first = [has.first, Some(head)].into_iter().flatten().min();
    }
    let mut kinds: BTreeMap<&str, BTreeMap<(&str, Option<u32>), Sum>> = BTreeMap::new();
    for (number, has) in &all {
        let Some(owner) = pages.claims.owners().get(*number) else {
            continue;
        };
        let names = kinds.entry(owner.kind.name()).or_default();
        let one = names.entry((&owner.name, owner.pid)).or_default();
        one.add(owner, has);
    }
    let mut told = Vec::new();
    for (kind, names) in kinds {
        let of_kind = names.iter().map(|(&name, sum)| sum.holder(kind, name));
        let mut of_kind: Vec<Holder> = of_kind.collect();
        largest(&mut of_kind, kind);
        told.extend(of_kind);
    }
    told.sort_by_key(|holder| std::cmp::Reverse(holder.pages));
    told
}

/// The largest first, and beyond [`LISTED`] the others as one of this kind.
pub(super) fn largest(holders: &mut Vec<Holder>, kind: &str) {
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.pages));
    let rest = holders.split_off(holders.len().min(LISTED));
    if !rest.is_empty() {
        holders.push(Holder {
            kind: kind.to_owned(),
            name: format!("{} others", thousands(rest.len() as u64)),
            pages: rest.iter().map(|holder| holder.pages).sum(),
            pid: None,
            module: None,
            most_pages: None,
            nodes: Vec::new(),
            sample_pfn: None,
        });
    }
}

/// Who of all owners has the units, each with its pages.
pub(super) fn among(pages: &Pages, units: impl Iterator<Item = Pfn>) -> Vec<Holder> {
    let owned = units.filter_map(|head| Some((head, pages.claims.number(head)?)));
    of_units(pages, owned)
}

/// All owners, with all pages of theirs.
pub(super) fn holders(pages: &Pages) -> Vec<Holder> {
    of_units(pages, pages.claims.units())
}

/// What they may have together.
fn most<'a>(holders: impl Iterator<Item = &'a Holder>) -> u64 {
    let bounds = holders.filter_map(|holder| holder.most_pages);
    bounds.fold(0, u64::saturating_add)
}

/// How what is held compares with what may be.
pub(super) fn evidence(finding: &Finding) -> Vec<Evidence> {
    let bounded = finding.holders.iter();
    let bounded: Vec<&Holder> = bounded
        .filter(|holder| holder.most_pages.is_some())
        .collect();
    let beyond = bounded.iter().filter(|holder| holder.is_beyond());
    let beyond: Vec<&&Holder> = beyond.collect();
    let text = match (bounded.as_slice(), beyond.as_slice()) {
        ([], _) => return Vec::new(),
        (all, []) => format!(
            "held, bounded: all within what their own settings allow, {} pages in all",
            thousands(most(all.iter().copied()))
        ),
        (all, some) => format!(
            "held, beyond its bound: {} pages, {} allowed ({} of {})",
            thousands(some.iter().map(|holder| holder.pages).sum()),
            thousands(most(some.iter().copied().copied())),
            thousands(some.len() as u64),
            thousands(all.len() as u64),
        ),
    };
    vec![Evidence {
        kind: Evidence::BOUND.into(),
        checked: finding.pages,
        matched: bounded.iter().map(|holder| holder.pages).sum(),
        text,
    }]
}

//! Owners by the kernel's own structures, added up for people.

use std::collections::{BTreeMap, HashMap};

use pagehound_kernel::{Claimant, Claims};
use pagehound_model::{Evidence, Finding, Holder, thousands};
use pagehound_vmcore::Pfn;

/// Owners of a kind told one by one; the rest is one together.
const LISTED: usize = 100;

/// Owners of one name.
#[derive(Default)]
struct Sum {
    owners: u64,
    pages: u64,
    pid: Option<u32>,
    /// The most those may have that have a bound.
    most: u64,
    bounded: u64,
}

impl Sum {
    fn add(&mut self, owner: &Claimant, pages: u64) {
        self.owners += 1;
        self.pages += pages;
        self.pid = self.pid.or(owner.pid);
        self.most = self.most.saturating_add(owner.most.unwrap_or(0));
        self.bounded += u64::from(owner.most.is_some());
    }

    fn holder(&self, kind: &str, name: &str) -> Holder {
        Holder {
            kind: kind.to_owned(),
            name: name.to_owned(),
            pages: self.pages,
            pid: self.pid,
            module: None,
            most_pages: (self.bounded == self.owners).then_some(self.most),
        }
    }
}

/// Owners with so many pages each, by kind and name, the largest first; beyond
/// [`LISTED`] of a kind the others as one.
fn holders_of<'a>(owners: impl Iterator<Item = (&'a Claimant, u64)>) -> Vec<Holder> {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, Sum>> = BTreeMap::new();
    for (owner, pages) in owners.filter(|(_, pages)| *pages > 0) {
        let names = kinds.entry(owner.kind).or_default();
        names.entry(&owner.name).or_default().add(owner, pages);
    }
    let mut all = Vec::new();
    for (kind, names) in kinds {
        let of_kind = names.iter().map(|(name, sum)| sum.holder(kind, name));
        let mut of_kind: Vec<Holder> = of_kind.collect();
        largest(&mut of_kind, kind);
        all.extend(of_kind);
    }
    all.sort_by_key(|holder| std::cmp::Reverse(holder.pages));
    all
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
        });
    }
}

/// Who of all owners has the units, each with its pages.
pub(super) fn among(claims: &Claims, units: impl Iterator<Item = (Pfn, u64)>) -> Vec<Holder> {
    let mut pages: HashMap<usize, u64> = HashMap::new();
    for (head, length) in units {
        if let Some(number) = claims.number(head) {
            *pages.entry(number).or_default() += length;
        }
    }
    let owners = claims.owners().iter().enumerate();
    holders_of(owners.map(|(number, owner)| (owner, pages.get(&number).copied().unwrap_or(0))))
}

/// All owners, with all pages of theirs.
pub(super) fn holders(claims: &Claims) -> Vec<Holder> {
    holders_of(claims.owners().iter().map(|owner| (owner, owner.pages)))
}

/// How what is held compares with what may be.
pub(super) fn evidence(finding: &Finding) -> Vec<Evidence> {
    let bounded = finding.holders.iter();
    let bounded: Vec<&Holder> = bounded
        .filter(|holder| holder.most_pages.is_some())
        .collect();
    let beyond = bounded.iter().filter(|holder| holder.is_beyond());
    let text = match (bounded.len(), beyond.count()) {
        (0, _) => return Vec::new(),
        (_, 0) => format!(
            "all within what their own settings allow, {} pages in all",
            thousands(bounded.iter().filter_map(|holder| holder.most_pages).sum())
        ),
        (all, beyond) => format!("{beyond} of {all} have more than their own settings allow"),
    };
    vec![Evidence {
        kind: Evidence::BOUND.into(),
        checked: finding.pages,
        matched: bounded.iter().map(|holder| holder.pages).sum(),
        text,
    }]
}

//! Unaccounted units into findings: lost by what they hold, held by who holds
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_model::{
    Confidence, Evidence, Finding, Holder, NodePages, Owner, OwnerRole, Pattern, Reach, State,
    thousands,
};
use pagehound_vmcore::{Mac, Pfn};

use super::signature;
use super::verdict::stray;
use crate::attribution::Attribution;
use crate::census::{Census, Fate, Via};
use crate::fingerprint::{Fingerprints, GROUP, Key, Shared, order};
use crate::holders::{HolderName, Holders};
use crate::units::Units;

/// Held groups that get a finding of their own; the rest is one together.
const HELD_GROUPS: usize = 12;
/// Sample frames and holders named a finding.
const SAMPLES: usize = 8;

/// What sets findings apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Group {
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
    let maker = Maker {
        kernel,
        pages,
        census,
        prints,
        attribution,
    };
    let mut made: Vec<(Finding, Vec<Pfn>)> = Vec::new();
    let mut strays: Vec<Pfn> = Vec::new();
    let limit = stray(kernel, pages);
    let mut held_left: Vec<(HolderName, Vec<Pfn>)> = Vec::new();
    let mut through: BTreeMap<HolderName, u64> = BTreeMap::new();
    for (group, units) in &groups {
        if let Group::Through(cache, _) = group {
            *through.entry(cache.clone()).or_default() += maker.count(units);
        }
    }
    for (group, units) in groups {
        match group {
            Group::Orphan(key, order, detached) => {
                if units.len() < GROUP || !key.is_telling() && maker.count(&units) <= limit {
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
    held_left.sort_by_key(|(_, units)| std::cmp::Reverse(maker.count(units)));
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

fn groups(
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

/// Where frames were lost (rule 13): an address tells who filled the pages, and
/// whether sk_buffs came by them tells who had them last.
fn blame(finding: &Finding, place: impl Fn(&str) -> String) -> Option<Evidence> {
    let received = |owner: &&Owner| owner.role == Some(OwnerRole::Destination);
    let drivers: BTreeSet<&str> = finding
        .owners
        .iter()
        .filter(received)
        .filter_map(|owner| owner.driver.as_deref())
        .collect();
    if drivers.is_empty() {
        return None;
    }
    let drivers: Vec<&str> = drivers.into_iter().collect();
    let drivers = format!("the {} driver", drivers.join(" or "));
    Some(Evidence {
        kind: Evidence::BLAME.into(),
        checked: finding.pages,
        matched: finding.pages,
        text: place(&drivers),
    })
}

struct Maker<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    census: &'a Census,
    prints: &'a Fingerprints,
    attribution: &'a Attribution,
}

impl Maker<'_> {
    fn count(&self, units: &[Pfn]) -> u64 {
        units
            .iter()
            .map(|&head| self.pages.map.unit(head).len())
            .sum()
    }

    /// A finding with what every finding has.
    fn plain(&self, verdict: State, reach: Reach, signature: String, units: &[Pfn]) -> Finding {
        let pages = self.count(units);
        let first = units.first().map(|&head| order(self.pages, head));
        let same = units
            .iter()
            .all(|&head| Some(order(self.pages, head)) == first);
        let step = units.len().div_ceil(SAMPLES).max(1);
        Finding {
            id: 0,
            signature,
            group: None,
            verdict,
            reach,
            pages,
            bytes: pages * self.kernel.page_size(),
            order: first.filter(|_| same),
            estimate: None,
            content: self.prints.content(units),
            patterns: Vec::new(),
            owners: Vec::new(),
            holders: Vec::new(),
            nodes: self.nodes(units),
            evidence: Vec::new(),
            confidence: Confidence::Likely,
            known_issues: Vec::new(),
            sample_pfns: units.iter().step_by(step).map(|head| head.0).collect(),
        }
    }

    fn orphans(&self, key: Key, order: u32, detached: bool, units: &[Pfn]) -> Finding {
        let proof = self.census.is_proof();
        let verdict = if proof { State::Lost } else { State::Suspect };
        let mut finding = self.plain(
            verdict,
            Reach::Unreferenced,
            signature::orphans(key, order, detached),
            units,
        );
        finding.confidence = if proof {
            Confidence::Proved
        } else {
            Confidence::Possible
        };
        self.describe(&mut finding, key, units);
        let searched = self.census.roots_bytes >> 20;
        finding.evidence.push(Evidence {
            kind: Evidence::REFERENCES.into(),
            checked: finding.pages,
            matched: finding.pages,
            text: format!(
                "nothing refers to any of the {} pages: {} MiB of memory that has an owner \
                 searched for their addresses and struct pages, page tables and lists followed",
                thousands(finding.pages),
                thousands(searched)
            ),
        });
        let control = self.census.control;
        finding.evidence.push(Evidence {
            kind: Evidence::CONTROL.into(),
            checked: control.checked,
            matched: control.checked - control.missed,
            text: format!(
                "the same search missed {} of {} pages known to be held",
                thousands(control.missed),
                thousands(control.checked)
            ),
        });
        if let Some(pattern) = finding.patterns.first() {
            finding.evidence.push(Evidence {
                kind: Evidence::CONTENT.into(),
                checked: units.len() as u64,
                matched: (pattern.share * units.len() as f64).round() as u64,
                text: format!(
                    "{} at offset {} in {:.1} % of them",
                    pattern.hex,
                    thousands(pattern.offset),
                    pattern.share * 100.0
                ),
            });
        }
        if !finding.owners.is_empty() {
            finding.evidence.extend(self.attribution_evidence(key));
            let why = "no sk_buff, in use or lost, points at these pages";
            finding.evidence.extend(blame(&finding, |drivers| {
                format!("{drivers}, or a consumer of its frames ({why})")
            }));
        }
        finding
    }

    fn through(&self, cache: &HolderName, order: u32, units: &[Pfn]) -> Finding {
        let key = self.prints.main_key(units);
        let proof = self.census.is_proof();
        let verdict = if proof { State::Lost } else { State::Suspect };
        let signature = format!(
            "{}/through/{}",
            signature::orphans(key, order, false),
            signature::part(&cache.name)
        );
        let mut finding = self.plain(verdict, Reach::LostObjects, signature, units);
        finding.confidence = if proof {
            Confidence::Likely
        } else {
            Confidence::Possible
        };
        self.describe(&mut finding, key, units);
        finding.holders = vec![self.holder(cache, units)];
        let census = self.census;
        finding.evidence.push(Evidence {
            kind: Evidence::REFERENCES.into(),
            checked: finding.pages,
            matched: finding.pages,
            text: format!(
                "only objects of {} refer to these {} pages, and nothing refers to those objects; \
                 of all {} live slab objects {} can be reached",
                cache.name,
                thousands(finding.pages),
                thousands(census.objects_live),
                thousands(census.objects_reached)
            ),
        });
        finding.evidence.extend(blame(&finding, |drivers| {
            format!(
                "the network stack, or whoever took the frames of {drivers} from it \
                 (lost {} objects point at them)",
                cache.name
            )
        }));
        finding
    }

    fn company(&self, key: Key, holder: &HolderName, units: &[Pfn]) -> Finding {
        let signature = format!("{}/{}", signature::group(key), holder.kind);
        let mut finding = self.plain(State::Suspect, Reach::Referenced, signature, units);
        self.describe(&mut finding, key, units);
        finding.holders = vec![self.holder(holder, units)];
        finding.evidence.push(Evidence {
            kind: Evidence::REFERENCES.into(),
            checked: finding.pages,
            matched: 0,
            text:
                "same content as lost pages, but something still refers to each (a ring, or a word \
                   left on a stack): not counted as lost"
                    .into(),
        });
        finding
    }

    fn held(&self, holder: &HolderName, units: &[Pfn]) -> Finding {
        let signature = format!("held/{}/{}", holder.kind, signature::part(&holder.name));
        let mut finding = self.plain(State::Held, Reach::Referenced, signature, units);
        finding.holders = vec![self.holder(holder, units)];
        let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
        for &head in units {
            let way = match self.census.via(head) {
                Some(Via::Root(_)) => "a word in memory that has an owner",
                Some(Via::Mapped) => "a page table",
                Some(Via::Content(_)) => "another page of the holder",
                Some(Via::PageStruct(_)) => "a list through struct page",
                Some(Via::Split(_)) => "the block they were split off",
                Some(Via::Hardware(_)) => "a table that hardware walks",
                Some(Via::Dropped) => "the kernel itself, which let go of them on purpose",
                None => "a reference that was not noted",
            };
            *ways.entry(way).or_default() += self.pages.map.unit(head).len();
        }
        for (way, pages) in ways {
            finding.evidence.push(Evidence {
                kind: Evidence::REFERENCES.into(),
                checked: finding.pages,
                matched: pages,
                text: format!("{} pages held through {way}", thousands(pages)),
            });
        }
        finding
    }

    fn strays(&self, units: &[Pfn], limit: u64) -> Finding {
        let few = self.count(units) <= limit;
        let (verdict, text) = match (few, self.census.is_proof()) {
            (true, _) => (
                State::Unknown,
                "nothing refers to these pages, but they are few and alike in nothing",
            ),
            (false, true) => (
                State::Lost,
                "nothing refers to these pages, which are alike in nothing",
            ),
            (false, false) => (State::Suspect, "no reference to these pages was found"),
        };
        let mut finding = self.plain(verdict, Reach::Unreferenced, "stray".into(), units);
        finding.confidence = match verdict {
            State::Lost => Confidence::Proved,
            _ => Confidence::Possible,
        };
        finding.evidence.push(Evidence {
            kind: Evidence::REFERENCES.into(),
            checked: finding.pages,
            matched: finding.pages,
            text: text.into(),
        });
        finding
    }

    fn in_transit(&self, units: &[Pfn]) -> Finding {
        let mut finding = self.plain(State::Unknown, Reach::InTransit, "in-transit".into(), units);
        finding.confidence = Confidence::Possible;
        finding.evidence.push(Evidence {
            kind: Evidence::REFERENCES.into(),
            checked: finding.pages,
            matched: finding.pages,
            text: "no reference count and on no free list: being allocated or freed at that moment"
                .into(),
        });
        finding
    }

    /// What the units have in common, and the devices that names.
    fn describe(&self, finding: &mut Finding, key: Key, units: &[Pfn]) {
        finding.group = Some(signature::group(key));
        let shared = self.prints.patterns(self.kernel, key, units);
        finding.owners = self.owners(key, &shared);
        finding.patterns = shared
            .iter()
            .map(|shared| Pattern::new(shared.offset, &shared.bytes, shared.share))
            .collect();
    }

    fn owners(&self, key: Key, shared: &[Shared]) -> Vec<Owner> {
        if let Key::Ethernet(mac) = key {
            let owners = self.attribution.owners(mac).into_iter();
            return owners
                .map(|owner| Owner {
                    role: Some(OwnerRole::Destination),
                    ..owner
                })
                .collect();
        }
        // Data written by a device may name it without being a frame that
        // parses: look for known addresses in what all pages share.
        let windows = shared.iter().flat_map(|shared| shared.bytes.windows(6));
        windows
            .filter_map(|window| {
                let bytes: Option<Vec<u8>> = window.iter().copied().collect();
                Mac::starting(&bytes?)
            })
            .map(|mac| self.attribution.owners(mac))
            .find(|owners| !owners.is_empty())
            .unwrap_or_default()
    }

    fn attribution_evidence(&self, key: Key) -> Vec<Evidence> {
        match key {
            Key::Ethernet(mac) => self
                .attribution
                .evidence(mac)
                .into_iter()
                .map(|text| Evidence {
                    kind: Evidence::OWNER.into(),
                    checked: 1,
                    matched: 1,
                    text,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn holder(&self, holder: &HolderName, units: &[Pfn]) -> Holder {
        Holder {
            kind: holder.kind.into(),
            name: holder.name.clone(),
            pages: self.count(units),
        }
    }

    fn nodes(&self, units: &[Pfn]) -> Vec<NodePages> {
        let mut nodes: BTreeMap<u32, u64> = BTreeMap::new();
        let zones: Vec<_> = self
            .pages
            .nodes
            .iter()
            .flat_map(|node| &node.zones)
            .collect();
        for &head in units {
            let zone = zones
                .iter()
                .find(|zone| head.0.wrapping_sub(zone.start.0) < zone.spanned);
            if let Some(zone) = zone {
                *nodes.entry(zone.node).or_default() += self.pages.map.unit(head).len();
            }
        }
        nodes
            .into_iter()
            .map(|(node, pages)| NodePages { node, pages })
            .collect()
    }
}

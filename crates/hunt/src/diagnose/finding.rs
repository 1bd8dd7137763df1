//! One group into one finding: what is said of it, on what evidence.

use std::collections::BTreeMap;

use pagehound_model::{Confidence, Evidence, Finding, Reach, State, thousands};

use super::findings::Part;
use super::members::Members;
use super::owned;
use super::parts::{Parts, blame};
use super::signature;
use crate::census::{Census, Via};
use crate::fingerprint::Key;
use crate::holders::HolderName;

/// Whose held units make one finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holding {
    /// Holders of one name: one, or one a process.
    One,
    /// All too small to be told one by one.
    Several,
    /// Something that says nothing of whose they are.
    Unknown,
}

/// Makes findings of groups.
pub(super) struct Maker<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) census: &'a Census,
}

impl Maker<'_> {
    pub(super) fn orphans(
        &self,
        key: Key,
        order: u32,
        detached: bool,
        units: &Members<'_>,
    ) -> Finding {
        let proof = self.census.is_proof();
        let verdict = if proof { State::Lost } else { State::Suspect };
        let mut finding = self.parts.plain(
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
        self.parts.describe(&mut finding, key, units);
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
            finding
                .evidence
                .extend(self.parts.attribution_evidence(key));
            let why = "no sk_buff, in use or lost, points at these pages";
            finding.evidence.extend(blame(&finding, |drivers| {
                format!("{drivers}, or a consumer of its frames ({why})")
            }));
        }
        finding
    }

    pub(super) fn through(&self, cache: &HolderName, order: u32, units: &Members<'_>) -> Finding {
        let key = self.parts.prints.main_key(units.heads());
        let proof = self.census.is_proof();
        let verdict = if proof { State::Lost } else { State::Suspect };
        let signature = format!(
            "{}/through/{}",
            signature::orphans(key, order, false),
            signature::part(&cache.name)
        );
        let mut finding = self
            .parts
            .plain(verdict, Reach::LostObjects, signature, units);
        finding.confidence = if proof {
            Confidence::Likely
        } else {
            Confidence::Possible
        };
        self.parts.describe(&mut finding, key, units);
        finding.holders = vec![self.parts.holder(cache, units)];
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

    pub(super) fn company(&self, key: Key, holder: &HolderName, units: &Members<'_>) -> Finding {
        let signature = format!("{}/{}", signature::group(key), holder.kind);
        let mut finding = self
            .parts
            .plain(State::Suspect, Reach::Referenced, signature, units);
        self.parts.describe(&mut finding, key, units);
        finding.holders = vec![self.parts.holder(holder, units)];
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

    pub(super) fn held(
        &self,
        holding: Holding,
        parts: &[Part<'_>],
        units: &Members<'_>,
    ) -> Finding {
        let signature = match (holding, parts.first()) {
            (Holding::One, Some((holder, _))) => {
                format!("held/{}/{}", holder.kind, signature::part(&holder.name))
            }
            (Holding::Unknown, _) => "held/unknown".into(),
            (Holding::One | Holding::Several, _) => "held/other".into(),
        };
        let mut finding = self
            .parts
            .plain(State::Held, Reach::Referenced, signature, units);
        let holders = parts.iter();
        finding.holders = holders
            .map(|(holder, units)| self.parts.holder(holder, units))
            .collect();
        owned::largest(&mut finding.holders, HolderName::others().kind);
        if holding == Holding::Unknown {
            finding.evidence.push(self.parts.features(units));
        }
        let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
        for head in units.heads() {
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
            *ways.entry(way).or_default() += self.parts.pages.map.unit(head).len();
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

    /// What structures of the kernel say is theirs.
    pub(super) fn owned(&self, kind: &str, units: &Members<'_>) -> Finding {
        let signature = format!("held/{}", signature::part(kind));
        let mut finding = self
            .parts
            .plain(State::Held, Reach::Referenced, signature, units);
        finding.holders = owned::among(self.parts.pages, units.heads());
        let bounds = owned::evidence(&finding);
        finding.evidence.extend(bounds);
        finding
    }

    pub(super) fn strays(&self, units: &Members<'_>, limit: u64) -> Finding {
        let few = units.pages() <= limit;
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
        let mut finding = self
            .parts
            .plain(verdict, Reach::Unreferenced, "stray".into(), units);
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

    pub(super) fn in_transit(&self, units: &Members<'_>) -> Finding {
        let mut finding =
            self.parts
                .plain(State::Unknown, Reach::InTransit, "in-transit".into(), units);
        finding.confidence = Confidence::Possible;
        finding.evidence.push(Evidence {
            kind: Evidence::REFERENCES.into(),
            checked: finding.pages,
            matched: finding.pages,
            text: match self.parts.pages.moving {
                true => {
                    "no reference count and on no free list, or without a reference at one moment \
                     and then others, or an owner's: being allocated, freed or passed on"
                }
                false => {
                    "no reference count and on no free list: being allocated or freed at that moment"
                }
            }
            .into(),
        });
        finding
    }
}

//! What findings are put together from: counts, samples, owners, holders.

use std::collections::{BTreeMap, BTreeSet};

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::{
    Confidence, Evidence, Finding, Holder, NodePages, Owner, OwnerRole, Pattern, Reach, State,
};
use pagehound_vmcore::Mac;

use super::members::Members;
use super::signature;
use crate::attribution::Attribution;
use crate::fingerprint::{Fingerprints, Key, Shared, order};
use crate::holders::HolderName;

/// Sample frames named a finding.
const SAMPLES: usize = 8;

/// Where frames were lost (rule 13): an address tells who filled the pages, and
/// whether sk_buffs came by them tells who had them last.
pub(super) fn blame(finding: &Finding, place: impl Fn(&str) -> String) -> Option<Evidence> {
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

/// What findings are put together from.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) kernel: &'a Kernel<'a>,
    pub(super) pages: &'a Pages,
    pub(super) prints: &'a Fingerprints,
    pub(super) attribution: &'a Attribution,
}

impl Parts<'_> {
    /// A finding with what every finding has.
    pub(super) fn plain(
        &self,
        verdict: State,
        reach: Reach,
        signature: String,
        units: &Members<'_>,
    ) -> Finding {
        let pages = units.pages();
        let mut orders = units.heads().map(|head| order(self.pages, head));
        let first = orders.next();
        let same = orders.all(|order| Some(order) == first);
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
            content: self.prints.content(units.heads()),
            patterns: Vec::new(),
            owners: Vec::new(),
            holders: Vec::new(),
            allocators: Vec::new(),
            nodes: self.nodes(units),
            evidence: Vec::new(),
            confidence: Confidence::Likely,
            known_issues: Vec::new(),
            sample_pfns: units.heads().step_by(step).map(|head| head.0).collect(),
        }
    }

    /// What the units have in common, and the devices that names.
    pub(super) fn describe(&self, finding: &mut Finding, key: Key, units: &Members<'_>) {
        finding.group = Some(signature::group(key));
        let heads = units.heads();
        let shared = self.prints.patterns(self.kernel, key, units.len(), heads);
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

    pub(super) fn attribution_evidence(&self, key: Key) -> Vec<Evidence> {
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

    pub(super) fn holder(&self, holder: &HolderName, units: &Members<'_>) -> Holder {
        Holder {
            kind: holder.kind.into(),
            name: holder.name.clone(),
            pages: units.pages(),
            pid: None,
            most_pages: None,
        }
    }

    fn nodes(&self, units: &Members<'_>) -> Vec<NodePages> {
        let mut nodes: BTreeMap<u32, u64> = BTreeMap::new();
        let zones: Vec<_> = self
            .pages
            .nodes
            .iter()
            .flat_map(|node| &node.zones)
            .collect();
        for head in units.heads() {
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

//! What findings are put together from: counts, samples, owners, holders.

use std::collections::{BTreeMap, BTreeSet};

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::{
    Confidence, Evidence, Finding, Holder, NodePages, Owner, OwnerRole, Pattern, Reach, State,
    thousands,
};
use pagehound_vmcore::{Mac, Pfn};

use super::members::Members;
use super::nodes::{ByNode, Nodes};
use super::signature;
use crate::attribution::Attribution;
use crate::fingerprint::{Fingerprints, Key, Shared, order};
use crate::holders::HolderName;

/// Units looked at for what they have in common.
const FEATURED: usize = 4096;
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
        let nodes = self.nodes(units);
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
            evidence: self.place(&nodes).into_iter().collect(),
            nodes,
            cgroups: Vec::new(),
            modules: Vec::new(),
            confidence: Confidence::Likely,
            known_issues: Vec::new(),
            next: Vec::new(),
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
            pid: holder.pid,
            module: holder.module.clone(),
            most_pages: None,
            nodes: self.nodes(units),
            sample_pfn: units.heads().next().map(|head| head.0),
        }
    }

    /// Which devices are near a leak, where it is on one NUMA node of several.
    pub(super) fn place(&self, nodes: &[NodePages]) -> Option<Evidence> {
        let all: u64 = nodes.iter().map(|node| node.pages).sum();
        let most = nodes.iter().max_by_key(|node| node.pages)?;
        if self.pages.nodes.len() < 2 || most.pages.saturating_mul(10) < all.saturating_mul(9) {
            return None;
        }
        let near = match self.attribution.near(most.node).as_slice() {
            [] => "no network device says that it is near it".into(),
            devices => format!("near it are {}", devices.join(", ")),
        };
        Some(Evidence {
            kind: Evidence::NODE.into(),
            checked: all,
            matched: most.pages,
            text: format!(
                "{} of {} pages are on node {}; {near}",
                thousands(most.pages),
                thousands(all),
                most.node
            ),
        })
    }

    /// What can be said of pages when nobody's name can.
    pub(super) fn features(&self, units: &Members<'_>) -> Evidence {
        let step = units.len().div_ceil(FEATURED).max(1);
        let heads: Vec<Pfn> = units.heads().step_by(step).collect();
        let mut structs = self.pages.memmap.struct_pages(self.kernel);
        let mut features: [BTreeMap<String, u64>; 3] = Default::default();
        for &head in &heads {
            let count = structs
                .get(head)
                .map(|bytes| self.pages.decoder.words(bytes).refcount());
            let content = signature::group(self.prints.key(head));
            let told = [
                Some(format!("order {}", order(self.pages, head))),
                count.map(|count| format!("reference count {count}")),
                Some(content),
            ];
            for (feature, told) in features.iter_mut().zip(told) {
                *feature
                    .entry(told.unwrap_or_else(|| "unread".into()))
                    .or_default() += 1;
            }
        }
        let all = heads.len().max(1) as u64;
        let told: Vec<String> = features
            .into_iter()
            .map(|feature| {
                let mut feature: Vec<(String, u64)> = feature.into_iter().collect();
                feature.sort_by_key(|(_, units)| std::cmp::Reverse(*units));
                let most = feature.into_iter().take(3);
                let most = most.map(|(name, units)| format!("{name} ({} %)", units * 100 / all));
                most.collect::<Vec<_>>().join(", ")
            })
            .collect();
        Evidence {
            kind: Evidence::FEATURES.into(),
            checked: heads.len() as u64,
            matched: heads.len() as u64,
            text: format!("no name for what holds them: {}", told.join("; ")),
        }
    }

    fn nodes(&self, units: &Members<'_>) -> Vec<NodePages> {
        let nodes = Nodes::of(self.pages);
        let mut by_node = ByNode::default();
        for head in units.heads() {
            by_node.add(nodes.node(head), self.pages.map.unit(head).len());
        }
        by_node.told()
    }
}

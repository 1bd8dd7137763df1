//! Pages by their NUMA node.

use std::collections::BTreeMap;

use pagehound_kernel::{Pages, Zone};
use pagehound_model::NodePages;
use pagehound_vmcore::Pfn;

/// The zones of all nodes.
pub(super) struct Nodes<'a> {
    zones: Vec<&'a Zone>,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(pages: &'a Pages) -> Self {
        let nodes = pages.nodes.iter();
        Nodes {
            zones: nodes.flat_map(|node| &node.zones).collect(),
        }
    }

    /// The node of a frame.
    pub(super) fn node(&self, pfn: Pfn) -> Option<u32> {
        let mut zones = self.zones.iter();
        let zone = zones.find(|zone| pfn.0.wrapping_sub(zone.start.0) < zone.spanned);
        zone.map(|zone| zone.node)
    }
}

/// Pages by node, added up.
#[derive(Clone, Debug, Default)]
pub(super) struct ByNode(BTreeMap<u32, u64>);

impl ByNode {
    pub(super) fn add(&mut self, node: Option<u32>, pages: u64) {
        if let Some(node) = node {
            *self.0.entry(node).or_default() += pages;
        }
    }

    pub(super) fn merge(&mut self, other: &ByNode) {
        for (&node, &pages) in &other.0 {
            self.add(Some(node), pages);
        }
    }

    pub(super) fn told(&self) -> Vec<NodePages> {
        let nodes = self.0.iter();
        nodes
            .map(|(&node, &pages)| NodePages { node, pages })
            .collect()
    }
}

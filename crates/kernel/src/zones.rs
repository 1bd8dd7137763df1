//! Nodes and zones, and the free pages on per-CPU lists.

mod unexported;

use pagehound_vmcore::{Pfn, VirtAddr};

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, Struct};
use crate::virt::VirtualRead;

/// One populated zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Address of its `struct zone`.
    pub addr: VirtAddr,
    /// Node it belongs to.
    pub node: u32,
    /// First frame.
    pub start: Pfn,
    /// Frames spanned, holes included.
    pub spanned: u64,
    /// Frames that exist.
    pub present: u64,
    /// Frames the buddy allocator manages; their sum is MemTotal.
    pub managed: u64,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Address of its `pglist_data`.
    pub addr: VirtAddr,
    /// Its number.
    pub id: u32,
    /// Its populated zones.
    pub zones: Vec<Zone>,
}

/// More nodes than any kernel is built for (`CONFIG_NODES_SHIFT` is at most 10).
const MAX_NODES: u64 = 1024;

impl Kernel<'_> {
    /// Nodes with memory.
    pub fn nodes(&self) -> Result<Vec<Node>, KernelError> {
        let mut nodes = Vec::new();
        for addr in self.node_addresses()? {
            let id = self.field(addr, Field::NodeId)? as u32;
            let count = self.field(addr, Field::NodeNrZones)?.min(16);
            let first = self.member(addr, Field::NodeZones)?;
            let size = self.layouts.size(Struct::Zone)?;
            let mut zones = Vec::new();
            for index in 0..count {
                let zone = first.add(index * size);
                let spanned = self.field(zone, Field::ZoneSpanned)?;
                if spanned == 0 {
                    continue;
                }
                zones.push(Zone {
                    addr: zone,
                    node: id,
                    start: Pfn(self.field(zone, Field::ZoneStartPfn)?),
                    spanned,
                    present: self.field(zone, Field::ZonePresent)?,
                    managed: self.field(zone, Field::ZoneManaged)?,
                });
            }
            nodes.push(Node { addr, id, zones });
        }
        Ok(nodes)
    }

    fn node_addresses(&self) -> Result<Vec<VirtAddr>, KernelError> {
        // arm64 does not export node_data; a kernel without NUMA has one node.
        if let Ok(array) = self.symbol("node_data") {
            let count = self.vmcoreinfo.length("node_data").unwrap_or(MAX_NODES);
            let mut found = Vec::new();
            for index in 0..count.min(MAX_NODES) {
                let Ok(node) = self.memory.ptr(array.add(index * 8)) else {
                    break;
                };
                // Without the array's length its end shows as a word that is no
                // node: one whose own number is not its place.
                if node.0 >> 63 == 1 {
                    match self.field(node, Field::NodeId) {
                        Ok(id) if id == index => found.push(node),
                        Ok(_) | Err(_) if self.vmcoreinfo.length("node_data").is_none() => break,
                        Ok(id) => {
                            return Err(KernelError::Broken {
                                what: "pglist_data.node_id",
                                at: node,
                                why: format!("node {index} says it is node {id}"),
                            });
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(vec![self.symbol("contig_page_data")?])
    }

    /// Whether it is known where CPUs have lists of free pages.
    pub(crate) fn knows_pcp_lists(&self) -> bool {
        let fields = [Field::ZonePageset, Field::PcpLists];
        fields
            .iter()
            .all(|&field| self.layouts.get(field).is_some())
    }

    /// Free pages on per-CPU lists as `(struct page, order)`; they are in no
    /// counter of free pages and carry no mark of their own.
    pub fn pcp_pages(&self, nodes: &[Node]) -> (Vec<(VirtAddr, u32)>, Vec<String>) {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for zone in nodes.iter().flat_map(|node| &node.zones) {
            for cpu in 0..self.percpu_offsets.len() {
                match self.pcp_of(zone, cpu) {
                    // A CPU that never came up still has the boot pageset,
                    // which all of them share.
                    Ok(pages) => found.extend(pages.into_iter().filter(|page| seen.insert(page.0))),
                    Err(error) => problems.push(format!(
                        "per-CPU free list of zone {} on CPU {cpu}: {error}",
                        zone.addr
                    )),
                }
            }
        }
        (found, problems)
    }

    fn pcp_of(&self, zone: &Zone, cpu: usize) -> Result<Vec<(VirtAddr, u32)>, KernelError> {
        let pageset = self.pointer(zone.addr, Field::ZonePageset)?;
        let Some(mut pcp) = self.percpu(pageset, cpu) else {
            return Ok(Vec::new());
        };
        if let Some(inner) = self.layouts.get(Field::PagesetPcp)
            && self.layouts.get(Field::ZonePerCpuStats) == self.layouts.get(Field::ZonePageset)
        {
            pcp = pcp.add(inner.offset);
        }
        let lists = self.layouts.place(Field::PcpLists)?;
        let mut found = Vec::new();
        for index in 0..lists.size / 16 {
            let head = pcp.add(lists.offset + index * 16);
            // Three lists an order since 5.14 (44042b449872), then those of
            // THP; before, three lists of order 0.
            let order = match u32::try_from(index / 3).unwrap_or(0) {
                order @ 0..=3 => order,
                _ => self.thp_order(),
            };
            let pages = self
                .list(head, Field::PageLru)
                .map_err(|(_, error)| error)?;
            found.extend(pages.into_iter().map(|page| (page, order)));
        }
        Ok(found)
    }

    /// Order of a page middle directory's reach, 9 with 4 KiB pages.
    fn thp_order(&self) -> u32 {
        self.page_shift() - 3
    }
}

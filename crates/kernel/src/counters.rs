//! The kernel's own counters, per-CPU deltas folded in.

use pagehound_vmcore::VirtAddr;

use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::virt::VirtualRead;
use crate::zones::Node;

impl Kernel<'_> {
    /// A node counter (`enum node_stat_item`) over all nodes, in its own unit;
    /// `None` where this kernel has no such counter or it cannot be read. Before 4.8
    /// (75ef71840539) zones counted the same.
    pub fn node_stat(&self, nodes: &[Node], item: &str) -> Option<i64> {
        if nodes.is_empty() {
            return None;
        }
        let types = self.types.as_ref()?;
        let Some(stat) = self.layouts.get(Field::NodeStat) else {
            return self.zone_stat(nodes, item);
        };
        let index = u64::try_from(types.enumerator("node_stat_item", item)?).ok()?;
        let mut total = 0i64;
        for node in nodes {
            let base = node.addr.add(stat.offset);
            total = total.wrapping_add(self.memory.u64(base.add(index * 8)).ok()? as i64);
            let deltas = self.pointer(node.addr, Field::NodePerCpuStats).ok()?;
            total = total.wrapping_add(self.deltas(deltas, Field::NodeStatDiff, index));
        }
        Some(total)
    }

    /// A zone counter (`enum zone_stat_item`) over all zones.
    pub fn zone_stat(&self, nodes: &[Node], item: &str) -> Option<i64> {
        if nodes.is_empty() {
            return None;
        }
        let index = match item {
            "NR_FREE_PAGES" => self.vmcoreinfo.number(item),
            _ => None,
        };
        let index = index.or_else(|| {
            let types = self.types.as_ref()?;
            types.enumerator("zone_stat_item", item)
        })?;
        let index = u64::try_from(index).ok()?;
        let stat = self.layouts.get(Field::ZoneStat)?;
        let mut total = 0i64;
        for zone in nodes.iter().flat_map(|node| &node.zones) {
            let base = zone.addr.add(stat.offset);
            total = total.wrapping_add(self.memory.u64(base.add(index * 8)).ok()? as i64);
            if let Ok(deltas) = self.pointer(zone.addr, Field::ZonePerCpuStats) {
                total = total.wrapping_add(self.deltas(deltas, Field::ZoneStatDiff, index));
            }
        }
        Some(total)
    }

    /// Sum of the `s8` deltas at `index` over all CPUs. A CPU without its own
    /// area shares the boot one, which must count once.
    fn deltas(&self, pointer: VirtAddr, field: Field, index: u64) -> i64 {
        let Some(place) = self.layouts.get(field) else {
            return 0;
        };
        let mut seen = std::collections::HashSet::new();
        (0..self.percpu_offsets.len())
            .filter_map(|cpu| self.percpu(pointer, cpu))
            .filter(|area| seen.insert(*area))
            .filter_map(|area| self.memory.u8(area.add(place.offset + index)).ok())
            .map(|delta| i64::from(delta as i8))
            .sum()
    }

    /// A global variable of a word (`nr_vmalloc_pages`, `pcpu_nr_populated`).
    pub fn word(&self, name: &'static str) -> Option<u64> {
        let at = self.address(name)?;
        self.memory.u64(at).ok()
    }

    /// A global variable of four bytes.
    pub fn word32(&self, name: &'static str) -> Option<u32> {
        let at = self.address(name)?;
        self.memory.u32(at).ok()
    }

    /// Pages in all hugetlb pools, of all sizes.
    pub fn hugetlb_pages(&self) -> Option<u64> {
        let base = self.address("hstates")?;
        let size = self.layouts.size(Struct::Hstate).ok()?;
        let count = self.word32("hugetlb_max_hstate")?.min(64);
        let mut total = 0u64;
        for index in 0..u64::from(count) {
            let hstate = base.add(index * size);
            let order = self.field(hstate, Field::HstateOrder).ok()?;
            let pages = self.field(hstate, Field::HstateNrPages).ok()?;
            total = total.saturating_add(pages.checked_shl(order as u32).unwrap_or(0));
        }
        Some(total)
    }
}

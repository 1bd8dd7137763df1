//! Members of `struct zone` that VMCOREINFO leaves out, where there is no BTF. They lie
//! around `spanned_pages`, which it has, in one of two orders; by the right one zones
//! fill their node, whose frames it tells too.

#[cfg(test)]
mod tests;

use pagehound_vmcore::VirtAddr;

use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::virt::VirtualRead;

/// Where `zone_start_pfn`, `managed_pages` and `present_pages` lie, in bytes from
/// `spanned_pages`: since 3.17 (3484b2de9499), and before.
const ORDERS: [[i64; 3]; 2] = [[-16, -8, 8], [-8, 16, 8]];

impl Kernel<'_> {
    /// Places those members, if they can be told.
    pub(crate) fn place_unexported_of_zones(&mut self) {
        let Some(spanned) = self.layouts.get(Field::ZoneSpanned) else {
            return;
        };
        if self.layouts.get(Field::ZoneStartPfn).is_some() {
            return;
        }
        let at = |distance: i64| spanned.offset.checked_add_signed(distance);
        let orders = ORDERS.iter().filter_map(|&[start, managed, present]| {
            Some([at(start)?, at(managed)?, at(present)?])
        });
        let found = orders
            .into_iter()
            .find(|&order| self.zones_fill_nodes(order).unwrap_or(false));
        if let Some([start, managed, present]) = found {
            for (field, offset) in [
                (Field::ZoneStartPfn, start),
                (Field::ZoneManaged, managed),
                (Field::ZonePresent, present),
            ] {
                self.layouts.put(field, offset, 8);
            }
        }
    }

    /// Whether zones with their members at `order` follow one another from the begin of
    /// their node to its end, on every node that has memory, of which there is one.
    fn zones_fill_nodes(&self, [start, managed, present]: [u64; 3]) -> Option<bool> {
        let size = self.layouts.size(Struct::Zone).ok()?;
        let mut any = false;
        for node in self.node_addresses().ok()? {
            let count = self.field(node, Field::NodeNrZones).ok()?.min(16);
            let zones = self.member(node, Field::NodeZones).ok()?;
            let first = self.field(node, Field::NodeStartPfn).ok()?;
            let frames = self.field(node, Field::NodeSpanned).ok()?;
            let mut end = None;
            for zone in (0..count).map(|index| zones.add(index * size)) {
                let word = |offset: u64| -> Option<u64> {
                    let at: VirtAddr = zone.add(offset);
                    self.memory.u64(at).ok()
                };
                let spanned = self.field(zone, Field::ZoneSpanned).ok()?;
                if spanned == 0 {
                    continue;
                }
                let [start, managed, present] = [word(start)?, word(managed)?, word(present)?];
                let follows = end.map_or(start == first, |end| start >= end);
                if !follows || managed > present || present > spanned {
                    return Some(false);
                }
                end = Some(start.checked_add(spanned)?);
            }
            if end.is_some() && end != first.checked_add(frames) {
                return Some(false);
            }
            any |= end.is_some();
        }
        Some(any)
    }
}

//! Tables of Intel's IOMMUs, as these find them themselves: from the root table by bus,
//! device and function (Intel Virtualization Technology for Directed I/O, chapter 9).

use std::collections::{BTreeMap, HashSet};

use pagehound_vmcore::{PhysAddr, VirtAddr};

use super::{Kind, Search};
use crate::layouts::Field;
use crate::text::printable;
use crate::virt::VirtualRead;

/// More units than a host has.
const MOST_UNITS: usize = 1 << 10;
/// Entries of a root, context or translation table's page.
const ENTRIES: usize = 512;
/// A root or context entry in use.
const PRESENT: u64 = 1;
/// A translation entry in use: it may be read or written.
const ACCESS: u64 = 3;
/// A translation entry that maps memory itself.
const LEAF: u64 = 1 << 7;
/// Where an entry points.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Bytes of the table for interrupts: `1 << INTR_REMAP_PAGE_ORDER` pages in every release
/// (drivers/iommu/intel/irq_remapping.c).
const IRQ_TABLE: u64 = 1 << 20;

impl Search<'_> {
    /// The tables of all units, by device.
    pub(super) fn iommu_tables(&mut self) {
        let kernel = self.kernel;
        let Some(head) = kernel.address("dmar_drhd_units") else {
            return;
        };
        let units = match kernel.list_of(head, Field::DmarUnitList, MOST_UNITS) {
            Ok(units) | Err((units, _)) => units,
        };
        let mut seen = HashSet::new();
        for unit in units {
            let Ok(iommu) = kernel.pointer(unit, Field::DmarUnitIommu) else {
                continue;
            };
            if iommu.0 != 0 && seen.insert(iommu) {
                self.below("intel_iommu", iommu, |search| search.iommu_unit(iommu));
            }
        }
    }

    fn iommu_unit(&mut self, iommu: VirtAddr) {
        let kernel = self.kernel;
        let name = kernel.member(iommu, Field::IommuName).ok();
        let name = name.and_then(|name| kernel.memory.cstr(name, 16).ok());
        let name = printable(&name.unwrap_or_default());
        let own = self.owner(Kind::IommuTables, format!("of {name} itself"), None);
        let some = |at, field| kernel.pointer(at, field).ok().filter(|at| at.0 != 0);
        if let Some(queue) = some(iommu, Field::IommuQueue)
            && let Some(entries) = some(queue, Field::IommuQueueDesc)
        {
            self.below("q_inval", queue, |search| search.memory(own, entries, 1));
        }
        if let Some(table) = some(iommu, Field::IommuIrTable)
            && let Some(base) = some(table, Field::IommuIrTableBase)
        {
            self.below("ir_table", table, |search| {
                search.memory(own, base, IRQ_TABLE);
            });
        }
        let Some(root) = some(iommu, Field::IommuRoot) else {
            return;
        };
        self.memory(own, root, 1);
        let segment = kernel.field(iommu, Field::IommuSegment).unwrap_or(0);
        let Ok(root) = kernel.phys(root) else { return };
        // Devices of a group have the same tables: the first of them, and how many.
        let mut tables: BTreeMap<(u64, u64), (String, u64)> = BTreeMap::new();
        for (bus, entry) in self.entries(root).iter().step_by(2).enumerate() {
            if entry & PRESENT == 0 {
                continue;
            }
            let contexts = PhysAddr(entry & ADDRESS);
            self.frame(own, contexts.pfn(kernel.page_shift()));
            let entries = self.entries(contexts);
            for (function, words) in entries.as_chunks::<2>().0.iter().enumerate() {
                if !self.step() {
                    return;
                }
                let [low, high] = *words;
                // Types 2 and 3 translate nothing.
                if low & PRESENT == 0 || low >> 2 & 3 > 1 {
                    continue;
                }
                let (device, function) = (function >> 3, function & 7);
                let name = format!("{segment:04x}:{bus:02x}:{device:02x}.{function}");
                // Address widths of 39, 48 and 57 bits; others are reserved.
                let width @ 1..=3 = high & 7 else { continue };
                let levels = width + 2;
                let devices = tables.entry((low & ADDRESS, levels));
                devices.or_insert((name, 0)).1 += 1;
            }
        }
        for ((top, levels), (first, devices)) in tables {
            let table = PhysAddr(top).pfn(kernel.page_shift());
            // What is no page that somebody took, or another device's, is no table of
            // these.
            let map = &self.pages.map;
            let is_one = table < map.end() && map.class(table).is_censused();
            if !is_one || self.claims.number(map.head(table)).is_some() {
                continue;
            }
            let name = match devices {
                1 => format!("of {first}"),
                _ => format!("of {first} and {} more", devices - 1),
            };
            let owner = self.owner(Kind::IommuTables, name, None);
            self.translation(owner, PhysAddr(top), levels);
        }
    }

    /// A tree of so many levels.
    fn translation(&mut self, owner: u32, top: PhysAddr, levels: u64) {
        let shift = self.kernel.page_shift();
        // A damaged table may lead back to one above it.
        let mut seen = HashSet::new();
        let mut waiting = vec![(top, levels)];
        while let Some((table, level)) = waiting.pop() {
            if !self.step() {
                return;
            }
            if !seen.insert(table.0) {
                continue;
            }
            self.frame(owner, table.pfn(shift));
            if level <= 1 {
                continue;
            }
            let next = self.entries(table).into_iter().filter_map(|entry| {
                (entry & ACCESS != 0 && entry & LEAF == 0)
                    .then_some((PhysAddr(entry & ADDRESS), level - 1))
            });
            waiting.extend(next);
        }
    }

    /// The words of a table's page; none where it cannot be read.
    fn entries(&self, table: PhysAddr) -> Vec<u64> {
        let mut bytes = [0; ENTRIES * 8];
        let virt = self.kernel.memory.space.direct.virt(table);
        match virt.map(|virt| self.kernel.memory.read(virt, &mut bytes)) {
            Some(Ok(())) => bytes
                .as_chunks::<8>()
                .0
                .iter()
                .map(|word| u64::from_le_bytes(*word))
                .collect(),
            _ => Vec::new(),
        }
    }
}

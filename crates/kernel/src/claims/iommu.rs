//! Tables of Intel's IOMMUs, as these find them themselves: from the root table by bus,
//! device and function, in legacy mode and in scalable mode (Intel Virtualization
//! Technology for Directed I/O, chapter 9).

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
/// Bit of the extended capabilities that says scalable mode is there (SMTS).
const SCALABLE: u32 = 43;
/// Bytes of the table for interrupts: `1 << INTR_REMAP_PAGE_ORDER` pages in every release
/// (drivers/iommu/intel/irq_remapping.c).
const IRQ_TABLE: u64 = 1 << 20;

/// Translation tables of a unit.
#[derive(Default)]
struct Tables {
    /// By where they are and how many levels they have. Devices of a group have the
    /// same: the first of them, and how many.
    trees: BTreeMap<(u64, u64), (String, u64)>,
    /// Directories of address spaces that were looked at.
    directories: HashSet<u64>,
}

impl Tables {
    fn add(&mut self, table: (u64, u64), name: impl Fn() -> String) {
        self.trees.entry(table).or_insert_with(|| (name(), 0)).1 += 1;
    }
}

/// Levels of a table by its width: addresses of 39, 48 and 57 bits; other values are
/// reserved.
fn levels(width: u64) -> Option<u64> {
    (1..=3).contains(&width).then_some(width + 2)
}

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
        let mut tables = Tables::default();
        let scalable = self.is_scalable(iommu);
        for (bus, entry) in self.entries(root).into_iter().enumerate() {
            // Two words a bus: in scalable mode each names the contexts of half of its
            // functions, else the first those of all.
            let (bus, half) = (bus / 2, bus % 2);
            if entry & PRESENT == 0 || !scalable && half == 1 {
                continue;
            }
            let contexts = PhysAddr(entry & ADDRESS);
            self.frame(own, contexts.pfn(kernel.page_shift()));
            let words = self.entries(contexts);
            let size = if scalable { 4 } else { 2 };
            for (index, words) in words.chunks_exact(size).enumerate() {
                if !self.step() {
                    return;
                }
                let function = index + half * (ENTRIES / 4);
                let name = || {
                    let (device, function) = (function >> 3, function & 7);
                    format!("{segment:04x}:{bus:02x}:{device:02x}.{function}")
                };
                match *words {
                    // Types 2 and 3 translate nothing.
                    [low, high] if low & PRESENT != 0 && low >> 2 & 3 <= 1 => {
                        if let Some(levels) = levels(high & 7) {
                            tables.add((low & ADDRESS, levels), name);
                        }
                    }
                    [low, ..] if scalable && low & PRESENT != 0 => {
                        self.pasid_directory(own, low, &mut tables, name);
                    }
                    _ => {}
                }
            }
        }
        for ((top, levels), (first, devices)) in tables.trees {
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

    /// Whether a unit has tables for address spaces of processes (PASIDs), as it has
    /// where both it and the kernel can (`sm_supported()` of the kernel).
    fn is_scalable(&self, iommu: VirtAddr) -> bool {
        let kernel = self.kernel;
        let wanted = kernel.address("intel_iommu_sm");
        let wanted = wanted.is_some_and(|at| kernel.memory.u32(at).is_ok_and(|on| on != 0));
        let can = kernel.field(iommu, Field::IommuEcap).unwrap_or(0);
        wanted && can >> SCALABLE & 1 == 1
    }

    /// The directory of a device's address spaces, the tables it names, and what
    /// translates for each space.
    fn pasid_directory(
        &mut self,
        own: u32,
        context: u64,
        tables: &mut Tables,
        name: impl Fn() -> String,
    ) {
        let (shift, size) = (self.kernel.page_shift(), self.kernel.page_size());
        // As many entries as bits 9 to 11 say.
        let entries = 1u64 << ((context >> 9 & 7) + 7);
        let directory = context & ADDRESS;
        if !tables.directories.insert(directory) {
            return;
        }
        for page in 0..(entries * 8).div_ceil(size) {
            let page = PhysAddr(directory + page * size);
            self.frame(own, page.pfn(shift));
            for entry in self.entries(page).into_iter().take(entries as usize) {
                if !self.step() {
                    return;
                }
                if entry & PRESENT == 0 {
                    continue;
                }
                let table = PhysAddr(entry & ADDRESS);
                self.frame(own, table.pfn(shift));
                for space in self.entries(table).chunks_exact(8) {
                    let &[low, _, first, ..] = space else {
                        continue;
                    };
                    if low & PRESENT == 0 {
                        continue;
                    }
                    // Translated by the processor's own tables, by the unit's, by both.
                    let how = low >> 6 & 7;
                    if matches!(how, 1 | 3) {
                        let levels = 4 + u64::from(first >> 2 & 3 == 1);
                        tables.add((first & ADDRESS, levels), &name);
                    }
                    if matches!(how, 2 | 3)
                        && let Some(levels) = levels(low >> 2 & 7)
                    {
                        tables.add((low & ADDRESS, levels), &name);
                    }
                }
            }
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

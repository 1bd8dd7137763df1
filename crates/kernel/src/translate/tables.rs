//! The shape of page tables and one walker for all of them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use pagehound_vmcore::{Fault, PageCache, Pfn, PhysAddr, VirtAddr};

/// Which levels a table format has and how its entries are decoded.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// Page size as a power of two.
    pub page_shift: u32,
    /// Address bits that select an entry, from the root down: `(shift, bits)`.
    pub levels: Vec<(u32, u32)>,
    /// Bits of an entry that hold the output address.
    pub addr_mask: u64,
    /// Decodes the kind of an entry at a level (0 is the lowest).
    pub decode: fn(&Geometry, u64, usize) -> Entry,
}

/// One table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Not present.
    None,
    /// Points to the next table.
    Table(PhysAddr),
    /// Maps memory.
    Leaf(PhysAddr),
}

/// A run of virtual addresses mapped by one leaf entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First virtual address.
    pub virt: VirtAddr,
    /// Physical address it maps to.
    pub phys: PhysAddr,
    /// Bytes mapped.
    pub size: u64,
}

/// A table page met on a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TablePage {
    /// Where it lies.
    pub pfn: Pfn,
    /// Its level: 0 holds leaf entries of page size.
    pub level: usize,
    /// First virtual address it covers.
    pub virt: VirtAddr,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Walk {
    /// Tables that could not be read.
    pub unreadable: u64,
    /// Its visitor ended it.
    pub broke_off: bool,
}

impl Walk {
    /// Adds another walk.
    pub(crate) fn merge(&mut self, other: Walk) {
        self.unreadable += other.unreadable;
        self.broke_off |= other.broke_off;
    }
}

/// What a walk meets.
pub enum Met {
    /// A table, before its entries.
    Table(TablePage),
    /// A leaf.
    Leaf(Mapping),
}

impl Geometry {
    /// Index of the root level.
    fn top(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    /// `(shift, bits)` of a level counted from the leaves.
    fn level(&self, level: usize) -> (u32, u32) {
        let index = self.top().saturating_sub(level);
        self.levels
            .get(index)
            .copied()
            .unwrap_or((self.page_shift, 9))
    }

    /// Virtual addresses are sign-extended from this bit on.
    fn virt_bits(&self) -> u32 {
        self.levels
            .first()
            .map_or(48, |&(shift, bits)| shift + bits)
    }

    fn canonical(&self, virt: u64, kernel: bool) -> u64 {
        let bits = self.virt_bits();
        if bits >= 64 {
            return virt;
        }
        let low = (1u64 << bits) - 1;
        if kernel { virt | !low } else { virt & low }
    }

    /// The frames an entry of a process's table maps, taking it for a leaf:
    /// one frame, or those of a huge page where the entry says so and is
    /// aligned to it. Entries that point to further tables give those tables'
    /// frames, which are never unaccounted.
    pub fn user_leaf(&self, entry: u64) -> impl Iterator<Item = Pfn> + use<> {
        let shift = self.page_shift;
        let (base, frames) = match ((self.decode)(self, entry, 1), (self.decode)(self, entry, 0)) {
            (Entry::Leaf(large), Entry::Leaf(small)) if large == small => {
                (large.pfn(shift).0, 1 << (shift - 3))
            }
            (_, Entry::Leaf(small)) => (small.pfn(shift).0, 1),
            (Entry::Leaf(large), _) => (large.pfn(shift).0, 1 << (shift - 3)),
            _ => (0, 0),
        };
        (base..base + frames).map(Pfn)
    }

    /// Translates one address by walking from `root`.
    pub fn translate(
        &self,
        cache: &PageCache<'_>,
        root: PhysAddr,
        virt: VirtAddr,
    ) -> Result<Option<PhysAddr>, Fault> {
        let mut table = root;
        for level in (0..self.levels.len()).rev() {
            let (shift, bits) = self.level(level);
            let index = (virt.0 >> shift) & ((1 << bits) - 1);
            let entry = read_u64(cache, PhysAddr(table.0 + index * 8))?;
            match (self.decode)(self, entry, level) {
                Entry::None => return Ok(None),
                Entry::Leaf(phys) => {
                    let offset = virt.0 & ((1u64 << shift) - 1);
                    return Ok(Some(PhysAddr(phys.0 + offset)));
                }
                Entry::Table(next) => table = next,
            }
        }
        Ok(None)
    }

    /// Walks all of `root` that covers `range` (inclusive end) and hands every
    /// table and leaf to `visit`. `descend` decides whether a table's entries
    /// are read. A table met twice is not walked again, so cycles end; tables
    /// that cannot be read are counted and passed over. When `visit` breaks, the
    /// walk ends there.
    pub fn walk(
        &self,
        cache: &PageCache<'_>,
        root: PhysAddr,
        range: (VirtAddr, VirtAddr),
        descend: &mut dyn FnMut(TablePage) -> bool,
        visit: &mut dyn FnMut(Met) -> ControlFlow<()>,
    ) -> Walk {
        let mut seen = HashSet::new();
        let mut walk = Walk::default();
        let kernel = range.0.0 >> 63 == 1;
        let mut stack = vec![(root, self.top(), self.canonical(0, kernel))];
        while let Some((table, level, base)) = stack.pop() {
            let page = TablePage {
                pfn: table.pfn(self.page_shift),
                level,
                virt: VirtAddr(base),
            };
            if level != self.top() && !seen.insert((table, level)) {
                continue;
            }
            if visit(Met::Table(page)).is_break() {
                walk.broke_off = true;
                return walk;
            }
            if !descend(page) {
                continue;
            }
            let (shift, bits) = self.level(level);
            let mut bytes = vec![0; (1usize << bits) * 8];
            if cache.read(table, &mut bytes).is_err() {
                walk.unreadable += 1;
                continue;
            }
            // Pushed in reverse so that tables come off the stack in address order.
            let mut below = Vec::new();
            for (index, entry) in bytes.chunks_exact(8).enumerate() {
                let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
                if entry == 0 {
                    continue;
                }
                let span = 1u64 << shift;
                let virt = base.wrapping_add((index as u64) << shift);
                let virt = if level == self.top() {
                    self.canonical(virt, kernel)
                } else {
                    virt
                };
                let last = virt.wrapping_add(span - 1);
                if last < range.0.0 || virt > range.1.0 {
                    continue;
                }
                match (self.decode)(self, entry, level) {
                    Entry::None => {}
                    Entry::Leaf(phys) => {
                        let leaf = Mapping {
                            virt: VirtAddr(virt),
                            phys,
                            size: span,
                        };
                        if visit(Met::Leaf(leaf)).is_break() {
                            walk.broke_off = true;
                            return walk;
                        }
                    }
                    Entry::Table(next) => below.push((next, level - 1, virt)),
                }
            }
            stack.extend(below.into_iter().rev());
        }
        walk
    }
}

/// Reads a little-endian word of physical memory.
pub(crate) fn read_u64(cache: &PageCache<'_>, addr: PhysAddr) -> Result<u64, Fault> {
    let mut buf = [0; 8];
    cache.read(addr, &mut buf)?;
    Ok(u64::from_le_bytes(buf))
}

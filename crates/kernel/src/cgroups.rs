//! Control groups of memory, and what is charged to them: page by page through
//! `page->memcg_data`, object by object through a slab's vector.

use std::collections::{HashMap, HashSet};

use pagehound_vmcore::VirtAddr;

use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::net::whole_or_part;
use crate::text::printable;
use crate::virt::VirtualRead;

/// More levels than a hierarchy has (`cgroup.max.depth` is seldom set, and seldom
/// beyond ten).
const MOST_LEVELS: usize = 128;
/// More groups than a host has, dying ones with them.
const MOST_GROUPS: usize = 1 << 18;
/// More objects than a slab has: `slab.objects` has 15 bits.
const MOST_OBJECTS: u32 = 1 << 15;
/// Bytes of a vector: more than those of the largest slab have, or the largest slab
/// itself, in whose slack a vector may lie.
const MOST_BYTES: u64 = 1 << 22;
/// Bytes of one path, and of all.
const LONGEST_PATH: usize = 4096;
const MOST_TEXT: usize = 16 << 20;
/// `CSS_ONLINE` (`enum` without a name in `cgroup-defs.h`).
const ONLINE: u64 = 1 << 1;
/// Low bits of `page->memcg_data` (`enum page_memcg_data_flags` and
/// `enum objext_flags`); what they point to is aligned beyond them.
const FLAGS: u64 = 7;
/// Of these: a vector for the objects of a slab; charged through an object group.
const VECTOR: u64 = 1;
const KMEM: u64 = 2;

/// A control group of memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memcg {
    /// Path below the mount, `/` for the root; safe to print.
    pub path: String,
    /// Whether it has been removed, and stays because something is charged to it.
    pub dying: bool,
    /// Whether the group above it has been removed too, which has its pages with its
    /// own then.
    pub below_dying: bool,
    /// Pages charged to it and to those below it (`memory.current`).
    pub charged: Option<u64>,
}

/// Finds whose a page or an object is. Keeps what it has found.
pub struct Charges<'k> {
    kernel: &'k Kernel<'k>,
    /// Offset of `memcg_data` in `struct page`.
    word: usize,
    groups: Vec<Memcg>,
    /// Number of a group by the address of its `struct mem_cgroup`.
    numbers: HashMap<u64, Option<u32>>,
    /// The same by that of an `obj_cgroup`.
    objects: HashMap<u64, Option<u32>>,
    /// `struct mem_cgroup` of the root, once it is known.
    root: Option<VirtAddr>,
    /// Bytes that paths may still take.
    text: usize,
}

impl Kernel<'_> {
    /// A table of what is charged to whom; `None` without CONFIG_MEMCG, or where
    /// the types that tell are not known.
    pub fn charges(&self) -> Option<Charges<'_>> {
        let root = self.address("root_mem_cgroup");
        Some(Charges {
            kernel: self,
            word: self.layouts.get(Field::PageMemcg)?.offset as usize,
            groups: Vec::new(),
            numbers: HashMap::new(),
            objects: HashMap::new(),
            root: root.and_then(|at| self.memory.ptr(at).ok()),
            text: MOST_TEXT,
        })
    }
}

impl Charges<'_> {
    /// The groups found so far; numbers are their places.
    pub fn groups(&self) -> &[Memcg] {
        &self.groups
    }

    /// The group that a page of its `struct page` is charged to, by number.
    pub fn of_page(&mut self, page: &[u8]) -> Option<u32> {
        let word = self.word(page)?;
        let at = VirtAddr(word & !FLAGS);
        if at.0 == 0 || word & VECTOR != 0 {
            return None;
        }
        // Pages of the kernel are charged through an object group since 5.13
        // (b4e0b68fbd9d).
        if word & KMEM != 0
            && let Some(number) = self.of_object_group(at)
        {
            return Some(number);
        }
        self.of_memcg(at)
    }

    /// The groups that the objects of a slab are charged to: calls `charged` with
    /// an object's index and a group's number.
    pub fn of_slab(&mut self, page: &[u8], objects: u32, mut charged: impl FnMut(u32, u32)) {
        let Some(word) = self.word(page) else { return };
        let vector = VirtAddr(word & !FLAGS);
        if vector.0 == 0 || word & VECTOR == 0 {
            return;
        }
        let layouts = &self.kernel.layouts;
        // Pointers, before 6.10 gave each object more (21c690a349ba).
        let (size, offset) = match layouts.get(Field::SlabobjExtObjcg) {
            Some(place) => (layouts.size(Struct::SlabobjExt).unwrap_or(8), place.offset),
            None => (8, 0),
        };
        // The vector may lie within the objects' slack, further apart (7.0).
        let stride = self.stride(page).unwrap_or(size).clamp(8, 1 << 12);
        let length = u64::from(objects.min(MOST_OBJECTS)) * stride;
        if length > MOST_BYTES {
            return;
        }
        let mut bytes = vec![0; length as usize];
        if self.kernel.memory.read(vector, &mut bytes).is_err() {
            return;
        }
        for (index, element) in (0..).zip(bytes.chunks_exact(stride as usize)) {
            let group = element.get(offset as usize..).and_then(<[u8]>::first_chunk);
            let group = group.map_or(0, |bytes| u64::from_le_bytes(*bytes));
            if group == 0 {
                continue;
            }
            if let Some(number) = self.of_object_group(VirtAddr(group)) {
                charged(index, number);
            }
        }
    }

    /// Finds all groups there are, dying ones too, from the root; or from above those
    /// found, where no symbol tells the root.
    pub fn find_all(&mut self) {
        let Some(root) = self.root else { return };
        let mut waiting = vec![root];
        let mut seen = HashSet::from([root]);
        // Entries of all lists together: each group is on one.
        let mut left = MOST_GROUPS;
        while let Some(memcg) = waiting.pop() {
            self.of_memcg(memcg);
            let below = self.children(memcg, left).unwrap_or_default();
            left = left.saturating_sub(below.len());
            waiting.extend(below.into_iter().filter(|&memcg| seen.insert(memcg)));
        }
    }

    /// The groups directly below one, at most so many.
    fn children(&self, memcg: VirtAddr, most: usize) -> Option<Vec<VirtAddr>> {
        let kernel = self.kernel;
        let css = kernel.member(memcg, Field::MemcgCss).ok()?;
        let head = kernel.member(css, Field::CssChildren).ok()?;
        let offset = kernel.layouts.get(Field::MemcgCss)?.offset;
        let all = whole_or_part(kernel.list_of(head, Field::CssSibling, most));
        let all = all.into_iter();
        Some(
            all.map(|css| VirtAddr(css.0.wrapping_sub(offset)))
                .collect(),
        )
    }

    fn word(&self, page: &[u8]) -> Option<u64> {
        let bytes = page.get(self.word..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    }

    fn stride(&self, page: &[u8]) -> Option<u64> {
        let place = self.kernel.layouts.get(Field::SlabStride)?;
        let bytes = page.get(place.offset as usize..)?.first_chunk()?;
        Some(u64::from(u32::from_le_bytes(*bytes))).filter(|stride| *stride > 0)
    }

    fn of_object_group(&mut self, at: VirtAddr) -> Option<u32> {
        if let Some(&known) = self.objects.get(&at.0) {
            return known;
        }
        let memcg = self.kernel.pointer(at, Field::ObjCgroupMemcg).ok();
        let number = memcg.and_then(|memcg| self.of_memcg(memcg));
        if self.objects.len() < MOST_GROUPS {
            self.objects.insert(at.0, number);
        }
        number
    }

    fn of_memcg(&mut self, at: VirtAddr) -> Option<u32> {
        if let Some(&known) = self.numbers.get(&at.0) {
            return known;
        }
        if self.numbers.len() >= MOST_GROUPS {
            return None;
        }
        let group = self.memcg(at);
        let number = group.map(|group| {
            self.groups.push(group);
            self.groups.len() as u32 - 1
        });
        self.numbers.insert(at.0, number);
        number
    }

    /// What one group is; `None` where the way up from it leads to no root.
    fn memcg(&mut self, at: VirtAddr) -> Option<Memcg> {
        let kernel = self.kernel;
        let css = kernel.member(at, Field::MemcgCss).ok()?;
        let is_dying = |css| Some(kernel.field(css, Field::CssFlags).ok()? & ONLINE == 0);
        let mut parts: Vec<String> = Vec::new();
        let mut length = 0;
        let mut level = css;
        loop {
            let cgroup = kernel.pointer(level, Field::CssCgroup).ok()?;
            let node = kernel.pointer(cgroup, Field::CgroupNode).ok()?;
            let name = kernel.pointer(node, Field::KernfsName).ok()?;
            let name = printable(&kernel.memory.cstr(name, 256).ok()?);
            let above = kernel.pointer(level, Field::CssParent).ok()?;
            if above.0 == 0 {
                break;
            }
            length += name.len() + 1;
            parts.push(name);
            level = above;
            if parts.len() > MOST_LEVELS || length > LONGEST_PATH {
                return None;
            }
        }
        if self.root.is_none() {
            let offset = kernel.layouts.get(Field::MemcgCss)?.offset;
            self.root = Some(VirtAddr(level.0.wrapping_sub(offset)));
        }
        self.text = self.text.checked_sub(length)?;
        let above = kernel.pointer(css, Field::CssParent).ok()?;
        parts.reverse();
        Some(Memcg {
            path: format!("/{}", parts.join("/")),
            dying: is_dying(css)?,
            below_dying: above.0 != 0 && is_dying(above)?,
            charged: kernel.field(at, Field::MemcgUsage).ok(),
        })
    }
}

#[cfg(test)]
mod tests;

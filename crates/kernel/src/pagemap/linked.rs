//! Pages on lists whose heads no structure leads to, as where there is no BTF: pages
//! on a list and what is before and behind them point to each other, which no page
//! does that was taken off its list (`list_del()` leaves poison) or never on one.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use pagehound_vmcore::{Machine, Pfn, PhysAddr, VirtAddr};

use super::{Class, PageMap, Pages};
use crate::kernel::Kernel;
use crate::virt::VirtualRead;

/// Entries of the kernel's half of a root that a process shares at the least: the
/// direct map, the memory map and the image.
const FEWEST_SHARED: usize = 3;

impl Pages {
    /// Raw pages of which `wanted` is so and that are on a list, ascending.
    fn on_lists(&self, kernel: &Kernel<'_>, wanted: impl Fn(&PageMap, Pfn) -> bool) -> Vec<Pfn> {
        let mut pages = self.memmap.struct_pages(kernel);
        let raw = self.map.heads(Class::Raw);
        raw.filter(|&pfn| wanted(&self.map, pfn))
            .filter(|&pfn| {
                let words = pages.get(pfn).map(|bytes| self.decoder.words(bytes).lru());
                let link = self.memmap.page(pfn).add(self.decoder.lru as u64);
                words.is_some_and(|words| self.is_linked(kernel, link, words))
            })
            .collect()
    }

    /// Whether what the two words of the `list_head` at `link` point to points back.
    fn is_linked(&self, kernel: &Kernel<'_>, link: VirtAddr, [next, prev]: [u64; 2]) -> bool {
        let is_back = |at: u64, back: u64| {
            // No kernel address is lower, with four levels of tables or five.
            if at >> 56 != 0xff || !at.is_multiple_of(8) {
                return false;
            }
            let at = VirtAddr(at).add(back);
            let mut word = [0; 8];
            let read = match self.memmap.phys(at) {
                Some(phys) => kernel.memory.cache.read(phys, &mut word).is_ok(),
                None => kernel.memory.read(at, &mut word).is_ok(),
            };
            read && u64::from_le_bytes(word) == link.0
        };
        // One that points to itself was prepared for a list and never on it.
        next != link.0 && is_back(next, 8) && is_back(prev, 0)
    }

    /// Takes out the free pages on per-CPU lists: pages on lists that have no
    /// reference and are in no other state. A block on a list keeps no order in its
    /// `struct page`: the frames behind it that nothing is known of are its own.
    pub(super) fn free_by_links(&mut self, kernel: &Kernel<'_>) {
        let found = self.on_lists(kernel, PageMap::is_in_transit);
        let firsts: HashSet<Pfn> = found.iter().copied().collect();
        for &pfn in &found {
            let is_own = |next: &u64| {
                let next = Pfn(*next);
                self.map.class(next) == Class::Raw
                    && self.map.is_in_transit(next)
                    && !firsts.contains(&next)
            };
            let most = 1 << pfn.0.trailing_zeros().min(super::MAX_PLAIN_ORDER);
            let end = (pfn.0 + 1..pfn.0 + most).find(|next| !is_own(next));
            let length = end.map_or(most, |end| end - pfn.0);
            self.map.set_pcp(pfn, length.ilog2());
        }
    }

    /// Roots of page tables of processes (x86, which has them all on `pgd_list`): pages
    /// on lists that map what the kernel does.
    pub(super) fn roots_by_links(&self, kernel: &Kernel<'_>) -> Vec<PhysAddr> {
        let space = &kernel.memory.space;
        if space.machine != Machine::X86_64 {
            return Vec::new();
        }
        let Some(own) = kernel_half(kernel, space.root) else {
            return Vec::new();
        };
        let in_use = self.on_lists(kernel, |map, pfn| !map.is_in_transit(pfn));
        let shift = kernel.page_shift();
        let roots = in_use.into_iter().map(|pfn| pfn.addr(shift));
        let is_root = |&root: &PhysAddr| {
            // Processors note in an entry that it was used: addresses count.
            kernel_half(kernel, root).is_some_and(|half| {
                let both = half.iter().zip(&own).filter(|&(a, b)| *a != 0 && *b != 0);
                let alike = both.clone().filter(|(a, b)| a == b).count();
                alike >= FEWEST_SHARED && alike == both.count()
            })
        };
        roots.filter(is_root).collect()
    }
}

/// Addresses in the upper half of a root table; 0 where it has no entry.
fn kernel_half(kernel: &Kernel<'_>, root: PhysAddr) -> Option<Vec<u64>> {
    let mut half = vec![0; 2048];
    let at = PhysAddr(root.0 + half.len() as u64);
    kernel.memory.cache.read(at, &mut half).ok()?;
    let mask = kernel.memory.space.geometry.addr_mask;
    let entries = half.as_chunks::<8>().0.iter();
    Some(
        entries
            .map(|bytes| match u64::from_le_bytes(*bytes) {
                entry if entry & 1 == 1 => entry & mask,
                _ => 0,
            })
            .collect(),
    )
}

//! Rule 3: which words name which pages.

#[cfg(test)]
mod tests;

use std::ops::Range;

use pagehound_kernel::{Kernel, Linear, Pages};
use pagehound_scan::words_in_ranges;
use pagehound_vmcore::{Pfn, PhysAddr, VirtAddr};

/// The values that name a page: any address in the direct map names the page
/// it lies in, any address in the memory map the page whose `struct page` it
/// lies in. Tags in low bits (list heads, one-entry scatterlists, netmem,
/// xarray marks) move a value within those ranges and so do no harm.
#[derive(Clone, Debug)]
pub struct Naming {
    direct: Linear,
    memmap: Range<u64>,
    page_struct: u64,
    page_shift: u32,
    end: u64,
}

impl Naming {
    /// The naming values of this kernel's address space.
    pub fn new(kernel: &Kernel<'_>, pages: &Pages) -> Naming {
        let end = pages.map.end();
        Naming {
            direct: kernel.memory.space.direct.clone(),
            memmap: pages.memmap.base.0..pages.memmap.page(end).0,
            page_struct: pages.memmap.page_size.max(1),
            page_shift: kernel.page_shift(),
            end: end.0,
        }
    }

    /// The ranges of values that name a page.
    fn ranges(&self) -> [Range<u64>; 2] {
        [self.direct.virt.clone(), self.memmap.clone()]
    }

    /// Tells `each` word of `bytes` that names a page: its index, itself, and
    /// the page.
    pub(crate) fn names(&self, bytes: &[u8], mut each: impl FnMut(usize, u64, Pfn)) {
        words_in_ranges(bytes, &self.ranges(), |index, word| {
            if let Some(named) = self.page(word) {
                each(index, word, named);
            }
        });
    }

    /// The page a word names.
    pub(crate) fn page(&self, word: u64) -> Option<Pfn> {
        if self.memmap.contains(&word) {
            return Some(Pfn((word - self.memmap.start) / self.page_struct));
        }
        let phys = self.phys(word)?;
        let pfn = phys.pfn(self.page_shift);
        (pfn.0 < self.end).then_some(pfn)
    }

    /// The physical address a word of the direct map means.
    pub(crate) fn phys(&self, word: u64) -> Option<PhysAddr> {
        self.direct.phys(VirtAddr(word))
    }

    /// Whether a word is the address of a page's first byte.
    pub(crate) fn is_start(&self, word: u64) -> bool {
        let low = (1u64 << self.page_shift) - 1;
        word & low == 0 && self.direct.virt.contains(&word)
    }

    /// Whether a word that names a page names it as a whole: by where it begins, or by
    /// its `struct page`.
    pub(crate) fn is_whole(&self, word: u64) -> bool {
        self.is_start(word) || self.memmap.contains(&word)
    }

    /// Whether a word looks like an address of the kernel: its upper half, and
    /// no small negative number.
    pub(crate) fn is_kernel_pointer(&self, word: u64) -> bool {
        word >> 47 == 0x1_ffff && word < 0xffff_ffff_ffff_f000
            || self.memmap.contains(&word)
            || self.direct.virt.contains(&word)
    }

    /// The frame in a word that looks like an entry of a page table: a frame
    /// number of this machine above some low bits, of which one at least is set.
    pub(crate) fn frame_entry(&self, word: u64) -> Option<Pfn> {
        let low = (1u64 << self.page_shift) - 1;
        let pfn = (word & 0x000f_ffff_ffff_ffff & !low) >> self.page_shift;
        (word & low != 0 && pfn != 0 && pfn < self.end).then_some(Pfn(pfn))
    }
}

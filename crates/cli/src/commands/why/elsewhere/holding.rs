//! Who holds the page.

use super::masks::{masked, pieces};
use super::{Claim, Elsewhere, Tool};
use pagehound_kernel::Class;
use pagehound_vmcore::{Pfn, PfnRange, PhysAddr, VirtAddr};

/// Bits of a page table's entry beside its address: flags below, and above what no
/// physical address has.
const ENTRY_FLAGS: u64 = 0xfff0_0000_0000_0fff;

impl Elsewhere<'_> {
    /// The word at a physical address.
    pub(in crate::commands::why) fn word(&mut self, claim: Claim, at: PhysAddr) {
        self.both(
            claim,
            "the word that names it",
            format!("rd -p {:x}", at.0),
            format!("print(hex(prog.read_u64({:#x}, physical=True)))", at.0),
        );
    }

    /// What lies at a physical address, where crash and drgn have a name for it.
    pub(in crate::commands::why) fn place(&mut self, claim: Claim, at: PhysAddr) {
        let shift = self.kernel.page_shift();
        let pfn = at.pfn(shift);
        let offset = at.0 & ((1 << shift) - 1);
        let (virt, shows) = match self.pages.map.class(pfn) {
            Class::Slab => return self.slab(claim, at),
            Class::Vmalloc | Class::KernelStack | Class::PerCpu => (
                self.pages.vmalloc_address(pfn).map(|virt| virt.add(offset)),
                "the area that this lies in",
            ),
            Class::KernelImage => {
                let image = self.kernel.memory.space.image.as_ref();
                (
                    image.and_then(|image| image.virt(at)),
                    "the variable that this lies in",
                )
            }
            _ => (None, ""),
        };
        let Some(virt) = virt else { return };
        let crash = match self.pages.map.class(pfn) {
            Class::KernelImage => format!("sym {:x}", virt.0),
            _ => format!("kmem {:x}", virt.0),
        };
        let drgn = format!("print(identify_address(prog, {:#x}))", virt.0);
        self.both(claim, shows, crash, drgn);
    }

    /// The slab cache of what lies at a physical address.
    pub(super) fn slab(&mut self, claim: Claim, at: PhysAddr) {
        if let Some(virt) = self.kernel.memory.space.direct.virt(at) {
            self.object(claim, virt);
        }
    }

    /// The slab cache of the object at `virt`.
    pub(in crate::commands::why) fn object(&mut self, claim: Claim, virt: VirtAddr) {
        self.both(
            claim,
            "the slab cache of this object",
            // With -s crash takes the address of a cache's own description for the cache.
            format!("kmem {:x}", virt.0),
            format!(
                "print(find_containing_slab_cache(prog, {:#x}).name.string_().decode())",
                virt.0
            ),
        );
    }

    /// The mapping at `virt`, or where that is not known whatever maps the page.
    pub(in crate::commands::why) fn mapping(&mut self, pfn: Pfn, virt: Option<VirtAddr>) {
        match virt {
            Some(virt) => self.both(
                Claim::HeldBy,
                "the page table's entry leads to it",
                format!("vtop {:x}", virt.0),
                format!(
                    "print(hex(follow_phys(prog[\"init_mm\"].address_of_(), {:#x})))",
                    virt.0
                ),
            ),
            None => self.table(None, pfn),
        }
    }

    /// Words in the page `from` that name the unit, by address or struct page.
    pub(in crate::commands::why) fn words_in(&mut self, from: Pfn, unit: PfnRange) {
        let shift = self.kernel.page_shift();
        let direct = self.kernel.memory.space.direct.virt(unit.start.addr(shift));
        let page_structs = Some(self.page_struct_of(unit.start));
        let named = [
            (
                direct,
                1 << shift,
                "words of that page that are an address in it",
            ),
            (
                page_structs,
                self.pages.memmap.page_size,
                "words of that page that are an address in its struct page",
            ),
        ];
        for (virt, size, shows) in named {
            let Some(virt) = virt else { continue };
            for piece in pieces(virt.0, unit.len().saturating_mul(size)) {
                self.search_in(from, shows, piece);
            }
        }
    }

    /// The struct page of another page, by which this one is held.
    pub(in crate::commands::why) fn struct_of(&mut self, from: Pfn) {
        let at = self.page_struct_of(from);
        let words = self.pages.memmap.page_size / 8;
        self.both(
            Claim::HeldBy,
            "the struct page that names it",
            format!("rd {:x} {words}", at.0),
            format!(
                "print(*(hex(prog.read_u64({:#x} + 8 * word)) for word in range({words})))",
                at.0
            ),
        );
    }

    /// The page that a block begins with.
    pub(in crate::commands::why) fn begin(&mut self, from: Pfn) {
        self.both(
            Claim::HeldBy,
            "the begin of its block is in use",
            format!("struct page._refcount -x {:x}", self.page_struct_of(from).0),
            format!(
                "print(hex(pfn_to_page(prog, {:#x})._refcount.counter))",
                from.0
            ),
        );
    }

    /// Entries for the page in the table that hardware walks, or where that is not
    /// known in any.
    pub(in crate::commands::why) fn table(&mut self, from: Option<Pfn>, pfn: Pfn) {
        let phys = pfn.addr(self.kernel.page_shift());
        match from {
            Some(from) => {
                self.search_in(from, "entries for it in that table", (phys.0, ENTRY_FLAGS));
            }
            None => self.add(
                Tool::Crash,
                Claim::HeldBy,
                "words that could be a table's entry for it",
                format!("search -p {:x}{}", phys.0, masked(ENTRY_FLAGS)),
            ),
        }
    }

    /// Searches the page `from` for a value under a mask of bits that may be anything.
    fn search_in(&mut self, from: Pfn, shows: &'static str, (value, mask): (u64, u64)) {
        let shift = self.kernel.page_shift();
        let (start, end) = (from.addr(shift).0, Pfn(from.0 + 1).addr(shift).0);
        self.both(
            Claim::HeldBy,
            shows,
            format!(
                "search -p -s {start:x} -e {end:x} {value:x}{}",
                masked(mask)
            ),
            format!(
                "found = prog.search_memory_u64({value:#x}, ignore_mask={mask:#x}); \
                 found.set_address_range({start:#x}, {:#x}, physical=True); \
                 print(*(hex(at) for at, _ in found))",
                end - 1
            ),
        );
    }
}

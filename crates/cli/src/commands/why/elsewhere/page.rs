//! What the page itself is, and the words that name it.

use super::super::content::SHOWN;
use super::masks::{masked, pieces};
use super::{Claim, Elsewhere, Tool};
use pagehound_kernel::Class;
use pagehound_vmcore::{Pfn, PfnRange, PhysAddr, VirtAddr};

impl Elsewhere<'_> {
    /// The addresses of the page.
    pub(in crate::commands::why) fn page(&mut self, pfn: Pfn, virt: Option<VirtAddr>) {
        if let Some(virt) = virt {
            self.add(
                Tool::Crash,
                Claim::Page,
                "the physical address and the struct page",
                format!("vtop {:x}", virt.0),
            );
        }
        let page = format!("pfn_to_page(prog, {:#x})", pfn.0);
        self.add(
            Tool::Drgn,
            Claim::Page,
            "the physical address, the kernel address, the struct page",
            format!("print(hex(page_to_phys({page})), hex(page_to_virt({page})), hex({page}))"),
        );
    }

    /// What a page of `class` is told by; the first page of a unit has the marks of all.
    /// Free memory has a type in its struct page, page tables have where the kernel made
    /// them as such: not the uppermost ones.
    pub(in crate::commands::why) fn class(&mut self, class: Class, pfn: Pfn, has_type: bool) {
        let head = self.pages.map.head(pfn);
        let at = self.page_struct_of(head).0;
        let page = format!("pfn_to_page(prog, {:#x})", head.0);
        self.both(
            Claim::Class,
            "the page's flags by name, or of those that are one the first's",
            format!("kmem {at:x}"),
            format!("print(decode_page_flags({page}))"),
        );
        match class {
            Class::Free | Class::PageTable | Class::Offline if has_type => {
                self.both(
                    Claim::Class,
                    "the page's type",
                    format!("struct page.page_type -x {at:x}"),
                    format!("print(hex({page}.page_type))"),
                );
            }
            Class::Slab => self.slab(Claim::Class, pfn.addr(self.kernel.page_shift())),
            Class::Vmalloc | Class::KernelStack | Class::PerCpu => {
                self.place(Claim::Class, pfn.addr(self.kernel.page_shift()));
            }
            _ => {}
        }
    }

    /// The pages that are one.
    pub(in crate::commands::why) fn unit(
        &mut self,
        class: Class,
        unit: PfnRange,
        is_compound: bool,
    ) {
        let last = Pfn(unit.end.0.saturating_sub(1));
        let (head, tail) = (unit.start, self.page_struct_of(last));
        let first = format!("pfn_to_page(prog, {:#x})", head.0);
        let end = format!("pfn_to_page(prog, {:#x})", last.0);
        if is_compound {
            self.both(
                Claim::Unit,
                "the last page names the first, plus one",
                format!("struct page.compound_head -x {:x}", tail.0),
                format!("print(hex({end}.compound_head))"),
            );
            self.add(
                Tool::Drgn,
                Claim::Unit,
                "the order",
                format!("print(int(compound_order({first})))"),
            );
        } else if class == Class::Free {
            self.both(
                Claim::Unit,
                "the order of the free block",
                format!("struct page.private -x {:x}", self.page_struct_of(head).0),
                format!("print(hex({first}.private))"),
            );
        } else if last != head {
            self.both(
                Claim::Unit,
                "the last page has no reference count of its own",
                format!("struct page._refcount -x {:x}", tail.0),
                format!("print(hex({end}._refcount.counter))"),
            );
        }
    }

    /// The words of the struct page.
    pub(in crate::commands::why) fn page_struct(&mut self, pfn: Pfn) {
        self.both(
            Claim::PageStruct,
            "its words",
            format!(
                "struct page.flags,_refcount,_mapcount,mapping,index,private,lru -x {:x}",
                self.page_struct_of(pfn).0
            ),
            format!("print(pfn_to_page(prog, {:#x}))", pfn.0),
        );
    }

    /// Every word of memory that names a unit.
    pub(in crate::commands::why) fn named_by(&mut self, unit: PfnRange) {
        let shift = self.kernel.page_shift();
        let shows = "every word that is an address in it, whether it counts or not";
        let direct = &self.kernel.memory.space.direct;
        if let Some(virt) = direct.virt(unit.start.addr(shift)) {
            self.search_each(shows, virt, unit.len(), 1 << shift);
        }
        self.search_each(
            "every word that is an address in its struct page, likewise",
            self.page_struct_of(unit.start),
            unit.len(),
            self.pages.memmap.page_size,
        );
    }

    fn search_each(&mut self, shows: &'static str, start: VirtAddr, count: u64, size: u64) {
        for (value, mask) in pieces(start.0, count.saturating_mul(size)) {
            let line = format!("search -p {value:x}{}", masked(mask));
            self.add(Tool::Crash, Claim::NamedBy, shows, line);
        }
    }

    /// Bytes that the page has in common with others.
    pub(in crate::commands::why) fn pattern(&mut self, at: PhysAddr, length: usize) {
        self.bytes(Claim::Patterns, "the pattern's bytes", at, length);
    }

    /// How the page begins.
    pub(in crate::commands::why) fn content(&mut self, at: PhysAddr) {
        self.bytes(Claim::Content, "how it begins", at, SHOWN);
    }

    fn bytes(&mut self, claim: Claim, shows: &'static str, at: PhysAddr, length: usize) {
        self.both(
            claim,
            shows,
            format!("rd -8 -p {:x} {length}", at.0),
            format!(
                "print(prog.read({:#x}, {length}, physical=True).hex(\" \"))",
                at.0
            ),
        );
    }
}

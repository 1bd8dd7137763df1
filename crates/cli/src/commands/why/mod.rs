//! `pagehound why`: one page explained.

mod held;
mod origin;

use super::Context;
use crate::args::{self, PageRef};
use crate::exit::Exit;
use crate::output;
use crate::progress::Bar;
use crate::render::number::{count, size};
use crate::render::page::{LABEL, PLAIN, Page};
use crate::render::{self, finding_title, pattern_line};
use anyhow::ensure;
use pagehound_hunt::holders::Holders;
use pagehound_hunt::{Diagnosis, Referrers, referrers};
use pagehound_kernel::{Class, Kernel, Pages, VirtFault};
use pagehound_model::{Evidence, Finding, Pattern};
use pagehound_vmcore::{PageCache, Pfn, PfnRange, PhysAddr, VirtAddr, hex};
use std::cell::RefCell;
use std::io;

/// Bytes of the page that are shown where they are asked for.
const SHOWN: usize = 64;

/// Words that name the page which are told one by one.
const WORDS: usize = 8;

pub(super) fn run(args: &args::Why, context: &Context) -> anyhow::Result<Exit> {
    args.target
        .stands_first("why", std::slice::from_ref(&args.page))?;
    let asked = args.page().map_err(anyhow::Error::msg)?;
    let dump = pagehound_kernel::open(args.target.file()?)?;
    let kernel = context.kernel(&dump)?;
    let shift = kernel.page_shift();
    let pfn = match asked {
        PageRef::Pfn(pfn) => Pfn(pfn),
        PageRef::Physical(addr) => PhysAddr(addr).pfn(shift),
        PageRef::Virtual(addr) => {
            let addr = VirtAddr(addr);
            ensure!(kernel.is_mapped(addr), VirtFault::NotMapped(addr));
            kernel.phys(addr)?.pfn(shift)
        }
    };
    let diagnosis = context.diagnose(&kernel, &args.target.to_string())?;
    let end = diagnosis.pages.map.end();
    ensure!(
        pfn < end,
        "there is no page {:#x}: the machine's pages end below {:#x}{}",
        pfn.0,
        end.0,
        match asked {
            PageRef::Pfn(_) => "; for a physical address add --physical",
            PageRef::Physical(_) | PageRef::Virtual(_) => "",
        }
    );
    super::note(&diagnosis.report.warnings);
    let bar = Bar::new();
    let referrers = referrers(
        &kernel,
        &diagnosis.pages,
        &diagnosis.census,
        pfn,
        &bar,
        context.cancel,
    );
    bar.end();
    let why = Why {
        kernel: &kernel,
        diagnosis: &diagnosis,
        pfn,
        referrers,
        holders: RefCell::new(Holders::new(
            &kernel,
            &diagnosis.pages,
            &diagnosis.census,
            &diagnosis.climb,
        )),
        show_content: args.show_content,
    };
    output::page(|page| why.print(page))?;
    Ok(if context.interrupted() {
        Exit::INTERRUPTED
    } else {
        Exit::OK
    })
}

struct Why<'a> {
    kernel: &'a Kernel<'a>,
    diagnosis: &'a Diagnosis,
    pfn: Pfn,
    referrers: Referrers,
    holders: RefCell<Holders<'a>>,
    /// Page contents may be printed.
    show_content: bool,
}

impl Why<'_> {
    fn pages(&self) -> &Pages {
        &self.diagnosis.pages
    }

    fn print(&self, page: &mut Page) -> io::Result<()> {
        let Pfn(pfn) = self.pfn;
        let phys = self.pfn.addr(self.kernel.page_shift());
        let virt = self.kernel.memory.space.direct.virt(phys);
        let virt = virt.map_or("no kernel address".to_owned(), |virt| {
            format!("kernel address {:x}", virt.0)
        });
        page.line(
            LABEL,
            &format!("page {pfn:#x} ({pfn}): physical {:x}, {virt}", phys.0),
        )?;
        let class = self.pages().map.class(self.pfn);
        page.item(
            "Class",
            &format!(
                "{}: {}{}",
                class.name(),
                explained(class),
                self.detail(class)
            ),
        )?;
        let unit = self.pages().map.unit(self.pfn);
        page.item("Unit", &self.unit(unit))?;
        page.item("Struct", &self.page_struct())?;
        let state = self.diagnosis.standing(self.pfn).name();
        let finding = self.diagnosis.finding(self.pfn);
        let finding = finding.and_then(|index| self.diagnosis.report.findings.get(index));
        let of = finding.map(|finding| {
            format!(
                ", with the {} of finding {}: {}",
                count(finding.pages, "page"),
                finding.id,
                finding_title(finding)
            )
        });
        page.item("State", &format!("{state}{}", of.unwrap_or_default()))?;
        self.held_by(class, unit.start, page)?;
        self.allocated_by(page)?;
        self.named_by(page)?;
        for evidence in finding.iter().flat_map(|finding| &finding.evidence) {
            if evidence.kind == Evidence::REFERENCES {
                page.item("Checked", &evidence.text)?;
            }
        }
        self.content(phys, finding, page)?;
        self.elsewhere(phys, page)
    }

    /// The slab cache, or the code that made the vmalloc area.
    fn detail(&self, class: Class) -> String {
        let pages = self.pages();
        let head = pages.map.head(self.pfn);
        match class {
            Class::Slab => {
                let slab = pages.slabs.slab(head);
                let cache = slab.and_then(|slab| Some((slab, pages.slabs.cache(slab)?)));
                cache.map_or(String::new(), |(slab, cache)| {
                    let (free, all) = (slab.free_count(), slab.objects);
                    format!(
                        "; cache {}, {free} of {all} objects free",
                        render::escape(&cache.name)
                    )
                })
            }
            Class::Vmalloc | Class::KernelStack | Class::PerCpu => {
                let holders = self.holders.borrow();
                let holder = holders.at(self.pfn.addr(self.kernel.page_shift()));
                format!("; {holder}")
            }
            _ => String::new(),
        }
    }

    fn unit(&self, unit: PfnRange) -> String {
        let order = unit.len().max(1).ilog2();
        let compound = if self.pages().map.is_compound(self.pfn) {
            ", a compound page"
        } else {
            ""
        };
        match unit.len() {
            0 | 1 => "this page alone, order 0".to_owned(),
            len => format!(
                "order {order}{compound}: {}, {:#x} to {:#x}",
                count(len, "page"),
                unit.start.0,
                unit.end.0 - 1
            ),
        }
    }

    fn page_struct(&self) -> String {
        let pages = self.pages();
        let at = pages.memmap.page(self.pfn);
        let known = pages.memmap.contains(self.pfn);
        let bytes = known.then(|| pages.memmap.read_one(self.kernel, self.pfn));
        let Some(bytes) = bytes.flatten() else {
            return format!("page at {at}: cannot be read");
        };
        let words = pages.decoder.words(&bytes);
        format!(
            "page at {:x}: refcount {}, mapcount word {:#x}, flags {:#x}, mapping {:#x}, index {:#x}, private {:#x}, lru {:x} {:x}",
            at.0,
            words.refcount(),
            words.mapcount_word(),
            words.flags(),
            words.mapping(),
            words.index(),
            words.private(),
            words.lru()[0],
            words.lru()[1]
        )
    }

    /// Every word in memory that names the unit, whether it counts or not.
    fn named_by(&self, page: &mut Page) -> io::Result<()> {
        let all = &self.referrers;
        let words = all.counting_words + all.barred_words;
        let searched = size(all.bytes);
        page.item(
            "Named by",
            &match (words, all.counting_words) {
                (0, _) => format!("no word in {searched} of memory"),
                (_, 0) => format!(
                    "{} in {searched} of memory, none of which counts",
                    count(words, "word")
                ),
                _ => format!("{} in {searched} of memory", count(words, "word")),
            },
        )?;
        let holders = self.holders.borrow();
        // Those that count first.
        for word in all.counting.iter().chain(&all.barred).take(WORDS) {
            let owner = holders.at(word.at);
            let barred = word
                .barred
                .map(|why| format!(", {why}: does not count"))
                .unwrap_or_default();
            page.indented(&format!(
                "{:x}: {:016x}   {} {}{barred}",
                word.at.0, word.word, owner.kind, owner.name
            ))?;
        }
        match words.saturating_sub(WORDS as u64) {
            0 => Ok(()),
            more => page.indented(&format!("and {}", count(more, "other"))),
        }
    }

    /// What of the finding's patterns lies in the page; more only where it was
    /// asked for.
    fn content(
        &self,
        phys: PhysAddr,
        finding: Option<&Finding>,
        page: &mut Page,
    ) -> io::Result<()> {
        let mut bytes = vec![0; self.kernel.dump.memory.page_size()];
        let cache = PageCache::new(self.kernel.dump.memory.as_ref(), 1);
        if let Err(fault) = cache.read(phys, &mut bytes) {
            return page.item("Bytes", &fault.to_string());
        }
        let patterns = finding.map_or(&[][..], |finding| &finding.patterns);
        // Patterns are of the unit's first page.
        let first = self.pages().map.head(self.pfn) == self.pfn;
        let has = |pattern: &&Pattern| first && lies_in(pattern, &bytes);
        for (number, pattern) in patterns.iter().filter(has).enumerate() {
            let label = if number == 0 { "Pattern" } else { "" };
            page.item(label, &pattern_line(pattern))?;
        }
        if !self.show_content {
            return page.item(
                "Bytes",
                "not shown, they may be secrets; --show-content shows them",
            );
        }
        page.item("Bytes", &format!("the first {SHOWN} of them"))?;
        for (number, line) in bytes.chunks(16).take(SHOWN / 16).enumerate() {
            let text = render::ascii(line);
            let offset = number * 16;
            page.indented(&format!("{offset:03x}: {:<47}   {text}", hex(line, " ")))?;
        }
        Ok(())
    }

    /// Lines that show the same in crash and drgn.
    fn elsewhere(&self, phys: PhysAddr, page: &mut Page) -> io::Result<()> {
        let size = self.kernel.page_size();
        let at = self.pages().memmap.page(self.pfn).0;
        page.gap()?;
        page.line(LABEL, "The same in crash")?;
        page.line(PLAIN, &format!("  kmem {at:x}"))?;
        page.line(PLAIN, &format!("  rd -p {:x} {}", phys.0, size / 8))?;
        // Bits that may be anything: any byte of the page, any of its struct page.
        if let Some(virt) = self.kernel.memory.space.direct.virt(phys) {
            page.line(
                PLAIN,
                &format!("  search -k {:x} -m {:x}", virt.0, size - 1),
            )?;
        }
        page.line(
            PLAIN,
            &format!(
                "  search -k {at:x} -m {:x}",
                self.pages().memmap.page_size.saturating_sub(1)
            ),
        )?;
        page.line(LABEL, "and in drgn")?;
        page.line(PLAIN, &format!("  print(pfn_to_page({:#x}))", self.pfn.0))?;
        page.line(
            PLAIN,
            &format!(
                "  print_annotated_memory({:#x}, {SHOWN}, physical=True)",
                phys.0
            ),
        )
    }
}

/// Whether the pattern's bytes lie at its place in `page`.
fn lies_in(pattern: &Pattern, page: &[u8]) -> bool {
    let offset = usize::try_from(pattern.offset).ok();
    let there = offset
        .and_then(|offset| page.get(offset..))
        .unwrap_or_default();
    let bytes = pattern.bytes();
    let fits = |(wanted, byte): (&Option<u8>, &u8)| wanted.is_none_or(|wanted| wanted == *byte);
    there.len() >= bytes.len() && bytes.iter().zip(there).all(fits)
}

/// What a class means, in a sentence.
fn explained(class: Class) -> &'static str {
    match class {
        Class::Hole => "has a struct page, but there is no memory behind it",
        Class::Unknown => "its struct page cannot be read",
        Class::Free => "on a free list of the buddy allocator",
        Class::FreePcp => "on a CPU's list of free pages",
        Class::Slab => "cut into objects of a slab cache",
        Class::LargeKmalloc => "one kmalloc too large for a slab",
        Class::Anon => "memory of processes, not of a file",
        Class::File => "page cache of a file or block device",
        Class::Shmem => "shared memory or tmpfs",
        Class::Hugetlb => "in the pool of huge pages",
        Class::PageTable => "a page table",
        Class::Vmalloc => "vmalloc memory",
        Class::KernelStack => "stack of a thread in the kernel",
        Class::PerCpu => "per-CPU memory",
        Class::KernelImage => "the kernel's own code or data",
        Class::MemMap => "struct pages",
        Class::Reserved => "set aside at boot",
        Class::CrashKernel => "set aside for the crash kernel",
        Class::Offline => "taken offline, or lent to the hypervisor",
        Class::HwPoison => "out of use for a memory error",
        Class::PagePool => "in a page_pool of a network driver",
        Class::Zsmalloc => "compressed memory (zsmalloc)",
        Class::Detached => "user or cache page without an owner, but still referenced",
        Class::Raw => "allocated page by page, in no counter of the kernel",
    }
}

//! `pagehound why`: one page explained.

mod captured;
mod content;
mod elsewhere;
mod facts;
mod held;
mod origin;
mod text;

use super::Context;
use crate::args::{self, PageRef};
use crate::exit::Exit;
use crate::output;
use crate::progress::Bar;
use crate::render::{self, finding_title};
use anyhow::ensure;
use elsewhere::{Claim, Elsewhere};
use facts::{Facts, FindingRef, Named, PageStruct, Unit, Word};
use pagehound_hunt::holders::Holders;
use pagehound_hunt::{Diagnosis, Referrers, referrers};
use pagehound_kernel::{Class, Kernel, Pages, VirtFault};
use pagehound_model::Evidence;
use pagehound_vmcore::{Pfn, PfnRange, PhysAddr, VirtAddr};
use std::cell::RefCell;

/// Words that name the page which are told one by one.
const WORDS: usize = 8;

pub(super) fn run(args: &args::Why, context: &Context) -> anyhow::Result<Exit> {
    args.target
        .stands_first("why", std::slice::from_ref(&args.page))?;
    let asked = args.page().map_err(anyhow::Error::msg)?;
    if let Some(capture) = crate::input::capture(&args.target, &args.others.parts)? {
        return captured::run(args, asked, &capture);
    }
    let dump = crate::input::dump(&args.target, &args.others.parts, context.reading())?;
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
    let facts = why.facts();
    if args.json {
        output::plain(|out| render::json(&facts, out))?;
    } else {
        output::page(|page| text::print(&facts, explained(why.class()), page))?;
    }
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

    fn class(&self) -> Class {
        self.pages().map.class(self.pfn)
    }

    /// Everything there is to say, and where else it can be seen.
    fn facts(&self) -> Facts {
        let phys = self.pfn.addr(self.kernel.page_shift());
        let virt = self.kernel.memory.space.direct.virt(phys);
        let class = self.class();
        let unit = self.pages().map.unit(self.pfn);
        let compound = self.pages().map.is_compound(self.pfn);
        let finding = self.diagnosis.finding(self.pfn);
        let finding = finding.and_then(|index| self.diagnosis.report.findings.get(index));
        let mut elsewhere = Elsewhere::new(self);
        elsewhere.page(self.pfn, virt);
        elsewhere.class(class, self.pfn, self.has_type(unit.start));
        elsewhere.unit(class, unit, compound);
        let page_struct = self.page_struct(&mut elsewhere);
        let held_by = self.held_by(class, unit.start, &mut elsewhere);
        let named_by = self.named_by(unit, &mut elsewhere);
        let (bytes, unreadable) = match self.bytes(phys) {
            Ok(bytes) => (bytes, None),
            Err(fault) => (Vec::new(), Some(fault.to_string())),
        };
        let patterns = self.patterns(phys, &bytes, finding, &mut elsewhere);
        if unreadable.is_none() {
            elsewhere.content(phys);
        }
        let references = finding.iter().flat_map(|finding| &finding.evidence);
        let references = references.filter(|evidence| evidence.kind == Evidence::REFERENCES);
        Facts {
            schema: "pagehound.why/1",
            pfn: self.pfn.0,
            physical: format!("{:x}", phys.0),
            virt: virt.map(|virt| format!("{:x}", virt.0)),
            class: class.name(),
            class_detail: self.detail(class),
            unit: Unit {
                first: unit.start.0,
                pages: unit.len(),
                compound,
            },
            page_struct_at: format!("{:x}", self.pages().memmap.page(self.pfn).0),
            page_struct,
            state: self.diagnosis.standing(self.pfn).name(),
            finding: finding.map(|finding| FindingRef {
                id: finding.id,
                pages: finding.pages,
                title: finding_title(finding),
            }),
            held_by,
            origin: self.origin(),
            named_by,
            checked: references.map(|evidence| evidence.text.clone()).collect(),
            patterns,
            content: (self.show_content && unreadable.is_none()).then(|| content::shown(&bytes)),
            unreadable,
            reproduce: elsewhere.lines,
        }
    }

    /// The slab cache, or the code that made the vmalloc area.
    fn detail(&self, class: Class) -> Option<String> {
        let pages = self.pages();
        match class {
            Class::Slab => {
                let slab = pages.slabs.slab(pages.map.head(self.pfn))?;
                let cache = pages.slabs.cache(slab)?;
                let (free, all) = (slab.free_count(), slab.objects);
                Some(format!(
                    "cache {}, {free} of {all} objects free",
                    render::escape(&cache.name)
                ))
            }
            Class::Vmalloc | Class::KernelStack | Class::PerCpu => {
                let holders = self.holders.borrow();
                let holder = holders.at(self.pfn.addr(self.kernel.page_shift()));
                Some(holder.to_string())
            }
            _ => None,
        }
    }

    fn page_struct(&self, elsewhere: &mut Elsewhere<'_>) -> Option<PageStruct> {
        let pages = self.pages();
        let known = pages.memmap.contains(self.pfn);
        let bytes = known.then(|| pages.memmap.read_one(self.kernel, self.pfn))??;
        let words = pages.decoder.words(&bytes);
        elsewhere.page_struct(self.pfn);
        Some(PageStruct {
            refcount: words.refcount(),
            mapcount_word: format!("{:x}", words.mapcount_word()),
            flags: format!("{:x}", words.flags()),
            mapping: format!("{:x}", words.mapping()),
            index: format!("{:x}", words.index()),
            private: format!("{:x}", words.private()),
            lru: words.lru().map(|word| format!("{word:x}")),
        })
    }

    /// Whether the struct page has a type where others count mappings: a number far
    /// below zero, while no mapping is minus one.
    fn has_type(&self, pfn: Pfn) -> bool {
        let pages = self.pages();
        let bytes = pages.memmap.read_one(self.kernel, pfn);
        bytes.is_some_and(|bytes| {
            let word = pages.decoder.words(&bytes).mapcount_word();
            word != u32::MAX && word > u32::MAX / 2
        })
    }

    /// Every word in memory that names the unit, whether it counts or not.
    fn named_by(&self, unit: PfnRange, elsewhere: &mut Elsewhere<'_>) -> Named {
        let all = &self.referrers;
        elsewhere.named_by(unit);
        let holders = self.holders.borrow();
        let mut words = Vec::new();
        for word in all.counting.iter().chain(&all.barred) {
            if words.len() < WORDS {
                elsewhere.word(Claim::NamedBy, word.at);
            }
            let holder = holders.at(word.at);
            words.push(Word {
                at: format!("{:x}", word.at.0),
                word: format!("{:016x}", word.word),
                lies_in: format!("{} {}", holder.kind, holder.name),
                barred: word.barred,
            });
        }
        Named {
            searched_bytes: all.bytes,
            counting: all.counting_words,
            barred: all.barred_words,
            words,
        }
    }
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
        Class::Moving => "changed hands while it was looked at",
        Class::Raw => "allocated page by page, in no counter of the kernel",
    }
}

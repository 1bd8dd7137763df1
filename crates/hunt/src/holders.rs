//! Who holds a unit: the first reference the census found, named, or who has the
//! object that it lies in.

mod climb;

use std::collections::HashMap;

use pagehound_kernel::{Class, Kernel, Pages, Symbolizer, VmapArea, area_at};
use pagehound_vmcore::{Pfn, PhysAddr, VirtAddr};

use crate::census::{Census, Via};
pub use climb::Climb;

/// Name of one holder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HolderName {
    /// Kind, for example `slab`, `module`, `vmalloc`.
    pub kind: &'static str,
    /// Name within the kind; from the dump, escape before printing.
    pub name: String,
}

impl HolderName {
    /// Those that are too small, or too many, to be told apart.
    pub(crate) fn others() -> HolderName {
        HolderName {
            kind: "other",
            name: "smaller holders".into(),
        }
    }
}

/// Units of a chain between two whose roots are noted: most chains are short, and a
/// host may hold millions of units.
const APART: u64 = 16;

/// Finds the holders of held units.
pub struct Holders<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    census: &'a Census,
    climb: &'a Climb,
    symbols: Symbolizer<'a>,
    /// Roots of some units in long chains, one in [`APART`].
    roots: HashMap<u64, Option<Via>>,
}

impl<'a> Holders<'a> {
    /// Prepares the look-up.
    pub fn new(
        kernel: &'a Kernel<'a>,
        pages: &'a Pages,
        census: &'a Census,
        climb: &'a Climb,
    ) -> Holders<'a> {
        Holders {
            kernel,
            pages,
            census,
            climb,
            symbols: kernel.symbolizer(),
            roots: HashMap::new(),
        }
    }

    /// The holder of the unit that begins with `head`: chains through other
    /// raw units are followed to their root.
    pub fn of(&mut self, head: Pfn) -> HolderName {
        match self.root(head) {
            Some(Via::Root(at)) => self.above(at),
            Some(Via::Mapped) => HolderName {
                kind: "mapping",
                name: "page table entry".into(),
            },
            Some(Via::Hardware(_)) => HolderName {
                kind: "hardware",
                name: "table of an IOMMU or hypervisor".into(),
            },
            Some(Via::Dropped) => HolderName {
                kind: "kernel",
                name: "VMCOREINFO page, let go of in the crash".into(),
            },
            _ => HolderName {
                kind: "unknown",
                name: "reference not recorded".into(),
            },
        }
    }

    /// The owner of the object that a word lies in.
    fn above(&self, at: PhysAddr) -> HolderName {
        let top = self.climb.top(self.pages, self.kernel.page_shift(), at);
        let own = self.at(at);
        if top == at {
            return own;
        }
        let above = self.at(top);
        HolderName {
            kind: above.kind,
            name: format!("{} through {} {}", above.name, own.kind, own.name),
        }
    }

    /// The reference at the beginning of the chain that leads to `head`.
    fn root(&mut self, head: Pfn) -> Option<Via> {
        let mut noted = Vec::new();
        let mut length = 0;
        let mut at = head;
        let root = loop {
            if let Some(&known) = self.roots.get(&at.0) {
                break known;
            }
            length += 1;
            if length % APART == 0 {
                noted.push(at);
            }
            // A chain longer than there are units runs in a circle.
            if length > self.pages.map.end().0 {
                break None;
            }
            match self.census.via(at) {
                Some(Via::Hardware(from)) if from == at => break Some(Via::Hardware(from)),
                Some(
                    Via::Content(from)
                    | Via::PageStruct(from)
                    | Via::Split(from)
                    | Via::Hardware(from),
                ) => at = from,
                other => break other,
            }
        };
        for unit in noted {
            self.roots.insert(unit.0, root);
        }
        root
    }

    /// The owner of the memory at a physical address.
    pub fn at(&self, at: PhysAddr) -> HolderName {
        let shift = self.kernel.page_shift();
        let pfn = at.pfn(shift);
        let class = self.pages.map.class(pfn);
        let named = |kind, name: String| HolderName { kind, name };
        match class {
            Class::Slab => {
                let head = self.pages.map.head(pfn);
                let cache = self
                    .pages
                    .slabs
                    .slab(head)
                    .and_then(|slab| self.pages.slabs.cache(slab));
                let name = cache.map_or_else(
                    || "unknown cache".into(),
                    |cache| {
                        let name = String::from_utf8_lossy(&cache.name);
                        if cache.aliases == 0 || cache.is_of_sizes() {
                            return name.into_owned();
                        }
                        format!("{name} (or {} merged with it)", cache.aliases)
                    },
                );
                named("slab", name)
            }
            Class::KernelImage => match self.image_symbol(at) {
                Some(symbol) => named("symbol", symbol),
                None => named("kernel image", "data".into()),
            },
            Class::Vmalloc | Class::KernelStack | Class::PerCpu => {
                match self.pages.vmalloc_address(pfn) {
                    Some(virt) => {
                        let virt = virt.add(at.0 & ((1 << shift) - 1));
                        self.virtual_owner(class, virt)
                    }
                    None => named(class.name(), "first chunk".into()),
                }
            }
            class => named("memory", class.name().into()),
        }
    }

    fn virtual_owner(&self, class: Class, virt: VirtAddr) -> HolderName {
        let named = |kind, name| HolderName { kind, name };
        if class == Class::PerCpu {
            return named("percpu", "dynamic".into());
        }
        if let Some(module) = self.symbols.module(virt) {
            return named("module", module.name.clone());
        }
        let Some(area) = area_at(&self.pages.areas, virt) else {
            return named("vmalloc", "unknown area".into());
        };
        if class == Class::KernelStack {
            let task = self
                .pages
                .tasks
                .iter()
                .find(|task| task.stack == area.start);
            if let Some(task) = task {
                let comm = String::from_utf8_lossy(&task.comm);
                return named("stack", comm.into_owned());
            }
        }
        named("vmalloc", self.caller(area))
    }

    fn caller(&self, area: &VmapArea) -> String {
        let Some(vm) = &area.vm else {
            return "vm_map_ram".into();
        };
        self.symbols
            .symbolize(vm.caller)
            .unwrap_or_else(|| format!("caller {:#x}", vm.caller))
    }

    fn image_symbol(&self, at: PhysAddr) -> Option<String> {
        let image = self.kernel.memory.space.image.as_ref()?;
        let virt = image.virt(at)?;
        let symbol = self.kernel.symbols.as_ref()?.lookup(virt)?;
        Some(symbol.name.into())
    }
}

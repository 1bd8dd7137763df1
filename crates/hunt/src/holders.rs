//! Who holds a unit: the first reference the census found, named, or who has the
//! object that it lies in.

mod climb;

use std::cell::OnceCell;
use std::collections::HashMap;

use pagehound_kernel::{Class, Kernel, Pages, Symbolizer, Variables, VmapArea, area_at};
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
    /// The process whose it is, if it is one's.
    pub pid: Option<u32>,
    /// The loaded module whose code or data it is.
    pub module: Option<String>,
}

impl HolderName {
    /// A holder that is no process's.
    pub fn new(kind: &'static str, name: impl Into<String>) -> HolderName {
        HolderName {
            kind,
            name: name.into(),
            pid: None,
            module: None,
        }
    }

    /// Those that are too many to be told apart.
    pub(crate) fn others() -> HolderName {
        HolderName::new("other", "smaller holders")
    }

    /// What holders of one sort have in common: kind and name, not the process.
    pub(crate) fn family(&self) -> (&str, &str) {
        (self.kind, &self.name)
    }

    /// Whether it says who has the memory, not only that somebody has it.
    pub fn is_known(&self) -> bool {
        !matches!(self.kind, "unknown" | "memory" | "other")
    }
}

impl std::fmt::Display for HolderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        match self.pid {
            Some(pid) => write!(f, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

/// Units of a chain between two whose roots are noted: most chains are short, and a
/// host may hold millions of units.
const APART: u64 = 16;

/// Names kept of roots.
const MOST_NAMES: usize = 1 << 12;

/// Finds the holders of held units.
pub struct Holders<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    census: &'a Census,
    climb: &'a Climb,
    symbols: Symbolizer<'a>,
    variables: Variables<'a>,
    /// Stacks of tasks by where they begin: the task's number.
    stacks: HashMap<u64, usize>,
    /// Where frames are mapped that are held by that alone.
    mapped: OnceCell<HashMap<u64, VirtAddr>>,
    /// Roots of some units in long chains, one in [`APART`].
    roots: HashMap<u64, Option<(Pfn, Via)>>,
    /// Names of some roots: a chain has one for all its units.
    names: HashMap<u64, HolderName>,
}

impl<'a> Holders<'a> {
    /// Prepares the look-up.
    pub fn new(
        kernel: &'a Kernel<'a>,
        pages: &'a Pages,
        census: &'a Census,
        climb: &'a Climb,
    ) -> Holders<'a> {
        let tasks = pages.tasks.iter().enumerate();
        Holders {
            kernel,
            pages,
            census,
            climb,
            symbols: kernel.symbolizer(),
            variables: kernel.variables(),
            stacks: tasks.map(|(index, task)| (task.stack.0, index)).collect(),
            mapped: OnceCell::new(),
            roots: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// The holder of the unit that begins with `head`: chains through other
    /// raw units are followed to their root.
    pub fn of(&mut self, head: Pfn) -> HolderName {
        match self.root(head) {
            Some((_, Via::Root(at))) => {
                if let Some(known) = self.names.get(&at.0) {
                    return known.clone();
                }
                let name = self.above(at);
                if self.names.len() >= MOST_NAMES {
                    self.names.clear();
                }
                self.names.insert(at.0, name.clone());
                name
            }
            Some((unit, Via::Mapped)) => self.mapping(unit),
            Some((_, Via::Hardware(_))) => {
                HolderName::new("hardware", "table of an IOMMU or hypervisor")
            }
            Some((_, Via::Dropped)) => {
                HolderName::new("kernel", "VMCOREINFO page, let go of in the crash")
            }
            _ => HolderName::new("unknown", "reference not recorded"),
        }
    }

    /// Who has the mapping that alone holds a unit.
    fn mapping(&self, unit: Pfn) -> HolderName {
        let all = self.pages.mapped.iter();
        let mapped = self
            .mapped
            .get_or_init(|| all.map(|&(pfn, virt)| (pfn.0, virt)).collect());
        let unit = self.pages.map.unit(unit);
        match (unit.start.0..unit.end.0).find_map(|pfn| mapped.get(&pfn)) {
            // The kernel's half of the addresses.
            Some(&at) if at.0 >> 63 == 1 => match area_at(&self.pages.areas, at) {
                Some(area) => self.area(area),
                None => HolderName::new("mapping", "kernel page table"),
            },
            Some(_) => HolderName::new("mapping", "memory of a process"),
            None => HolderName::new("mapping", "page table entry"),
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
            name: format!("{} through {} {}", above.name, own.kind, own.name),
            ..above
        }
    }

    /// The reference at the beginning of the chain that leads to `head`, and the unit
    /// it is to.
    fn root(&mut self, head: Pfn) -> Option<(Pfn, Via)> {
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
                Some(Via::Hardware(from)) if from == at => break Some((at, Via::Hardware(from))),
                Some(
                    Via::Content(from)
                    | Via::PageStruct(from)
                    | Via::Split(from)
                    | Via::Hardware(from),
                ) => at = from,
                other => break other.map(|via| (at, via)),
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
                HolderName::new("slab", name)
            }
            Class::KernelImage => match self.variables.name_at(at) {
                Some(name) => HolderName::new("symbol", name),
                None => HolderName::new("kernel image", "data"),
            },
            Class::Vmalloc | Class::KernelStack | Class::PerCpu => {
                match self.pages.vmalloc_address(pfn) {
                    Some(virt) => {
                        let virt = virt.add(at.0 & ((1 << shift) - 1));
                        self.virtual_owner(class, virt)
                    }
                    None => self.direct_owner(class, at),
                }
            }
            class => HolderName::new("memory", class.name()),
        }
    }

    fn virtual_owner(&self, class: Class, virt: VirtAddr) -> HolderName {
        if class == Class::PerCpu {
            return HolderName::new("percpu", "dynamic");
        }
        if let Some(module) = self.symbols.module(virt) {
            return HolderName {
                module: Some(module.name.clone()),
                ..HolderName::new("module", module.name.clone())
            };
        }
        let Some(area) = area_at(&self.pages.areas, virt) else {
            return HolderName::new("vmalloc", "unknown area");
        };
        if class == Class::KernelStack
            && let Some(holder) = self.stack(area.start)
        {
            return holder;
        }
        self.area(area)
    }

    /// Who asked for an area.
    fn area(&self, area: &VmapArea) -> HolderName {
        let Some(vm) = &area.vm else {
            return HolderName::new("vmalloc", "vm_map_ram");
        };
        let name = self
            .symbols
            .symbolize(vm.caller)
            .unwrap_or_else(|| format!("caller {:#x}", vm.caller));
        let module = self.symbols.module(vm.caller);
        HolderName {
            module: module.map(|module| module.name.clone()),
            ..HolderName::new("vmalloc", name)
        }
    }

    /// The owner of a stack or of per-CPU memory in the direct map.
    fn direct_owner(&self, class: Class, at: PhysAddr) -> HolderName {
        let virt = self.kernel.memory.space.direct.virt(at);
        let owner = virt.and_then(|virt| match class {
            Class::KernelStack => {
                let pfn = self.pages.map.head(at.pfn(self.kernel.page_shift()));
                let head = pfn.addr(self.kernel.page_shift());
                self.stack(self.kernel.memory.space.direct.virt(head)?)
            }
            _ => Some(HolderName::new("percpu", self.variables.percpu(virt)?)),
        });
        owner.unwrap_or_else(|| match class {
            Class::KernelStack => HolderName::new("stack", "of no task"),
            _ => HolderName::new("percpu", "first chunk"),
        })
    }

    fn stack(&self, begin: VirtAddr) -> Option<HolderName> {
        let task = self.pages.tasks.get(*self.stacks.get(&begin.0)?)?;
        Some(HolderName {
            kind: "stack",
            name: String::from_utf8_lossy(&task.comm).into_owned(),
            pid: Some(task.pid),
            module: None,
        })
    }
}

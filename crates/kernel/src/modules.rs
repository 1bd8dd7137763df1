//! Loaded modules.

use std::collections::HashSet;
use std::ops::Range;

use pagehound_vmcore::VirtAddr;

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, Struct};
use crate::net::whole_or_part;
use crate::text::printable;
use crate::virt::VirtualRead;

/// More modules than any kernel loads.
const MOST_MODULES: usize = 1 << 12;
/// Ways to the list of modules that are tried.
const MOST_TRIES: usize = 16;
/// More regions than `enum mod_mem_type` has.
const MOST_REGIONS: u64 = 16;
/// Larger than the range all modules share on x86_64.
const MOST_BYTES: u64 = 2 << 30;

/// Modules begin on a page of at least this size.
const PAGE: u64 = 4096;

/// A loaded module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Address of its `struct module`.
    pub addr: VirtAddr,
    /// Name; safe to print.
    pub name: String,
    /// Where its code lies, as `/proc/modules` shows it.
    pub base: VirtAddr,
    /// Bytes in all its regions, as `/proc/modules` shows it.
    pub size: u64,
    /// Its memory, half-open ranges of virtual addresses; since 6.4 code and
    /// the kinds of data have one each.
    pub regions: Vec<Range<u64>>,
    /// `TAINT_*` bits it was loaded with.
    pub taints: u64,
    /// `version`, if it has one.
    pub version: Option<String>,
    /// `srcversion`, if it has one.
    pub srcversion: Option<String>,
}

impl Module {
    /// Whether `addr` lies in the module's memory.
    pub fn contains(&self, addr: VirtAddr) -> bool {
        self.regions.iter().any(|region| region.contains(&addr.0))
    }
}

impl Kernel<'_> {
    /// Loaded modules, newest first as in `/proc/modules`. A list that breaks
    /// gives the modules before the break.
    ///
    /// # Errors
    /// If this kernel's tables do not tell where the list is, or nothing of it
    /// can be read.
    pub fn modules(&self) -> Result<Vec<Module>, KernelError> {
        let heads = self
            .symbols
            .iter()
            .flat_map(|all| all.addresses("modules"))
            .take(MOST_TRIES);
        let mut why = KernelError::NoSymbol("modules");
        // The name is a common one for a local variable.
        for head in heads {
            match self.list_of(head, Field::ModuleList, MOST_MODULES) {
                Err((entries, error)) if entries.is_empty() => why = error,
                // No module is loaded.
                Ok(entries) if entries.is_empty() => return Ok(Vec::new()),
                Ok(entries) | Err((entries, _)) => match self.modules_at(&entries) {
                    Ok(modules) => return Ok(modules),
                    Err(error) => why = error,
                },
            }
        }
        // Kernels without CONFIG_KALLSYMS_ALL have no symbols for data. The list
        // is a ring: from any module all are found, and the head among them.
        for known in self.net_driver_modules(MOST_TRIES) {
            let ring = self.member(known, Field::ModuleList)?;
            let mut entries = whole_or_part(self.list_of(ring, Field::ModuleList, MOST_MODULES));
            let head = entries.iter().position(|&at| self.module(at).is_err());
            // Behind the head comes the newest.
            if let Some(head) = head {
                entries.remove(head);
                entries.insert(0, known);
                entries.rotate_left(head + 1);
            }
            if let Ok(modules) = self.modules_at(&entries) {
                return Ok(modules);
            }
        }
        Err(why)
    }

    /// Modules up to the first that is none.
    fn modules_at(&self, entries: &[VirtAddr]) -> Result<Vec<Module>, KernelError> {
        let mut seen = HashSet::new();
        let mut modules = Vec::new();
        for &addr in entries {
            if !seen.insert(addr) {
                break;
            }
            match self.module(addr) {
                Ok(module) => modules.push(module),
                Err(error) if modules.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(modules)
    }

    fn module(&self, addr: VirtAddr) -> Result<Module, KernelError> {
        let name = self.member(addr, Field::ModuleName)?;
        let regions = self.module_regions(addr)?;
        let name = self.memory.cstr(name, 64)?;
        // What lies on a list is a module if it has a module's name and lies in
        // the memory that it says is its own.
        let named =
            !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let aligned = regions.iter().all(|region| region.start % PAGE == 0);
        if !(named && aligned && regions.iter().any(|region| region.contains(&addr.0))) {
            return Err(KernelError::Broken {
                what: Field::ModuleList.name(),
                at: addr,
                why: "what lies there does not describe a module".to_owned(),
            });
        }
        let text = |field: Field| {
            let at = self.pointer(addr, field).ok().filter(|at| at.0 != 0)?;
            self.memory.cstr(at, 128).ok().map(|text| printable(&text))
        };
        Ok(Module {
            addr,
            name: printable(&name),
            base: VirtAddr(regions.first().map_or(0, |region| region.start)),
            size: regions
                .iter()
                .fold(0, |sum, region| sum + (region.end - region.start)),
            regions,
            taints: self.field(addr, Field::ModuleTaints).unwrap_or(0),
            version: text(Field::ModuleVersion),
            srcversion: text(Field::ModuleSrcversion),
        })
    }

    /// Regions that are not empty, code first.
    fn module_regions(&self, addr: VirtAddr) -> Result<Vec<Range<u64>>, KernelError> {
        let mut regions = Vec::new();
        let mut add = |base: VirtAddr, size: u64| {
            if base.0 != 0 && (1..MOST_BYTES).contains(&size) {
                regions.push(base.0..base.0.saturating_add(size));
            }
        };
        if let Some(mem) = self.layouts.get(Field::ModuleMem) {
            let size = self.layouts.size(Struct::ModuleMemory)?;
            let count = mem.size.checked_div(size).unwrap_or(0).min(MOST_REGIONS);
            for index in 0..count {
                let region = addr.add(mem.offset).add(index * size);
                add(
                    self.pointer(region, Field::ModuleMemBase)?,
                    self.field(region, Field::ModuleMemSize)?,
                );
            }
        } else {
            add(
                self.pointer(addr, Field::ModuleCoreBase)?,
                self.field(addr, Field::ModuleCoreSize)?,
            );
            add(
                self.pointer(addr, Field::ModuleInitBase)?,
                self.field(addr, Field::ModuleInitSize)?,
            );
        }
        Ok(regions)
    }
}

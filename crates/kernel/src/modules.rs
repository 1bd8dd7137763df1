//! Loaded modules, and names for addresses in them and in the kernel image.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

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

    /// A table for naming many addresses; see [`Symbolizer`].
    pub fn symbolizer(&self) -> Symbolizer<'_> {
        let modules = self.modules().unwrap_or_default();
        Symbolizer {
            tables: modules.iter().map(|_| OnceLock::new()).collect(),
            modules,
            kernel: self,
        }
    }
}

/// Names addresses of the kernel image and of modules. Symbols of a module are
/// read when an address in it is first asked for.
pub struct Symbolizer<'k> {
    kernel: &'k Kernel<'k>,
    modules: Vec<Module>,
    tables: Vec<OnceLock<Table>>,
}

struct ModuleSymbol {
    at: u64,
    /// 0 where it is not known.
    size: u64,
    /// Offset of the name in the string table.
    name: u32,
}

/// Symbols of one module.
#[derive(Default)]
struct Table {
    /// By rising address.
    symbols: Vec<ModuleSymbol>,
    strings: VirtAddr,
}

/// `Elf64_Sym` (System V ABI, 64-bit): name at 0, section at 6, value at 8,
/// size at 16.
const ELF_SYM: u64 = 24;
/// A module has thousands of symbols, seldom ten thousand.
const MOST_SYMBOLS: u64 = 1 << 20;

impl Symbolizer<'_> {
    /// The loaded modules.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The module whose memory `addr` lies in.
    pub fn module(&self, addr: VirtAddr) -> Option<&Module> {
        self.modules.iter().find(|module| module.contains(addr))
    }

    /// `symbol+0xoffset/0xsize` for an address in the kernel image, as the
    /// kernel's `%pS` prints it, and the same with ` [module]` behind it for one
    /// in a module; `[module]` alone where the module has no symbol for it.
    /// `None` if the address is in neither. Safe to print.
    pub fn symbolize(&self, addr: VirtAddr) -> Option<String> {
        if let Some(index) = self.modules.iter().position(|m| m.contains(addr)) {
            let module = self.modules.get(index)?;
            let table = self
                .tables
                .get(index)?
                .get_or_init(|| self.read_table(module).unwrap_or_default());
            let name = self.in_module(module, table, addr);
            return Some(match name {
                Some(symbol) => format!("{symbol} [{}]", module.name),
                None => format!("[{}]", module.name),
            });
        }
        // Below lie the offsets of per-CPU variables, which name no address.
        let symbols = self.kernel.symbols.as_ref().filter(|_| addr.0 >> 63 == 1)?;
        let symbol = symbols.lookup(addr)?;
        let size = symbols
            .next_after(addr)
            .map_or(symbol.offset_in, |next| next.0 - symbol.address.0);
        Some(format!("{}+{:#x}/{size:#x}", symbol.name, symbol.offset_in))
    }

    fn in_module(&self, module: &Module, table: &Table, addr: VirtAddr) -> Option<String> {
        let region = module.regions.iter().find(|r| r.contains(&addr.0))?;
        let after = table.symbols.partition_point(|symbol| symbol.at <= addr.0);
        let next = table.symbols.get(after);
        let end = next.map_or(region.end, |next| next.at.min(region.end));
        let below = table.symbols.get(..after)?.iter().rev();
        for symbol in below.take_while(|symbol| symbol.at >= region.start) {
            let name = table.strings.add(u64::from(symbol.name));
            let name = self.kernel.memory.cstr(name, 512).unwrap_or_default();
            // Empty names, and the marks between code and data on arm64, are
            // no symbols (is_mapping_symbol() of the kernel).
            if name.is_empty() || name.starts_with(b"$") || name.starts_with(b".L") {
                continue;
            }
            let (offset, size) = (addr.0 - symbol.at, end.saturating_sub(symbol.at));
            // Without CONFIG_KALLSYMS_ALL data has no symbols: what lies behind
            // the last function is not part of it.
            if symbol.size != 0 && offset >= symbol.size {
                return None;
            }
            return Some(format!("{}+{offset:#x}/{size:#x}", printable(&name)));
        }
        None
    }

    fn read_table(&self, module: &Module) -> Option<Table> {
        let kernel = self.kernel;
        let base = match kernel.layouts.get(Field::ModuleKallsyms) {
            Some(_) => kernel.pointer(module.addr, Field::ModuleKallsyms).ok()?,
            None => module.addr,
        };
        let symtab = kernel.pointer(base, Field::ModKallsymsSymtab).ok()?;
        let count = kernel.field(base, Field::ModKallsymsCount).ok()?;
        let mut symbols = Vec::new();
        for index in 0..count.min(MOST_SYMBOLS) {
            let mut entry = [0; ELF_SYM as usize];
            let at = symtab.add(index * ELF_SYM);
            if kernel.memory.read(at, &mut entry).is_err() {
                break;
            }
            let half = |at: usize| entry.get(at..).and_then(|rest| rest.first_chunk());
            let word = |at: usize| entry.get(at..).and_then(|rest| rest.first_chunk());
            let name = entry
                .first_chunk()
                .map_or(0, |name| u32::from_le_bytes(*name));
            let section = half(6).map_or(0, |section| u16::from_le_bytes(*section));
            let value = word(8).map_or(0, |value| u64::from_le_bytes(*value));
            let size = word(16).map_or(0, |size| u64::from_le_bytes(*size));
            let defined = section != 0;
            if defined && module.contains(VirtAddr(value)) {
                symbols.push(ModuleSymbol {
                    at: value,
                    size,
                    name,
                });
            }
        }
        // Of symbols with one address the last before the address that is
        // looked up is found: the first of the table.
        symbols.reverse();
        symbols.sort_by_key(|symbol| symbol.at);
        Some(Table {
            symbols,
            strings: kernel.pointer(base, Field::ModKallsymsStrtab).ok()?,
        })
    }
}

//! Loaded modules, and names for addresses in them and in the kernel image.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

use pagehound_vmcore::VirtAddr;

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, Struct};
use crate::text::printable;
use crate::virt::VirtualRead;

/// More modules than any kernel loads.
const MOST_MODULES: usize = 1 << 14;
/// More regions than `enum mod_mem_type` has.
const MOST_REGIONS: u64 = 16;
/// Larger than the range all modules share on x86_64.
const MOST_BYTES: u64 = 2 << 30;

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
        let head = self
            .address("modules")
            .ok_or(KernelError::NoSymbol("modules"))?;
        let entries = match self.list(head, Field::ModuleList) {
            Err((entries, error)) if entries.is_empty() => return Err(error),
            Ok(entries) | Err((entries, _)) => entries,
        };
        let mut seen = HashSet::new();
        let mut modules = Vec::new();
        for addr in entries.into_iter().take(MOST_MODULES) {
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
        let text = |field: Field| {
            let at = self.pointer(addr, field).ok().filter(|at| at.0 != 0)?;
            self.memory.cstr(at, 128).ok().map(|text| printable(&text))
        };
        Ok(Module {
            addr,
            name: printable(&self.memory.cstr(name, 64)?),
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

/// Symbols of one module.
#[derive(Default)]
struct Table {
    /// Address, and the name's offset in the string table; by rising address.
    symbols: Vec<(u64, u32)>,
    strings: VirtAddr,
}

/// `Elf64_Sym` (System V ABI, 64-bit): name at 0, section at 6, value at 8.
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
        let symbols = self.kernel.symbols.as_ref()?;
        let symbol = symbols.lookup(addr)?;
        let size = symbols
            .next_after(addr)
            .map_or(symbol.offset_in, |next| next.0 - symbol.address.0);
        Some(format!("{}+{:#x}/{size:#x}", symbol.name, symbol.offset_in))
    }

    fn in_module(&self, module: &Module, table: &Table, addr: VirtAddr) -> Option<String> {
        let region = module.regions.iter().find(|r| r.contains(&addr.0))?;
        let after = table.symbols.partition_point(|&(at, _)| at <= addr.0);
        let end = table
            .symbols
            .get(after)
            .map_or(region.end, |&(at, _)| at.min(region.end));
        let below = table.symbols.get(..after)?.iter().rev();
        for &(at, name) in below.take_while(|&&(at, _)| at >= region.start) {
            let name = table.strings.add(u64::from(name));
            let name = self.kernel.memory.cstr(name, 512).unwrap_or_default();
            // Empty names, and the marks between code and data on arm64, are
            // no symbols (is_mapping_symbol() of the kernel).
            if name.is_empty() || name.starts_with(b"$") || name.starts_with(b".L") {
                continue;
            }
            let (offset, size) = (addr.0 - at, end.saturating_sub(at));
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
            let [n0, n1, n2, n3, _, _, s0, s1, value @ ..] = entry;
            let value = value.first_chunk().map(|v| u64::from_le_bytes(*v))?;
            let undefined = u16::from_le_bytes([s0, s1]) == 0;
            if !undefined && module.contains(VirtAddr(value)) {
                symbols.push((value, u32::from_le_bytes([n0, n1, n2, n3])));
            }
        }
        // Stable: of symbols with one address the last in the table is found
        // first, so turn them around.
        symbols.reverse();
        symbols.sort_by_key(|&(at, _)| at);
        Some(Table {
            symbols,
            strings: kernel.pointer(base, Field::ModKallsymsStrtab).ok()?,
        })
    }
}

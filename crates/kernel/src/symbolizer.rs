//! Names for addresses in the kernel image and in modules.

use std::sync::OnceLock;

use pagehound_vmcore::VirtAddr;

use crate::kernel::Kernel;
use crate::layouts::Field;
use crate::modules::Module;
use crate::text::printable;
use crate::virt::VirtualRead;

impl Kernel<'_> {
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

/// Marks one after the other that are passed over on the way to a function's name.
const MOST_MARKS: usize = 1 << 12;

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
        let below = below.take_while(|symbol| symbol.at >= region.start);
        for symbol in below.take(MOST_MARKS) {
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

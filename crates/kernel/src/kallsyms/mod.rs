//! kallsyms: the kernel's own symbol table, inside its image.
//!
//! scripts/kallsyms.c writes it: compressed names, a number of them, and their
//! addresses in one of four encodings. Found by the VMCOREINFO keys (6.0 and
//! later, 5fd8fea935a1) or by the shape of its tables.

mod addresses;
mod locate;
mod names;
mod search;

#[cfg(test)]
mod tests;

use pagehound_vmcore::VirtAddr;

use crate::{VirtFault, VirtualRead, Vmcoreinfo};
use locate::Tables;
use names::Names;

pub use addresses::Encoding;

/// What follows the last symbol is not that symbol for ever.
const LAST_SYMBOL_SPAN: u64 = 64 << 10;

/// kallsyms that cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KallsymsError {
    /// VMCOREINFO has no such key: it is older than 6.0, or cut short.
    #[error("VMCOREINFO has no {0}; search the kernel image for the tables instead")]
    Key(&'static str),
    /// The dump cannot give a table.
    #[error("{table}: {fault}")]
    Read {
        /// The table's symbol.
        table: &'static str,
        /// Why.
        fault: VirtFault,
    },
    /// A table holds what it cannot hold.
    #[error("{table} at {addr}: {problem}")]
    Table {
        /// The table's symbol.
        table: &'static str,
        /// Where it is.
        addr: VirtAddr,
        /// What is wrong.
        problem: &'static str,
    },
    /// Names were decoded, but no encoding of addresses gives `_stext` its address.
    #[error(
        "kallsyms: {symbols} names, but no address encoding puts _stext at {stext}; \
         is this VMCOREINFO that of the dumped kernel?"
    )]
    Encoding {
        /// How many names there are.
        symbols: usize,
        /// Where `_stext` is.
        stext: VirtAddr,
    },
    /// The tables are not in the range that was searched.
    #[error(
        "kallsyms: no tables in {start}..{end} ({unreadable} bytes of it cannot be read); \
         the kernel has no CONFIG_KALLSYMS, or they lie elsewhere"
    )]
    NotFound {
        /// First address searched.
        start: VirtAddr,
        /// First address not searched.
        end: VirtAddr,
        /// Bytes in pages that the dump does not give.
        unreadable: u64,
    },
}

/// A symbol, or an address within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Symbol<'a> {
    /// Its name; printable ASCII.
    pub name: &'a str,
    /// Where it begins.
    pub address: VirtAddr,
    /// Bytes from its begin to the address that was looked up; 0 otherwise.
    pub offset_in: u64,
    /// Type letter as of nm: `T` text, `D` data, `B` bss, `R` read-only, `A`
    /// absolute, `W` and `V` weak; lower case for local symbols.
    pub kind: u8,
}

/// The symbols of a kernel, without those of its modules.
pub struct Kallsyms {
    names: Names,
    addresses: Vec<u64>,
    /// Symbols by rising address; symbols of one address in the table's order.
    by_address: Vec<u32>,
    /// Hash of the name in the upper half, symbol in the lower; sorted.
    by_name: Vec<u64>,
    encoding: Encoding,
}

impl std::fmt::Debug for Kallsyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kallsyms({} symbols, {:?})", self.len(), self.encoding)
    }
}

impl Kallsyms {
    /// Reads the tables that VMCOREINFO names: `kallsyms_names`, `num_syms`,
    /// `token_table`, `token_index`, and `kallsyms_offsets` or
    /// `kallsyms_addresses` (6.0 and later).
    ///
    /// # Errors
    /// [`KallsymsError`]; with [`KallsymsError::Key`], [`find`](Self::find) may do.
    pub fn from_vmcoreinfo(
        info: &Vmcoreinfo,
        read: &dyn VirtualRead,
    ) -> Result<Kallsyms, KallsymsError> {
        let stext = info
            .symbol("_stext")
            .ok_or(KallsymsError::Key("SYMBOL(_stext)"))?;
        let tables = Tables::named(info, read)?;
        Kallsyms::from_tables(tables, read, stext)
    }

    /// Searches `start..end`, virtual addresses of the kernel image from `_stext`
    /// on, for the tables by their shape; `stext` is the address of `_stext`, which
    /// they must reproduce. At most 1 GiB is searched; pages that cannot be read are
    /// passed over.
    ///
    /// # Errors
    /// [`KallsymsError::NotFound`] if there are none; other errors if tables were
    /// found that cannot be read.
    pub fn find(
        read: &dyn VirtualRead,
        start: VirtAddr,
        end: VirtAddr,
        stext: VirtAddr,
    ) -> Result<Kallsyms, KallsymsError> {
        search::find(read, start, end, stext)
    }

    fn from_tables(
        tables: Tables,
        read: &dyn VirtualRead,
        stext: VirtAddr,
    ) -> Result<Kallsyms, KallsymsError> {
        let Tables { names, places } = tables;
        let (encoding, addresses) = addresses::read(read, &places, &names, stext)?;
        Ok(Kallsyms::indexed(names, addresses, encoding))
    }

    /// The symbols that a vmlinux has, where the kernel's own tables cannot be had: by
    /// rising address, each with the letter that nm gives it.
    pub(crate) fn of_vmlinux(symbols: &[(u64, u8, &[u8])]) -> Kallsyms {
        let all = symbols.iter();
        let (names, taken) = Names::gather(all.clone().map(|&(_, kind, name)| (kind, name)));
        let kept = all.zip(taken).filter(|(_, taken)| *taken);
        let addresses = kept.map(|(&(address, _, _), _)| address).collect();
        Kallsyms::indexed(names, addresses, Encoding::Absolute)
    }

    fn indexed(names: Names, addresses: Vec<u64>, encoding: Encoding) -> Kallsyms {
        let mut by_address: Vec<u32> = (0..names.len() as u32).collect();
        by_address.sort_by_key(|&i| addresses.get(i as usize));
        let mut by_name: Vec<u64> = (0..names.len())
            .map(|i| u64::from(hash(names.get(i).1)) << 32 | i as u64)
            .collect();
        by_name.sort_unstable();
        Kallsyms {
            names,
            addresses,
            by_address,
            by_name,
            encoding,
        }
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How this kernel encodes addresses.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The address of a symbol; of several with this name (local symbols of
    /// different files) the first in the kernel's order, which is that of addresses.
    pub fn address(&self, name: &str) -> Option<VirtAddr> {
        self.addresses(name).next()
    }

    /// The addresses of all symbols with this name.
    pub fn addresses(&self, name: &str) -> impl Iterator<Item = VirtAddr> {
        let hash = hash(name);
        let from = self
            .by_name
            .partition_point(|&entry| ((entry >> 32) as u32) < hash);
        let same_hash = self
            .by_name
            .iter()
            .skip(from)
            .take_while(move |&&e| (e >> 32) as u32 == hash);
        same_hash.filter_map(move |&entry| {
            let index = entry as u32 as usize;
            (self.names.get(index).1 == name).then(|| self.address_at(index))
        })
    }

    /// The symbol that `va` lies in: the nearest one at or below. Of several with
    /// the same address the first in the kernel's order. kallsyms has no sizes, so
    /// a symbol reaches to the next one; the last reaches 64 KiB.
    pub fn lookup(&self, va: VirtAddr) -> Option<Symbol<'_>> {
        let at_or_below = self
            .by_address
            .partition_point(|&i| self.address_at(i as usize) <= va);
        let &nearest = self.by_address.get(at_or_below.checked_sub(1)?)?;
        let address = self.address_at(nearest as usize);
        let offset_in = va.0 - address.0;
        let is_last = at_or_below == self.by_address.len();
        // Per-CPU and absolute symbols are small numbers, below all kernel addresses.
        if address.0 >> 63 != va.0 >> 63 || (is_last && offset_in >= LAST_SYMBOL_SPAN) {
            return None;
        }
        let first = self
            .by_address
            .partition_point(|&i| self.address_at(i as usize) < address);
        let &index = self.by_address.get(first)?;
        Some(Symbol {
            offset_in,
            ..self.symbol(index as usize)
        })
    }

    /// The next address above `va` at which a symbol begins.
    pub fn next_after(&self, va: VirtAddr) -> Option<VirtAddr> {
        let above = self
            .by_address
            .partition_point(|&i| self.address_at(i as usize) <= va);
        self.by_address
            .get(above)
            .map(|&i| self.address_at(i as usize))
    }

    /// Every symbol by rising address.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.by_address.iter().map(|&i| self.symbol(i as usize))
    }

    fn address_at(&self, index: usize) -> VirtAddr {
        VirtAddr(self.addresses.get(index).copied().unwrap_or_default())
    }

    fn symbol(&self, index: usize) -> Symbol<'_> {
        let (kind, name) = self.names.get(index);
        Symbol {
            name,
            address: self.address_at(index),
            offset_in: 0,
            kind,
        }
    }
}

/// Eight bytes at a time; only spreads names, nothing relies on it.
fn hash(name: &str) -> u32 {
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let hash = words
        .iter()
        .fold(0, |hash, &word| mix(hash, u64::from_le_bytes(word)));
    let rest = rest
        .iter()
        .fold(name.len() as u64, |word, &b| word << 8 | u64::from(b));
    (mix(hash, rest) >> 32) as u32
}

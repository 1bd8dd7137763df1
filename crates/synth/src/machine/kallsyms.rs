//! Tables of symbols (`write_src()` of `scripts/kallsyms.c`), with offsets from a base
//! and absolute per-CPU symbols, or with addresses.

use super::build::Build;
use super::era::Era;
use super::variables::{IMAGE, Symbol};

impl Build {
    /// Writes the tables into read-only data, one behind the other, each aligned to 8.
    pub(super) fn write_kallsyms(&mut self) {
        // A kernel has tens of thousands of functions.
        for number in 0..600 {
            let at = IMAGE.start + 0x1000 + number * 64;
            self.variables.add('t', &format!("function_{number}"), at);
        }
        self.variables.symbols.sort_by_key(|symbol| symbol.address);
        let tables = tables(&self.variables.symbols, self.era);
        let at = self.variables.constant(tables.len());
        self.write(at, &tables);
    }
}

fn tables(symbols: &[Symbol], era: &Era) -> Vec<u8> {
    let base = IMAGE.start;
    let mut out = Vec::new();
    let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(8), 0);
    let word = |out: &mut Vec<u8>, word: u64| {
        let bytes = word.to_le_bytes();
        out.extend(&bytes[..era.symbol_word as usize]);
    };
    for symbol in symbols {
        if era.absolute_symbols {
            out.extend(symbol.address.to_le_bytes());
            continue;
        }
        // What lies below the base is absolute and stands as it is.
        let offset = match symbol.address.checked_sub(base) {
            Some(above) => -1 - above.cast_signed(),
            None => symbol.address.cast_signed(),
        };
        out.extend((offset as i32).to_le_bytes());
    }
    align(&mut out);
    if !era.absolute_symbols {
        out.extend(base.to_le_bytes());
    }
    word(&mut out, symbols.len() as u64);
    align(&mut out);
    let names = out.len();
    let mut markers = Vec::new();
    for (index, symbol) in symbols.iter().enumerate() {
        if index % 256 == 0 {
            markers.push((out.len() - names) as u64);
        }
        // Each byte stands for a token, here for itself.
        out.push(symbol.name.len() as u8 + 1);
        out.push(symbol.kind as u8);
        out.extend(symbol.name.as_bytes());
    }
    align(&mut out);
    for marker in markers {
        word(&mut out, marker);
    }
    align(&mut out);
    let is_used = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut index = Vec::new();
    let table = out.len();
    for byte in 0..=255u8 {
        index.extend(((out.len() - table) as u16).to_le_bytes());
        out.extend(is_used(byte).then_some(byte));
        out.push(0);
    }
    align(&mut out);
    out.extend(index);
    out
}

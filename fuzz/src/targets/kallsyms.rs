//! kallsyms by the keys of VMCOREINFO, and by the shape of its tables.

use std::fmt::Write;

use pagehound_kernel::{Kallsyms, Vmcoreinfo};
use pagehound_vmcore::VirtAddr;

use crate::input::Input;
use crate::memory::Virtual;

pub(crate) const IMAGE: u64 = 0xffff_ffff_8100_0000;

/// What VMCOREINFO names, in the order in which the input has their offsets from the
/// begin of the image; an offset of 0xffff stands for a key that is not there.
pub(crate) const KEYS: [&str; 8] = [
    "_stext",
    "kallsyms_names",
    "kallsyms_num_syms",
    "kallsyms_token_table",
    "kallsyms_token_index",
    "kallsyms_offsets",
    "kallsyms_relative_base",
    "kallsyms_addresses",
];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut text = "OSRELEASE=6.1.0\n".to_owned();
    for key in KEYS {
        let Some(offset) = input.u16() else {
            return;
        };
        if offset != u16::MAX {
            let _ = writeln!(text, "SYMBOL({key})={:x}", IMAGE + u64::from(offset));
        }
    }
    let memory = Virtual {
        base: IMAGE,
        bytes: input.0,
    };
    let info = Vmcoreinfo::parse(text.as_bytes()).expect("a text");
    if let Ok(symbols) = Kallsyms::from_vmcoreinfo(&info, &memory) {
        check(&symbols, input.0.len());
    }
    let stext = info.symbol("_stext").unwrap_or(VirtAddr(IMAGE));
    if let Ok(symbols) = Kallsyms::find(&memory, VirtAddr(IMAGE), memory.end(), stext) {
        check(&symbols, input.0.len());
        assert!(symbols.addresses("_stext").any(|at| at == stext));
    }
}

fn check(symbols: &Kallsyms, bytes: usize) {
    // A symbol has a length, a token and an address of four bytes at least.
    assert!(symbols.len() <= bytes);
    let mut before = VirtAddr(0);
    let mut count = 0;
    for symbol in symbols.iter() {
        count += 1;
        assert!(before <= symbol.address);
        before = symbol.address;
        let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        assert!(symbol.name.bytes().all(is_printable), "{:?}", symbol.name);
        // Thousands of symbols of one name would be looked at for each of them.
        if count < 64 {
            let mut named = symbols.addresses(symbol.name);
            assert!(named.any(|at| at == symbol.address));
            let within = symbols.lookup(symbol.address).expect("a symbol is there");
            assert_eq!((within.address, within.offset_in), (symbol.address, 0));
            let next = symbols.next_after(symbol.address);
            assert!(next.is_none_or(|next| next > symbol.address));
        }
    }
    assert_eq!(count, symbols.len());
}

//! Tables built as scripts/kallsyms.c lays them out, release by release.

use super::names::LengthForm;
use super::*;

const IMAGE: u64 = 0xffff_ffff_8100_0000;
const STEXT: u64 = IMAGE + 0x40;
/// What kallsyms_relative_base holds: `_text`, a little below `_stext`.
const BASE: u64 = IMAGE + 0x20;

/// Memory at one place, with pages missing.
struct Memory {
    base: u64,
    bytes: Vec<u8>,
    missing: Vec<u64>,
}

impl VirtualRead for Memory {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
        let end = addr.0.wrapping_add(buf.len() as u64);
        let hole = |&page: &u64| page < end && addr.0 < page + 4096;
        let from = addr.0.wrapping_sub(self.base) as usize;
        match self.bytes.get(from..from.wrapping_add(buf.len())) {
            Some(bytes) if !self.missing.iter().any(hole) => buf.copy_from_slice(bytes),
            _ => return Err(VirtFault::NotMapped(addr)),
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    encoding: Encoding,
    /// Addresses before num_syms (up to 6.2), or after token_index (from 6.4 on).
    addresses_first: bool,
    form: LengthForm,
    align: usize,
    marker_width: usize,
    /// kallsyms_seqs_of_names between markers and tokens (6.1, 6.2).
    seqs: bool,
}

const LAYOUT_4_4: Layout = Layout {
    encoding: Encoding::Absolute,
    addresses_first: true,
    form: LengthForm::OneByte,
    align: 8,
    marker_width: 8,
    seqs: false,
};
const LAYOUT_5_10: Layout = Layout {
    encoding: Encoding::AbsolutePercpu,
    marker_width: 4,
    ..LAYOUT_4_4
};
const LAYOUT_6_1: Layout = Layout {
    form: LengthForm::TwoBytes,
    seqs: true,
    ..LAYOUT_5_10
};
const LAYOUT_6_1_ARM64: Layout = Layout {
    encoding: Encoding::BaseRelative,
    ..LAYOUT_6_1
};
const LAYOUT_6_12: Layout = Layout {
    addresses_first: false,
    seqs: false,
    ..LAYOUT_6_1
};
const LAYOUT_6_6_ABSOLUTE: Layout = Layout {
    encoding: Encoding::Absolute,
    ..LAYOUT_6_12
};
const LAYOUT_7_0: Layout = Layout {
    encoding: Encoding::PlaceRelative,
    align: 4,
    ..LAYOUT_6_12
};
const LAYOUTS: [Layout; 7] = [
    LAYOUT_4_4,
    LAYOUT_5_10,
    LAYOUT_6_1,
    LAYOUT_6_1_ARM64,
    LAYOUT_6_12,
    LAYOUT_6_6_ABSOLUTE,
    LAYOUT_7_0,
];

/// A kernel image with its tables, and the VMCOREINFO that names them.
struct Kernel {
    memory: Memory,
    info: String,
}

impl Kernel {
    fn new(symbols: &[(char, String, u64)], layout: Layout) -> Kernel {
        // Something before the tables, with digits that are no tokens.
        let mut bytes = vec![0xcc; 4096 + 40];
        bytes.extend_from_slice(b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0");
        bytes.resize(2 * 4096, 0xcc);
        let info = format!("OSRELEASE=0\nSYMBOL(_stext)={STEXT:x}\n");
        let mut kernel = Kernel {
            memory: Memory {
                base: IMAGE,
                bytes,
                missing: vec![],
            },
            info,
        };
        if layout.addresses_first {
            kernel.put_addresses(symbols, layout);
        }
        kernel.label("num_syms", layout.align);
        kernel.put(&(symbols.len() as u32).to_le_bytes());
        kernel.put_names(symbols, layout);
        kernel.put_tokens(layout);
        if !layout.addresses_first {
            kernel.put_addresses(symbols, layout);
        }
        kernel.put(&[0x90; 9000]);
        kernel
    }

    fn put(&mut self, bytes: &[u8]) {
        self.memory.bytes.extend_from_slice(bytes);
    }

    fn label(&mut self, name: &str, align: usize) -> u64 {
        let at = self.memory.bytes.len().next_multiple_of(align);
        self.memory.bytes.resize(at, 0);
        let va = IMAGE + at as u64;
        self.info
            .push_str(&format!("SYMBOL(kallsyms_{name})={va:x}\n"));
        va
    }

    fn put_addresses(&mut self, symbols: &[(char, String, u64)], layout: Layout) {
        let absolute = layout.encoding == Encoding::Absolute;
        let name = if absolute { "addresses" } else { "offsets" };
        let table = self.label(name, layout.align);
        for (&(_, _, va), entry) in symbols.iter().zip((table..).step_by(4)) {
            let offset = match layout.encoding {
                Encoding::Absolute => {
                    self.put(&va.to_le_bytes());
                    continue;
                }
                Encoding::BaseRelative => va.wrapping_sub(BASE),
                Encoding::AbsolutePercpu if va < 1 << 31 => va,
                Encoding::AbsolutePercpu => BASE.wrapping_sub(1).wrapping_sub(va),
                Encoding::PlaceRelative => va.wrapping_sub(entry),
            };
            self.put(&(offset as u32).to_le_bytes());
        }
        if !absolute && layout.encoding != Encoding::PlaceRelative {
            self.label("relative_base", 8);
            self.put(&BASE.to_le_bytes());
        }
    }

    fn put_names(&mut self, symbols: &[(char, String, u64)], layout: Layout) {
        let names = self.label("names", layout.align);
        let mut markers = Vec::new();
        for (i, (kind, name, _)) in symbols.iter().enumerate() {
            if i % 256 == 0 {
                markers.push(IMAGE + self.memory.bytes.len() as u64 - names);
            }
            let compressed = compress(&format!("{kind}{name}"));
            match (compressed.len(), layout.form) {
                (len @ 0x80.., LengthForm::TwoBytes) => {
                    self.put(&[len as u8 & 0x7f | 0x80, (len >> 7) as u8]);
                }
                (len, _) => self.put(&[u8::try_from(len).unwrap()]),
            }
            self.put(&compressed);
        }
        self.label("markers", layout.align);
        for marker in markers {
            self.put(&marker.to_le_bytes()[..layout.marker_width]);
        }
        if layout.seqs {
            self.label("seqs_of_names", layout.align);
            self.put(&vec![0x5a; symbols.len() * 3]);
        }
    }

    fn put_tokens(&mut self, layout: Layout) {
        self.label("token_table", layout.align);
        let mut index = Vec::new();
        let mut at: u16 = 0;
        for token in tokens() {
            index.extend_from_slice(&at.to_le_bytes());
            at += token.len() as u16 + 1;
            self.put(token.as_bytes());
            self.put(&[0]);
        }
        self.label("token_index", layout.align);
        self.put(&index);
    }

    fn by_keys(&self) -> Result<Kallsyms, KallsymsError> {
        let info = Vmcoreinfo::parse(self.info.as_bytes()).unwrap();
        Kallsyms::from_vmcoreinfo(&info, &self.memory)
    }

    fn by_shape(&self) -> Result<Kallsyms, KallsymsError> {
        let end = VirtAddr(IMAGE + self.memory.bytes.len() as u64);
        Kallsyms::find(&self.memory, VirtAddr(IMAGE), end, VirtAddr(STEXT))
    }

    /// The bytes from a table on.
    fn table(&mut self, name: &str) -> &mut [u8] {
        let info = Vmcoreinfo::parse(self.info.as_bytes()).unwrap();
        let at = info.symbol(&format!("kallsyms_{name}")).unwrap().0 - IMAGE;
        &mut self.memory.bytes[at as usize..]
    }
}

/// Printable characters stand for themselves, some other bytes for more.
fn tokens() -> Vec<String> {
    let token = |byte: u8| match byte {
        0x01 => "tcp_".into(),
        0x80 => "_stext".into(),
        0xfe => "Tsym_".into(),
        byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
        _ => String::new(),
    };
    (0..=255).map(token).collect()
}

fn compress(mut text: &str) -> Vec<u8> {
    let tokens = tokens();
    let mut out = Vec::new();
    while !text.is_empty() {
        let fits = |&byte: &u8| {
            let token = &tokens[usize::from(byte)];
            !token.is_empty() && text.starts_with(token)
        };
        let byte = (0..=255)
            .filter(fits)
            .max_by_key(|&b| tokens[usize::from(b)].len())
            .unwrap();
        out.push(byte);
        text = &text[tokens[usize::from(byte)].len()..];
    }
    out
}

/// 700 symbols by rising address, in part with one name; per-CPU ones first where
/// the encoding can hold them.
fn symbols(encoding: Encoding) -> Vec<(char, String, u64)> {
    let mut symbols = Vec::new();
    if matches!(encoding, Encoding::Absolute | Encoding::AbsolutePercpu) {
        symbols.push(('A', "fixed_percpu_data".into(), 0));
        symbols.push(('d', "cpu_tss_rw".into(), 0x6000));
    }
    symbols.push(('T', "startup".into(), STEXT));
    symbols.push(('T', "_stext".into(), STEXT));
    symbols.push(('t', "tcp_init".into(), STEXT + 0x10));
    for i in 0..690 {
        let name = if i % 100 == 7 {
            "init".into()
        } else {
            format!("sym_{i}")
        };
        symbols.push((
            if i % 2 == 0 { 'T' } else { 't' },
            name,
            STEXT + 0x100 + i * 0x30,
        ));
    }
    // As long as names got before 6.1; more than 127 tokens.
    symbols.push(('D', "x".repeat(140), STEXT + 0x2_0000));
    // nm cannot tell what lies in an empty section.
    symbols.push(('?', "__nosave_begin".into(), STEXT + 0x2_8000));
    symbols.push(('B', "_end".into(), STEXT + 0x3_0000));
    symbols
}

#[test]
fn every_layout_decodes_by_keys_and_by_shape() {
    for layout in LAYOUTS {
        let symbols = symbols(layout.encoding);
        let kernel = Kernel::new(&symbols, layout);
        for found in [kernel.by_keys(), kernel.by_shape()] {
            let found = found.unwrap_or_else(|e| panic!("{layout:?}: {e}"));
            assert_eq!(found.encoding(), layout.encoding);
            assert_eq!(found.len(), symbols.len());
            let seen: Vec<_> = found
                .iter()
                .map(|s| (char::from(s.kind), s.name.to_owned(), s.address.0))
                .collect();
            assert_eq!(seen, symbols, "{layout:?}");
        }
    }
}

#[test]
fn a_table_written_out_by_hand() {
    const ARM64: u64 = 0xffff_8000_0801_0000;
    // Three symbols; the tokens beside single characters are 0x02 "init" and
    // 0x03 "_task".
    let mut tokens = Vec::new();
    let mut index = Vec::new();
    for byte in 0..=255_u8 {
        index.extend_from_slice(&(tokens.len() as u16).to_le_bytes());
        match byte {
            2 => tokens.extend_from_slice(b"init"),
            3 => tokens.extend_from_slice(b"_task"),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => tokens.push(byte),
            _ => {}
        }
        tokens.push(0);
    }
    let mut bytes = vec![
        0x00, 0x00, 0x00, 0x00, // offsets: relative_base itself
        0x34, 0x12, 0x00, 0x00, // 0x1234 above
        0x00, 0x00, 0x00, 0x80, // 2 GiB above: unsigned
        0, 0, 0, 0, // padding
        0x00, 0x00, 0x01, 0x08, 0x00, 0x80, 0xff, 0xff, // 16: relative_base
        3, 0, 0, 0, 0, 0, 0, 0, // 24: num_syms
        7, b'T', b'_', b's', b't', b'e', b'x', b't', // 32: names
        3, b'D', 2, 3, // D init _task
        3, b't', 2, b'x', // t init x
        0, 0, 0, 0, 0, 0, 0, 0, // 48: markers, one, and padding
    ];
    let table_at = bytes.len() as u64;
    bytes.extend_from_slice(&tokens);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let index_at = bytes.len() as u64;
    bytes.extend_from_slice(&index);
    let at = |offset: u64| format!("{:x}", ARM64 + offset);
    let info = format!(
        "OSRELEASE=6.1\nSYMBOL(_stext)={ARM64:x}\nSYMBOL(kallsyms_offsets)={}\n\
         SYMBOL(kallsyms_relative_base)={}\nSYMBOL(kallsyms_num_syms)={}\n\
         SYMBOL(kallsyms_names)={}\nSYMBOL(kallsyms_token_table)={}\n\
         SYMBOL(kallsyms_token_index)={}\n",
        at(0),
        at(16),
        at(24),
        at(32),
        at(table_at),
        at(index_at)
    );
    let memory = Memory {
        base: ARM64,
        bytes,
        missing: vec![],
    };
    let info = Vmcoreinfo::parse(info.as_bytes()).unwrap();
    let found = Kallsyms::from_vmcoreinfo(&info, &memory).unwrap();
    assert_eq!(found.encoding(), Encoding::BaseRelative);
    assert_eq!(found.address("_stext"), Some(VirtAddr(ARM64)));
    assert_eq!(found.address("init_task"), Some(VirtAddr(ARM64 + 0x1234)));
    assert_eq!(found.address("initx"), Some(VirtAddr(ARM64 + 0x8000_0000)));
    assert_eq!(found.iter().map(|s| s.kind).collect::<Vec<_>>(), b"TDt");
}

#[test]
fn names_are_looked_up_with_all_their_addresses() {
    let found = Kernel::new(&symbols(LAYOUT_6_1.encoding), LAYOUT_6_1)
        .by_keys()
        .unwrap();
    let inits: Vec<_> = found.addresses("init").map(|va| va.0).collect();
    let expected: Vec<_> = (0..7)
        .map(|i| STEXT + 0x100 + (7 + 100 * i) * 0x30)
        .collect();
    assert_eq!(inits, expected);
    assert_eq!(found.address("init"), Some(VirtAddr(expected[0])));
    assert_eq!(found.address("cpu_tss_rw"), Some(VirtAddr(0x6000)));
    assert_eq!(found.address("sym_"), None);
    assert_eq!(found.address(""), None);
}

#[test]
fn an_address_belongs_to_the_nearest_symbol_below() {
    let found = Kernel::new(&symbols(LAYOUT_6_1.encoding), LAYOUT_6_1)
        .by_keys()
        .unwrap();
    let look = |va: u64| {
        found
            .lookup(VirtAddr(va))
            .map(|s| (s.name, s.offset_in, s.kind))
    };
    // The first of two symbols at one address.
    assert_eq!(look(STEXT), Some(("startup", 0, b'T')));
    assert_eq!(look(STEXT + 0xf), Some(("startup", 0xf, b'T')));
    assert_eq!(look(STEXT + 0x10), Some(("tcp_init", 0, b't')));
    assert_eq!(look(STEXT - 1), None);
    assert_eq!(look(0x6008), Some(("cpu_tss_rw", 8, b'd')));
    // Neither user addresses nor the direct map belong to a per-CPU symbol.
    assert_eq!(look(0xffff_8880_0000_0000), None);
    assert_eq!(look(STEXT + 0x3_ffff), Some(("_end", 0xffff, b'B')));
    assert_eq!(look(STEXT + 0x4_0000), None);
    assert_eq!(look(u64::MAX), None);
    assert_eq!(
        found.next_after(VirtAddr(STEXT)),
        Some(VirtAddr(STEXT + 0x10))
    );
    assert_eq!(found.next_after(VirtAddr(STEXT - 1)), Some(VirtAddr(STEXT)));
    assert_eq!(found.next_after(VirtAddr(STEXT + 0x3_0000)), None);
}

#[test]
fn older_kernels_lack_the_keys() {
    let mut kernel = Kernel::new(&symbols(LAYOUT_5_10.encoding), LAYOUT_5_10);
    kernel.info = format!("OSRELEASE=5.10\nSYMBOL(_stext)={STEXT:x}\n");
    assert_eq!(
        kernel.by_keys().unwrap_err(),
        KallsymsError::Key("SYMBOL(kallsyms_names)")
    );
}

#[test]
fn a_wrong_stext_is_an_error() {
    for layout in LAYOUTS {
        let kernel = Kernel::new(&symbols(layout.encoding), layout);
        let end = VirtAddr(IMAGE + kernel.memory.bytes.len() as u64);
        let stext = VirtAddr(STEXT + 0x20_0000);
        let error = Kallsyms::find(&kernel.memory, VirtAddr(IMAGE), end, stext).unwrap_err();
        let symbols = symbols(layout.encoding).len();
        assert_eq!(
            error,
            KallsymsError::Encoding { symbols, stext },
            "{layout:?}"
        );
    }
}

#[test]
fn pages_that_cannot_be_read_matter_only_under_the_tables() {
    let mut kernel = Kernel::new(&symbols(LAYOUT_6_1.encoding), LAYOUT_6_1);
    kernel.memory.missing = vec![IMAGE, IMAGE + 4096];
    assert_eq!(
        kernel.by_shape().unwrap().len(),
        symbols(LAYOUT_6_1.encoding).len()
    );
    let names = IMAGE + (kernel.memory.bytes.len() - kernel.table("names").len()) as u64;
    let page = (names + 4096) & !4095;
    kernel.memory.missing = vec![page];
    let fault = VirtFault::NotMapped(VirtAddr(names));
    assert_eq!(
        kernel.by_keys().unwrap_err(),
        KallsymsError::Read {
            table: "kallsyms_names",
            fault
        }
    );
    let end = VirtAddr(IMAGE + kernel.memory.bytes.len() as u64);
    assert_eq!(
        kernel.by_shape().unwrap_err(),
        KallsymsError::NotFound {
            start: VirtAddr(IMAGE),
            end,
            unreadable: 4096
        }
    );
}

#[test]
fn damaged_tables_are_errors_that_name_them() {
    let damaged = |name: &str, damage: &dyn Fn(&mut [u8])| {
        let mut kernel = Kernel::new(&symbols(LAYOUT_6_12.encoding), LAYOUT_6_12);
        damage(kernel.table(name));
        let _ = kernel.by_shape().unwrap_err();
        match kernel.by_keys().unwrap_err() {
            KallsymsError::Table { table, .. } => table,
            error => panic!("{error}"),
        }
    };
    assert_eq!(
        damaged("num_syms", &|b| b[..4].fill(0xff)),
        "kallsyms_num_syms"
    );
    assert_eq!(damaged("num_syms", &|b| b[0] ^= 1), "kallsyms_names");
    assert_eq!(damaged("names", &|b| b[0] = 0), "kallsyms_names");
    assert_eq!(damaged("names", &|b| b[0] += 1), "kallsyms_names");
    assert_eq!(damaged("markers", &|b| b[4] ^= 1), "kallsyms_names");
    assert_eq!(
        damaged("token_index", &|b| b[100] ^= 1),
        "kallsyms_token_index"
    );
    // A control character in a token.
    assert_eq!(
        damaged("token_table", &|b| b[2] = 0x1b),
        "kallsyms_token_index"
    );
}

#[test]
fn tables_in_the_wrong_order_are_refused() {
    let mut kernel = Kernel::new(&symbols(LAYOUT_6_12.encoding), LAYOUT_6_12);
    let far = format!("SYMBOL(kallsyms_names)={:x}\n", IMAGE - (1 << 40));
    kernel.info.insert_str("OSRELEASE=0\n".len(), &far);
    assert!(matches!(
        kernel.by_keys().unwrap_err(),
        KallsymsError::Table {
            table: "kallsyms_names",
            ..
        }
    ));
}

#[test]
fn an_image_without_tables_is_said_to_be_so() {
    let memory = Memory {
        base: IMAGE,
        bytes: vec![0x30; 1 << 20],
        missing: vec![],
    };
    let end = VirtAddr(IMAGE + (1 << 20));
    assert_eq!(
        Kallsyms::find(&memory, VirtAddr(IMAGE), end, VirtAddr(STEXT)).unwrap_err(),
        KallsymsError::NotFound {
            start: VirtAddr(IMAGE),
            end,
            unreadable: 0
        }
    );
}

#[test]
fn no_flipped_byte_does_harm() {
    let layout = LAYOUT_6_1;
    let kernel = Kernel::new(&symbols(layout.encoding), layout);
    let from = 2 * 4096;
    for at in (from..kernel.memory.bytes.len() - 9000).step_by(29) {
        let mut bytes = kernel.memory.bytes.clone();
        bytes[at] ^= 0xff;
        let memory = Memory {
            base: IMAGE,
            bytes,
            missing: vec![],
        };
        let kernel = Kernel {
            memory,
            info: kernel.info.clone(),
        };
        for found in [kernel.by_keys(), kernel.by_shape()].into_iter().flatten() {
            assert!(
                found
                    .iter()
                    .all(|s| !s.name.is_empty() && (s.kind.is_ascii_alphabetic() || s.kind == b'?'))
            );
            let _ = found
                .lookup(VirtAddr(STEXT + 5))
                .map(|s| found.next_after(s.address));
        }
    }
}

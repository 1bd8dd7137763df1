//! A vmlinux: an ELF file of sections (System V ABI, chapter 4) with types in DWARF
//! (versions 3 to 5, chapters 5 and 7.5) and symbols.

use std::io::Write;

use flate2::write::ZlibEncoder;

use crate::bytes::{put_u16, put_u32, put_u64};

/// How the bytes of a section are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Packing {
    /// As they are.
    #[default]
    None,
    /// `ELFCOMPRESS_ZLIB`
    Zlib,
    /// `ELFCOMPRESS_ZSTD`
    Zstd,
}

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    name: &'static str,
    bytes: Vec<u8>,
    packing: Packing,
    claims: Option<u64>,
}

impl Section {
    /// A section that is stored as it is.
    pub fn new(name: &'static str, bytes: Vec<u8>) -> Section {
        Section {
            name,
            bytes,
            packing: Packing::None,
            claims: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its bytes, unpacked.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, stored in this way.
    pub fn packed(mut self, packing: Packing) -> Section {
        self.packing = packing;
        self
    }

    /// The same, whose compression header says that it unpacks to so many bytes.
    pub fn claiming(mut self, size: u64) -> Section {
        self.claims = Some(size);
        self
    }

    /// What is in the file, the compression header (`Elf64_Chdr`) first.
    fn stored(&self) -> Vec<u8> {
        let (kind, packed) = match self.packing {
            Packing::None => return self.bytes.clone(),
            Packing::Zlib => {
                let mut out = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                let done = out.write_all(&self.bytes).and_then(|()| out.finish());
                (1, done.unwrap_or_default())
            }
            Packing::Zstd => (
                2,
                zstd::stream::encode_all(&*self.bytes, 0).unwrap_or_default(),
            ),
        };
        let mut stored = Vec::new();
        put_u32(&mut stored, 0, kind);
        put_u64(
            &mut stored,
            8,
            self.claims.unwrap_or(self.bytes.len() as u64),
        );
        put_u64(&mut stored, 16, 1);
        stored.extend(packed);
        stored
    }
}

/// An ELF file of these sections, for x86_64; those whose names begin with `.note` are
/// notes.
pub fn elf_file(sections: &[Section]) -> Vec<u8> {
    const HEADER: usize = 64;
    const SHF_COMPRESSED: u64 = 1 << 11;
    let mut names = vec![0];
    let mut out = vec![0; HEADER];
    let mut headers = vec![0; HEADER];
    let names_section = Section::new(".shstrtab", Vec::new());
    for (index, section) in sections.iter().chain([&names_section]).enumerate() {
        let name = names.len() as u32;
        names.extend(section.name.bytes());
        names.push(0);
        let stored = match index == sections.len() {
            true => names.clone(),
            false => section.stored(),
        };
        let kind = match section.name {
            ".shstrtab" | ".strtab" => 3,
            ".symtab" => 2,
            name if name.starts_with(".note") => 7,
            _ => 1,
        };
        let flags = match section.packing {
            Packing::None => 0,
            Packing::Zlib | Packing::Zstd => SHF_COMPRESSED,
        };
        let at = headers.len();
        put_u32(&mut headers, at, name);
        put_u32(&mut headers, at + 4, kind);
        put_u64(&mut headers, at + 8, flags);
        put_u64(&mut headers, at + 24, out.len() as u64);
        put_u64(&mut headers, at + 32, stored.len() as u64);
        headers.resize(at + HEADER, 0);
        out.extend(stored);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let table = out.len();
    out.extend(headers);
    out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put_u16(&mut out, 16, 2);
    put_u16(&mut out, 18, 62);
    put_u32(&mut out, 20, 1);
    put_u64(&mut out, 40, table as u64);
    put_u16(&mut out, 52, HEADER as u16);
    put_u16(&mut out, 58, HEADER as u16);
    put_u16(&mut out, 60, sections.len() as u16 + 2);
    put_u16(&mut out, 62, sections.len() as u16 + 1);
    out
}

/// `.symtab` and `.strtab` with these global objects, all of section 1.
pub fn symbols(all: &[(&str, u64)]) -> [Section; 2] {
    let mut table = vec![0; 24];
    let mut strings = vec![0];
    for (name, address) in all {
        let at = table.len();
        put_u32(&mut table, at, strings.len() as u32);
        table.extend([1 << 4 | 1, 0, 1, 0]);
        table.extend(address.to_le_bytes());
        table.extend([0; 8]);
        strings.extend(name.bytes());
        strings.push(0);
    }
    [
        Section::new(".symtab", table),
        Section::new(".strtab", strings),
    ]
}

/// A type of a [`Unit`], by its place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Type(u32);

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Member<'n> {
    /// Its name; empty if it has none.
    pub name: &'n str,
    /// Its type.
    pub of: Type,
    /// Bytes from the struct's begin; for a bit-field, to what it is stored in.
    pub at: u8,
    /// Of a bit-field: how many bytes it is stored in, its first bit, how many bits.
    pub bits: Option<(u8, u8, u8)>,
}

/// A unit of DWARF, as gcc writes that version: 3 with offsets as expressions, bit-fields
/// from the highest bit and names beside their types, 4 with numbers and names in
/// `.debug_str`, 5 with names by number.
pub struct Unit {
    version: u8,
    /// With the header, whose length is 0 so far.
    info: Vec<u8>,
    strings: Vec<u8>,
    offsets: Vec<u8>,
}

// Codes of the table of abbreviations.
const UNIT: u8 = 1;
const INT: u8 = 2;
const POINTER: u8 = 3;
const TYPEDEF: u8 = 4;
const STRUCT: u8 = 5;
const UNION: u8 = 6;
const MEMBER: u8 = 7;
const BIT_FIELD: u8 = 8;
const ARRAY: u8 = 9;
const SUBRANGE: u8 = 10;
const ENUM: u8 = 11;
const ENUMERATOR: u8 = 12;
const DECLARED: u8 = 13;
const CONST: u8 = 14;

impl Unit {
    /// A unit without types; `version` is 3, 4 or 5.
    pub fn new(version: u8) -> Unit {
        assert!((3..=5).contains(&version), "DWARF {version}");
        let mut unit = Unit {
            version,
            info: vec![0; 4],
            strings: vec![0],
            offsets: vec![0, 0, 0, 0, 5, 0, 0, 0],
        };
        unit.info.extend([version, 0]);
        match version {
            // DW_UT_compile and the bytes of an address before the table's offset.
            5 => unit.info.extend([1, 8, 0, 0, 0, 0]),
            _ => unit.info.extend([0, 0, 0, 0, 8]),
        }
        unit.info.push(UNIT);
        if version == 5 {
            unit.info.extend(8_u32.to_le_bytes());
        }
        unit.name("unit.c");
        unit
    }

    /// An integer.
    pub fn int(&mut self, name: &str, size: u8) -> Type {
        let id = self.begin(INT);
        self.name(name);
        self.info.push(size);
        id
    }

    /// A pointer to nothing that is told.
    pub fn pointer(&mut self) -> Type {
        let id = self.begin(POINTER);
        self.info.push(8);
        id
    }

    /// Another name of a type.
    pub fn typedef(&mut self, name: &str, of: Type) -> Type {
        let id = self.begin(TYPEDEF);
        self.name(name);
        self.reference(of);
        id
    }

    /// A type that is not written to.
    pub fn constant(&mut self, of: Type) -> Type {
        let id = self.begin(CONST);
        self.reference(of);
        id
    }

    /// A struct that is named only.
    pub fn declared(&mut self, name: &str) -> Type {
        let id = self.begin(DECLARED);
        self.name(name);
        if self.version == 3 {
            self.info.push(1);
        }
        id
    }

    /// A struct; without a name where that is empty.
    pub fn structure(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> Type {
        self.composite(STRUCT, name, size, members)
    }

    /// A union; without a name where that is empty.
    pub fn union(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> Type {
        self.composite(UNION, name, size, members)
    }

    /// An array of one dimension.
    pub fn array(&mut self, of: Type, count: u32) -> Type {
        let id = self.begin(ARRAY);
        self.reference(of);
        self.info.push(SUBRANGE);
        self.info.extend((count - 1).to_le_bytes());
        self.info.push(0);
        id
    }

    /// An enumeration of 4 bytes; values are below 64 and not below -64.
    pub fn enumeration(&mut self, name: &str, values: &[(&str, i8)]) -> Type {
        let id = self.begin(ENUM);
        self.name(name);
        self.info.push(4);
        for &(name, value) in values {
            assert!((-64..64).contains(&value), "{value}");
            self.info.push(ENUMERATOR);
            self.name(name);
            self.info.push(value.cast_unsigned() & 0x7f);
        }
        self.info.push(0);
        id
    }

    /// The unit as sections.
    pub fn sections(mut self) -> Vec<Section> {
        self.info.push(0);
        let length = self.info.len() as u32 - 4;
        put_u32(&mut self.info, 0, length);
        let mut sections = vec![
            Section::new(".debug_info", self.info),
            Section::new(".debug_abbrev", abbreviations(self.version)),
        ];
        if self.version > 3 {
            sections.push(Section::new(".debug_str", self.strings));
        }
        if self.version == 5 {
            let length = self.offsets.len() as u32 - 4;
            put_u32(&mut self.offsets, 0, length);
            sections.push(Section::new(".debug_str_offsets", self.offsets));
        }
        sections
    }

    fn composite(&mut self, code: u8, name: &str, size: u32, members: &[Member<'_>]) -> Type {
        let id = self.begin(code);
        self.name(name);
        self.info.extend(size.to_le_bytes());
        for member in members {
            self.info.push(match member.bits {
                None => MEMBER,
                Some(_) => BIT_FIELD,
            });
            self.name(member.name);
            self.reference(member.of);
            match (member.bits, self.version) {
                (Some((stored, first, bits)), 3) => {
                    let above = stored * 8 - first - bits;
                    self.info.extend([bits, stored, above]);
                }
                (Some((_, first, bits)), _) => {
                    let at = u16::from(member.at) * 8 + u16::from(first);
                    self.info.push(bits);
                    self.info.extend(at.to_le_bytes());
                    continue;
                }
                (None, _) => {}
            }
            match self.version {
                // A block of two bytes: DW_OP_plus_uconst.
                3 => {
                    assert!(member.at < 0x80, "{}", member.at);
                    self.info.extend([2, 0x23, member.at]);
                }
                _ => self.info.push(member.at),
            }
        }
        self.info.push(0);
        id
    }

    fn begin(&mut self, code: u8) -> Type {
        let at = self.info.len() as u32;
        self.info.push(code);
        Type(at)
    }

    fn reference(&mut self, of: Type) {
        self.info.extend(of.0.to_le_bytes());
    }

    fn name(&mut self, name: &str) {
        if self.version == 3 {
            self.info.extend(name.bytes());
            self.info.push(0);
            return;
        }
        let at = match name {
            "" => 0,
            _ => self.strings.len() as u32,
        };
        if !name.is_empty() {
            self.strings.extend(name.bytes());
            self.strings.push(0);
        }
        if self.version == 5 {
            let number = (self.offsets.len() - 8) / 4;
            self.offsets.extend(at.to_le_bytes());
            self.info.extend((number as u16).to_le_bytes());
        } else {
            self.info.extend(at.to_le_bytes());
        }
    }
}

/// `.debug_abbrev`: by code the tag, whether there are children, attributes with forms.
fn abbreviations(version: u8) -> Vec<u8> {
    // DW_FORM_string, DW_FORM_strp, DW_FORM_strx2.
    let name = (0x03, [0x08, 0x0e, 0x26][usize::from(version) - 3]);
    // DW_FORM_block1 of an expression, DW_FORM_data1.
    let location = (0x38, if version == 3 { 0x0a } else { 0x0b });
    // DW_FORM_flag, DW_FORM_flag_present.
    let declaration = (0x3c, if version == 3 { 0x0c } else { 0x19 });
    let of = (0x49, 0x13);
    let byte_size = (0x0b, 0x0b);
    let size = (0x0b, 0x06);
    let unit = match version {
        5 => vec![(0x72, 0x17), name],
        _ => vec![name],
    };
    let bit_field = match version {
        3 => vec![name, of, (0x0d, 0x0b), byte_size, (0x0c, 0x0b), location],
        _ => vec![name, of, (0x0d, 0x0b), (0x6b, 0x05)],
    };
    let all = [
        (UNIT, 0x11, 1, unit),
        (INT, 0x24, 0, vec![name, byte_size]),
        (POINTER, 0x0f, 0, vec![byte_size]),
        (TYPEDEF, 0x16, 0, vec![name, of]),
        (STRUCT, 0x13, 1, vec![name, size]),
        (UNION, 0x17, 1, vec![name, size]),
        (MEMBER, 0x0d, 0, vec![name, of, location]),
        (BIT_FIELD, 0x0d, 0, bit_field),
        (ARRAY, 0x01, 1, vec![of]),
        (SUBRANGE, 0x21, 0, vec![(0x2f, 0x06)]),
        (ENUM, 0x04, 1, vec![name, byte_size]),
        (ENUMERATOR, 0x28, 0, vec![name, (0x1c, 0x0d)]),
        (DECLARED, 0x13, 0, vec![name, declaration]),
        (CONST, 0x26, 0, vec![of]),
    ];
    let mut table = Vec::new();
    for (code, tag, children, attributes) in all {
        table.extend([code, tag, children]);
        for (attribute, form) in attributes {
            table.extend([attribute, form]);
        }
        table.extend([0, 0]);
    }
    table.push(0);
    table
}

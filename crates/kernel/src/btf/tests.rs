//! Blobs assembled after include/uapi/linux/btf.h.

use super::types::*;
use super::*;

const KFLAG: u32 = 1 << 31;
const VAR: u8 = 14;
const DATASEC: u8 = 15;
const DECL_TAG: u8 = 17;
const FUNC_PROTO: u8 = 13;

/// Types with their ids in order, and their strings.
pub(crate) struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Blob {
    pub(crate) fn new() -> Blob {
        Blob {
            types: Vec::new(),
            strings: vec![0],
            count: 0,
        }
    }

    pub(crate) fn string(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a record: kind, vlen with kind_flag, size or type, and further words.
    pub(crate) fn add(
        &mut self,
        name: &str,
        kind: u8,
        vlen: u32,
        size_or_type: u32,
        rest: &[u32],
    ) -> u32 {
        let name = self.string(name);
        let info = u32::from(kind) << 24 | vlen;
        for word in [&[name, info, size_or_type], rest].concat() {
            self.types.extend_from_slice(&word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    pub(crate) fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(name, INT, 0, size, &[size * 8])
    }

    /// A struct or union of (name, type, third word).
    pub(crate) fn composite(
        &mut self,
        name: &str,
        kind: u8,
        flag: u32,
        size: u32,
        of: &[(&str, u32, u32)],
    ) -> u32 {
        let member = |&(name, id, offset): &(&str, u32, u32)| [self.string(name), id, offset];
        let members: Vec<u32> = of.iter().flat_map(member).collect();
        self.add(name, kind, of.len() as u32 | flag, size, &members)
    }

    fn enumeration(&mut self, name: &str, flag: u32, values: &[(&str, i32)]) -> u32 {
        let value = |&(name, value): &(&str, i32)| [self.string(name), value.cast_unsigned()];
        let words: Vec<u32> = values.iter().flat_map(value).collect();
        self.add(name, ENUM, values.len() as u32 | flag, 4, &words)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let types = self.types.len() as u32;
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, self.strings.len() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.types);
        bytes.extend_from_slice(&self.strings);
        bytes
    }

    pub(crate) fn parse(&self) -> Btf {
        Btf::parse(self.bytes()).unwrap()
    }
}

/// Offset, size and bits.
type Place = (u64, u64, Option<(u32, u32)>);

fn at(btf: &Btf, path: &str) -> Option<Place> {
    btf.member(path).map(|m| (m.offset, m.size, m.bits))
}

#[test]
fn a_blob_written_out_by_hand() {
    #[rustfmt::skip]
    let bytes = vec![
        0x9f, 0xeb, 0x01, 0x00, 0x18, 0, 0, 0,      // magic, version, flags, hdr_len 24
        0, 0, 0, 0, 0x34, 0, 0, 0,                  // types: at 0, 52 bytes
        0x34, 0, 0, 0, 0x0e, 0, 0, 0,               // strings: at 52, 14 bytes
        1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0,         // [1] INT "int", 4 bytes
        0x20, 0, 0, 1,                              //     signed, 32 bits
        5, 0, 0, 0, 2, 0, 0, 4, 8, 0, 0, 0,         // [2] STRUCT "point", 2 members, 8 bytes
        11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,        //     xy: int at bit 0
        12, 0, 0, 0, 1, 0, 0, 0, 0x20, 0, 0, 0,     //     y: int at bit 32
        0, b'i', b'n', b't', 0, b'p', b'o', b'i', b'n', b't', 0, b'x', b'y', 0,
    ];
    let btf = Btf::parse(bytes).unwrap();
    assert_eq!(btf.type_count(), 2);
    assert_eq!(btf.size_of("int"), Some(4));
    assert_eq!(btf.size_of("point"), Some(8));
    // Strings may share their ends: "xy" at 11, "y" at 12.
    assert_eq!(at(&btf, "point.xy"), Some((0, 4, None)));
    assert_eq!(at(&btf, "point.y"), Some((4, 4, None)));
    assert_eq!(at(&btf, "point.x"), None);
}

#[test]
fn sizes_look_through_typedefs_and_qualifiers() {
    let mut blob = Blob::new();
    let long = blob.int("unsigned long", 8);
    let constant = blob.add("", CONST, 0, long, &[]);
    let volatile = blob.add("", VOLATILE, 0, constant, &[]);
    blob.add("flags_t", TYPEDEF, 0, volatile, &[]);
    blob.add("", PTR, 0, 0, &[]);
    let array = blob.add("", ARRAY, 0, 0, &[long, long, 5]);
    blob.add("", ARRAY, 0, 0, &[array, long, 3]);
    blob.add("table_t", TYPEDEF, 0, 7, &[]);
    blob.add("handle_t", TYPEDEF, 0, 5, &[]);
    blob.add("opaque_t", TYPEDEF, 0, 11, &[]);
    blob.add("hidden", FWD, 0, 0, &[]);
    blob.add("double", FLOAT, 0, 8, &[]);
    let btf = blob.parse();
    assert_eq!(btf.size_of("unsigned long"), Some(8));
    assert_eq!(btf.size_of("flags_t"), Some(8));
    assert_eq!(btf.size_of("table_t"), Some(120));
    assert_eq!(btf.size_of("handle_t"), Some(8));
    assert_eq!(btf.size_of("double"), Some(8));
    assert_eq!(btf.size_of("opaque_t"), None);
    assert_eq!(btf.size_of("hidden"), None);
    assert_eq!(btf.size_of(""), None);
}

/// A struct as in C:
/// `struct dev { u32 a; struct { u64 b; union { u32 c; u16 d; }; }; struct list list[3];
///  struct dev *next; unsigned lo:3, hi:13; }`
fn device() -> Btf {
    let mut blob = Blob::new();
    let u32_id = blob.int("u32", 4);
    let u64_id = blob.int("u64", 8);
    let u16_id = blob.int("u16", 2);
    let choice = blob.composite("", UNION, 0, 4, &[("c", u32_id, 0), ("d", u16_id, 0)]);
    let inner = blob.composite("", STRUCT, 0, 16, &[("b", u64_id, 0), ("", choice, 64)]);
    let list = blob.composite("list", STRUCT, 0, 16, &[("next", 9, 0), ("prev", 9, 64)]);
    let lists = blob.add("", ARRAY, 0, 0, &[list, u32_id, 3]);
    let lists = blob.add("", CONST, 0, lists, &[]);
    let list_ptr = blob.add("", PTR, 0, list, &[]);
    assert_eq!(list_ptr, 9);
    let fields = [
        ("a", u32_id, 0),
        ("", inner, 64),
        ("list", lists, 192),
        ("next", 13, 576),
        ("lo", u32_id, 3 << 24 | 640),
        ("hi", u32_id, 13 << 24 | 643),
    ];
    let dev = blob.composite("dev", STRUCT, KFLAG, 88, &fields);
    let constant = blob.add("", CONST, 0, dev, &[]);
    blob.add("", TYPE_TAG, 0, constant, &[]);
    blob.add("", PTR, 0, 12, &[]);
    blob.add("dev_t", TYPEDEF, 0, dev, &[]);
    blob.parse()
}

#[test]
fn members_are_found_through_anonymous_ones_and_arrays() {
    let btf = device();
    assert_eq!(at(&btf, "dev.a"), Some((0, 4, None)));
    assert_eq!(at(&btf, "dev.b"), Some((8, 8, None)));
    assert_eq!(at(&btf, "dev.c"), Some((16, 4, None)));
    assert_eq!(at(&btf, "dev.d"), Some((16, 2, None)));
    assert_eq!(at(&btf, "dev.list"), Some((24, 48, None)));
    assert_eq!(at(&btf, "dev.list.prev"), Some((32, 8, None)));
    assert_eq!(at(&btf, "dev_t.list.prev"), Some((32, 8, None)));
    // Pointers are not followed.
    assert_eq!(at(&btf, "dev.next.a"), None);
    for path in [
        "dev", "dev.", "dev.x", "dev.a.b", ".a", "", "dev..b", "u32.a",
    ] {
        assert_eq!(at(&btf, path), None, "{path}");
    }
}

#[test]
fn bit_fields_tell_their_bits() {
    let btf = device();
    assert_eq!(at(&btf, "dev.lo"), Some((80, 1, Some((0, 3)))));
    // Bits 643 to 655: from bit 3 of byte 80 to the end of byte 81.
    assert_eq!(at(&btf, "dev.hi"), Some((80, 2, Some((3, 13)))));
}

#[test]
fn bit_fields_without_kind_flag_are_integers_of_their_own() {
    let mut blob = Blob::new();
    let three_bits = blob.add("u32", INT, 0, 4, &[3]);
    let five_bits = blob.add("u32", INT, 0, 4, &[3 << 16 | 5]);
    blob.composite(
        "s",
        STRUCT,
        0,
        8,
        &[("x", three_bits, 32), ("y", five_bits, 32)],
    );
    let btf = blob.parse();
    assert_eq!(at(&btf, "s.x"), Some((4, 1, Some((0, 3)))));
    assert_eq!(at(&btf, "s.y"), Some((4, 1, Some((3, 5)))));
}

#[test]
fn of_several_structs_with_a_name_the_one_with_the_path_counts() {
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    blob.composite("s", STRUCT, 0, 4, &[("a", int, 0)]);
    blob.composite("s", STRUCT, 0, 8, &[("a", int, 0), ("b", int, 32)]);
    blob.enumeration("s", 0, &[("S_A", 0)]);
    let btf = blob.parse();
    assert_eq!(at(&btf, "s.b"), Some((4, 4, None)));
    assert_eq!(btf.size_of("s"), Some(4));
    assert_eq!(btf.enumerator("s", "S_A"), Some(0));
}

#[test]
fn enumerators_before_kind_flag_are_signed() {
    let mut blob = Blob::new();
    blob.enumeration(
        "zone_stat_item",
        0,
        &[("NR_FREE_PAGES", 0), ("NR_MINUS", -1)],
    );
    blob.enumeration("pageflags", 0, &[("PG_locked", 0), ("PG_slab", 9)]);
    let btf = blob.parse();
    assert_eq!(btf.enumerator("zone_stat_item", "NR_FREE_PAGES"), Some(0));
    assert_eq!(btf.enumerator("zone_stat_item", "NR_MINUS"), Some(-1));
    assert_eq!(btf.enumerator("zone_stat_item", "PG_slab"), None);
}

#[test]
fn with_kind_flag_the_other_enums_are_unsigned() {
    let mut blob = Blob::new();
    blob.enumeration("signs", KFLAG, &[("MINUS", -2)]);
    let plain = blob.enumeration("masks", 0, &[("TOP", i32::MIN)]);
    blob.add("masks_t", TYPEDEF, 0, plain, &[]);
    let low = blob.string("LOW");
    let high = blob.string("HIGH");
    blob.add(
        "wide",
        ENUM64,
        2,
        8,
        &[low, 7, 0, high, 0xffff_fffe, 0xffff_ffff],
    );
    let btf = blob.parse();
    assert_eq!(btf.enumerator("signs", "MINUS"), Some(-2));
    assert_eq!(btf.enumerator("masks", "TOP"), Some(1 << 31));
    assert_eq!(btf.enumerator("masks_t", "TOP"), Some(1 << 31));
    assert_eq!(btf.enumerator("wide", "LOW"), Some(7));
    assert_eq!(btf.enumerator("wide", "HIGH"), Some(-2));
    assert_eq!(btf.size_of("wide"), Some(8));
}

#[test]
fn every_kind_is_stepped_over() {
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    blob.add("", FUNC_PROTO, 2, 0, &[0, int, 0, int]);
    blob.add("f", 12, 1, 2, &[]);
    blob.add("v", VAR, 0, int, &[1]);
    blob.add(".data", DATASEC, 1, 4, &[4, 0, 4]);
    blob.add("tag", DECL_TAG, 0, int, &[0xffff_ffff]);
    blob.add("", RESTRICT, 0, int, &[]);
    blob.composite("last", STRUCT, 0, 4, &[("x", int, 0)]);
    let btf = blob.parse();
    assert_eq!(btf.type_count(), 8);
    assert_eq!(at(&btf, "last.x"), Some((0, 4, None)));
}

#[test]
fn more_members_than_sixteen_bits_count() {
    // vlen has 24 bits from 7.1 on.
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    let mut members = vec![("m", int, 0); 70_000];
    members.push(("last", int, 32));
    blob.composite("big", STRUCT, 0, 8, &members);
    blob.int("after", 1);
    let btf = blob.parse();
    assert_eq!(at(&btf, "big.last"), Some((4, 4, None)));
    assert_eq!(btf.size_of("after"), Some(1));
}

#[test]
fn unknown_kinds_are_stepped_over_where_a_layout_section_tells_how() {
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    // Kind 33 with 4 bytes and 8 for each of 2 elements: all seven bits count.
    blob.add("new", 33, 2, 0, &[1, 2, 3, 4, 5]);
    blob.composite("s", STRUCT, 0, 4, &[("x", int, 0)]);
    let error = Btf::parse(blob.bytes()).unwrap_err();
    assert_eq!(
        error,
        BtfError::Kind {
            id: 2,
            offset: 16,
            kind: 33
        }
    );

    let (types, strings) = (blob.types.len() as u32, blob.strings.len() as u32);
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    let layout = 34 * 4;
    for word in [32, 0, types, types, strings, types + strings, layout] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&blob.types);
    bytes.extend_from_slice(&blob.strings);
    bytes.extend_from_slice(&[0; 33 * 4]);
    bytes.extend_from_slice(&[4, 8, 0, 0]);
    let btf = Btf::parse(bytes).unwrap();
    assert_eq!(at(&btf, "s.x"), Some((0, 4, None)));
}

#[test]
fn headers_that_are_not_btf_are_refused() {
    let mut blob = Blob::new();
    blob.int("int", 4);
    let good = blob.bytes();
    let header = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        match Btf::parse(bytes).unwrap_err() {
            BtfError::Header { field, value, .. } => (field, value),
            error => panic!("{error}"),
        }
    };
    assert_eq!(header(0, 0x9e), ("magic", 0xeb9e));
    assert_eq!(header(2, 2), ("version", 2));
    assert_eq!(header(4, 23), ("hdr_len", 23));
    let mut big_endian = good.clone();
    big_endian.swap(0, 1);
    assert!(
        Btf::parse(big_endian)
            .unwrap_err()
            .to_string()
            .contains("big-endian")
    );
    assert!(matches!(
        Btf::parse(good[..23].to_vec()),
        Err(BtfError::Header { .. })
    ));

    let mut section = good.clone();
    section[12] = 0xff;
    assert_eq!(
        Btf::parse(section).unwrap_err(),
        BtfError::Section {
            section: "type",
            offset: 24,
            len: 255,
            blob: good.len()
        }
    );
    let cut = good[..good.len() - 1].to_vec();
    assert!(matches!(
        Btf::parse(cut),
        Err(BtfError::Section {
            section: "string",
            ..
        })
    ));
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let mut blob = Blob::new();
    blob.int("int", 4);
    blob.add("huge", STRUCT, 0x00ff_ffff, 4, &[]);
    let error = Btf::parse(blob.bytes()).unwrap_err();
    assert_eq!(error, BtfError::Truncated { id: 2, offset: 16 });
    blob.types.truncate(20);
    let error = Btf::parse(blob.bytes()).unwrap_err();
    assert_eq!(error, BtfError::Truncated { id: 2, offset: 16 });
}

#[test]
fn loops_end() {
    let mut blob = Blob::new();
    blob.add("self_t", TYPEDEF, 0, 1, &[]);
    blob.add("", ARRAY, 0, 0, &[2, 2, 1]);
    blob.add("array_t", TYPEDEF, 0, 2, &[]);
    // A struct that contains itself, namelessly and many times over.
    blob.composite("russian", STRUCT, 0, 4, &[("", 4, 0); 200]);
    blob.add("", PTR, 0, 1, &[]);
    blob.composite("s", STRUCT, 0, 8, &[("p", 5, 0), ("a", 2, 0)]);
    let btf = blob.parse();
    assert_eq!(btf.size_of("self_t"), None);
    assert_eq!(btf.size_of("array_t"), None);
    assert_eq!(at(&btf, "self_t.x"), None);
    assert_eq!(at(&btf, "russian.x"), None);
    assert_eq!(at(&btf, "s.a.x"), None);
}

#[test]
fn sizes_do_not_overflow() {
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    let mut id = int;
    for _ in 0..3 {
        id = blob.add("", ARRAY, 0, 0, &[id, int, u32::MAX]);
    }
    blob.add("vast_t", TYPEDEF, 0, id, &[]);
    blob.composite("s", STRUCT, 0, 4, &[("v", id, u32::MAX)]);
    let btf = blob.parse();
    assert_eq!(btf.size_of("vast_t"), None);
    assert_eq!(at(&btf, "s.v"), None);
}

#[test]
fn ids_and_strings_out_of_range_are_nothing() {
    let mut blob = Blob::new();
    blob.add("a_t", TYPEDEF, 0, 77, &[]);
    let name = blob.string("s");
    blob.types.extend_from_slice(&name.to_le_bytes());
    for word in [
        u32::from(STRUCT) << 24 | 2,
        4,
        u32::MAX,
        77,
        0,
        name,
        u32::MAX,
        0,
    ] {
        blob.types.extend_from_slice(&word.to_le_bytes());
    }
    let btf = blob.parse();
    assert_eq!(btf.size_of("a_t"), None);
    assert_eq!(btf.size_of("s"), Some(4));
    assert_eq!(at(&btf, "s.s"), None);
}

#[test]
fn no_flipped_bit_does_harm() {
    let blob = device().blob;
    for bit in 0..blob.len() * 8 {
        let mut blob = blob.clone();
        blob[bit / 8] ^= 1 << (bit % 8);
        let Ok(btf) = Btf::parse(blob) else { continue };
        for path in [
            "dev.a",
            "dev.d",
            "dev.list.prev",
            "dev.hi",
            "list.next",
            "dev_t.next",
        ] {
            let _ = btf.member(path);
        }
        let _ = (btf.size_of("dev"), btf.enumerator("dev", "A"));
    }
}

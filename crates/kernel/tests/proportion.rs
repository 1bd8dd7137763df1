//! A vmlinux that costs out of all proportion to its bytes: answered in seconds, in
//! little memory. Alone in its process, because it measures the process's memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use pagehound_kernel::Vmlinux;
use pagehound_synth::vmlinux::{Packing, Section, elf_file};
use pagehound_vmcore::VirtAddr;

/// Peak resident memory of this process, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse::<u64>().unwrap() >> 10
}

const UNIT: u8 = 1;

/// Code, tag, whether there are children, attributes with forms.
type Abbreviation<'a> = (u8, u8, u8, &'a [(u8, u8)]);

/// A table of abbreviations. The unit's own has no attributes.
fn table(all: &[Abbreviation<'_>]) -> Section {
    let mut table = vec![UNIT, 0x11, 1, 0, 0];
    for (code, tag, children, attributes) in all {
        table.extend([code, tag, children]);
        table.extend(attributes.iter().flat_map(|&(name, form)| [name, form]));
        table.extend([0, 0]);
    }
    table.push(0);
    Section::new(".debug_abbrev", table)
}

/// Bytes of a unit of DWARF 4 before its entries, the unit's own among them.
const HEAD: u32 = 12;

fn unit(entries: &[u8]) -> Vec<u8> {
    let mut unit = (HEAD + entries.len() as u32 - 4).to_le_bytes().to_vec();
    unit.extend([4, 0, 0, 0, 0, 0, 8, UNIT]);
    unit.extend(entries);
    unit
}

fn info(entries: &[u8]) -> Section {
    Section::new(".debug_info", unit(entries))
}

// Attributes and forms.
const NAME: (u8, u8) = (0x03, 0x08);
const TYPE: (u8, u8) = (0x49, 0x13);
const SIZE: (u8, u8) = (0x0b, 0x0b);
const FLAG: (u8, u8) = (0x3f, 0x19);
// Tags.
const STRUCT: u8 = 0x13;
const MEMBER: u8 = 0x0d;
const INT: u8 = 0x24;
const TYPEDEF: u8 = 0x16;

/// `struct page` of members without names, each of a type at the next of these places.
fn page_of(places: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut entries = b"\x02page\0\x40".to_vec();
    for place in places {
        entries.push(3);
        entries.extend(place.to_le_bytes());
    }
    entries.push(0);
    entries
}

/// A text each byte of which begins an entry whose name is all that is behind it.
fn names_of_names() -> Vec<Section> {
    const MEMBERS: u32 = 30_000;
    let text = vec![b'a'; 4 << 20];
    let begin = HEAD + 8 + MEMBERS * 5;
    let mut entries = page_of(begin..begin + MEMBERS);
    assert_eq!(entries.len() as u32 + HEAD, begin);
    entries.extend(text);
    entries.push(0);
    let members: (u8, u8, u8, &[(u8, u8)]) = (3, MEMBER, 0, &[TYPE]);
    vec![
        info(&entries),
        table(&[
            (2, STRUCT, 1, &[NAME, SIZE]),
            members,
            (b'a', INT, 0, &[NAME, SIZE]),
        ]),
    ]
}

/// `struct page` again and again, each a typedef of one with many other members.
fn page_after_page() -> Vec<Section> {
    const MEMBERS: u32 = 30_000;
    let at = HEAD + 1;
    let mut entries = page_of((0..MEMBERS).map(|_| HEAD + 8 + MEMBERS * 5));
    // Something small that all the members are.
    entries.extend(b"\x05int\0\x04");
    for _ in 0..200_000 {
        entries.extend(b"\x04page\0");
        entries.extend((at - 1).to_le_bytes());
    }
    vec![
        info(&entries),
        table(&[
            (2, STRUCT, 1, &[NAME, SIZE]),
            (3, MEMBER, 0, &[TYPE]),
            (4, TYPEDEF, 0, &[NAME, TYPE]),
            (5, INT, 0, &[NAME, SIZE]),
        ]),
    ]
}

/// Structs within structs, each of which has all that is below it as its children and
/// the next as the type of a member.
fn deep() -> Vec<Section> {
    const STRUCTS: u32 = 300_000;
    let mut entries = Vec::new();
    for index in 0..STRUCTS {
        entries.extend(b"\x02page\0\x40\x03");
        entries.extend((HEAD + (index + 1) * 12).to_le_bytes());
    }
    vec![
        info(&entries),
        table(&[(2, STRUCT, 1, &[NAME, SIZE]), (3, MEMBER, 0, &[TYPE])]),
    ]
}

/// Entries of a byte with attributes that have none.
fn flags(count: usize) -> Vec<Section> {
    let flags = vec![FLAG; count];
    vec![
        info(&vec![2; 8 << 20]),
        table(&[(2, STRUCT, 0, flags.as_slice())]),
    ]
}

/// One table of many abbreviations, or its begin and its end in turn, for many units.
fn tables(codes: u32) -> Vec<Section> {
    let mut table = Vec::new();
    for code in 1..codes {
        // LEB128 of three bytes.
        let digits = [code | 0x80, code >> 7 | 0x80, code >> 14 & 0x7f];
        table.extend(digits.map(|digit| digit as u8));
        table.extend([STRUCT, 0, 0, 0]);
    }
    table.push(0);
    let mut units = Vec::new();
    for index in 0..100_000_u32 {
        let mut unit = unit(&[0]);
        unit[6..10].copy_from_slice(&(index % 2 * 7).to_le_bytes());
        units.extend(unit);
    }
    vec![
        Section::new(".debug_info", units),
        Section::new(".debug_abbrev", table),
    ]
}

/// A header that claims so much, and zeroes that are packed as well as they can be.
fn packed(name: &'static str, claims: u64) -> Vec<Section> {
    let bomb = Section::new(name, vec![0; 64 << 20]).packed(Packing::Zstd);
    let mut sections = vec![info(&[0]), table(&[])];
    sections.retain(|section| section.name() != name);
    sections.push(bomb.claiming(claims));
    sections
}

/// Symbols that all have the longest name.
fn symbols() -> Vec<Section> {
    let mut symbol = vec![1, 0, 0, 0, 1 << 4 | 1, 0, 1, 0];
    symbol.extend([0xff; 8]);
    symbol.extend([0; 8]);
    let mut strings = b"\0".to_vec();
    strings.extend([b'a'; 500]);
    strings.extend(b"\0_stext\0");
    let mut table = symbol.repeat(200_000);
    // The last one is _stext.
    let last = table.len() - symbol.len();
    table[last..last + 2].copy_from_slice(&502_u16.to_le_bytes());
    vec![
        Section::new(".symtab", table),
        Section::new(".strtab", strings),
    ]
}

#[test]
fn costs_out_of_all_proportion() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vmlinux");
    let cases = [
        ("names of names", names_of_names()),
        ("page after page", page_after_page()),
        ("deep", deep()),
        ("100 flags", flags(100)),
        ("100,000 flags", flags(100_000)),
        ("tables", tables(100_000)),
        ("too large tables", tables(200_000)),
        ("packed units", packed(".debug_info", 512 << 20)),
        ("4 GiB of units", packed(".debug_info", 4 << 30)),
        ("packed abbreviations", packed(".debug_abbrev", 200 << 20)),
        ("packed strings", packed(".debug_str", 200 << 20)),
        ("packed offsets", packed(".debug_str_offsets", 200 << 20)),
        ("packed symbols", packed(".symtab", 200 << 20)),
        ("symbols", symbols()),
    ];
    // What making the files took is not counted.
    let before = peak();
    for (what, sections) in cases {
        let file = elf_file(&sections);
        assert!(file.len() < 16 << 20, "{what}: {}", file.len());
        std::fs::write(&path, file).unwrap();
        drop(sections);
        let begin = Instant::now();
        let vmlinux = Vmlinux::open(&path).unwrap();
        let types = vmlinux.types("6.1.0", None);
        let symbols = vmlinux.symbols(VirtAddr(0));
        let took = begin.elapsed();
        eprintln!(
            "{what}: {took:?}, {} MiB, {:?}, {:?}",
            peak(),
            types.err(),
            symbols.map(|symbols| symbols.len())
        );
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
        assert!(peak() < before + 256, "{what}: {} MiB", peak());
    }
}

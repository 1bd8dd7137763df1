//! Structures of the kernel: `include/uapi/linux/btf.h`, `scripts/kallsyms.c`, the page
//! tables of both architectures, `kernel/printk`.

use super::Seed;
use crate::targets::kallsyms::{IMAGE, KEYS};
use crate::targets::printk::BASE;

/// Bytes that are put where they belong.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn align(&mut self, to: usize) -> usize {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self.0.len()
    }

    /// Overwrites what is at `at`.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Types and their strings.
struct Types {
    types: Bytes,
    strings: Vec<u8>,
}

impl Types {
    fn string(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes());
        self.strings.push(0);
        at
    }

    /// A record: kind with flag, number of what follows, size or type, what follows.
    fn add(&mut self, name: &str, (kind, vlen): (u32, u32), size_or_type: u32, rest: &[u32]) {
        let name = self.string(name);
        for word in [name, kind << 24 | vlen, size_or_type] {
            self.types.u32(word);
        }
        for &word in rest {
            self.types.u32(word);
        }
    }

    /// A struct or union: members by name, type, and bit.
    fn composite(&mut self, name: &str, kind: u32, size: u32, members: &[(&str, u32, u32)]) {
        let member = |&(name, id, bit): &(&str, u32, u32)| [self.string(name), id, bit];
        let words: Vec<u32> = members.iter().flat_map(member).collect();
        self.add(name, (kind, members.len() as u32), size, &words);
    }

    fn blob(self) -> Vec<u8> {
        let (types, strings) = (self.types.0, self.strings);
        let mut blob = Bytes::default();
        blob.u32(0x0001_eb9f);
        let words = [24, 0, types.len(), types.len(), strings.len()];
        for word in words {
            blob.u32(word as u32);
        }
        blob.0.extend(types);
        blob.0.extend(strings);
        blob.0
    }
}

pub(super) fn btf() -> Vec<Seed> {
    const INT: u32 = 1;
    const PTR: u32 = 2;
    const ARRAY: u32 = 3;
    const STRUCT: u32 = 4;
    const UNION: u32 = 5;
    const ENUM: u32 = 6;
    const TYPEDEF: u32 = 8;
    const CONST: u32 = 10;
    const VAR: u32 = 14;
    const DATASEC: u32 = 15;
    const ENUM64: u32 = 19;
    /// `kind_flag`, in the byte of the kind.
    const FLAG: u32 = 1 << 7;
    let mut types = Types {
        types: Bytes::default(),
        strings: vec![0],
    };
    types.add("long unsigned int", (INT, 0), 8, &[64]); // 1
    types.add("int", (INT, 0), 4, &[1 << 24 | 32]); // 2
    types.add("", (PTR, 0), 4, &[]); // 3
    types.composite("list_head", STRUCT, 16, &[("next", 3, 0), ("prev", 3, 64)]); // 4
    types.composite("", UNION, 16, &[("lru", 4, 0), ("private", 1, 0)]); // 5
    let members = [("flags", 1, 0), ("", 5, 64), ("_refcount", 7, 192)];
    types.composite("page", STRUCT, 64, &members); // 6
    types.composite("atomic_t", STRUCT, 4, &[("counter", 2, 0)]); // 7
    types.add("", (ARRAY, 0), 0, &[12, 2, 11]); // 8
    let members = [
        ("zone_start_pfn", 1, 0),
        ("free_area", 8, 64),
        ("name", 13, 1472),
    ];
    types.composite("zone", STRUCT, 256, &members); // 9
    let names = ["NR_FREE_PAGES", "NR_ZSPAGES"].map(|name| types.string(name));
    types.add("zone_stat_item", (ENUM, 2), 4, &[names[0], 0, names[1], 1]); // 10
    types.add("gfp_t", (TYPEDEF, 0), 2, &[]); // 11
    types.composite("free_area", STRUCT, 16, &[("nr_free", 1, 0)]); // 12
    types.add("", (PTR, 0), 14, &[]); // 13
    types.add("", (CONST, 0), 2, &[]); // 14
    let members = [("size", 2, 31 << 24), ("inuse", 2, 16 << 24 | 32)];
    types.composite("kmem_cache", STRUCT | FLAG, 8, &members); // 15
    types.add("nr_cpu_ids", (VAR, 0), 2, &[1]); // 16
    types.add(".data..percpu", (DATASEC, 1), 64, &[16, 32, 4]); // 17
    let name = types.string("SEC");
    types.add("pageflags", (ENUM64, 1), 8, &[name, 7, 1]); // 18
    vec![("types", types.blob())]
}

/// Symbols by rising address; tables by their key.
struct Symbols {
    image: Bytes,
    at: [u16; KEYS.len()],
}

impl Symbols {
    fn label(&mut self, key: &str) {
        let at = self.image.align(8);
        let key = KEYS.iter().position(|&name| name == key);
        self.at[key.expect("a key")] = at as u16;
    }

    fn names(&mut self, names: &[String]) {
        self.label("kallsyms_num_syms");
        self.image.u64(names.len() as u64);
        self.label("kallsyms_names");
        let begin = self.image.0.len();
        let mut markers = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if index % 256 == 0 {
                markers.push((self.image.0.len() - begin) as u32);
            }
            self.image.0.push(name.len() as u8);
            self.image.0.extend(name.bytes());
        }
        self.image.align(8);
        for marker in markers {
            self.image.u32(marker);
        }
        // Each byte that is used stands for itself.
        let mut index = Vec::new();
        self.label("kallsyms_token_table");
        let begin = self.image.0.len();
        for byte in 0..=255u8 {
            index.push((self.image.0.len() - begin) as u16);
            if byte == b'_' || byte.is_ascii_alphanumeric() {
                self.image.0.push(byte);
            }
            self.image.0.push(0);
        }
        self.label("kallsyms_token_index");
        for start in index {
            self.image.u16(start);
        }
    }

    fn seed(self) -> Vec<u8> {
        let mut seed = Bytes::default();
        for at in self.at {
            seed.u16(at);
        }
        seed.0.extend(self.image.0);
        seed.0
    }
}

pub(super) fn kallsyms() -> Vec<Seed> {
    let mut names = vec!["T_stext".to_owned()];
    names.extend((0..280).map(|number| format!("tf{number}")));
    let new = || Symbols {
        image: Bytes(vec![0xcc; 64]),
        at: [u16::MAX; KEYS.len()],
    };
    let address = |index: usize| 0x40 + 16 * index as u64;

    // Addresses before the names, counted down from a base (4.6 to 6.2).
    let mut before = new();
    before.at[0] = 0x40;
    before.label("kallsyms_offsets");
    for index in 0..names.len() {
        before.image.u32(!(address(index) as u32));
    }
    before.label("kallsyms_relative_base");
    before.image.u64(IMAGE);
    before.names(&names);

    // Behind the tokens, each from its own place (7.0).
    let mut behind = new();
    behind.at[0] = 0x40;
    behind.names(&names);
    behind.label("kallsyms_offsets");
    for index in 0..names.len() {
        let place = behind.image.0.len() as u64;
        behind.image.u32(address(index).wrapping_sub(place) as u32);
    }
    vec![("before", before.seed()), ("behind", behind.seed())]
}

/// Entries: frame of the table, index, what is there.
fn tables(shape: u8, entries: &[(u8, u16, u64)]) -> Vec<u8> {
    let mut seed = Bytes(vec![shape]);
    for &(frame, index, entry) in entries {
        seed.0.push(frame);
        seed.u16(index);
        seed.u64(entry);
    }
    seed.0
}

pub(super) fn page_tables() -> Vec<Seed> {
    // x86: present, writable; huge; further tables with the user bit, as the kernel's.
    const TABLE: u64 = 0x63;
    const HUGE: u64 = 0x8000_0000_0000_00e3;
    const PAGE: u64 = 0x8000_0000_0000_0063;
    // arm64: valid table; valid block; valid page; accessed.
    const NEXT: u64 = 0x3;
    const BLOCK: u64 = 0x701;
    const LAST: u64 = 0x703;
    let at = |pfn: u64, shift: u32, flags: u64| (pfn << shift) | flags;
    let x86 = [
        // The direct map from 0xffff888000000000 on, a page of vmalloc memory.
        (1, 273, at(2, 12, TABLE)),
        (2, 0, at(3, 12, TABLE)),
        (2, 1, at(1 << 18, 12, HUGE)),
        (3, 0, at(0, 12, HUGE)),
        (1, 402, at(4, 12, TABLE)),
        (4, 0, at(5, 12, TABLE)),
        (5, 0, at(6, 12, TABLE)),
        (6, 1, at(7, 12, PAGE)),
    ];
    let five = [
        (1, 273, at(2, 12, TABLE)),
        (2, 0, at(3, 12, TABLE)),
        (3, 0, at(4, 12, TABLE)),
        (4, 0, at(0, 12, HUGE)),
        (4, 1, at(5, 12, TABLE)),
        (5, 1, at(6, 12, PAGE)),
    ];
    let arm = |shift, first| {
        vec![
            (1, first, at(2, shift, NEXT)),
            (2, 0, at(3, shift, NEXT)),
            (3, 0, at(0, shift, BLOCK)),
            (3, 1, at(4, shift, NEXT)),
            (4, 1, at(5, shift, LAST)),
        ]
    };
    // In a circle: a table that names itself and the root.
    let circle = [
        (1, 273, at(2, 12, TABLE)),
        (2, 0, at(2, 12, TABLE)),
        (2, 1, at(1, 12, TABLE)),
        (2, 2, at(9, 12, TABLE)),
    ];
    vec![
        ("x86-4-levels", tables(0, &x86)),
        ("x86-5-levels", tables(1, &five)),
        ("arm64-4k-48", tables(2, &arm(12, 0))),
        ("arm64-4k-39", tables(3, &arm(12, 0))),
        ("arm64-16k-47", tables(4, &arm(14, 0))),
        ("arm64-64k-52", tables(5, &arm(16, 0))),
        ("x86-circle", tables(0, &circle)),
    ]
}

const RING: &str = "OSRELEASE=6.1.0\n\
    OFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=40\n\
    OFFSET(prb_desc_ring.count_bits)=0\nOFFSET(prb_desc_ring.descs)=8\n\
    OFFSET(prb_desc_ring.infos)=16\nOFFSET(prb_desc_ring.head_id)=24\nOFFSET(prb_desc_ring.tail_id)=32\n\
    OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n\
    SIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\nOFFSET(prb_desc.text_blk_lpos)=8\n\
    OFFSET(prb_data_blk_lpos.begin)=0\nOFFSET(prb_data_blk_lpos.next)=8\n\
    SIZE(printk_info)=88\nOFFSET(printk_info.seq)=0\nOFFSET(printk_info.ts_nsec)=8\n\
    OFFSET(printk_info.text_len)=16\nOFFSET(printk_info.caller_id)=20\nOFFSET(printk_info.dev_info)=24\n\
    OFFSET(dev_printk_info.subsystem)=0\nOFFSET(dev_printk_info.device)=16\n\
    LENGTH(printk_info_subsystem)=16\nLENGTH(printk_info_device)=48\n";

const RECORDS: &str = "OSRELEASE=5.4.0\nSIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\n\
    OFFSET(printk_log.len)=8\nOFFSET(printk_log.text_len)=10\nOFFSET(printk_log.dict_len)=12\n";

const TEXTS: [&str; 4] = [
    "Linux version 6.1.0 (root@build) (gcc 12.2.0) #1 SMP",
    "i40e 0000:01:00.0: MAC address: 24:6e:96:43:3e:38",
    "i40e 0000:01:00.0 em1: renamed from eth0",
    "bond0: (slave em1): Enslaving as an active interface",
];

pub(super) fn printk() -> Vec<Seed> {
    vec![("ring", ring()), ("records", records())]
}

/// A ring of 8 descriptors and 512 bytes of text.
fn ring() -> Vec<u8> {
    const DESCS: usize = 0x60;
    const INFOS: usize = 0x160;
    const DATA: usize = 0x440;
    let mut memory = Bytes(vec![0; DATA + 512]);
    let base = |at: usize| (BASE + at as u64).to_le_bytes();
    memory.put(0, &base(8));
    memory.put(8, &3u32.to_le_bytes());
    memory.put(16, &base(DESCS));
    memory.put(24, &base(INFOS));
    memory.put(32, &(TEXTS.len() as u64 - 1).to_le_bytes());
    memory.put(48, &9u32.to_le_bytes());
    memory.put(56, &base(DATA));
    let mut begin = 0usize;
    for (id, line) in TEXTS.iter().enumerate() {
        let next = begin + (8 + line.len()).next_multiple_of(8);
        let (desc, info) = (DESCS + id * 24, INFOS + id * 88);
        memory.put(desc, &(2u64 << 62 | id as u64).to_le_bytes());
        memory.put(desc + 8, &(begin as u64).to_le_bytes());
        memory.put(desc + 16, &(next as u64).to_le_bytes());
        memory.put(info, &(id as u64).to_le_bytes());
        memory.put(info + 8, &(id as u64 * 1_000_000).to_le_bytes());
        memory.put(info + 16, &(line.len() as u16).to_le_bytes());
        memory.put(info + 18, &[0, 6 << 5]);
        memory.put(info + 20, &1u32.to_le_bytes());
        memory.put(info + 24, b"pci");
        memory.put(info + 40, b"+pci:0000:01:00.0");
        memory.put(DATA + begin, &(id as u64).to_le_bytes());
        memory.put(DATA + begin + 8, line.as_bytes());
        begin = next;
    }
    let mut seed = format!("{RING}SYMBOL(prb)={BASE:x}\n\0").into_bytes();
    seed.extend(memory.0);
    seed
}

/// A buffer of 512 bytes that goes once round.
fn records() -> Vec<u8> {
    const BUFFER: usize = 0x20;
    const LEN: usize = 512;
    let mut memory = Bytes(vec![0; BUFFER + LEN]);
    let mut at = 64usize;
    memory.put(0, &(BASE + BUFFER as u64).to_le_bytes());
    memory.put(8, &(LEN as u32).to_le_bytes());
    memory.put(12, &(at as u32).to_le_bytes());
    let device = "SUBSYSTEM=pci\0DEVICE=+pci:0000:01:00.0";
    for line in TEXTS.iter().cycle().take(6) {
        let len = (16 + line.len() + device.len()).next_multiple_of(4);
        if at + len > LEN - 16 {
            // The rest is too short: a header of zeroes.
            at = 0;
            break;
        }
        let record = BUFFER + at;
        memory.put(record, &(at as u64 * 1_000_000).to_le_bytes());
        memory.put(record + 8, &(len as u16).to_le_bytes());
        memory.put(record + 10, &(line.len() as u16).to_le_bytes());
        memory.put(record + 12, &(device.len() as u16).to_le_bytes());
        memory.put(record + 14, &[0, 6 << 5 | 2]);
        memory.put(record + 16, line.as_bytes());
        memory.put(record + 16 + line.len(), device.as_bytes());
        at += len;
    }
    memory.put(16, &(at as u32).to_le_bytes());
    let mut seed = RECORDS.to_owned();
    let names = ["log_buf", "log_buf_len", "log_first_idx", "log_next_idx"];
    for (name, offset) in names.iter().zip([0, 8, 12, 16]) {
        seed.push_str(&format!("SYMBOL({name})={:x}\n", BASE + offset));
    }
    let mut seed = seed.into_bytes();
    seed.push(0);
    seed.extend(memory.0);
    seed
}

/// Changes of a sound machine: the way, lines of VMCOREINFO, and for each word how the
/// value is meant, frame, place, value.
fn changes(way: u8, lines: &str, words: &[(u8, u16, u16, u64)]) -> Vec<u8> {
    let mut seed = vec![way];
    seed.extend(lines.bytes());
    seed.push(0);
    for &(kind, frame, place, value) in words {
        seed.push(kind);
        seed.extend(frame.to_le_bytes());
        seed.extend(place.to_le_bytes());
        seed.extend(value.to_le_bytes());
    }
    seed
}

/// One of each kind.
fn of_each_kind() -> Vec<(u8, u16, u16, u64)> {
    let change = |kind: u8| {
        let number = u16::from(kind);
        (kind, 777 * number, 77 * number, 12_345 * u64::from(kind))
    };
    (0..4).map(change).collect()
}

const ALL_ONES: [(u8, u16, u16, u64); 2] = [(0, 50, 50, u64::MAX), (0, 500, 5, u64::MAX)];
const LINES: &str = "PAGESIZE=4096\nSIZE(page)=56\nOFFSET(page.lru)=16\nLENGTH(zone.free_area)=12\n\
    NUMBER(phys_base)=4096\nOFFSET(zone.vm_stat)=0\nNUMBER(PG_slab)=9\n";

pub(super) fn diagnose() -> Vec<Seed> {
    vec![
        ("sound", changes(1, "", &[])),
        ("quick", changes(0, "", &[(0, 1000, 0, 0)])),
        ("of-each-kind", changes(1, "", &of_each_kind())),
        ("all-ones", changes(1, "", &ALL_ONES)),
        ("vmcoreinfo", changes(1, LINES, &[])),
    ]
}

pub(super) fn walks() -> Vec<Seed> {
    vec![
        ("of-each-kind", changes(0, "", &of_each_kind())),
        ("all-ones", changes(0, "", &ALL_ONES)),
        ("opened-anew", changes(1, "", &of_each_kind())),
        ("vmcoreinfo", changes(1, LINES, &[])),
    ]
}

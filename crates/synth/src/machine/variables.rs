//! The kernel's image and its variables. Sizes of arrays follow from the
//! configuration: 64 nodes, 64 CPUs, 46 bits of physical addresses.

use std::ops::Range;

use super::addresses::{KERNEL_MAP, PAGE, page};
use super::build::Build;
use super::era::Era;
use super::{BUILD_ID, Options};

/// `_text` to `_end`.
pub(super) const IMAGE: Range<u64> = KERNEL_MAP + 0x100_0000..KERNEL_MAP + 0x180_0000;
/// Where read-only data, data, and data that are zero at first begin.
const RODATA: u64 = IMAGE.start + 0x20_0000;
const DATA: u64 = IMAGE.start + 0x40_0000;
const BSS: u64 = IMAGE.start + 0x60_0000;

/// CPUs of the machine.
pub(super) const CPUS: u64 = 2;
/// Bytes of a CPU's unit in the first chunk of per-CPU memory.
pub(super) const UNIT: u64 = 32 * PAGE;

/// `CONFIG_NODES_SHIFT` is 6.
pub(super) const MAX_NUMNODES: u64 = 64;
/// 2^(46 - 27).
pub(super) const SECTIONS: u64 = 1 << 19;
/// Room for `NR_SECTION_ROOTS` pointers.
pub(super) const SECTION_ROOTS: u64 = 4096;
/// `__LOG_BUF_LEN`; `CONFIG_LOG_BUF_SHIFT` is 14.
pub(super) const LOG_BUF_LEN: u64 = 1 << 14;

/// A symbol as `nm` tells it.
pub(super) struct Symbol {
    pub(super) kind: char,
    pub(super) name: String,
    pub(super) address: u64,
}

pub(super) struct Variables {
    pub(super) symbols: Vec<Symbol>,
    rodata: u64,
}

/// Data and zeroed data: kind, name, bytes, alignment.
const TABLE: [(char, &str, u64, u64); 31] = [
    // The root of the tables, by the name it has in this kernel.
    ('D', "", PAGE, PAGE),
    ('D', "level3_kernel_pgt", PAGE, PAGE),
    ('D', "level2_kernel_pgt", PAGE, PAGE),
    ('D', "level2_fixmap_pgt", PAGE, PAGE),
    ('D', "level1_fixmap_pgt", PAGE, PAGE),
    ('D', "init_task", 2 * PAGE, PAGE),
    ('D', "init_thread_union", 4 * PAGE, 4 * PAGE),
    ('d', "init_signals", 1024, 8),
    ('D', "init_uts_ns", 432, 32),
    ('D', "vmap_area_list", 16, 8),
    ('D', "pgd_list", 16, 8),
    ('D', "slab_caches", 16, 8),
    ('d', "modules", 16, 8),
    ('D', "nr_cpu_ids", 4, 4),
    ('D', "phys_base", 8, 8),
    ('d', "log_buf", 8, 8),
    ('d', "log_buf_len", 4, 4),
    ('D', "node_online_map", 8, 8),
    ('R', "__per_cpu_offset", 64 * 8, 64),
    ('B', "mem_section", SECTION_ROOTS * 8, 64),
    ('B', "node_data", MAX_NUMNODES * 8, 64),
    ('b', "log_first_seq", 8, 8),
    ('b', "log_first_idx", 4, 4),
    ('b', "log_next_seq", 8, 8),
    ('b', "log_next_idx", 4, 4),
    ('b', "clear_seq", 8, 8),
    ('b', "clear_idx", 4, 4),
    ('b', "__log_buf", LOG_BUF_LEN, 4),
    // Pointers, or the text itself.
    ('B', "vmcoreinfo_data", PAGE, 8),
    ('B', "vmcoreinfo_note", PAGE + 24, 8),
    // A variable that no kernel has, for pages that it alone names.
    ('b', "pages_of_variables", 4096, 8),
];

impl Variables {
    pub(super) fn new(era: &Era) -> Variables {
        let mut variables = Variables {
            symbols: Vec::new(),
            rodata: RODATA,
        };
        let (mut data, mut bss) = (DATA, BSS);
        for (kind, name, size, align) in TABLE {
            let section = match kind.to_ascii_lowercase() {
                'b' => &mut bss,
                _ => &mut data,
            };
            let address = section.next_multiple_of(align);
            *section = address + size;
            variables.add(kind, if name.is_empty() { era.root } else { name }, address);
        }
        for (kind, name, address) in [
            // Absolute on x86_64, where per-CPU addresses begin at 0.
            ('A', "__per_cpu_start", 0),
            ('A', "__per_cpu_end", UNIT),
            ('T', "_text", IMAGE.start),
            ('T', "_stext", IMAGE.start),
            ('T', "_etext", RODATA),
            ('D', "_sdata", DATA),
            ('B', "__bss_start", BSS),
            ('B', "_end", IMAGE.end),
        ] {
            variables.add(kind, name, address);
        }
        variables
    }

    pub(super) fn add(&mut self, kind: char, name: &str, address: u64) {
        self.symbols.push(Symbol {
            kind,
            name: name.to_owned(),
            address,
        });
    }

    pub(super) fn address(&self, name: &str) -> u64 {
        let symbol = self.symbols.iter().find(|symbol| symbol.name == name);
        symbol.expect("a variable that is placed").address
    }

    /// Those that were placed by name, in the order of addresses; not functions, of which
    /// a kernel has many.
    pub(super) fn all(&self) -> Vec<(String, u64)> {
        let named = self.symbols.iter();
        let named = named.filter(|symbol| !symbol.name.starts_with("function_"));
        let mut all: Vec<_> = named
            .map(|symbol| (symbol.name.clone(), symbol.address))
            .collect();
        all.sort_by_key(|(_, address)| *address);
        all
    }

    /// Room in read-only data.
    pub(super) fn constant(&mut self, size: usize) -> u64 {
        let address = self.rodata.next_multiple_of(8);
        self.rodata = address + size as u64;
        assert!(self.rodata <= DATA, "too much read-only data");
        address
    }

    /// Frames of the image.
    pub(super) fn frames() -> Range<u64> {
        (IMAGE.start - KERNEL_MAP) / PAGE..(IMAGE.end - KERNEL_MAP) / PAGE
    }
}

impl Build {
    /// A string in read-only data.
    pub(super) fn string(&mut self, text: &str) -> u64 {
        let address = self.variables.constant(text.len() + 1);
        self.write(address, text.as_bytes());
        address
    }

    /// `init_uts_ns`, `linux_banner` (`init/version.c`) and the notes: a reference count,
    /// then six names of 65 bytes (`struct new_utsname`).
    pub(super) fn name_kernel(&mut self, options: &Options) {
        let at = self.variables.address("init_uts_ns");
        self.write_u32(at, 2);
        for (index, name) in (0..).zip(options.uname()) {
            assert!(name.len() < 65, "{name}");
            self.write(at + 4 + 65 * index, name.as_bytes());
        }
        let banner = self.string(&format!("{}\n", options.banner_text()));
        self.variables.add('R', "linux_banner", banner);
        self.write_u64(self.variables.address("node_online_map"), 1);
        // Elf64_Nhdr with NT_GNU_BUILD_ID, its name, the id.
        let notes = self.variables.constant(36);
        self.write(notes, b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0");
        self.write(notes + 16, &BUILD_ID);
        self.variables.add('R', "__start_notes", notes);
        self.variables.add('R', "__stop_notes", notes + 36);
    }

    /// Pages that variables name, each second by its `struct page`.
    pub(super) fn hold(&mut self, count: u64) -> Vec<u64> {
        let at = self.variables.address("pages_of_variables");
        let hold = |index| {
            let pfn = self.single();
            for offset in (0..PAGE).step_by(8) {
                let word = self.random.next() >> 2;
                self.write_u64(self.era.direct(pfn) + offset, word);
            }
            let name = if index % 2 == 0 {
                page(pfn)
            } else {
                self.era.direct(pfn)
            };
            self.write_u64(at + index * 8, name);
            pfn
        };
        (0..count).map(hold).collect()
    }
}

impl Options {
    /// What `uname` prints of the machine.
    pub(super) fn uname(&self) -> [&str; 6] {
        let (release, version) = (&self.release, &self.version);
        ["Linux", "synth", release, version, "x86_64", "(none)"]
    }
}

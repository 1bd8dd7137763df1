//! `/proc/kcore` as the kernel writes it (fs/proc/kcore.c): headers at its begin, and
//! memory where its address in the kernel says.

use crate::bytes::{put_u16, put_u32, put_u64};
use crate::elf::put_phdr;
use crate::image::Machine;
use crate::notes::Note;

/// What kernels of an age put into the headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KcoreEra {
    /// 3.10 to 4.10: no segment has a physical address, `p_paddr` is 0.
    V3_10,
    /// 4.11 to 4.13: RAM has one, all else has -1; no VMCOREINFO note.
    V4_12,
    /// Since 4.14 the kernel's text has one, since 4.19 there is VMCOREINFO.
    V6_1,
}

/// A kernel's memory as kcore shows it, before it is written.
#[derive(Clone, Debug)]
pub struct Kcore {
    /// Whose headers.
    pub era: KcoreEra,
    /// Architecture.
    pub machine: Machine,
    /// Virtual address of physical 0.
    pub direct_map: u64,
    /// Physical address and size of each range of RAM, in whole pages, ascending.
    pub ram: Vec<(u64, u64)>,
    /// Virtual and physical address of `_text`, and the image's size.
    pub text: (u64, u64, u64),
    /// Where vmalloc memory begins, and its size.
    pub vmalloc: (u64, u64),
    /// Text of VMCOREINFO, for kernels that have it there.
    pub vmcoreinfo: String,
}

impl Kcore {
    /// An x86_64 machine of 2 MiB above a hole, without randomised addresses.
    pub fn new(era: KcoreEra) -> Self {
        Self {
            era,
            machine: Machine::X86_64,
            direct_map: 0xffff_8000_0000_0000,
            ram: vec![(0x1000, 0x9e000), (0x10_0000, 0x20_0000)],
            text: (0xffff_ffff_8110_0000, 0x11_0000, 0x4_0000),
            vmalloc: (0xffff_c900_0000_0000, 0x1fff_ffff_ffff),
            vmcoreinfo: "OSRELEASE=6.1.0\nPAGESIZE=4096\n".to_owned(),
        }
    }

    /// The headers, up to where memory can begin.
    pub fn headers(&self) -> Vec<u8> {
        let notes: Vec<u8> = self.notes().iter().flat_map(Note::bytes).collect();
        let loads = self.loads();
        let phnum = 1 + loads.len();
        let notes_at = 64 + 56 * phnum;
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        put_u16(&mut out, 16, 4); // ET_CORE
        let machine = match self.machine {
            Machine::X86_64 => 62,
            Machine::Aarch64 => 183,
        };
        put_u16(&mut out, 18, machine);
        put_u32(&mut out, 20, 1);
        put_u64(&mut out, 32, 64); // e_phoff
        put_u16(&mut out, 52, 64);
        put_u16(&mut out, 54, 56);
        put_u16(&mut out, 56, phnum as u16);
        out.resize(notes_at, 0);
        let note = [notes_at as u64, 0, 0, notes.len() as u64, 0];
        put_phdr(&mut out, 64, 4, note);
        for (index, (vaddr, paddr, size)) in loads.into_iter().enumerate() {
            let fields = [self.offset(vaddr), vaddr, paddr, size, size];
            put_phdr(&mut out, 64 + 56 * (index + 1), 1, fields);
        }
        out.extend(notes);
        out.resize(self.data_offset() as usize, 0);
        out
    }

    /// Where in the file the RAM at a physical address lies.
    pub fn offset_of(&self, paddr: u64) -> u64 {
        self.offset(self.direct_map.wrapping_add(paddr))
    }

    /// What `/proc/iomem` says of this machine.
    pub fn iomem(&self) -> String {
        let (_, text, size) = self.text;
        let mut iomem = String::new();
        for &(start, size_of_ram) in &self.ram {
            let end = start + size_of_ram;
            iomem += &format!("{start:08x}-{:08x} : System RAM\n", end - 1);
            if (start..end).contains(&text) {
                iomem += &format!("  {text:08x}-{:08x} : Kernel code\n", text + size / 2 - 1);
            }
            iomem += &format!("{end:08x}-{end:08x} : Reserved\n");
        }
        iomem
    }

    fn notes(&self) -> Vec<Note> {
        let note = |name: &str, kind, desc| Note {
            name: name.to_owned(),
            kind,
            desc,
        };
        let prstatus = match self.machine {
            Machine::X86_64 => 336,
            Machine::Aarch64 => 392,
        };
        let mut notes = vec![
            note("CORE", 1, vec![0; prstatus]),
            note("CORE", 3, vec![0; 136]),
            // NT_TASKSTRUCT: the reader's own.
            note("CORE", 4, vec![0x7a; 8392]),
        ];
        if self.era == KcoreEra::V6_1 {
            notes.push(note("VMCOREINFO", 0, self.vmcoreinfo.clone().into_bytes()));
        }
        notes
    }

    /// Virtual and physical address and size of each segment: text, vmalloc, modules,
    /// then each range of RAM with its piece of the vmemmap.
    fn loads(&self) -> Vec<(u64, u64, u64)> {
        let none = match self.era {
            KcoreEra::V3_10 => 0,
            _ => u64::MAX,
        };
        let (vaddr, paddr, size) = self.text;
        let text = match self.era {
            KcoreEra::V6_1 => paddr,
            _ => none,
        };
        let mut loads = vec![
            (vaddr, text, size),
            (self.vmalloc.0, none, self.vmalloc.1),
            (0xffff_ffff_c000_0000, none, 0x3f00_0000),
        ];
        for &(start, size) in &self.ram {
            let paddr = match self.era {
                KcoreEra::V3_10 => 0,
                _ => start,
            };
            loads.push((self.direct_map.wrapping_add(start), paddr, size));
            let vmemmap = 0xffff_ea00_0000_0000 + (start >> 12 << 6);
            loads.push((vmemmap, none, (size >> 12 << 6).next_multiple_of(0x1000)));
        }
        loads
    }

    /// `kc_vaddr_to_offset` plus the length of the headers.
    fn offset(&self, vaddr: u64) -> u64 {
        let within = match self.machine {
            Machine::X86_64 => vaddr & ((1 << 47) - 1),
            Machine::Aarch64 => vaddr.wrapping_sub(self.direct_map),
        };
        within.wrapping_add(self.data_offset())
    }

    fn data_offset(&self) -> u64 {
        let notes: usize = self.notes().iter().map(|note| note.bytes().len()).sum();
        let headers = 64 + 56 * (1 + self.loads().len()) + notes;
        headers.next_multiple_of(4096) as u64
    }
}

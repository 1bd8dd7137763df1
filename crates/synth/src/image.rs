//! The memory of a machine, before it is written in any format.

use std::collections::BTreeMap;

use crate::notes::Note;

/// Architecture of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// AMD64 / Intel 64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

/// What becomes of a page.
#[derive(Clone)]
pub(crate) enum Page {
    /// Written.
    Present(Vec<u8>),
    /// The machine had it, the dump leaves it out.
    Excluded,
    /// Listed as dumped, but never written (an incomplete dump).
    Lost,
}

/// The memory of a machine and what a dump says of it.
#[derive(Clone)]
pub struct Image {
    pub(crate) page_size: usize,
    pub(crate) machine: Machine,
    pub(crate) pages: BTreeMap<u64, Page>,
    pub(crate) vmcoreinfo: Option<Vec<u8>>,
    pub(crate) erased: Option<String>,
    pub(crate) notes: Vec<Note>,
    /// sysname, nodename, release, version, machine, domainname.
    pub(crate) utsname: [String; 6],
    pub(crate) dump_level: i32,
    pub(crate) phys_base: i64,
    pub(crate) captured_at: i64,
    pub(crate) end_pfn: Option<u64>,
    pub(crate) direct_map: u64,
}

impl Image {
    /// An x86_64 machine without memory. `page_size` is in bytes, a power of two.
    pub fn new(page_size: usize) -> Self {
        assert!(page_size.is_power_of_two(), "page size {page_size}");
        Self {
            page_size,
            machine: Machine::X86_64,
            pages: BTreeMap::new(),
            vmcoreinfo: None,
            erased: None,
            notes: Vec::new(),
            utsname: ["Linux", "synth", "6.1.0", "#1 SMP", "x86_64", "(none)"].map(str::to_owned),
            dump_level: 0,
            phys_base: 0,
            captured_at: 0,
            end_pfn: None,
            direct_map: 0xffff_8880_0000_0000,
        }
    }

    /// Sets the architecture, and `utsname.machine` with it.
    #[must_use]
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = machine;
        self.utsname[4] = match machine {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
        }
        .to_owned();
        self
    }

    /// A page with these bytes, zeroes after them.
    #[must_use]
    pub fn page(mut self, pfn: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.set_page(pfn, bytes);
        self
    }

    /// The same machine with nothing left out: what was is filled with text.
    #[must_use]
    pub fn whole(mut self) -> Self {
        let left_out = self
            .pages
            .iter()
            .filter(|(_, page)| matches!(page, Page::Excluded));
        let left_out: Vec<u64> = left_out.map(|(&pfn, _)| pfn).collect();
        for pfn in left_out {
            let text = format!("frame {pfn} holds nothing of note; ");
            self.set_page(pfn, text.repeat(self.page_size / text.len()));
        }
        self
    }

    /// A page of zeroes.
    #[must_use]
    pub fn zero(self, pfn: u64) -> Self {
        self.page(pfn, [])
    }

    /// A page that the machine had and the dump leaves out.
    #[must_use]
    pub fn excluded(mut self, pfn: u64) -> Self {
        self.set_excluded(pfn);
        self
    }

    /// A page that the dump lists and lost. ELF cores cannot say this: there
    /// the page is a hole.
    #[must_use]
    pub fn lost(mut self, pfn: u64) -> Self {
        self.pages.insert(pfn, Page::Lost);
        self
    }

    /// [`page`](Self::page) for loops.
    pub fn set_page(&mut self, pfn: u64, bytes: impl Into<Vec<u8>>) {
        let mut bytes = bytes.into();
        assert!(
            bytes.len() <= self.page_size,
            "{} bytes in a page",
            bytes.len()
        );
        bytes.resize(self.page_size, 0);
        self.pages.insert(pfn, Page::Present(bytes));
    }

    /// [`excluded`](Self::excluded) for loops.
    pub fn set_excluded(&mut self, pfn: u64) {
        self.pages.insert(pfn, Page::Excluded);
    }

    /// Writes `bytes` at a physical address, across pages; pages that are not
    /// present become present, zero where nothing is written.
    pub fn write(&mut self, paddr: u64, bytes: &[u8]) {
        let size = self.page_size;
        let mut at = paddr;
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = (at % size as u64) as usize;
            let (part, tail) = rest.split_at(rest.len().min(size - offset));
            self.present_page(at / size as u64)[offset..offset + part.len()].copy_from_slice(part);
            at += part.len() as u64;
            rest = tail;
        }
    }

    /// Writes a little-endian `u64` at a physical address.
    pub fn write_u64(&mut self, paddr: u64, value: u64) {
        self.write(paddr, &value.to_le_bytes());
    }

    /// Writes a little-endian `u32` at a physical address.
    pub fn write_u32(&mut self, paddr: u64, value: u32) {
        self.write(paddr, &value.to_le_bytes());
    }

    /// The bytes of a page, made present if it was not.
    pub fn present_page(&mut self, pfn: u64) -> &mut [u8] {
        let zero = || Page::Present(vec![0; self.page_size]);
        let page = self.pages.entry(pfn).or_insert_with(zero);
        if !matches!(page, Page::Present(_)) {
            *page = zero();
        }
        match page {
            Page::Present(bytes) => bytes,
            Page::Excluded | Page::Lost => unreachable!("made present above"),
        }
    }

    /// The frames above all pages, where the dump claims more than the last page.
    #[must_use]
    pub fn end_pfn(mut self, pfn: u64) -> Self {
        self.end_pfn = Some(pfn);
        self
    }

    /// Where the kernel maps frame 0 [default: that of x86_64 since 4.20]. ELF cores only.
    #[must_use]
    pub fn direct_map(mut self, address: u64) -> Self {
        self.direct_map = address;
        self
    }

    /// The text of the VMCOREINFO note.
    #[must_use]
    pub fn vmcoreinfo(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.vmcoreinfo = Some(text.into());
        self
    }

    /// What makedumpfile was told to erase.
    #[must_use]
    pub fn erased(mut self, text: &str) -> Self {
        self.erased = Some(text.to_owned());
        self
    }

    /// An ELF note, before the VMCOREINFO note.
    #[must_use]
    pub fn note(mut self, name: &str, kind: u32, desc: impl Into<Vec<u8>>) -> Self {
        self.notes.push(Note {
            name: name.to_owned(),
            kind,
            desc: desc.into(),
        });
        self
    }

    /// sysname, nodename, release, version, machine, domainname; each shorter
    /// than 65 bytes. Kdumps only.
    #[must_use]
    pub fn utsname(mut self, fields: [&str; 6]) -> Self {
        self.utsname = fields.map(str::to_owned);
        self
    }

    /// `makedumpfile -d`. Kdumps only.
    #[must_use]
    pub fn dump_level(mut self, level: i32) -> Self {
        self.dump_level = level;
        self
    }

    /// `phys_base`. Kdumps only.
    #[must_use]
    pub fn phys_base(mut self, phys_base: i64) -> Self {
        self.phys_base = phys_base;
        self
    }

    /// Seconds since 1970. Kdumps only.
    #[must_use]
    pub fn captured_at(mut self, seconds: i64) -> Self {
        self.captured_at = seconds;
        self
    }

    /// The first frame above all others.
    pub(crate) fn end(&self) -> u64 {
        let last = self.pages.last_key_value().map_or(0, |(pfn, _)| pfn + 1);
        self.end_pfn.unwrap_or(last).max(last)
    }

    /// All notes, VMCOREINFO last.
    pub(crate) fn all_notes(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        if let Some(text) = &self.vmcoreinfo {
            notes.push(Note {
                name: "VMCOREINFO".to_owned(),
                kind: 0,
                desc: text.clone(),
            });
        }
        notes
    }
}

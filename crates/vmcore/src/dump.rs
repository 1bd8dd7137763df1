//! What a container says besides its pages.

use crate::{Note, PhysAddr, PhysicalMemory, VirtAddr};

/// The container a dump came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// ELF core (`/proc/vmcore`, QEMU `dump-guest-memory`).
    Elf,
    /// Compressed kdump (`makedumpfile`, QEMU), header version as found.
    Kdump,
    /// Compressed kdump inside makedumpfile's flattened stream.
    FlattenedKdump,
    /// ELF core inside makedumpfile's flattened stream.
    FlattenedElf,
    /// LiME's ranges behind headers (AVML writes it too, uncompressed).
    Lime,
    /// AVML's compressed ranges.
    Avml,
    /// Bytes of memory where an offset is a physical address.
    Raw,
    /// No dump: the memory of the host this runs on (`/proc/kcore`).
    Live,
}

impl Format {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Format::Elf => "elf",
            Format::Kdump => "kdump",
            Format::FlattenedKdump => "kdump-flattened",
            Format::FlattenedElf => "elf-flattened",
            Format::Lime => "lime",
            Format::Avml => "avml",
            Format::Raw => "raw",
            Format::Live => "live",
        }
    }
}

/// Processor architecture of the dumped machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// AMD64 / Intel 64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Machine {
    /// Name as `uname -m` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
        }
    }
}

/// `struct new_utsname` as strings; of a kdump header, empty where the writer
/// left them so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "names of struct new_utsname")]
pub struct Utsname {
    pub sysname: String,
    pub nodename: String,
    pub release: String,
    pub version: String,
    pub machine: String,
    pub domainname: String,
}

/// One `PT_LOAD` of an ELF core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoadSegment {
    /// Virtual address; equals `paddr` in QEMU's dumps, where it says nothing.
    pub vaddr: VirtAddr,
    /// Physical address.
    pub paddr: PhysAddr,
    /// Bytes in memory.
    pub memsz: u64,
    /// Bytes in the file.
    pub filesz: u64,
    /// Where in the file they begin.
    pub offset: u64,
}

/// What a container says besides its pages.
#[derive(Clone, Debug)]
pub struct DumpInfo {
    /// The container.
    pub format: Format,
    /// Length of the file, or of all files that were given, in bytes; of a live host,
    /// of its memory.
    pub file_bytes: u64,
    /// Architecture, where the container names it.
    pub machine: Option<Machine>,
    /// Text of the VMCOREINFO note, if there is one.
    pub vmcoreinfo: Option<Vec<u8>>,
    /// All ELF notes, VMCOREINFO among them, in file order.
    pub notes: Vec<Note>,
    /// Identity from the kdump header.
    pub utsname: Option<Utsname>,
    /// `makedumpfile -d` level, where recorded.
    pub dump_level: Option<u32>,
    /// `phys_base` from the kdump sub-header; 0 there may mean "not known".
    pub phys_base: Option<i64>,
    /// ELF program headers; empty for other containers.
    pub segments: Vec<LoadSegment>,
    /// Seconds since 1970 at which the dump was written, where recorded.
    pub captured_at: Option<i64>,
    /// The container says of itself that it is incomplete, or its file is
    /// shorter than its tables say.
    pub incomplete: bool,
    /// What lies between the stored ranges is memory of zeroes, or no memory of the
    /// machine: the container does not tell the two apart (AVML). Both are counted
    /// as excluded.
    pub gaps_are_zeroes_or_no_memory: bool,
    /// The dump is split (`makedumpfile --split`), and pages are in files that were
    /// not given.
    pub missing_parts: bool,
    /// What makedumpfile was told to erase, a line each, as it wrote them; what was
    /// there reads as `X`.
    pub erased: Vec<String>,
    /// Why some pages may have the content of others, a sentence: the container says of
    /// them what cannot be.
    pub contradiction: Option<String>,
    /// Things worth telling the user, a sentence each; a contradiction among them.
    pub warnings: Vec<String>,
}

impl DumpInfo {
    /// Of a container that says nothing of itself.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            file_bytes: 0,
            machine: None,
            vmcoreinfo: None,
            notes: Vec::new(),
            utsname: None,
            dump_level: None,
            phys_base: None,
            segments: Vec::new(),
            captured_at: None,
            incomplete: false,
            gaps_are_zeroes_or_no_memory: false,
            missing_parts: false,
            erased: Vec::new(),
            contradiction: None,
            warnings: Vec::new(),
        }
    }

    /// Whether pages that hold nothing but zeroes may have been left out. Of
    /// what the kernel has for itself no other pages are: makedumpfile leaves
    /// out, besides, what processes, the page cache and the allocator's free
    /// lists have. Its ELF files do not record the level; there pages left out
    /// are the rest of a segment that goes on in memory but not in the file.
    pub fn leaves_out_zeroes(&self) -> bool {
        let shortened = |segment: &LoadSegment| (1..segment.memsz).contains(&segment.filesz);
        self.gaps_are_zeroes_or_no_memory
            || self.dump_level.is_some_and(|level| level & 1 != 0)
            || self.segments.iter().any(shortened)
    }
}

/// An open dump.
pub struct Dump {
    /// What the container says besides its pages.
    pub info: DumpInfo,
    /// The pages.
    pub memory: Box<dyn PhysicalMemory>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(level: Option<u32>, sizes: &[(u64, u64)]) -> DumpInfo {
        let segment = |&(filesz, memsz): &(u64, u64)| LoadSegment {
            vaddr: VirtAddr(0),
            paddr: PhysAddr(0),
            memsz,
            filesz,
            offset: 0,
        };
        DumpInfo {
            dump_level: level,
            segments: sizes.iter().map(segment).collect(),
            ..DumpInfo::new(Format::Elf)
        }
    }

    #[test]
    fn zeroes_are_left_out_at_odd_levels_and_behind_the_stored_part_of_a_segment() {
        for (level, zeroes) in [(0, false), (1, true), (16, false), (30, false), (31, true)] {
            assert_eq!(info(Some(level), &[]).leaves_out_zeroes(), zeroes);
        }
        assert!(!info(None, &[(4096, 4096)]).leaves_out_zeroes());
        assert!(info(None, &[(4096, 4096), (4096, 1 << 20)]).leaves_out_zeroes());
        // QEMU has nothing at all of memory it did not save.
        assert!(!info(None, &[(0, 1 << 20), (4096, 4096)]).leaves_out_zeroes());
    }
}

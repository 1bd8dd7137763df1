//! Memory made of an input.

use std::collections::BTreeMap;

use pagehound_kernel::{VirtFault, VirtualRead};
use pagehound_vmcore::{
    Coverage, DumpInfo, Fault, FaultReason, Format, Machine, PageState, Pfn, PfnRange,
    PhysicalMemory, VirtAddr,
};

/// Some frames; all others are absent.
pub(crate) struct Frames {
    shift: u32,
    frames: BTreeMap<u64, Vec<u8>>,
}

impl Frames {
    pub(crate) fn new(shift: u32) -> Frames {
        Frames {
            shift,
            frames: BTreeMap::new(),
        }
    }

    /// The bytes from frame 0 on, the last frame filled with zeroes.
    pub(crate) fn of_bytes(shift: u32, bytes: &[u8]) -> Frames {
        let mut frames = Frames::new(shift);
        for (pfn, part) in (0..).zip(bytes.chunks(1 << shift)) {
            frames.frame(pfn)[..part.len()].copy_from_slice(part);
        }
        frames
    }

    /// A frame, which comes into being.
    pub(crate) fn frame(&mut self, pfn: u64) -> &mut [u8] {
        let size = 1 << self.shift;
        self.frames.entry(pfn).or_insert_with(|| vec![0; size])
    }

    /// Writes a word of a frame; one that would lie beyond it lies at its end.
    pub(crate) fn write_u64(&mut self, pfn: u64, index: usize, word: u64) {
        let words = (1 << self.shift) / 8;
        let at = (index % words) * 8;
        self.frame(pfn)[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}

impl PhysicalMemory for Frames {
    fn page_shift(&self) -> u32 {
        self.shift
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.frames.keys().next_back().map_or(0, |last| last + 1))
    }

    fn state(&self, pfn: Pfn) -> PageState {
        match self.frames.contains_key(&pfn.0) {
            true => PageState::Present,
            false => PageState::Absent,
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        let bytes = self.frames.get(&pfn.0).ok_or(Fault {
            addr: pfn.addr(self.shift),
            reason: FaultReason::Absent,
        })?;
        page.copy_from_slice(bytes);
        Ok(())
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let one = |&pfn: &u64| PfnRange {
            start: Pfn(pfn),
            end: Pfn(pfn + 1),
        };
        self.frames.keys().map(one).collect()
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            present: self.frames.len() as u64,
            ..Coverage::default()
        }
    }
}

/// Bytes by virtual address; all other addresses are not mapped.
pub(crate) struct Virtual<'a> {
    pub(crate) base: u64,
    pub(crate) bytes: &'a [u8],
}

impl Virtual<'_> {
    /// The first address beyond the bytes.
    pub(crate) fn end(&self) -> VirtAddr {
        VirtAddr(self.base + self.bytes.len() as u64)
    }
}

impl VirtualRead for Virtual<'_> {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
        let from = usize::try_from(addr.0.wrapping_sub(self.base)).unwrap_or(usize::MAX);
        let bytes = self
            .bytes
            .get(from..)
            .and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(VirtFault::NotMapped(addr))?);
        Ok(())
    }
}

/// What a container says that knows no more than this.
pub(crate) fn dump_of(machine: Option<Machine>) -> DumpInfo {
    DumpInfo {
        machine,
        ..DumpInfo::new(Format::Elf)
    }
}

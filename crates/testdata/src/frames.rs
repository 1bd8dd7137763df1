//! Memory made by hand.

use std::collections::BTreeMap;

use pagehound_vmcore::{Coverage, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory};

/// Some frames; all others are absent.
pub struct Frames {
    shift: u32,
    frames: BTreeMap<u64, Vec<u8>>,
}

impl Frames {
    /// No frames, of pages of so many bytes (log2).
    pub fn new(shift: u32) -> Frames {
        Frames {
            shift,
            frames: BTreeMap::new(),
        }
    }

    /// The bytes from frame 0 on, the last frame filled with zeroes.
    pub fn of_bytes(shift: u32, bytes: &[u8]) -> Frames {
        let mut frames = Frames::new(shift);
        for (pfn, part) in (0..).zip(bytes.chunks(1 << shift)) {
            frames.frame(pfn)[..part.len()].copy_from_slice(part);
        }
        frames
    }

    /// A frame, which comes into being.
    pub fn frame(&mut self, pfn: u64) -> &mut [u8] {
        let size = 1 << self.shift;
        self.frames.entry(pfn).or_insert_with(|| vec![0; size])
    }

    /// Writes a word at a physical address; its frame comes into being with it. One that
    /// would lie beyond the frame panics.
    pub fn write(&mut self, addr: u64, word: u64) {
        let at = addr as usize % (1 << self.shift);
        self.frame(addr >> self.shift)[at..at + 8].copy_from_slice(&word.to_le_bytes());
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

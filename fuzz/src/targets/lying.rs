//! Machines whose memory lies: an input is a list of words that are there instead of
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pagehound_vmcore::{Coverage, Dump, DumpInfo, Fault, PageState, Pfn, PfnRange, PhysicalMemory};

use crate::input::Input;

/// Most words changed: more of them hide each other.
const WORDS: usize = 32;

/// A sound machine that can be made to lie.
pub(crate) struct Machine {
    info: DumpInfo,
    memory: Arc<Memory>,
    /// Frames of interest, with the offsets of words that are set.
    frames: Vec<(u64, Vec<u16>)>,
    /// What pointers in them point to.
    pointers: Vec<u64>,
}

impl Machine {
    pub(crate) fn of(dump: Dump) -> Machine {
        let memory = Arc::new(Memory {
            sound: dump.memory,
            words: RwLock::default(),
            read: Mutex::default(),
        });
        Machine {
            info: dump.info,
            memory,
            frames: Vec::new(),
            pointers: Vec::new(),
        }
    }

    /// Its dump, with these lines in front of its VMCOREINFO, where they count.
    pub(crate) fn dump(&self, lines: &[u8]) -> Dump {
        let mut info = self.info.clone();
        if let Some(text) = &mut info.vmcoreinfo {
            text.splice(..0, lines.iter().copied());
        }
        Dump {
            info,
            memory: Box::new(Lying(Arc::clone(&self.memory))),
        }
    }

    /// Lets words of those frames be changed that have been read by themselves until
    /// now: of what only passes over all memory read, there is too much.
    pub(crate) fn learn(&mut self) {
        let memory = &self.memory;
        let read = std::mem::take(&mut *memory.read.lock().unwrap_or_else(PoisonError::into_inner));
        let mut page = vec![0; memory.sound.page_size()];
        for pfn in read {
            if memory.sound.read_page(Pfn(pfn), &mut page).is_err() {
                continue;
            }
            let mut set = Vec::new();
            for (offset, word) in (0..).step_by(8).zip(page.as_chunks().0) {
                let word = u64::from_le_bytes(*word);
                if word != 0 {
                    set.push(offset);
                }
                if word >> 47 == u64::MAX >> 47 {
                    self.pointers.push(word);
                }
            }
            if !set.is_empty() {
                self.frames.push((pfn, set));
            }
        }
        self.pointers.sort_unstable();
        self.pointers.dedup();
        assert!(!self.frames.is_empty() && !self.pointers.is_empty());
    }

    /// From now on the words that the input has are in memory.
    pub(crate) fn lie(&self, input: &mut Input<'_>) {
        let mut words = Words::new();
        for (pfn, offset, word) in std::iter::from_fn(|| self.change(input)).take(WORDS) {
            words.entry(pfn).or_default().push((offset, word));
        }
        let mut told = self.memory.words.write();
        *told.as_deref_mut().expect("a lock") = words;
    }

    /// The next word of the input: frame, offset, and what is there. It begins with
    /// how the value is meant, the frame and the place in it.
    fn change(&self, input: &mut Input<'_>) -> Option<(u64, usize, u64)> {
        let (kind, frame, place) = (input.u8()?, input.u16()?, input.u16()?);
        let value = input.u64()?;
        let (pfn, set) = self.frames.get(usize::from(frame) % self.frames.len())?;
        let offset = usize::from(*set.get(usize::from(place) % set.len())?);
        let pointer = |index: u64| self.pointers.get(index as usize % self.pointers.len());
        let word = match kind % 4 {
            0 => value,
            1 => value & 0xffff,
            2 => *pointer(value)?,
            // Beside what it points to.
            _ => {
                let beside = (value & 0xffff).wrapping_sub(1 << 15);
                pointer(value >> 16)?.wrapping_add(beside)
            }
        };
        Some((*pfn, offset, word))
    }
}

/// By frame: where in it, and what is there.
type Words = BTreeMap<u64, Vec<(usize, u64)>>;

struct Memory {
    sound: Box<dyn PhysicalMemory>,
    words: RwLock<Words>,
    /// Frames that were read by themselves.
    read: Mutex<BTreeSet<u64>>,
}

struct Lying(Arc<Memory>);

impl PhysicalMemory for Lying {
    fn page_shift(&self) -> u32 {
        self.0.sound.page_shift()
    }

    fn end_pfn(&self) -> Pfn {
        self.0.sound.end_pfn()
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.0.sound.state(pfn)
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        let Memory { sound, words, read } = &*self.0;
        read.lock().expect("a lock").insert(pfn.0);
        sound.read_page(pfn, page)?;
        for &(offset, word) in words
            .read()
            .expect("a lock")
            .get(&pfn.0)
            .into_iter()
            .flatten()
        {
            page[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        let Memory { sound, words, .. } = &*self.0;
        let read = sound.read_pages(first, pages);
        let size = sound.page_size();
        let end = first.0 + (pages.len() / size) as u64;
        for (pfn, words) in words.read().expect("a lock").range(first.0..end) {
            let from = (pfn - first.0) as usize * size;
            for &(offset, word) in words {
                let at = from + offset;
                pages[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        read
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        self.0.sound.present_runs()
    }

    fn coverage(&self) -> Coverage {
        self.0.sound.coverage()
    }
}

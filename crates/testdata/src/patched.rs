//! Real memory, broken on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pagehound_vmcore::{
    Coverage, Dump, Fault, FaultReason, PageState, Pfn, PfnRange, PhysAddr, PhysicalMemory, open,
};

/// What to break in a dump.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// Words and what is there instead; one that would cross a page of 4 KiB
    /// is put at the page's end.
    pub words: Vec<(PhysAddr, u64)>,
    /// Frames that cannot be read, as the container knows.
    pub unreadable: BTreeSet<Pfn>,
    /// Frames whose data turns out to be broken when it is read.
    pub broken: BTreeSet<Pfn>,
}

impl Damage {
    /// Words and what is there instead.
    pub fn words(words: &[(PhysAddr, u64)]) -> Damage {
        Damage {
            words: words.to_vec(),
            ..Damage::default()
        }
    }

    /// Opens the dump at `path` with this damage done to it.
    ///
    /// # Panics
    ///
    /// If the dump cannot be opened.
    pub fn open(&self, path: &Path) -> Dump {
        let dump = open(path).expect("a sound dump");
        let mut words: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
        for &(at, value) in &self.words {
            let offset = (at.0 % 4096).min(4088) as usize;
            words.entry(at.0 >> 12).or_default().push((offset, value));
        }
        Dump {
            info: dump.info,
            memory: Box::new(Patched {
                inner: dump.memory,
                words,
                unreadable: self.unreadable.clone(),
                broken: self.broken.clone(),
            }),
        }
    }
}

struct Patched {
    inner: Box<dyn PhysicalMemory>,
    /// By frame: offsets and what is there instead.
    words: BTreeMap<u64, Vec<(usize, u64)>>,
    unreadable: BTreeSet<Pfn>,
    broken: BTreeSet<Pfn>,
}

impl Patched {
    fn is_lost(&self, pfn: Pfn) -> bool {
        self.unreadable.contains(&pfn) || self.broken.contains(&pfn)
    }
}

impl PhysicalMemory for Patched {
    fn page_shift(&self) -> u32 {
        self.inner.page_shift()
    }

    fn end_pfn(&self) -> Pfn {
        self.inner.end_pfn()
    }

    fn state(&self, pfn: Pfn) -> PageState {
        match self.unreadable.contains(&pfn) {
            true => PageState::Unreadable,
            false => self.inner.state(pfn),
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        if self.is_lost(pfn) {
            let reason = FaultReason::Unreadable("damaged for a test".into());
            let addr = pfn.addr(self.page_shift());
            return Err(Fault { addr, reason });
        }
        self.inner.read_page(pfn, page)?;
        for &(offset, word) in self.words.get(&pfn.0).into_iter().flatten() {
            page[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        match self.words.contains_key(&pfn.0) || self.is_lost(pfn) {
            true => None,
            false => self.inner.page_slice(pfn),
        }
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        self.inner.present_runs()
    }

    fn coverage(&self) -> Coverage {
        self.inner.coverage()
    }
}

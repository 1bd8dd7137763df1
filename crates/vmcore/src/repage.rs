//! Memory in pages of another size than its container's.
//!
//! A container's block is not always the kernel's page: QEMU dumps arm64 guests
//! in blocks of 64 KiB whatever their kernel uses, and an ELF core says nothing
//! of page sizes at all. Frame numbers mean the kernel's pages everywhere else,
//! so the two are reconciled here.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Coverage, Fault, FaultReason, PageState, Pfn, PfnRange, PhysicalMemory};

/// Pages of `shift` that are smaller than those of `inner`.
struct Smaller {
    inner: Box<dyn PhysicalMemory>,
    shift: u32,
    /// log2 of pages an inner page.
    ratio: u32,
    /// Tells this memory's blocks from others' in [`LAST`].
    id: u64,
}

/// The inner page read last: its neighbours are usually read next.
#[derive(Default)]
struct LastBlock {
    key: Option<(u64, Pfn)>,
    bytes: Vec<u8>,
}

thread_local! {
    static LAST: RefCell<LastBlock> = RefCell::default();
}

/// `memory` in pages of `1 << shift` bytes; unchanged where they are not smaller
/// than its own.
pub(crate) fn in_pages_of(memory: Box<dyn PhysicalMemory>, shift: u32) -> Box<dyn PhysicalMemory> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    match memory.page_shift().checked_sub(shift) {
        None | Some(0) => memory,
        Some(ratio) => Box::new(Smaller {
            inner: memory,
            shift,
            ratio,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        }),
    }
}

impl Smaller {
    fn outer(&self, pfn: Pfn) -> Pfn {
        Pfn(pfn.0 >> self.ratio)
    }

    /// Where the page lies in its inner page.
    fn offset(&self, pfn: Pfn) -> usize {
        let index = pfn.0 & ((1 << self.ratio) - 1);
        (index as usize) << self.shift
    }

    fn part<'a>(&self, pfn: Pfn, block: &'a [u8]) -> Option<&'a [u8]> {
        block.get(self.offset(pfn)..)?.get(..self.page_size())
    }
}

impl LastBlock {
    /// The bytes of inner page `pfn`, read unless they are here already.
    fn load(&mut self, memory: &Smaller, pfn: Pfn) -> Result<&[u8], Fault> {
        let key = Some((memory.id, pfn));
        if self.key != key {
            self.key = None;
            self.bytes.resize(memory.inner.page_size(), 0);
            memory.inner.read_page(pfn, &mut self.bytes)?;
            self.key = key;
        }
        Ok(&self.bytes)
    }
}

impl PhysicalMemory for Smaller {
    fn page_shift(&self) -> u32 {
        self.shift
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.inner.end_pfn().0 << self.ratio)
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.inner.state(self.outer(pfn))
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        let addr = pfn.addr(self.shift);
        LAST.with_borrow_mut(|last| {
            let block = last
                .load(self, self.outer(pfn))
                .map_err(|fault| Fault { addr, ..fault })?;
            let part = self
                .part(pfn, block)
                .filter(|part| part.len() == page.len());
            let part = part.ok_or_else(|| Fault {
                addr,
                reason: FaultReason::Unreadable("the buffer is not a page long".to_owned()),
            })?;
            page.copy_from_slice(part);
            Ok(())
        })
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        self.part(pfn, self.inner.page_slice(self.outer(pfn))?)
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let scale = |pfn: Pfn| Pfn(pfn.0 << self.ratio);
        let runs = self.inner.present_runs();
        runs.into_iter()
            .map(|run| PfnRange {
                start: scale(run.start),
                end: scale(run.end),
            })
            .collect()
    }

    fn index_bytes(&self) -> u64 {
        self.inner.index_bytes()
    }

    fn coverage(&self) -> Coverage {
        let Coverage {
            present,
            excluded,
            absent,
            unreadable,
        } = self.inner.coverage();
        Coverage {
            present: present << self.ratio,
            excluded: excluded << self.ratio,
            absent: absent << self.ratio,
            unreadable: unreadable << self.ratio,
        }
    }
}

//! A bit a frame, set from many threads.

use std::sync::atomic::{AtomicU64, Ordering};

use pagehound_vmcore::Pfn;

/// A bit a frame. Orders are relaxed: bits are only read after the threads
/// that set them have been joined, or where a lost race costs nothing.
#[derive(Debug)]
pub(crate) struct Bits {
    words: Vec<AtomicU64>,
}

impl Bits {
    pub(crate) fn new(end: Pfn) -> Bits {
        Bits {
            words: (0..end.0.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Sets the bit of `pfn`; `true` if it was clear before. Frames beyond the
    /// end are ignored.
    pub(crate) fn set(&self, pfn: Pfn) -> bool {
        let mask = 1 << (pfn.0 % 64);
        self.words
            .get((pfn.0 / 64) as usize)
            .is_some_and(|word| word.fetch_or(mask, Ordering::Relaxed) & mask == 0)
    }

    pub(crate) fn get(&self, pfn: Pfn) -> bool {
        self.words
            .get((pfn.0 / 64) as usize)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (pfn.0 % 64) & 1 == 1)
    }
}

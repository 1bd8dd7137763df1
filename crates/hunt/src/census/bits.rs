//! A bit a frame or a bit an object, set from many threads.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use pagehound_vmcore::Pfn;
use zerocopy::FromZeros;

/// What bits are numbered by.
pub(crate) trait Number: Copy {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

impl Number for Pfn {
    fn number(self) -> u64 {
        self.0
    }

    fn of(number: u64) -> Pfn {
        Pfn(number)
    }
}

impl Number for u64 {
    fn number(self) -> u64 {
        self
    }

    fn of(number: u64) -> u64 {
        number
    }
}

/// A bit for each number below an end. Orders are relaxed: bits are only read
/// after the threads that set them have been joined, or where a lost race costs
/// nothing.
#[derive(Debug)]
pub(crate) struct Bits<N = Pfn> {
    words: Vec<AtomicU64>,
    numbers: PhantomData<fn(N)>,
}

impl<N: Number> Bits<N> {
    pub(crate) fn new(end: N) -> Bits<N> {
        Bits {
            words: zeroes(end.number().div_ceil(64) as usize),
            numbers: PhantomData,
        }
    }

    /// Sets a bit; `true` if it was clear before. Numbers beyond the end are
    /// ignored.
    pub(crate) fn set(&self, at: N) -> bool {
        let mask = 1 << (at.number() % 64);
        self.word(at)
            .is_some_and(|word| word.fetch_or(mask, Ordering::Relaxed) & mask == 0)
    }

    pub(crate) fn get(&self, at: N) -> bool {
        self.word(at)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (at.number() % 64) & 1 == 1)
    }

    /// Sets all bits that are set in `other`.
    pub(crate) fn set_all(&self, other: &Bits<N>) {
        for (word, other) in self.words.iter().zip(&other.words) {
            let other = other.load(Ordering::Relaxed);
            if other != 0 {
                word.fetch_or(other, Ordering::Relaxed);
            }
        }
    }

    /// Clears the first bit that is set from `at` on, and tells which it was.
    pub(crate) fn take_from(&self, at: N) -> Option<N> {
        let first = usize::try_from(at.number() / 64).ok()?;
        let mut mask = u64::MAX << (at.number() % 64);
        for (index, word) in (first..).zip(self.words.get(first..)?) {
            let bits = word.load(Ordering::Relaxed) & mask;
            if bits != 0 {
                let bit = bits.trailing_zeros();
                word.fetch_and(!(1 << bit), Ordering::Relaxed);
                return Some(N::of(index as u64 * 64 + u64::from(bit)));
            }
            mask = u64::MAX;
        }
        None
    }

    /// How many are set.
    pub(crate) fn count(&self) -> u64 {
        let ones = |word: &AtomicU64| u64::from(word.load(Ordering::Relaxed).count_ones());
        self.words.iter().map(ones).sum()
    }

    fn word(&self, at: N) -> Option<&AtomicU64> {
        self.words.get(usize::try_from(at.number() / 64).ok()?)
    }
}

/// Zeroes from the system as it gives them: memory of words that are never set is
/// never touched, and most bits of a host are set in few places.
fn zeroes(words: usize) -> Vec<AtomicU64> {
    AtomicU64::new_vec_zeroed(words)
        .unwrap_or_else(|_| (0..words).map(|_| AtomicU64::new(0)).collect())
}

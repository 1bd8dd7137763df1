//! Numbers that look random and are the same for the same seed.

use anyhow::{Context, Result};

/// A generator (SplitMix64, by Vigna, in the public domain).
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of `all`.
    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> Result<&'a T> {
        let index = self.below(all.len() as u64);
        all.get(index as usize).context("nothing to pick from")
    }
}

/// A number that tells nothing of `value`, and is another for each.
fn mix(value: u64) -> u64 {
    let mut word = value;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

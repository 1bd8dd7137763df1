//! What a pass saw, and what it could not see.

use pagehound_vmcore::{Fault, Pfn};

/// Faults kept one by one; further ones are only counted.
const FAULTS_KEPT: usize = 64;

/// How a pass ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum End {
    /// Every present page was looked at or skipped.
    #[default]
    Complete,
    /// The cancel flag was raised.
    Cancelled,
    /// The sink wanted no more.
    Stopped,
}

/// What a pass saw, and what it could not see. For an ordered pass: what
/// lies behind the results that were delivered, not what was read ahead.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Present pages of the memory: what a complete pass goes over.
    pub total: u64,
    /// Pages whose bytes the consumer was given.
    pub seen: u64,
    /// Pages the consumer did not select.
    pub skipped: u64,
    /// Bytes of the pages seen.
    pub bytes: u64,
    /// Pages that the container lists and that could not be read.
    pub unreadable: u64,
    /// The first of these and why, at most 64, by page frame number.
    pub faults: Vec<(Pfn, Fault)>,
    /// How the pass ended.
    pub end: End,
}

impl Tally {
    pub(crate) fn fault(&mut self, pfn: Pfn, fault: Fault) {
        self.unreadable += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push((pfn, fault));
        }
    }

    /// Adds what another thread, or a later chunk, saw.
    pub(crate) fn merge(&mut self, other: Tally) {
        self.seen += other.seen;
        self.skipped += other.skipped;
        self.bytes += other.bytes;
        self.unreadable += other.unreadable;
        self.faults.extend(other.faults);
        self.faults.sort_by_key(|(pfn, _)| *pfn);
        self.faults.truncate(FAULTS_KEPT);
        if other.end != End::Complete {
            self.end = other.end;
        }
    }
}

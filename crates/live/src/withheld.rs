//! Frames that kcore shows as zeroes, or that must not be read.
//!
//! kcore gives zeroes, and no error, for offline sections, poisoned pages and pages that
//! are logically offline, such as a balloon's; older kernels read these, which may be a
//! machine check or an exit to the hypervisor. `/proc/kpageflags` names them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{OnceLock, PoisonError, RwLock};

use pagehound_vmcore::{Pfn, PfnRange};

/// Frames that are asked about at a time: 256 KiB of flags.
const BLOCK: u64 = 1 << 15;
/// `KPF_HWPOISON`, `KPF_NOPAGE` and `KPF_OFFLINE`, which was `KPF_BALLOON` before 5.2
/// (include/uapi/linux/kernel-page-flags.h).
const WITHHELD: u64 = 1 << 19 | 1 << 20 | 1 << 23;

/// A bit a frame, or none where no frame is withheld.
type Bits = Option<Box<[u64]>>;

type Blocks = Vec<OnceLock<Bits>>;

/// What is withheld of one range of frames; asked when it is first needed, and then
/// known until it is forgotten.
pub(crate) struct Withheld {
    pfns: PfnRange,
    blocks: RwLock<Blocks>,
}

impl Withheld {
    /// Of the frames of `pfns`.
    pub(crate) fn of(pfns: PfnRange) -> Self {
        let blocks = (pfns.end.0 - pfns.start.0).div_ceil(BLOCK);
        Self {
            pfns,
            blocks: RwLock::new((0..blocks).map(|_| OnceLock::new()).collect()),
        }
    }

    /// Forgets all answers: balloons grow and shrink.
    pub(crate) fn forget(&self) {
        let mut blocks = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        blocks.fill_with(OnceLock::new);
    }

    /// The first frames of `pfns` that are all withheld or all not, and which;
    /// `flags` is `/proc/kpageflags`, without which nothing is.
    pub(crate) fn run(&self, flags: Option<&File>, pfns: PfnRange) -> (PfnRange, bool) {
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let mut end = pfns.start;
        let mut first = None;
        while end < pfns.end {
            let (until, withheld) = self.within_block(&blocks, flags, end, pfns.end);
            if *first.get_or_insert(withheld) != withheld {
                break;
            }
            end = until;
        }
        let run = PfnRange {
            start: pfns.start,
            end,
        };
        (run, first == Some(true))
    }

    /// Bytes that the answers so far take.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let asked = blocks.iter().filter_map(|block| block.get()?.as_ref());
        let bits: usize = asked.map(|bits| size_of_val(&**bits)).sum();
        (blocks.capacity() * size_of::<OnceLock<Bits>>() + bits) as u64
    }

    /// Where the frames that are as `pfn` is end, at the latest at `end` or with its
    /// block, and whether they are withheld.
    fn within_block(
        &self,
        blocks: &Blocks,
        flags: Option<&File>,
        pfn: Pfn,
        end: Pfn,
    ) -> (Pfn, bool) {
        let index = pfn.0.saturating_sub(self.pfns.start.0) / BLOCK;
        let first = Pfn(self.pfns.start.0 + index * BLOCK);
        let block_end = Pfn(first.0 + BLOCK).min(self.pfns.end);
        let end = end.min(block_end).max(Pfn(pfn.0 + 1));
        let (Some(flags), Some(block)) = (flags, blocks.get(index as usize)) else {
            return (end, false);
        };
        let Some(bits) = block.get_or_init(|| ask(flags, first, block_end)) else {
            return (end, false);
        };
        let is_set = |pfn: u64| {
            let at = pfn - first.0;
            let word = bits.get((at / 64) as usize);
            word.is_some_and(|word| word >> (at % 64) & 1 != 0)
        };
        let withheld = is_set(pfn.0);
        let other = (pfn.0..end.0).find(|&pfn| is_set(pfn) != withheld);
        (other.map_or(end, Pfn), withheld)
    }
}

/// Asks about frames. What lies above the last frame of a zone has no flags.
fn ask(flags: &File, start: Pfn, end: Pfn) -> Bits {
    let frames = end.0.saturating_sub(start.0).min(BLOCK) as usize;
    let mut words = vec![0; frames * 8];
    let known = read_up_to(flags, start.0.saturating_mul(8), &mut words);
    let mut bits = vec![0u64; frames.div_ceil(64)];
    let mut any = false;
    let known = words.get(..known).unwrap_or_default();
    for (frame, word) in known.chunks_exact(8).enumerate() {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        if word & WITHHELD != 0
            && let Some(bits) = bits.get_mut(frame / 64)
        {
            *bits |= 1 << (frame % 64);
            any = true;
        }
    }
    any.then(|| bits.into_boxed_slice())
}

/// Fills `buf` as far as there is anything, and says how far.
fn read_up_to(file: &File, at: u64, buf: &mut [u8]) -> usize {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(len) => done += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PfnRange {
        PfnRange {
            start: Pfn(start),
            end: Pfn(end),
        }
    }

    /// A kpageflags of `frames` frames with these flags set.
    fn flags(frames: u64, set: &[(u64, u64)]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(frames * 8).unwrap();
        for (pfn, word) in set {
            file.write_all_at(&word.to_le_bytes(), pfn * 8).unwrap();
        }
        file
    }

    #[test]
    fn runs_end_where_the_answer_changes() {
        const LRU: u64 = 1 << 5;
        let flags = flags(
            3 * BLOCK,
            &[
                (100, LRU),
                (101, 1 << 19),
                (102, 1 << 20 | LRU),
                (103, 1 << 23),
                (BLOCK - 1, 1 << 20),
                (BLOCK, 1 << 20),
            ],
        );
        // The range does not begin with a block of the file.
        let withheld = Withheld::of(range(50, 3 * BLOCK));
        let mut runs = Vec::new();
        let mut rest = range(50, 3 * BLOCK);
        while rest.start < rest.end {
            let (run, is) = withheld.run(Some(&flags), rest);
            runs.push((run.start.0, run.end.0, is));
            rest.start = run.end;
        }
        let expected = [
            (50, 101, false),
            (101, 104, true),
            (104, BLOCK - 1, false),
            (BLOCK - 1, BLOCK + 1, true),
            (BLOCK + 1, 3 * BLOCK, false),
        ];
        assert_eq!(runs, expected);
        // A part of a run.
        let (run, is) = withheld.run(Some(&flags), range(102, 200));
        assert_eq!((run, is), (range(102, 104), true));
        // A balloon that has let go of it: known when it is asked again.
        flags.write_all_at(&0u64.to_le_bytes(), 103 * 8).unwrap();
        let (run, _) = withheld.run(Some(&flags), range(102, 200));
        assert_eq!(run, range(102, 104));
        withheld.forget();
        let (run, _) = withheld.run(Some(&flags), range(102, 200));
        assert_eq!(run, range(102, 103));
    }

    #[test]
    fn frames_above_the_file_and_without_one_are_not_withheld() {
        let withheld = Withheld::of(range(0, 2 * BLOCK));
        let short = flags(10, &[(9, 1 << 19)]);
        let (run, is) = withheld.run(Some(&short), range(9, 2 * BLOCK));
        assert_eq!((run, is), (range(9, 10), true));
        let (run, is) = withheld.run(Some(&short), range(10, 2 * BLOCK));
        assert_eq!((run, is), (range(10, 2 * BLOCK), false));
        let withheld = Withheld::of(range(0, 2 * BLOCK));
        let (run, is) = withheld.run(None, range(0, 2 * BLOCK));
        assert_eq!((run, is), (range(0, 2 * BLOCK), false));
    }

    #[test]
    fn memory_goes_only_to_blocks_that_have_any() {
        let withheld = Withheld::of(range(0, 1000 * BLOCK));
        let before = withheld.bytes();
        let flags = flags(1000 * BLOCK, &[(5 * BLOCK, 1 << 23)]);
        withheld.run(Some(&flags), range(0, 5 * BLOCK));
        assert_eq!(withheld.bytes(), before);
        withheld.run(Some(&flags), range(5 * BLOCK, 6 * BLOCK));
        assert_eq!(withheld.bytes(), before + BLOCK / 8);
    }
}

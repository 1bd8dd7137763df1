//! What becomes of each frame that the buddy allocator has.

use std::ops::Range;

use anyhow::{Context, Result, ensure};

use super::random::Random;

/// Frames of the allocator's largest block: every block of that size is
/// planned for itself.
pub(super) const BLOCK: u64 = 1 << LARGEST;
/// Its order (MAX_ORDER - 1 on x86-64 in every release).
const LARGEST: u8 = 10;
/// Kinds of blocks in which lost, held, user and free pages lie side by side.
const PATTERNS: u64 = 64;
/// The part of the leak that lies in such blocks, one in so many.
const MIXED_PART: u64 = 8;
/// Most blocks one behind the other that are lost whole, and that are free or
/// of users.
const LONGEST_LEAK: u64 = 64;
const LONGEST_REST: u64 = 256;

/// Where in its page a received frame begins, and what the lab calls it.
pub(super) const PLACES: [(&str, usize); 3] = [("frames", 0), ("offset64", 64), ("offset192", 192)];

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Frame {
    /// Set aside at boot.
    Reserved,
    /// The first of a free block of this order.
    Free(u8),
    /// Another one of it.
    FreeTail,
    /// Anonymous memory of a process.
    Anon,
    /// Lost, a received frame at this one of the [`PLACES`].
    Leak(u8),
    /// The same, but something names it.
    Held,
    /// Belongs to nobody by its struct page; is named, and names others.
    Directory,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Free,
    Anon,
    Leak(u8),
    Held,
    /// So many directories, the rest of users.
    Directories(u64),
    Mixed(usize),
}

/// The plan.
pub(super) struct Plan {
    frames: Range<u64>,
    blocks: Vec<Block>,
    patterns: Vec<Vec<Frame>>,
    /// Lost frames.
    pub(super) leaked: u64,
    /// Frames that look lost and are named.
    pub(super) held: u64,
    /// Pages that name half of them.
    pub(super) directories: u64,
    /// Frames of users.
    pub(super) anon: u64,
    /// Free blocks, by order.
    pub(super) free_blocks: [u64; LARGEST as usize + 1],
}

impl Plan {
    /// A plan for `frames`, whole blocks, with `leak` of them lost, or some
    /// hundreds more, and a sixteenth of that held.
    pub(super) fn new(frames: Range<u64>, leak: u64, random: &mut Random) -> Result<Self> {
        let count = (frames.end - frames.start) / BLOCK;
        ensure!(
            leak / BLOCK + 2 <= count / 2,
            "at most half of the new memory can be lost"
        );
        let patterns: Vec<Vec<Frame>> = (0..PATTERNS).map(|_| pattern(random)).collect();
        let mut draft = Draft {
            blocks: vec![None; count as usize],
            random,
        };
        let (mut leaked, mut held) = (0, 0);
        while leaked < leak / MIXED_PART {
            let which = draft.random.below(PATTERNS) as usize;
            draft.claim(1, Block::Mixed(which))?;
            let pattern = patterns.get(which).map_or(&[][..], Vec::as_slice);
            leaked += count_of(pattern, |frame| matches!(frame, Frame::Leak(_)));
            held += count_of(pattern, |frame| frame == Frame::Held);
        }
        // Runs of all places in a small leak too.
        let longest = LONGEST_LEAK.min(leak / BLOCK / 16 + 1);
        while leaked < leak {
            let left = (leak - leaked).div_ceil(BLOCK);
            let wanted = 1 + draft.random.below(longest.min(left));
            // Most drivers receive at the start of a page.
            let place = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];
            let place = *draft.random.pick(&place)?;
            leaked += draft.claim(wanted, Block::Leak(place))? * BLOCK;
        }
        while held < leak / 16 {
            held += draft.claim(1, Block::Held)? * BLOCK;
        }
        let directories = super::content::Pointers::directories(held);
        for first in (0..directories).step_by(BLOCK as usize) {
            let some = (directories - first).min(BLOCK);
            draft.claim(1, Block::Directories(some))?;
        }
        let mut plan = Self {
            frames,
            blocks: draft.finish(),
            patterns,
            leaked,
            held,
            directories,
            anon: 0,
            free_blocks: [0; LARGEST as usize + 1],
        };
        plan.count()?;
        Ok(plan)
    }

    /// Counts what no claim has.
    fn count(&mut self) -> Result<()> {
        let (mut anon, mut free) = (0, self.free_blocks);
        self.each(|_, frame| {
            match frame {
                Frame::Anon => anon += 1,
                Frame::Free(order) => {
                    *free.get_mut(usize::from(order)).context("order")? += 1;
                }
                _ => {}
            }
            Ok(())
        })?;
        (self.anon, self.free_blocks) = (anon, free);
        Ok(())
    }

    /// Free frames.
    pub(super) fn free(&self) -> u64 {
        let orders = self.free_blocks.iter().enumerate();
        orders.map(|(order, count)| count << order).sum()
    }

    /// What becomes of the frames of a block.
    pub(super) fn frames(&self, index: u64, out: &mut [Frame]) {
        match self.blocks.get(index as usize) {
            None | Some(Block::Free) => {
                out.fill(Frame::FreeTail);
                if let Some(first) = out.first_mut() {
                    *first = Frame::Free(LARGEST);
                }
            }
            Some(Block::Anon) => out.fill(Frame::Anon),
            Some(Block::Leak(place)) => out.fill(Frame::Leak(*place)),
            Some(Block::Held) => out.fill(Frame::Held),
            Some(Block::Directories(count)) => {
                for (index, frame) in (0..).zip(out) {
                    *frame = if index < *count {
                        Frame::Directory
                    } else {
                        Frame::Anon
                    };
                }
            }
            Some(Block::Mixed(which)) => {
                if let Some(pattern) = self.patterns.get(*which) {
                    out.copy_from_slice(pattern);
                }
            }
        }
    }

    /// Calls `visit` with every frame, ascending, and what becomes of it.
    pub(super) fn each(&self, mut visit: impl FnMut(u64, Frame) -> Result<()>) -> Result<()> {
        let mut block = vec![Frame::Anon; BLOCK as usize];
        for index in 0..self.blocks.len() as u64 {
            self.frames(index, &mut block);
            let first = self.frames.start + index * BLOCK;
            for (pfn, &frame) in (first..).zip(&block) {
                visit(pfn, frame)?;
            }
        }
        Ok(())
    }

    /// A frame that nobody looks for: free or of a user.
    pub(super) fn other(&self, random: &mut Random) -> u64 {
        loop {
            let index = random.below(self.blocks.len() as u64);
            let block = self.blocks.get(index as usize);
            if matches!(block, Some(Block::Free | Block::Anon)) {
                return self.frames.start + index * BLOCK + random.below(BLOCK);
            }
        }
    }
}

fn count_of(frames: &[Frame], wanted: impl Fn(Frame) -> bool) -> u64 {
    frames.iter().filter(|frame| wanted(**frame)).count() as u64
}

/// A block of all kinds: lost pages alone and in runs, runs of held ones
/// beside them, users' pages and free blocks.
fn pattern(random: &mut Random) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    while frames.len() < BLOCK as usize {
        let at = frames.len() as u64;
        let room = BLOCK - at;
        let mut put = |frame, count: u64| {
            frames.extend(std::iter::repeat_n(frame, count.min(room) as usize));
        };
        match random.below(20) {
            0..7 => put(Frame::Leak(0), 1),
            7..10 => put(Frame::Leak(0), 2 + random.below(47)),
            10..11 => put(Frame::Held, 8 + random.below(41)),
            11..15 => put(Frame::Anon, 1 + random.below(32)),
            _ => {
                let most = (at | BLOCK).trailing_zeros().min(5);
                let order = random.below(u64::from(most) + 1) as u8;
                put(Frame::Free(order), 1);
                put(Frame::FreeTail, (1 << order) - 1);
            }
        }
    }
    frames
}

/// Blocks that are being given away.
struct Draft<'r> {
    blocks: Vec<Option<Block>>,
    random: &'r mut Random,
}

impl Draft<'_> {
    /// Gives away up to `wanted` blocks one behind the other, somewhere, at
    /// least one; returns how many.
    fn claim(&mut self, wanted: u64, what: Block) -> Result<u64> {
        let count = self.blocks.len() as u64;
        for _ in 0..10_000 {
            let first = self.random.below(count) as usize;
            let rest = self.blocks.get_mut(first..).unwrap_or_default();
            let mut got = 0;
            for block in rest.iter_mut().take(wanted as usize) {
                if block.is_some() {
                    break;
                }
                *block = Some(what);
                got += 1;
            }
            if got > 0 {
                return Ok(got);
            }
        }
        anyhow::bail!("the new memory is too full")
    }

    /// Gives the rest to users and to nobody.
    fn finish(self) -> Vec<Block> {
        let mut left = 0;
        let mut what = Block::Free;
        let mut next = |random: &mut Random| {
            if left == 0 {
                left = 1 + random.below(LONGEST_REST);
                what = match what {
                    Block::Free => Block::Anon,
                    _ => Block::Free,
                };
            }
            left -= 1;
            what
        };
        let random = self.random;
        self.blocks
            .into_iter()
            .map(|block| block.unwrap_or_else(|| next(random)))
            .collect()
    }
}

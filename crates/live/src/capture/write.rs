//! Writing a map.

use std::collections::BTreeMap;

use super::{HEADER, MAGIC, StretchMap, read::Stretch, varint};

/// Runs that a block may have and still be written one by one: they take no more than
/// what counts them would.
const FEW: usize = 6;

/// What of a machine is written run by run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exactness {
    /// Frames of a block, which is written in one way or the other.
    pub block: u64,
    /// Whether blocks with a page that matters are written run by run.
    pub all_that_matters: bool,
}

impl Exactness {
    /// As exact as a map is.
    pub const FULL: Exactness = Exactness {
        block: 512,
        all_that_matters: true,
    };
}

/// Writes a map, run by run from frame 0 on.
///
/// A block of frames in which a page matters, or of few runs, is written as these runs;
/// of others it is written how many frames of which kind lie in it.
pub struct MapWriter {
    exactness: Exactness,
    out: Vec<u8>,
    frames: u64,
    /// The run that may go on in the next block.
    last: Option<Run>,
    /// Of the block that is not full yet, and its frames.
    runs: Vec<Run>,
    filled: u64,
    matters: bool,
    /// In which order its runs lie is not known.
    mixed: bool,
}

/// Frames of one kind.
#[derive(Clone, Copy)]
struct Run {
    code: u32,
    /// The kind where frames are only counted.
    counted: u32,
    frames: u64,
}

impl MapWriter {
    /// A map without frames.
    pub fn new(mut exactness: Exactness) -> MapWriter {
        exactness.block = exactness.block.max(1);
        let mut out = MAGIC.to_vec();
        out.resize(HEADER, 0);
        MapWriter {
            exactness,
            out,
            frames: 0,
            last: None,
            runs: Vec::new(),
            filled: 0,
            matters: false,
            mixed: false,
        }
    }

    /// Adds the next frames: their kind is `code`, and `counted` where frames are only
    /// counted.
    pub fn add(&mut self, code: u32, counted: u32, frames: u64, matters: bool) {
        self.put(code, counted, frames, matters, false);
    }

    /// The same; of `mixed` frames it is not known where in their block they lie.
    fn put(&mut self, code: u32, counted: u32, frames: u64, matters: bool, mixed: bool) {
        let mut left = frames;
        while left > 0 {
            let run = |frames| Run {
                code,
                counted,
                frames,
            };
            let whole = left - left % self.exactness.block;
            if self.filled == 0 && whole > 0 && !mixed {
                left -= whole;
                self.put_run(run(whole));
                continue;
            }
            let part = left.min(self.exactness.block - self.filled);
            left -= part;
            self.filled += part;
            self.matters |= matters;
            self.mixed |= mixed;
            match self.runs.last_mut() {
                Some(run) if run.code == code => run.frames += part,
                _ => self.runs.push(run(part)),
            }
            if self.filled >= self.exactness.block {
                self.end_block();
            }
        }
        self.frames = self.frames.saturating_add(frames);
    }

    fn end_block(&mut self) {
        let few = self.runs.len() <= FEW;
        let wanted = self.matters && self.exactness.all_that_matters;
        let exact = !self.mixed && (few || wanted);
        self.filled = 0;
        self.matters = false;
        self.mixed = false;
        if exact {
            for run in std::mem::take(&mut self.runs) {
                self.put_run(run);
            }
            return;
        }
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for run in self.runs.drain(..) {
            *counts.entry(run.counted).or_default() += run.frames;
        }
        self.put_last();
        varint::put(&mut self.out, 0);
        varint::put(&mut self.out, counts.len() as u64);
        for (code, frames) in counts {
            varint::put(&mut self.out, code.into());
            varint::put(&mut self.out, frames);
        }
    }

    fn put_run(&mut self, run: Run) {
        match &mut self.last {
            Some(last) if last.code == run.code => last.frames += run.frames,
            _ => {
                self.put_last();
                self.last = Some(run);
            }
        }
    }

    fn put_last(&mut self) {
        if let Some(run) = self.last.take() {
            varint::put(&mut self.out, u64::from(run.code) + 1);
            varint::put(&mut self.out, run.frames);
        }
    }

    /// The map's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if !self.runs.is_empty() {
            self.end_block();
        }
        self.put_last();
        let frames = self.frames.to_le_bytes();
        if let Some(place) = self.out.get_mut(MAGIC.len()..HEADER) {
            place.copy_from_slice(&frames);
        }
        self.out
    }
}

impl StretchMap {
    /// The same with larger blocks, and of pages that matter only counts. What was of a kind
    /// is of the kind that `kind` says instead, which may be one for several.
    pub fn coarser(&self, block: u64, kind: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut writer = MapWriter::new(Exactness {
            block,
            all_that_matters: false,
        });
        for (_, stretch) in self.stretches() {
            match stretch {
                Stretch::Run { code, frames } => {
                    writer.add(kind(code), kind(code), frames, false);
                }
                Stretch::Mixed(counts) => {
                    for (code, frames) in counts {
                        writer.put(kind(code), kind(code), frames, false, true);
                    }
                }
            }
        }
        writer.finish()
    }
}

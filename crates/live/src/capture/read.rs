//! Reading a map, which may be anybody's.

use super::{HEADER, MAGIC, MOST_FRAMES, MOST_KINDS, varint};

/// Bytes from a noted place to the next, at least.
const APART: usize = 1 << 12;

/// Frames next to each other, of which one thing is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stretch {
    /// All are of one kind.
    Run {
        /// Number of the kind.
        code: u32,
        /// How many.
        frames: u64,
    },
    /// How many are of which kind, not which ones; by ascending number.
    Mixed(Vec<(u32, u64)>),
}

impl Stretch {
    /// How many frames.
    pub fn frames(&self) -> u64 {
        match self {
            Stretch::Run { frames, .. } => *frames,
            Stretch::Mixed(counts) => counts.iter().map(|(_, frames)| frames).sum(),
        }
    }
}

/// Why bytes are no map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pages.map, byte {at}: {problem}")]
pub struct BadMap {
    /// Where.
    pub at: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// A map that was found to be sound.
#[derive(Clone, Debug)]
pub struct StretchMap {
    bytes: Vec<u8>,
    frames: u64,
    exact: u64,
    /// First frame and place of some stretches, [`APART`] bytes from each other.
    places: Vec<(u64, usize)>,
}

impl StretchMap {
    /// The map that `bytes` are, in which pages are of `kinds` kinds.
    ///
    /// # Errors
    /// They are none: the frames do not add up, or a kind is not one of these.
    pub fn parse(bytes: Vec<u8>, kinds: u32) -> Result<StretchMap, BadMap> {
        let bad = |at, problem| BadMap { at, problem };
        let magic = bytes.get(..MAGIC.len());
        if magic != Some(MAGIC) {
            return Err(bad(0, "no map of version 1"));
        }
        let frames = bytes.get(MAGIC.len()..HEADER);
        let frames = frames.and_then(|bytes| bytes.try_into().ok());
        let frames = frames.map_or(0, u64::from_le_bytes);
        if !(1..=MOST_FRAMES).contains(&frames) {
            return Err(bad(
                MAGIC.len(),
                "not a number of frames that a machine has",
            ));
        }
        if kinds > MOST_KINDS {
            return Err(bad(0, "more kinds of pages than there are"));
        }
        let mut map = StretchMap {
            bytes,
            frames,
            exact: 0,
            places: Vec::new(),
        };
        let mut at = HEADER;
        let mut first = 0u64;
        while let Some(rest) = map.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (stretch, behind) = stretch(rest, kinds).map_err(|problem| bad(at, problem))?;
            let noted = map.places.last();
            if noted.is_none_or(|&(_, noted)| at - noted >= APART) {
                map.places.push((first, at));
            }
            let length = sum(&stretch).ok_or(bad(at, "frames without end"))?;
            first = first
                .checked_add(length)
                .filter(|&end| end <= frames)
                .ok_or(bad(at, "more frames than the map has"))?;
            if matches!(stretch, Stretch::Run { .. }) {
                map.exact += length;
            }
            at = map.bytes.len() - behind.len();
        }
        if first != frames {
            return Err(bad(at, "the map ends before its frames do"));
        }
        Ok(map)
    }

    /// Frames of the machine.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Those of which the kind is known one by one.
    pub fn exact_frames(&self) -> u64 {
        self.exact
    }

    /// The map as it is written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All stretches, each with its first frame; they follow each other.
    pub fn stretches(&self) -> impl Iterator<Item = (u64, Stretch)> + '_ {
        self.from(0, HEADER)
    }

    /// The stretch that frame `pfn` lies in, and its first frame; none behind the end.
    pub fn at(&self, pfn: u64) -> Option<(u64, Stretch)> {
        let after = self.places.partition_point(|&(first, _)| first <= pfn);
        let &(first, at) = self.places.get(after.checked_sub(1)?)?;
        let mut stretches = self.from(first, at);
        stretches.find(|(first, stretch)| pfn - first < stretch.frames())
    }

    fn from(&self, first: u64, at: usize) -> impl Iterator<Item = (u64, Stretch)> + '_ {
        let mut first = first;
        let mut rest = self.bytes.get(at..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (stretch, behind) = stretch(rest, MOST_KINDS).ok()?;
            rest = behind;
            let begin = first;
            first += stretch.frames();
            Some((begin, stretch))
        })
    }
}

fn sum(stretch: &Stretch) -> Option<u64> {
    match stretch {
        Stretch::Run { frames, .. } => Some(*frames),
        Stretch::Mixed(counts) => counts
            .iter()
            .try_fold(0u64, |sum, (_, frames)| sum.checked_add(*frames)),
    }
}

/// The stretch that `bytes` begin with, and what is behind it.
fn stretch(bytes: &[u8], kinds: u32) -> Result<(Stretch, &[u8]), &'static str> {
    const CUT: &str = "a number that is cut or too large";
    let code = |number: u64| {
        let code = u32::try_from(number).ok().filter(|&code| code < kinds);
        code.ok_or("a kind of pages that is not told")
    };
    let some = |frames: u64| (frames > 0).then_some(frames).ok_or("a run of no frames");
    let (head, rest) = varint::take(bytes).ok_or(CUT)?;
    if let Some(number) = head.checked_sub(1) {
        let (frames, rest) = varint::take(rest).ok_or(CUT)?;
        let run = Stretch::Run {
            code: code(number)?,
            frames: some(frames)?,
        };
        return Ok((run, rest));
    }
    let (count, mut rest) = varint::take(rest).ok_or(CUT)?;
    // Each takes two bytes at least.
    if count == 0 || count > rest.len() as u64 / 2 {
        return Err("a count of kinds that do not follow");
    }
    let mut counts: Vec<(u32, u64)> = Vec::new();
    for _ in 0..count {
        let (number, behind) = varint::take(rest).ok_or(CUT)?;
        let (frames, behind) = varint::take(behind).ok_or(CUT)?;
        let number = code(number)?;
        if counts.last().is_some_and(|&(last, _)| last >= number) {
            return Err("kinds that do not ascend");
        }
        counts.push((number, some(frames)?));
        rest = behind;
    }
    Ok((Stretch::Mixed(counts), rest))
}

//! What is noted of every unit the census decides over when its content is read.

use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::Content;
use pagehound_scan::Pass;
use pagehound_vmcore::{Mac, Pfn};

use super::content::classify;
use super::ethernet::frames;
use super::table::Table;
use super::{Anchor, Key};
use crate::census::Naming;
use crate::units::Units;

/// What one unit holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Traits {
    pub(super) content: Content,
    /// Destination of the first frame in it.
    pub(super) dst: Option<Mac>,
    /// The page is a VMCOREINFO text.
    pub(super) vmcoreinfo: bool,
    /// The value it shares with others, told after all were read.
    anchor: Option<Anchor>,
    /// Offsets within the unit of all frames to that address, first four;
    /// [`NO_OFFSET`] where there are fewer.
    offsets: [u32; 4],
}

const NO_OFFSET: u32 = u32::MAX;

/// What reading all units tells.
pub(super) struct Reading {
    /// Traits by the units' numbers; units none of whose pages are present have none.
    pub(super) table: Table,
    /// Of a host that runs, what the bytes of each unit make, by its number, 0 where
    /// none are present; empty of a dump.
    pub(super) sums: Vec<u32>,
    /// Bytes of content read.
    pub(super) bytes_read: u64,
}

/// Reads all these units once, in one pass.
pub(super) fn read(
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    naming: &Naming,
    pass: &Pass<'_>,
    devices: &[Mac],
) -> Reading {
    let shift = kernel.page_shift();
    let mut table = Table::new(units.len());
    let mut sums = match pages.moving {
        true => vec![0_u32; units.len()],
        false => Vec::new(),
    };
    let tally = pass.ordered(
        |pfn| pages.map.class(pfn).is_censused() && units.number(pages.map.head(pfn)).is_some(),
        Vec::new,
        |found: &mut Vec<(Pfn, Traits, u32)>, first, run| {
            for (pfn, page) in (first.0..).zip(run.chunks_exact(1 << shift)) {
                let sum = if pages.moving { sum(page) } else { 0 };
                found.push((Pfn(pfn), of_page(page, naming, devices), sum));
            }
        },
        std::mem::take,
        |found| {
            for (pfn, traits, sum) in found {
                let head = pages.map.head(pfn);
                let base = ((pfn.0 - head.0) << shift) as u32;
                let traits = traits.moved(base);
                if let Some(number) = units.number(head) {
                    table.change(number, |known| {
                        Some(known.map_or(traits, |known| known.merged(traits)))
                    });
                    if let Some(known) = sums.get_mut(number) {
                        *known = known.rotate_left(1) ^ sum;
                    }
                }
            }
            ControlFlow::Continue(())
        },
    );
    Reading {
        table,
        sums,
        bytes_read: tally.bytes,
    }
}

/// What the bytes of a page make.
fn sum(page: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(page);
    hasher.finish() as u32
}

fn of_page(page: &[u8], naming: &Naming, devices: &[Mac]) -> Traits {
    let frames = frames(page, devices);
    let Some(first) = frames.first() else {
        return Traits {
            vmcoreinfo: page.starts_with(b"OSRELEASE="),
            ..Traits::of(classify(page, naming))
        };
    };
    let same = frames.iter().filter(|frame| frame.dst == first.dst);
    Traits::of_frames(first.dst, same.map(|frame| u32::from(frame.offset)))
}

impl Traits {
    /// Nothing but the kind of bytes.
    pub(super) fn of(content: Content) -> Traits {
        Traits {
            content,
            dst: None,
            vmcoreinfo: false,
            anchor: None,
            offsets: [NO_OFFSET; 4],
        }
    }

    /// Frames to `dst`, of which the first four are noted.
    pub(super) fn of_frames(dst: Mac, mut offsets: impl Iterator<Item = u32>) -> Traits {
        Traits {
            dst: Some(dst),
            offsets: std::array::from_fn(|_| offsets.next().unwrap_or(NO_OFFSET)),
            ..Traits::of(Content::Ethernet)
        }
    }

    fn moved(mut self, base: u32) -> Traits {
        for offset in &mut self.offsets {
            if *offset != NO_OFFSET {
                *offset += base;
            }
        }
        self
    }

    /// Offsets within the unit of frames to [`dst`](Self::dst), first four.
    pub(super) fn offsets(&self) -> impl Iterator<Item = u32> {
        let known = |offset: &u32| *offset != NO_OFFSET;
        self.offsets.into_iter().filter(known)
    }

    /// The same without the last of its offsets; `None` if it has none.
    pub(super) fn without_last_offset(mut self) -> Option<Traits> {
        let last = self.offsets().count().checked_sub(1)?;
        *self.offsets.get_mut(last)? = NO_OFFSET;
        Some(self)
    }

    /// Adds what a later page of the same unit holds: a frame anywhere makes
    /// it a unit of frames, and pages of different kinds make it mixed.
    fn merged(self, other: Traits) -> Traits {
        let content = match (self.dst, other.dst) {
            (None, Some(_)) => return other,
            (Some(_), _) => self.content,
            (None, None) if self.content == Content::Zero => other.content,
            (None, None) if [self.content, Content::Zero].contains(&other.content) => self.content,
            (None, None) => Content::Mixed,
        };
        Traits { content, ..self }
    }

    /// The group of the unit.
    pub(super) fn key(&self) -> Key {
        match (self.dst, self.anchor) {
            (Some(dst), _) => Key::Ethernet(dst),
            (None, Some(anchor)) => Key::Anchor(anchor),
            (None, None) => Key::Kind(self.content),
        }
    }

    /// Whether a value that others have too may tell the group of the unit.
    pub(super) fn wants_anchor(&self) -> bool {
        self.dst.is_none() && !matches!(self.content, Content::Zero | Content::Random)
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Traits {
        Traits {
            anchor: Some(anchor),
            ..self
        }
    }
}

//! What is noted of every unit the census decides over when its content is read.

use std::ops::ControlFlow;

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::Content;
use pagehound_scan::Pass;
use pagehound_vmcore::{Mac, Pfn};

use super::content::classify;
use super::ethernet::frames;
use crate::census::Naming;
use crate::units::Units;

/// What one unit holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traits {
    pub(super) content: Content,
    /// Destination of the first frame in it.
    pub(super) dst: Option<Mac>,
    /// The page is a VMCOREINFO text.
    pub(super) vmcoreinfo: bool,
    /// Offsets within the unit of all frames to that address, first four;
    /// [`NO_OFFSET`] where there are fewer.
    offsets: [u32; 4],
}

const NO_OFFSET: u32 = u32::MAX;

/// Reads all these units once, in one pass, and notes their traits by
/// their numbers; units none of whose pages are present have none.
pub(super) fn read(
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    naming: &Naming,
    pass: &Pass<'_>,
    devices: &[Mac],
) -> (Vec<Option<Traits>>, u64) {
    let shift = kernel.page_shift();
    let mut all: Vec<Option<Traits>> = vec![None; units.len()];
    let tally = pass.ordered(
        |pfn| pages.map.class(pfn).is_censused() && units.number(pages.map.head(pfn)).is_some(),
        Vec::new,
        |found: &mut Vec<(Pfn, Traits)>, first, run| {
            for (pfn, page) in (first.0..).zip(run.chunks_exact(1 << shift)) {
                found.push((Pfn(pfn), of_page(page, naming, devices)));
            }
        },
        std::mem::take,
        |found| {
            for (pfn, traits) in found {
                let head = pages.map.head(pfn);
                let base = ((pfn.0 - head.0) << shift) as u32;
                let traits = traits.moved(base);
                match units.number(head).and_then(|number| all.get_mut(number)) {
                    Some(Some(unit)) => unit.merge(&traits),
                    Some(slot) => *slot = Some(traits),
                    None => {}
                }
            }
            ControlFlow::Continue(())
        },
    );
    (all, tally.bytes)
}

fn of_page(page: &[u8], naming: &Naming, devices: &[Mac]) -> Traits {
    let frames = frames(page, devices);
    let Some(first) = frames.first() else {
        return Traits {
            content: classify(page, naming),
            dst: None,
            vmcoreinfo: page.starts_with(b"OSRELEASE="),
            offsets: [NO_OFFSET; 4],
        };
    };
    let mut same = frames
        .iter()
        .filter(|frame| frame.dst == first.dst)
        .map(|frame| u32::from(frame.offset));
    Traits {
        content: Content::Ethernet,
        dst: Some(first.dst),
        vmcoreinfo: false,
        offsets: std::array::from_fn(|_| same.next().unwrap_or(NO_OFFSET)),
    }
}

impl Traits {
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

    /// Adds what a later page of the same unit holds: a frame anywhere makes
    /// it a unit of frames, and pages of different kinds make it mixed.
    fn merge(&mut self, other: &Traits) {
        match (self.dst, other.dst) {
            (None, Some(_)) => *self = other.clone(),
            (Some(_), _) => {}
            (None, None) => {
                if self.content == Content::Zero {
                    self.content = other.content;
                } else if other.content != self.content && other.content != Content::Zero {
                    self.content = Content::Mixed;
                }
            }
        }
    }
}

//! What is noted of every unaccounted unit when its content is read.

use std::collections::HashMap;

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::Content;
use pagehound_scan::Pass;
use pagehound_vmcore::{Mac, Pfn};

use super::content::classify;
use super::ethernet::{Frame, frames};
use crate::census::Naming;

/// What one unit holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traits {
    pub(super) content: Content,
    /// The first frame in it, and its offset within the unit.
    pub(super) frame: Option<(u32, Frame)>,
    /// The page is a VMCOREINFO text.
    pub(super) vmcoreinfo: bool,
    /// Offsets within the unit of all frames to the same address, first four.
    pub(super) offsets: [Option<u32>; 4],
}

/// Reads all unaccounted units once, in one pass, and notes their traits; units
/// none of whose pages are present have none.
pub(super) fn read(
    kernel: &Kernel<'_>,
    pages: &Pages,
    naming: &Naming,
    pass: &Pass<'_>,
    devices: &[Mac],
) -> (HashMap<u64, Traits>, u64) {
    let shift = kernel.page_shift();
    let outcome = pass.fold(
        |pfn| pages.map.class(pfn).is_unaccounted(),
        Vec::new,
        |found: &mut Vec<(Pfn, Traits)>, pfn, page| {
            found.push((pfn, of_page(page, naming, devices)));
        },
    );
    let mut by_page: Vec<(Pfn, Traits)> = outcome.states.into_iter().flatten().collect();
    by_page.sort_by_key(|(pfn, _)| *pfn);
    let mut units: HashMap<u64, Traits> = HashMap::new();
    for (pfn, traits) in by_page {
        let head = pages.map.head(pfn);
        let base = ((pfn.0 - head.0) << shift) as u32;
        let traits = traits.moved(base);
        match units.get_mut(&head.0) {
            None => {
                units.insert(head.0, traits);
            }
            Some(unit) => unit.merge(&traits),
        }
    }
    (units, outcome.tally.bytes)
}

fn of_page(page: &[u8], naming: &Naming, devices: &[Mac]) -> Traits {
    let frames = frames(page, devices);
    let Some(&first) = frames.first() else {
        return Traits {
            content: classify(page, naming),
            frame: None,
            vmcoreinfo: page.starts_with(b"OSRELEASE="),
            offsets: [None; 4],
        };
    };
    let mut same = frames
        .iter()
        .filter(|frame| frame.dst == first.dst)
        .map(|frame| u32::from(frame.offset));
    Traits {
        content: Content::Ethernet,
        frame: Some((u32::from(first.offset), first)),
        vmcoreinfo: false,
        offsets: std::array::from_fn(|_| same.next()),
    }
}

impl Traits {
    fn moved(mut self, base: u32) -> Traits {
        if let Some((offset, _)) = &mut self.frame {
            *offset += base;
        }
        for offset in self.offsets.iter_mut().flatten() {
            *offset += base;
        }
        self
    }

    /// Adds what a later page of the same unit holds: a frame anywhere makes
    /// it a unit of frames, and pages of different kinds make it mixed.
    fn merge(&mut self, other: &Traits) {
        match (self.frame, other.frame) {
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

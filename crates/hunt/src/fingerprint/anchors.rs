//! Values that recur at one offset of many units.

use pagehound_kernel::Kernel;
use pagehound_vmcore::Pfn;

use super::GROUP;
use crate::census::Naming;

/// A 32-bit little-endian value at an offset of a unit's first page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Anchor {
    /// Offset in bytes, a multiple of 4.
    pub offset: u16,
    /// The value.
    pub value: u32,
}

/// Units looked at to find anchors; the others are then sorted by them.
const SAMPLE: usize = 2048;
/// Groups told apart at most.
const GROUPS: usize = 16;
/// Words a unit brings in: more add no better anchors.
const WORDS: usize = 256;

/// What sets groups apart among `count` units of one order: the commonest value
/// first, then the commonest of the units that do not have it, and so on.
pub(super) fn find(
    kernel: &Kernel<'_>,
    naming: &Naming,
    count: usize,
    heads: impl Iterator<Item = Pfn>,
) -> Vec<Anchor> {
    let step = count.div_ceil(SAMPLE).max(1);
    let mut left: Vec<Vec<Anchor>> = heads
        .step_by(step)
        .filter_map(|head| Some(words(&kernel.memory.cache.page(head).ok()?, naming)))
        .collect();
    let mut anchors = Vec::new();
    while anchors.len() < GROUPS && left.len() >= GROUP {
        let mut all: Vec<Anchor> = left.iter().flatten().copied().collect();
        all.sort_unstable();
        // Of equally common ones the first in the page, for a stable answer.
        let alike = all.chunk_by(|one, other| one == other);
        let Some((anchor, count)) = alike
            .filter_map(|same| Some((*same.first()?, same.len())))
            .max_by_key(|&(anchor, count)| (count, std::cmp::Reverse(anchor)))
        else {
            break;
        };
        if count < GROUP {
            break;
        }
        anchors.push(anchor);
        left.retain(|words| !words.contains(&anchor));
    }
    anchors
}

/// The first of `anchors` that a unit's first page has.
pub(super) fn of_page(page: &[u8], naming: &Naming, anchors: &[Anchor]) -> Option<Anchor> {
    let words = words(page, naming);
    let anchor = anchors.iter().find(|anchor| words.contains(anchor));
    anchor.copied()
}

/// Words of a unit's first page that can tell it from others: not zero, not
/// all ones, not part of a pointer, and not the word before again (fill).
fn words(page: &[u8], naming: &Naming) -> Vec<Anchor> {
    let mut found = Vec::new();
    let mut before = 0;
    for (index, pair) in page.chunks_exact(8).enumerate() {
        let whole = u64::from_le_bytes(pair.try_into().unwrap_or_default());
        if whole == before || naming.is_kernel_pointer(whole) {
            continue;
        }
        before = whole;
        for (half, value) in [(0, whole as u32), (4, (whole >> 32) as u32)] {
            if value != 0 && value != u32::MAX {
                found.push(Anchor {
                    offset: (index * 8 + half) as u16,
                    value,
                });
            }
        }
        if found.len() >= WORDS {
            break;
        }
    }
    found
}

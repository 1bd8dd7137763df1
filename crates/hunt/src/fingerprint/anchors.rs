//! Values that recur at one offset of many units.

use std::collections::HashMap;

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

/// Groups units of one order; those that share nothing are left out.
pub(super) fn group(kernel: &Kernel<'_>, naming: &Naming, heads: &[Pfn]) -> Vec<(Pfn, Anchor)> {
    let step = heads.len().div_ceil(SAMPLE).max(1);
    let mut left: Vec<Vec<Anchor>> = heads
        .iter()
        .step_by(step)
        .filter_map(|&head| words(kernel, naming, head))
        .collect();
    let mut anchors = Vec::new();
    while anchors.len() < GROUPS && left.len() >= GROUP {
        let mut counts: HashMap<Anchor, usize> = HashMap::new();
        for anchor in left.iter().flatten() {
            *counts.entry(*anchor).or_default() += 1;
        }
        // Of equally common ones the first in the page, for a stable answer.
        let best = counts
            .into_iter()
            .max_by_key(|(anchor, count)| (*count, std::cmp::Reverse(*anchor)));
        let Some((anchor, count)) = best else { break };
        if count < GROUP {
            break;
        }
        anchors.push(anchor);
        left.retain(|words| !words.contains(&anchor));
    }
    heads
        .iter()
        .filter_map(|&head| {
            let words = words(kernel, naming, head)?;
            let anchor = anchors.iter().find(|anchor| words.contains(anchor))?;
            Some((head, *anchor))
        })
        .collect()
}

/// Words of a unit's first page that can tell it from others: not zero, not
/// all ones, not part of a pointer, and not the word before again (fill).
fn words(kernel: &Kernel<'_>, naming: &Naming, head: Pfn) -> Option<Vec<Anchor>> {
    let page = kernel.memory.cache.page(head).ok()?;
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
    Some(found)
}

//! What the units of a group agree on, byte by byte.

#[cfg(test)]
mod tests;

use pagehound_kernel::Kernel;
use pagehound_vmcore::Pfn;

use super::{Shared, share};

/// Units compared: enough for shares to one per cent.
const SAMPLE: usize = 256;
/// A byte is fixed when this many of a hundred units agree.
const AGREE: usize = 90;
/// Bytes that vary between two fixed ones and still make one pattern.
const GAP: usize = 6;
/// Longest pattern, shortest pattern, and how many.
const LONGEST: usize = 32;
const SHORTEST: usize = 4;
const PATTERNS: usize = 3;

/// Patterns of the first pages of `count` units; the longest runs of fixed bytes
/// first.
pub(super) fn patterns(
    kernel: &Kernel<'_>,
    count: usize,
    heads: impl Iterator<Item = Pfn>,
) -> Vec<Shared> {
    let step = count.div_ceil(SAMPLE).max(1);
    let pages: Vec<_> = heads
        .step_by(step)
        .filter_map(|head| kernel.memory.cache.page(head).ok())
        .collect();
    if pages.len() < 2 {
        return Vec::new();
    }
    let size = kernel.page_size() as usize;
    let fixed: Vec<Option<u8>> = (0..size)
        .map(|at| majority(pages.iter().filter_map(|page| page.get(at).copied())))
        .collect();
    let mut runs = runs(&fixed);
    // What is fixed and not fill tells most; first by length, then by place.
    runs.sort_by_key(|&(start, end)| (std::cmp::Reverse(telling(&fixed, start, end)), start));
    runs.truncate(PATTERNS);
    runs.into_iter()
        .map(|(start, end)| {
            let bytes = fixed.get(start..end).unwrap_or_default();
            let hits = pages
                .iter()
                .filter(|page| {
                    let part = page.get(start..end).unwrap_or_default();
                    bytes
                        .iter()
                        .zip(part)
                        .all(|(fixed, byte)| fixed.is_none_or(|fixed| fixed == *byte))
                })
                .count();
            Shared {
                offset: start as u64,
                bytes: bytes.to_vec(),
                share: share(hits, pages.len()),
            }
        })
        .collect()
}

fn majority(bytes: impl Iterator<Item = u8>) -> Option<u8> {
    let mut counts = [0usize; 256];
    let mut all = 0;
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
        all += 1;
    }
    let (byte, count) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    (*count * 100 >= all * AGREE && all > 0).then_some(byte as u8)
}

/// Runs of fixed bytes, half-open, gaps up to [`GAP`] included, beginning and
/// ending with a byte that is not fill.
fn runs(fixed: &[Option<u8>]) -> Vec<(usize, usize)> {
    let says = |at: usize| matches!(fixed.get(at), Some(Some(byte)) if *byte != 0);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for at in (0..fixed.len()).filter(|&at| says(at)) {
        match found.last_mut() {
            Some((start, end)) if at - *end <= GAP && at + 1 - *start <= LONGEST => *end = at + 1,
            _ => found.push((at, at + 1)),
        }
    }
    found.retain(|&(start, end)| telling(fixed, start, end) >= SHORTEST);
    found
}

/// Fixed bytes of a run that differ from the byte before them: a run of one
/// value is fill and says as much as one byte.
fn telling(fixed: &[Option<u8>], start: usize, end: usize) -> usize {
    let mut before = None;
    let mut count = 0;
    for byte in fixed.get(start..end).unwrap_or_default().iter().flatten() {
        count += usize::from(before != Some(*byte));
        before = Some(*byte);
    }
    count
}

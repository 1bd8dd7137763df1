//! Memory that several ranges have. Kernels list their text twice, and one copy is as
//! good as the other; ranges that differ contradict each other.

use super::Range;
use crate::intervals::{Piece, first_after};
use crate::source::Source;

/// Bytes that are compared at most: kernels' text is shorter by far.
const MOST_BYTES: u64 = 256 << 20;
const CHUNK: u64 = 1 << 16;

/// Whether `ranges` store other bytes for the same memory than `seen`, what lies uppermost
/// of them; also where there is more to compare than any writer makes.
pub(super) fn differ(source: &Source, ranges: &[Range], seen: &[Piece]) -> bool {
    // Of ranges that do not overlap each is one piece.
    let mut steps = 4 * (ranges.len() as u64 + 1);
    let mut bytes = MOST_BYTES;
    for range in ranges {
        let end = range.start + range.stored;
        let first = first_after(seen, range.start);
        for piece in seen.get(first..).unwrap_or_default() {
            let (from, to) = (piece.start.max(range.start), piece.end.min(end));
            if from >= to {
                break;
            }
            let at = |start: u64, at: u64| at.wrapping_add(from.wrapping_sub(start));
            let (one, other) = (at(range.start, range.at), at(piece.start, piece.at));
            let left = (
                steps.checked_sub(1),
                bytes.checked_sub(if one == other { 0 } else { to - from }),
            );
            let (Some(steps_left), Some(bytes_left)) = left else {
                return true;
            };
            (steps, bytes) = (steps_left, bytes_left);
            if one != other && are_different(source, one, other, to - from) {
                return true;
            }
        }
    }
    false
}

/// Whether bytes that can be had of both are different.
fn are_different(source: &Source, one: u64, other: u64, len: u64) -> bool {
    let mut buffers = [vec![0; CHUNK as usize], vec![0; CHUNK as usize]];
    (0..len).step_by(CHUNK as usize).any(|done| {
        let part = CHUNK.min(len - done) as usize;
        let [a, b] = &mut buffers;
        let (Some(a), Some(b)) = (a.get_mut(..part), b.get_mut(..part)) else {
            return false;
        };
        let read = source
            .read_at(one.saturating_add(done), a)
            .and(source.read_at(other.saturating_add(done), b));
        read.is_ok() && a != b
    })
}

//! Overlapping byte ranges laid over one another.

use std::collections::BinaryHeap;

/// Bytes `start..end` of one address space, found at `at` of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// First byte.
    pub(crate) start: u64,
    /// First byte after the range.
    pub(crate) end: u64,
    /// Where the first byte lies.
    pub(crate) at: u64,
}

/// Lays `pieces` over one another, later ones on top, and returns what is seen
/// from above: disjoint, in ascending order, at most twice as many. Empty and
/// inverted pieces vanish.
pub(crate) fn overlay(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.retain(|piece| piece.start < piece.end);
    if is_disjoint(&pieces) {
        return pieces;
    }
    let mut layers: Vec<(usize, Piece)> = pieces.drain(..).enumerate().collect();
    layers.sort_by_key(|&(layer, piece)| (piece.start, layer));

    let mut seen: Vec<Piece> = Vec::with_capacity(layers.len());
    // What covers `pos`, uppermost first; covered ones wait for their turn.
    let mut open: BinaryHeap<(usize, u64, u64)> = BinaryHeap::new();
    let mut waiting = layers.into_iter().peekable();
    let mut pos = 0;
    loop {
        while let Some((layer, piece)) = waiting.next_if(|&(_, p)| p.start <= pos) {
            open.push((layer, piece.end, piece.at.wrapping_sub(piece.start)));
        }
        while open.peek().is_some_and(|&(_, end, _)| end <= pos) {
            open.pop();
        }
        let next = waiting.peek().map(|&(_, piece)| piece.start);
        let Some(&(_, end, shift)) = open.peek() else {
            match next {
                Some(start) => pos = start,
                None => return seen,
            }
            continue;
        };
        let end = next.map_or(end, |start| end.min(start));
        let at = pos.wrapping_add(shift);
        match seen.last_mut() {
            Some(last) if last.end == pos && last.at.wrapping_add(pos - last.start) == at => {
                last.end = end;
            }
            _ => seen.push(Piece {
                start: pos,
                end,
                at,
            }),
        }
        pos = end;
    }
}

fn is_disjoint(pieces: &[Piece]) -> bool {
    pieces
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.end <= b.start))
}

/// The index of the first piece of an [`overlay`] that ends after `pos`.
pub(crate) fn first_after(pieces: &[Piece], pos: u64) -> usize {
    pieces.partition_point(|piece| piece.end <= pos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against painting byte by byte.
        #[test]
        fn later_pieces_lie_on_top(
            pieces in prop::collection::vec((0u64..150, 0u64..40, 0u64..1000), 0..30),
        ) {
            let pieces: Vec<Piece> = pieces
                .into_iter()
                .map(|(start, len, at)| Piece { start, end: start + len, at })
                .collect();
            let mut painted = vec![None; 200];
            for piece in &pieces {
                for byte in piece.start..piece.end {
                    painted[byte as usize] = Some(piece.at + (byte - piece.start));
                }
            }
            let seen = overlay(pieces.clone());
            prop_assert!(is_disjoint(&seen));
            prop_assert!(seen.len() <= 2 * pieces.len());
            for (byte, wanted) in painted.into_iter().enumerate() {
                let byte = byte as u64;
                let piece = seen.get(first_after(&seen, byte)).filter(|piece| piece.start <= byte);
                prop_assert_eq!(piece.map(|piece| piece.at + (byte - piece.start)), wanted);
            }
        }
    }
}

//! Values and masks for a search.

/// Values and masks that together match every address of `bytes` from `start` on, and
/// no other: a mask covers a power of two of bytes, on a multiple of it.
pub(super) fn pieces(start: u64, bytes: u64) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    let (mut at, mut left) = (start, bytes);
    while left > 0 {
        let lowest = at & at.wrapping_neg();
        let fits = 1 << left.ilog2();
        let size = if lowest == 0 { fits } else { fits.min(lowest) };
        pieces.push((at, size - 1));
        at = at.wrapping_add(size);
        left -= size;
    }
    pieces
}

/// A mask as crash takes it.
pub(super) fn masked(mask: u64) -> String {
    match mask {
        0 => String::new(),
        mask => format!(" -m {mask:x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cover_what_is_asked_for_and_no_more() {
        assert_eq!(pieces(0x1000, 0x1000), [(0x1000, 0xfff)]);
        // Three pages, and a struct page of 56 bytes.
        assert_eq!(pieces(0x1000, 0x3000), [(0x1000, 0xfff), (0x2000, 0x1fff)]);
        for (start, bytes) in [(0x1c0, 56), (0x38, 56), (0, 24), (u64::MAX - 7, 8)] {
            let pieces = pieces(start, bytes);
            let matches = |at: u64| {
                pieces
                    .iter()
                    .filter(move |(value, mask)| at & !mask == *value)
            };
            let near = (0..4 * bytes).map(|offset| start.wrapping_sub(bytes).wrapping_add(offset));
            for at in near {
                let expected = usize::from(at.wrapping_sub(start) < bytes);
                assert_eq!(matches(at).count(), expected, "{at:#x}");
            }
        }
    }
}

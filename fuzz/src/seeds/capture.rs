//! Page maps, put together by the format that `live::capture` describes.

use super::Seed;

pub(super) fn capture() -> Vec<Seed> {
    let map = |frames: u64, stretches: &[u8]| {
        let kinds = 4u16.to_le_bytes();
        let magic = b"PHMAP\0\0\x01";
        [&kinds[..], magic, &frames.to_le_bytes(), stretches].concat()
    };
    vec![
        ("runs", map(1300, &[1, 0x80, 4, 4, 7, 2, 0x8d, 6])),
        // 512 frames of two kinds, then 88 of one.
        ("counted", map(600, &[0, 2, 0, 0x80, 2, 3, 0x80, 2, 3, 88])),
        ("a-tebibyte", map(1 << 28, &[1, 0x80, 0x80, 0x80, 0x80, 1])),
    ]
}

//! Numbers in as few bytes as they need: LEB128, seven bits a byte, the lowest first.

/// Appends `number`.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number that `bytes` begin with, and the bytes behind it; none where they end
/// before, or where it has more than 64 bits.
pub(super) fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    let mut rest = bytes;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some((number, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition of LEB128; 624,485 is the example of DWARF's standard (7.6).
    #[test]
    fn numbers_are_written_as_dwarf_writes_them() {
        let wanted: [(u64, &[u8]); 5] = [
            (0, &[0]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (624_485, &[0xe5, 0x8e, 0x26]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ];
        for (number, bytes) in wanted {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out, bytes, "{number}");
            out.push(7);
            assert_eq!(take(&out), Some((number, &[7][..])));
        }
    }

    #[test]
    fn what_is_cut_or_too_large_is_no_number() {
        assert_eq!(take(&[]), None);
        assert_eq!(take(&[0x80, 0x80]), None);
        assert_eq!(take(&[0xff; 11]), None);
        let mut large = [0xff; 10];
        large[9] = 2;
        assert_eq!(take(&large), None);
    }
}

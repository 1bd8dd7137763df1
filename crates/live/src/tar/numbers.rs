//! Numbers of a tar header.

/// The number in `field`: octal digits between spaces and NULs, or base-256 where the
/// first byte has its high bit set, as GNU tar writes what octal digits cannot. None
/// for anything else, for negative numbers and from 2^63 on. An empty field is zero.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let number = match field.split_first() {
        Some((&first, rest)) if first & 0x80 != 0 => base_256(first & 0x7f, rest)?,
        _ => octal(field)?,
    };
    (number < 1 << 63).then_some(number)
}

/// Two's complement, the bit below the mark is the sign.
fn base_256(first: u8, rest: &[u8]) -> Option<u64> {
    if first & 0x40 != 0 {
        return None;
    }
    rest.iter().try_fold(u64::from(first), |number, &byte| {
        let number = number.checked_mul(256)?;
        Some(number | u64::from(byte))
    })
}

fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let digits = field.iter().skip_while(|byte| blank(byte));
    let digits: Vec<u8> = digits.take_while(|byte| !blank(byte)).copied().collect();
    digits.iter().try_fold(0u64, |number, &digit| {
        let value = match digit {
            b'0'..=b'7' => digit - b'0',
            _ => return None,
        };
        number.checked_mul(8)?.checked_add(u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_ends_at_a_space_or_nul() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        // All digits and no end, as ustar allows.
        assert_eq!(number(b"77777777777"), Some((1 << 33) - 1));
        assert_eq!(number(b"\0\0\0"), Some(0));
        assert_eq!(number(b""), Some(0));
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(b"-000001\0"), None);
    }

    #[test]
    fn base_256_is_known_by_its_first_bit() {
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\x40\0\0\0"), Some(9 << 30));
        // Minus one, and what no file has.
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), None);
        assert_eq!(number(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), None);
        let most = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(number(most), Some((1 << 63) - 1));
    }
}

//! `/sys/kernel/vmcoreinfo` (kernel/ksysfs.c): where in memory the VMCOREINFO note lies,
//! as `address size`, both hexadecimal; the address with `0x` since it is printed by
//! `%pa`.

use crate::line::hex;
use std::ops::Range;

/// The physical addresses of the note.
pub fn vmcoreinfo_place(text: &[u8]) -> Option<Range<u64>> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, size) = text.trim_end().split_once(' ')?;
    let (address, size) = (hex(address)?, hex(size)?);
    (size > 0).then_some(address..address.checked_add(size)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_size() {
        let place = |text: &str| vmcoreinfo_place(text.as_bytes());
        // 6.1, and 3.10.
        assert_eq!(
            place("0x0000000106340000 1024\n"),
            Some(0x1_0634_0000..0x1_0634_1024)
        );
        assert_eq!(place("1f5a2c0 1024\n"), Some(0x1f5_a2c0..0x1f5_b2e4));
        for bad in [
            "",
            "0x1000",
            "0x1000 0\n",
            "x 1024",
            "ffffffffffffffff 1024",
            "1000  1024",
        ] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}

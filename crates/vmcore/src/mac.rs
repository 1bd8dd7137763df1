//! Hardware addresses, and bytes as hex.

use std::fmt;
use std::str::FromStr;

/// An Ethernet hardware address, in the order in which it lies in frames;
/// prints as `24:6e:96:43:3e:38`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address that `bytes` begin with.
    pub fn starting(bytes: &[u8]) -> Option<Mac> {
        bytes.first_chunk().copied().map(Mac)
    }

    /// Whether it names a group of stations (multicast, broadcast), not one.
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether it is all zero, which is nobody's.
    pub fn is_zero(self) -> bool {
        self == Mac::default()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0, ":"))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

/// A text that is no [`Mac`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no hardware address such as 24:6e:96:43:3e:38")]
pub struct NoMac(String);

impl FromStr for Mac {
    type Err = NoMac;

    /// Six pairs of hex digits with colons between.
    fn from_str(text: &str) -> Result<Mac, NoMac> {
        let parsed = || {
            let mut mac = Mac::default();
            let mut pairs = text.split(':');
            for byte in &mut mac.0 {
                let pair = pairs.next()?;
                // from_str_radix alone would take a sign or a single digit.
                let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits)?;
            }
            pairs.next().is_none().then_some(mac)
        };
        parsed().ok_or_else(|| NoMac(text.to_owned()))
    }
}

/// `bytes` as pairs of hex digits with `separator` between.
pub fn hex(bytes: &[u8], separator: &str) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_printed() {
        let mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x08]);
        assert_eq!(mac.to_string(), "24:6e:96:43:3e:08");
        assert_eq!("24:6E:96:43:3e:08".parse(), Ok(mac));
        for wrong in [
            "",
            "24:6e:96:43:3e",
            "24:6e:96:43:3e:08:",
            "24:6e:96:43:3e:8",
            "24:6e:96:43:+e:08",
            "246e96433e08",
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }

    /// IEEE 802-2014, 8.2: the least significant bit of the first byte.
    #[test]
    fn groups_have_the_first_bit_set() {
        assert!(Mac([0xff; 6]).is_group());
        assert!(Mac([0x01, 0x00, 0x5e, 0, 0, 1]).is_group());
        assert!(!Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]).is_group());
    }

    #[test]
    fn bytes_as_pairs() {
        assert_eq!(hex(&[0, 0xab], ""), "00ab");
        assert_eq!(hex(&[0, 0xab], " "), "00 ab");
        assert_eq!(hex(&[], " "), "");
    }
}

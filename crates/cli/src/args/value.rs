//! Values on the command line: numbers, sizes, addresses, byte patterns.

use std::str::FromStr;

/// A count: decimal, or hex with `0x`.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("`{text}` is not a number, decimal or hex with 0x: {error}"))
}

/// An address or a word of memory: hex, with or without `0x`, as in crash.
pub(super) fn hex(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // from_str_radix would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("`{text}` is not a hex number"));
    }
    u64::from_str_radix(digits, 16)
        .map_err(|error| format!("`{text}` is not a 64-bit hex number: {error}"))
}

/// Bytes: a number, with K, M, G or T (or KiB … TiB) for powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit: use K, M, G or T, which are powers of 1024"
            ));
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|error| format!("`{text}` is not a size such as 64M: {error}"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("`{text}` is more than 64 bits of bytes"))
}

/// A MAC address, `24:6e:96:43:3e:38` or with `-`.
pub(super) fn mac(text: &str) -> Result<BytePattern, String> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|pair| {
            (pair.len() == 2)
                .then(|| hex(pair).ok())
                .flatten()
                .and_then(|byte| u8::try_from(byte).ok())
        })
        .collect();
    match bytes {
        Some(bytes) if bytes.len() == 6 => Ok(BytePattern::exact(bytes)),
        _ => Err(format!(
            "`{text}` is not a MAC address such as 24:6e:96:43:3e:38"
        )),
    }
}

/// Bytes in the order in which they lie in memory; a byte matches where it
/// equals `bytes` in the bits that `mask` has set. Both have the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytePattern {
    /// What to find; bits outside the mask are zero.
    pub bytes: Vec<u8>,
    /// Which bits count.
    pub mask: Vec<u8>,
}

impl BytePattern {
    /// A pattern in which every bit counts.
    pub fn exact(bytes: Vec<u8>) -> Self {
        let mask = vec![0xff; bytes.len()];
        BytePattern { bytes, mask }
    }
}

impl FromStr for BytePattern {
    type Err = String;

    /// Hex pairs, `??` for a byte that may be anything, blanks and colons
    /// ignored: `24 6e ?? 43`.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Vec<char> = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != ':')
            .collect();
        let mut pattern = BytePattern {
            bytes: Vec::new(),
            mask: Vec::new(),
        };
        for pair in digits.chunks(2) {
            let &[high, low] = pair else {
                return Err(format!("`{text}` ends with half a byte"));
            };
            let (byte, mask) = match (high.to_digit(16), low.to_digit(16)) {
                (Some(high), Some(low)) => ((high << 4 | low) as u8, 0xff),
                _ if (high, low) == ('?', '?') => (0, 0),
                _ => {
                    return Err(format!(
                        "`{high}{low}` in `{text}` is neither a hex pair nor `??`"
                    ));
                }
            };
            pattern.bytes.push(byte);
            pattern.mask.push(mask);
        }
        if pattern.mask.iter().all(|&mask| mask == 0) {
            return Err(format!("`{text}` would match anything"));
        }
        Ok(pattern)
    }
}

/// A half-open range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// First byte.
    pub start: u64,
    /// First byte after the range; `u64::MAX` where it has no end.
    pub end: u64,
}

impl FromStr for AddressRange {
    type Err = String;

    /// `START-END` in hex; END is not part of the range.
    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text
            .split_once('-')
            .ok_or_else(|| format!("`{text}` is not START-END"))?;
        AddressRange::new(hex(start)?, hex(end)?)
    }
}

impl AddressRange {
    /// The range, unless it would be empty.
    pub fn new(start: u64, end: u64) -> Result<Self, String> {
        if start < end {
            Ok(AddressRange { start, end })
        } else {
            Err(format!(
                "the range {start:x}-{end:x} is empty: its end must lie above its start"
            ))
        }
    }
}

/// A page, in one of the ways in which tools print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageRef {
    /// Page frame number.
    Pfn(u64),
    /// Physical address, anywhere in the page.
    Physical(u64),
    /// Kernel virtual address, anywhere in the page.
    Virtual(u64),
}

impl PageRef {
    /// Kernel addresses have their top bit set, in 16 hex digits, with or
    /// without `0x`; anything else is a frame number, decimal unless it has a
    /// hex digit or `0x`.
    pub fn parse(text: &str, physical: bool) -> Result<Self, String> {
        if physical {
            return hex(text).map(PageRef::Physical);
        }
        match hex(text)? {
            address if address >> 63 == 1 => Ok(PageRef::Virtual(address)),
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => number(text).map(PageRef::Pfn),
            pfn => Ok(PageRef::Pfn(pfn)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number("32"), Ok(32));
        assert_eq!(number("0x20"), Ok(32));
        assert!(number("20h").is_err());
        assert_eq!(hex("0000383e43966e24"), Ok(0x383e_4396_6e24));
        assert_eq!(hex("0xFFFF000000000000"), Ok(0xffff_0000_0000_0000));
        assert!(hex("+1").is_err());
        assert!(hex("").is_err());
        assert!(hex("10000000000000000").is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert!(size("1MB").is_err());
        assert!(size("M").is_err());
        assert!(size("99999999T").is_err());
    }

    #[test]
    fn macs() {
        let bytes = vec![0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38];
        assert_eq!(
            mac("24:6e:96:43:3e:38"),
            Ok(BytePattern::exact(bytes.clone()))
        );
        assert_eq!(mac("24-6E-96-43-3E-38"), Ok(BytePattern::exact(bytes)));
        assert!(mac("24:6e:96:43:3e").is_err());
        assert!(mac("24:6e:96:43:3e:380").is_err());
    }

    #[test]
    fn byte_patterns() {
        let pattern = BytePattern {
            bytes: vec![0x24, 0, 0x96],
            mask: vec![0xff, 0, 0xff],
        };
        assert_eq!("24 ?? 96".parse(), Ok(pattern.clone()));
        assert_eq!("24??96".parse(), Ok(pattern));
        for bad in ["", "2", "?? ??", "2? 11", "zz"] {
            assert!(bad.parse::<BytePattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pages() {
        assert_eq!(PageRef::parse("107187", false), Ok(PageRef::Pfn(107_187)));
        assert_eq!(PageRef::parse("0x1a2b3", false), Ok(PageRef::Pfn(0x1a2b3)));
        assert_eq!(PageRef::parse("1a2b3", false), Ok(PageRef::Pfn(0x1a2b3)));
        assert_eq!(
            PageRef::parse("ffff880100400000", false),
            Ok(PageRef::Virtual(0xffff_8801_0040_0000))
        );
        assert_eq!(
            PageRef::parse("1a2b3000", true),
            Ok(PageRef::Physical(0x1a2b_3000))
        );
        assert!(PageRef::parse("init_task", false).is_err());
    }

    #[test]
    fn ranges() {
        assert_eq!(
            "1000-0x2000".parse(),
            Ok(AddressRange {
                start: 0x1000,
                end: 0x2000
            })
        );
        assert!("2000-1000".parse::<AddressRange>().is_err());
        assert!("2000".parse::<AddressRange>().is_err());
    }
}

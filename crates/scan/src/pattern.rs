//! What can be searched for, and how users write it.

use std::ops::Range;

/// Longest byte pattern accepted, so that a pattern can cross at most one page
/// boundary and costs stay in proportion.
pub(crate) const MAX_BYTES: usize = 1024;

/// Something to search for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// A naturally aligned little-endian word that equals `value` in all bits
    /// that are not set in `mask` (crash's `search -m` likewise ignores the
    /// bits set in the mask).
    Value {
        /// The word.
        value: u64,
        /// Bits that do not matter.
        mask: u64,
        /// Size of the word.
        width: Width,
    },
    /// A naturally aligned 64-bit little-endian word in a half-open range.
    Range(Range<u64>),
    /// Bytes at any alignment, some of which may not matter.
    Bytes(Vec<MaskedByte>),
    /// A regular expression over bytes; Unicode classes are off, `(?u)` turns
    /// them on.
    Regex(String),
}

/// Size of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Width {
    /// 16 bits; crash's `search -h`.
    W16,
    /// 32 bits; crash's `search -w`.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// Size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Width::W16 => 2,
            Width::W32 => 4,
            Width::W64 => 8,
        }
    }

    /// The largest value of this size.
    pub fn max(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

/// A byte of a pattern: matches `b` when `b & care == value & care`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaskedByte {
    /// The byte.
    pub value: u8,
    /// Bits that matter: `0xff` for an exact byte, `0` for `??`.
    pub care: u8,
}

impl MaskedByte {
    /// A byte that must be exactly this.
    pub fn exact(value: u8) -> MaskedByte {
        MaskedByte { value, care: 0xff }
    }

    pub(crate) fn matches(self, byte: u8) -> bool {
        (byte ^ self.value) & self.care == 0
    }
}

/// Why a pattern cannot be searched for. The text names the pattern as it was
/// given and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are what the messages show")]
pub enum PatternError {
    #[error("{what} `{given}`: nothing there; write {example}")]
    Empty {
        what: &'static str,
        given: String,
        example: &'static str,
    },
    #[error("{what} `{given}`: `{found}` at character {at} does not belong there; write {example}")]
    Character {
        what: &'static str,
        given: String,
        found: char,
        at: usize,
        example: &'static str,
    },
    #[error("{what} `{given}` does not fit into {bits} bits; its largest value is {max:#x}")]
    TooLarge {
        what: &'static str,
        given: String,
        bits: usize,
        max: u64,
    },
    #[error("mask {mask:#x} leaves no bit of the value to compare; clear the bits that matter")]
    MaskHidesAll { mask: u64 },
    #[error("range `{given}` holds no value: its end {end:#x} is not above its start {start:#x}")]
    EmptyRange { given: String, start: u64, end: u64 },
    #[error(
        "hex bytes `{given}`: `{token}` has an odd number of digits; write two a byte, as in `24 6e ?? 96`"
    )]
    OddDigits { given: String, token: String },
    #[error("hex bytes match everything: at least one digit must not be `?`")]
    OnlyWildcards,
    #[error("MAC address `{given}`: {count} hex digits instead of 12; write 24:6e:96:43:3e:38")]
    MacDigits { given: String, count: usize },
    #[error("text to search for is empty")]
    EmptyText,
    #[error("pattern of {len} bytes; the longest that is searched for is {max}")]
    TooLong { len: usize, max: usize },
    #[error("regular expression `{given}`: {reason}")]
    Regex { given: String, reason: String },
    #[error("offset {at} lies outside a page of {page_size} bytes")]
    OffsetOutside { at: usize, page_size: usize },
    #[error(
        "offset {at} is not a multiple of {width}: words of {width} bytes are searched at their natural alignment; search the bytes as hex instead"
    )]
    OffsetUnaligned { at: usize, width: usize },
}

const VALUE_EXAMPLE: &str = "hex digits such as 0000383e43966e24";
const MAC_EXAMPLE: &str = "24:6e:96:43:3e:38";
const RANGE_EXAMPLE: &str = "START..END in hex, END not included, or START..=END";

impl Pattern {
    /// A word in hex, with or without `0x`, and a mask of the same form whose
    /// set bits are ignored.
    pub fn parse_value(
        value: &str,
        mask: Option<&str>,
        width: Width,
    ) -> Result<Pattern, PatternError> {
        let number = |what, given| {
            let number = parse_number(what, given, VALUE_EXAMPLE)?;
            if number > width.max() {
                let (bits, max) = (8 * width.bytes(), width.max());
                return Err(PatternError::TooLarge {
                    what,
                    given: given.into(),
                    bits,
                    max,
                });
            }
            Ok(number)
        };
        let value = number("value", value)?;
        let mask = mask.map_or(Ok(0), |mask| number("mask", mask))?;
        Ok(Pattern::Value { value, mask, width })
    }

    /// A range of 64-bit words in hex: `START..END`, or `START..=END` with the
    /// end included.
    pub fn parse_range(given: &str) -> Result<Pattern, PatternError> {
        let Some((start, end)) = given.split_once("..") else {
            return Err(PatternError::Empty {
                what: "range",
                given: given.into(),
                example: RANGE_EXAMPLE,
            });
        };
        let (end, included) = end
            .strip_prefix('=')
            .map_or((end, false), |end| (end, true));
        let start = parse_number("range start", start.trim(), RANGE_EXAMPLE)?;
        let mut last = parse_number("range end", end.trim(), RANGE_EXAMPLE)?;
        if included {
            last = last.checked_add(1).ok_or_else(|| PatternError::TooLarge {
                what: "included range end",
                given: end.into(),
                bits: 64,
                max: u64::MAX - 1,
            })?;
        }
        if last <= start {
            return Err(PatternError::EmptyRange {
                given: given.into(),
                start,
                end: last,
            });
        }
        Ok(Pattern::Range(start..last))
    }

    /// Bytes in memory order, two hex digits each, `?` for a digit that does not
    /// matter; blanks, `:` or `-` between bytes are optional.
    pub fn parse_hex(given: &str) -> Result<Pattern, PatternError> {
        const EXAMPLE: &str = "24 6e ?? 96";
        let mut bytes = Vec::new();
        let mut high: Option<(u8, u8)> = None;
        let mut token = String::new();
        for (index, c) in given.chars().chain([' ']).enumerate() {
            if c.is_ascii_whitespace() || c == ':' || c == '-' {
                if high.is_some() {
                    return Err(PatternError::OddDigits {
                        given: given.into(),
                        token,
                    });
                }
                token.clear();
                continue;
            }
            let (value, care) = match (c, c.to_digit(16)) {
                ('?', _) => (0, 0),
                (_, Some(digit)) => (digit as u8, 0xf),
                _ => return Err(bad_character("hex bytes", given, c, index, EXAMPLE)),
            };
            token.push(c);
            high = match high {
                None => Some((value, care)),
                Some((high_value, high_care)) => {
                    bytes.push(MaskedByte {
                        value: high_value << 4 | value,
                        care: high_care << 4 | care,
                    });
                    None
                }
            };
        }
        if bytes.is_empty() {
            return Err(PatternError::Empty {
                what: "hex bytes",
                given: given.into(),
                example: EXAMPLE,
            });
        }
        let pattern = Pattern::Bytes(bytes);
        pattern.check()?;
        Ok(pattern)
    }

    /// A MAC address as it lies in a frame: `24:6e:96:43:3e:38`, with `-`,
    /// as `246e.9643.3e38`, or without separators.
    pub fn parse_mac(given: &str) -> Result<Pattern, PatternError> {
        let mut digits = Vec::new();
        for (index, c) in given.chars().enumerate() {
            match c.to_digit(16) {
                Some(digit) => digits.push(digit as u8),
                None if matches!(c, ':' | '-' | '.') => {}
                None => return Err(bad_character("MAC address", given, c, index, MAC_EXAMPLE)),
            }
        }
        if digits.len() != 12 {
            let count = digits.len();
            return Err(PatternError::MacDigits {
                given: given.into(),
                count,
            });
        }
        let (pairs, _) = digits.as_chunks::<2>();
        Ok(Pattern::Bytes(
            pairs
                .iter()
                .map(|[high, low]| MaskedByte::exact(high << 4 | low))
                .collect(),
        ))
    }

    /// Exactly these bytes.
    pub fn text(text: impl AsRef<[u8]>) -> Result<Pattern, PatternError> {
        let pattern = Pattern::Bytes(
            text.as_ref()
                .iter()
                .map(|byte| MaskedByte::exact(*byte))
                .collect(),
        );
        pattern.check()?;
        Ok(pattern)
    }

    /// Whether the pattern says anything; patterns from the functions above may
    /// still fail here, and ones built by hand may too.
    pub(crate) fn check(&self) -> Result<(), PatternError> {
        match self {
            Pattern::Value { value, mask, width } => {
                let max = width.max();
                if *value > max || *mask > max {
                    let (what, given) = if *value > max {
                        ("value", value)
                    } else {
                        ("mask", mask)
                    };
                    let (given, bits) = (format!("{given:x}"), 8 * width.bytes());
                    return Err(PatternError::TooLarge {
                        what,
                        given,
                        bits,
                        max,
                    });
                }
                if *mask == max {
                    return Err(PatternError::MaskHidesAll { mask: *mask });
                }
            }
            Pattern::Range(Range { start, end }) => {
                if end <= start {
                    let given = format!("{start:x}..{end:x}");
                    return Err(PatternError::EmptyRange {
                        given,
                        start: *start,
                        end: *end,
                    });
                }
            }
            Pattern::Bytes(bytes) => {
                if bytes.is_empty() {
                    return Err(PatternError::EmptyText);
                }
                if bytes.len() > MAX_BYTES {
                    return Err(PatternError::TooLong {
                        len: bytes.len(),
                        max: MAX_BYTES,
                    });
                }
                if bytes.iter().all(|byte| byte.care == 0) {
                    return Err(PatternError::OnlyWildcards);
                }
            }
            Pattern::Regex(_) => {}
        }
        Ok(())
    }
}

fn parse_number(
    what: &'static str,
    given: &str,
    example: &'static str,
) -> Result<u64, PatternError> {
    let digits = given
        .strip_prefix("0x")
        .or_else(|| given.strip_prefix("0X"))
        .unwrap_or(given);
    let prefix = given.len() - digits.len();
    let mut number = 0u64;
    for (index, c) in digits.chars().enumerate() {
        let Some(digit) = c.to_digit(16) else {
            return Err(bad_character(what, given, c, prefix + index, example));
        };
        if number >> 60 != 0 {
            return Err(PatternError::TooLarge {
                what,
                given: given.into(),
                bits: 64,
                max: u64::MAX,
            });
        }
        number = number << 4 | u64::from(digit);
    }
    if digits.is_empty() {
        return Err(PatternError::Empty {
            what,
            given: given.into(),
            example,
        });
    }
    Ok(number)
}

fn bad_character(
    what: &'static str,
    given: &str,
    found: char,
    index: usize,
    example: &'static str,
) -> PatternError {
    PatternError::Character {
        what,
        given: given.into(),
        found,
        at: index + 1,
        example,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(bytes: &[u8]) -> Pattern {
        Pattern::Bytes(bytes.iter().map(|byte| MaskedByte::exact(*byte)).collect())
    }

    fn message<T: std::fmt::Debug>(result: Result<T, PatternError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn values() {
        let mask = 0xffff_0000_0000_0000;
        let want = Pattern::Value {
            value: 0x383e_4396_6e24,
            mask,
            width: Width::W64,
        };
        for (value, mask) in [
            ("0000383e43966e24", "0xffff000000000000"),
            ("383e43966e24", "FFFF000000000000"),
            ("0X383E43966E24", "ffff000000000000"),
            ("00000000383e43966e24", "0000ffff000000000000"),
        ] {
            assert_eq!(
                Pattern::parse_value(value, Some(mask), Width::W64).unwrap(),
                want
            );
        }
        let short = Pattern::parse_value("ffff", None, Width::W16).unwrap();
        assert_eq!(
            short,
            Pattern::Value {
                value: 0xffff,
                mask: 0,
                width: Width::W16
            }
        );

        let error = |value| message(Pattern::parse_value(value, None, Width::W32));
        assert!(error("1ffffffff").contains("does not fit into 32 bits"));
        assert!(error("0x38g1").contains("`g` at character 5"));
        assert!(error("").contains("nothing there"));
        assert!(error("0x").contains("nothing there"));
        assert!(error("-1").contains("`-` at character 1"));
        assert!(error("11111111111111111").contains("does not fit into 64 bits"));
        let mask = message(Pattern::parse_value("1", Some("1ffff"), Width::W16));
        assert!(mask.contains("mask `1ffff` does not fit into 16 bits"));
    }

    #[test]
    fn ranges() {
        let parse = Pattern::parse_range;
        assert_eq!(parse("0x10..20").unwrap(), Pattern::Range(0x10..0x20));
        assert_eq!(parse("10 ..=1f").unwrap(), Pattern::Range(0x10..0x20));
        assert!(message(parse("20..10")).contains("is not above"));
        assert!(message(parse("10..10")).contains("holds no value"));
        assert!(message(parse("0..=ffffffffffffffff")).contains("does not fit"));
        assert!(message(parse("10-20")).contains("START..END"));
        assert!(message(parse("10..")).contains("range end"));
        assert!(message(parse("10..zz")).contains("`z` at character 1"));
    }

    #[test]
    fn hex() {
        let parse = Pattern::parse_hex;
        let mac = exact(&[0x24, 0x6e, 0x96]);
        for given in ["24 6e 96", "246e96", "24:6E:96", "24-6e-96", " 24  6e96 "] {
            assert_eq!(parse(given).unwrap(), mac, "{given}");
        }
        let byte = |value, care| MaskedByte { value, care };
        assert_eq!(
            parse("24 ?? 4? ?3").unwrap(),
            Pattern::Bytes(vec![
                byte(0x24, 0xff),
                byte(0, 0),
                byte(0x40, 0xf0),
                byte(3, 0xf)
            ])
        );
        assert!(message(parse("24 6")).contains("`6` has an odd number of digits"));
        assert!(message(parse("2 46")).contains("`2` has an odd number"));
        assert!(message(parse("24 zz")).contains("`z` at character 4"));
        assert!(message(parse("0x24")).contains("`x` at character 2"));
        assert!(message(parse("?? ??")).contains("match everything"));
        assert!(message(parse("  ")).contains("nothing there"));
        assert!(message(parse(&"00".repeat(1025))).contains("1025 bytes"));
    }

    #[test]
    fn macs() {
        let mac = exact(&[0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);
        for given in [
            "24:6e:96:43:3e:38",
            "24-6E-96-43-3E-38",
            "246e.9643.3e38",
            "246e96433e38",
        ] {
            assert_eq!(Pattern::parse_mac(given).unwrap(), mac, "{given}");
        }
        assert!(
            message(Pattern::parse_mac("24:6e:96:43:3e")).contains("10 hex digits instead of 12")
        );
        assert!(message(Pattern::parse_mac("24:6e:96:43:3e:3x")).contains("`x` at character 17"));
        assert!(message(Pattern::parse_mac("")).contains("0 hex digits"));
    }

    #[test]
    fn patterns_that_say_nothing_do_not_compile() {
        let compile = |pattern, at| message(crate::PatternSet::compile(&[pattern], at, 4096));
        let value = |value, mask, width| Pattern::Value { value, mask, width };
        assert!(compile(value(1, u64::MAX, Width::W64), None).contains("leaves no bit"));
        assert!(compile(value(1, 0xffff, Width::W16), None).contains("leaves no bit"));
        assert!(compile(value(0x1_0000, 0, Width::W16), None).contains("does not fit into 16"));
        assert!(compile(value(1, 0, Width::W32), Some(6)).contains("not a multiple of 4"));
        assert!(compile(value(1, 0, Width::W32), Some(4096)).contains("outside a page"));
        assert!(compile(Pattern::Range(5..5), None).contains("holds no value"));
        assert!(compile(Pattern::Bytes(vec![]), None).contains("empty"));
        assert!(compile(Pattern::Regex("a*".into()), None).contains("empty string"));
        assert!(compile(Pattern::Regex("a(".into()), None).contains("regular expression `a(`"));
        assert!(message(Pattern::text("")).contains("empty"));
    }
}

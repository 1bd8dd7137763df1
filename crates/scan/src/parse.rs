//! How users write patterns.

use crate::pattern::{MaskedByte, Pattern, PatternError, Width};

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
        // Would take hours on a dump of some gigabytes.
        let endless = Pattern::Regex("(?s).{0,4000}x.{0,4000}".into());
        assert!(compile(endless, None).contains("too large"));
        assert!(message(Pattern::text("")).contains("empty"));
    }
}

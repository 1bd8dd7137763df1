//! What can be searched for.

use std::fmt;
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

impl fmt::Display for Pattern {
    /// Words and ranges in hex, bytes in pairs of digits with `?` for what does not
    /// matter, expressions as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Value { value, mask, width } => {
                let digits = width.bytes() * 2;
                write!(f, "{value:0digits$x}")?;
                match mask {
                    0 => Ok(()),
                    mask => write!(f, " -m {mask:0digits$x}"),
                }
            }
            Pattern::Range(range) => write!(f, "{:x}..{:x}", range.start, range.end),
            Pattern::Bytes(bytes) => bytes.iter().try_for_each(|byte| {
                let digit = |shift: u32| match byte.care >> shift & 0xf {
                    0 => '?',
                    _ => char::from_digit(u32::from(byte.value >> shift & 0xf), 16).unwrap_or('?'),
                };
                write!(f, "{}{}", digit(4), digit(0))
            }),
            Pattern::Regex(text) => f.write_str(text),
        }
    }
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
    #[error("the texts and bytes are too many to be looked for at once: {0}; search for fewer")]
    TooMany(String),
    #[error("regular expression `{given}`: {reason}")]
    Regex { given: String, reason: String },
    #[error("offset {at} lies outside a page of {page_size} bytes")]
    OffsetOutside { at: usize, page_size: usize },
    #[error(
        "offset {at} is not a multiple of {width}: words of {width} bytes are searched at their natural alignment; search the bytes as hex instead"
    )]
    OffsetUnaligned { at: usize, width: usize },
}

impl Pattern {
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

//! Values on the command line: numbers, sizes, addresses, byte patterns.

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
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    // from_str_radix would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("`{text}` is not a hex number"));
    }
    u64::from_str_radix(digits, 16)
        .map_err(|error| format!("`{text}` is not a 64-bit hex number: {error}"))
}

/// Bytes: a number, with K, M, G or T (or KiB … TiB) for powers of 1024, in
/// either case as the kernel takes them.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let shift = match unit.to_ascii_lowercase().as_str() {
        _ if digits.is_empty() => return Err(format!("`{text}` is not a size such as 64M")),
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => {
            return Err(format!(
                "`{text}` is not a size such as 64M or 64MiB: K, M, G and T are powers of 1024"
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

/// A half-open range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// First byte.
    pub start: u64,
    /// First byte after the range; `u64::MAX` where it has no end.
    pub end: u64,
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
    /// without `0x`; anything else is a frame number, decimal or with `0x`. Hex
    /// digits without `0x` are refused: half of all hex numbers look decimal.
    pub fn parse(text: &str, physical: bool) -> Result<Self, String> {
        if physical {
            return hex(text).map(PageRef::Physical);
        }
        match hex(text)? {
            address if address >> 63 == 1 => Ok(PageRef::Virtual(address)),
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => number(text).map(PageRef::Pfn),
            pfn if text.starts_with("0x") || text.starts_with("0X") => Ok(PageRef::Pfn(pfn)),
            _ => Err(format!(
                "`{text}` has hex digits: write 0x{text}; without 0x a page frame number is decimal"
            )),
        }
    }
}

/// A place in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Address, physical where that was said.
    Address(u64),
    /// So many bytes behind a symbol of the kernel.
    Symbol {
        /// Its name.
        name: String,
        /// Bytes behind its address.
        offset: u64,
    },
}

impl Place {
    /// Hex digits are an address, anything else is a symbol, also with an offset
    /// (`init_task+0x10`) and as pagehound prints it (`init_task+0x10/0x2000`).
    pub fn parse(text: &str, physical: bool) -> Result<Self, String> {
        if physical || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return hex(text).map(Place::Address);
        }
        if text.starts_with("0x") || text.starts_with("0X") {
            return hex(text).map(Place::Address);
        }
        let (name, offset) = match text.split_once('+') {
            Some((name, offset)) => {
                let offset = offset.split('/').next().unwrap_or(offset);
                (name, number(offset)?)
            }
            None => (text, 0),
        };
        let in_names = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
        if name.is_empty() || !name.chars().all(in_names) {
            return Err(format!(
                "`{text}` is neither an address in hex nor a symbol, as in init_task or init_task+0x10"
            ));
        }
        Ok(Place::Symbol {
            name: name.to_owned(),
            offset,
        })
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
        assert_eq!(size("64m"), Ok(64 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for wrong in ["1MB", "M", "-1", "abc", ""] {
            let error = size(wrong).unwrap_err();
            assert!(
                error.contains(&format!("`{wrong}` is not a size")),
                "{error}"
            );
        }
        assert!(size("99999999T").is_err());
    }

    #[test]
    fn places() {
        let symbol = |name: &str, offset| {
            Ok(Place::Symbol {
                name: name.to_owned(),
                offset,
            })
        };
        let address = |address| Ok(Place::Address(address));
        let parse = |text| Place::parse(text, false);
        assert_eq!(parse("ffff880100400000"), address(0xffff_8801_0040_0000));
        assert_eq!(parse("0x1a2b3000"), address(0x1a2b_3000));
        assert_eq!(parse("init_task"), symbol("init_task", 0));
        assert_eq!(parse("init_task+0x10"), symbol("init_task", 16));
        assert_eq!(parse("init_task+16"), symbol("init_task", 16));
        assert_eq!(parse("_text+0x10/0x200"), symbol("_text", 16));
        assert_eq!(Place::parse("1a2b3000", true), address(0x1a2b_3000));
        assert!(Place::parse("init_task", true).is_err());
        for wrong in ["", "0xinit", "+0x10", "init_task+", "init task", "./vmcore"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages() {
        assert_eq!(PageRef::parse("107187", false), Ok(PageRef::Pfn(107_187)));
        assert_eq!(PageRef::parse("0x1a2b3", false), Ok(PageRef::Pfn(0x1a2b3)));
        assert_eq!(PageRef::parse("0X1a2b3", false), Ok(PageRef::Pfn(0x1a2b3)));
        assert!(PageRef::parse("1a2b3", false).is_err());
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
}

//! `/proc/meminfo`: `Name:   value kB`, or `Name:   value` for a plain count.
//!
//! Which fields there are depends on the kernel's release and configuration
//! (fs/proc/meminfo.c, mm/hugetlb.c, arch_report_meminfo); nothing but `MemTotal`
//! and `MemFree` is certain, so fields are looked up by name.

use crate::line::{Line, Lines, ParseError, decimal};

/// What a field of meminfo counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Units of 1,024 bytes.
    Kb,
    /// A plain number, such as huge pages.
    Count,
}

/// One line of meminfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Name without the colon, for example `Active(anon)`.
    pub name: &'a str,
    /// As printed; see `unit`.
    pub value: u64,
    /// Unit of `value`.
    pub unit: Unit,
}

/// The fields of one meminfo, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meminfo<'a> {
    /// All fields; a name that comes twice is kept twice, and the first counts.
    pub fields: Vec<Field<'a>>,
}

impl Meminfo<'_> {
    /// The field `name` in kB; `None` if the kernel has no such field, or the field
    /// is a plain count.
    pub fn kb(&self, name: &str) -> Option<u64> {
        self.value(name, Unit::Kb)
    }

    /// The field `name` as a plain count, such as `HugePages_Total`; `None` if there
    /// is none, or it is in kB.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.value(name, Unit::Count)
    }

    fn value(&self, name: &str, unit: Unit) -> Option<u64> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .filter(|field| field.unit == unit)
            .map(|field| field.value)
    }
}

/// Reads a meminfo.
///
/// # Errors
/// A line that is not `Name: number` or `Name: number kB`.
pub fn meminfo(text: &[u8]) -> Result<Meminfo<'_>, ParseError> {
    let fields = Lines::new("meminfo", text)
        .map(|line| field(&line))
        .collect::<Result<_, _>>()?;
    Ok(Meminfo { fields })
}

/// Whether a file that starts with `head` is a meminfo: `MemTotal` is its first line
/// in every kernel since 2.6.
pub fn looks_like_meminfo(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"MemTotal:")
}

fn field<'a>(line: &Line<'a>) -> Result<Field<'a>, ParseError> {
    let shape = || line.error("expected `Name: number` or `Name: number kB`");
    let (name, rest) = line.as_str()?.split_once(':').ok_or_else(shape)?;
    let name = name.trim_ascii_start();
    if name.is_empty() || name.contains(|c: char| c.is_ascii_whitespace()) {
        return Err(shape());
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().and_then(decimal).ok_or_else(shape)?;
    let unit = match (words.next(), words.next()) {
        (None, _) => Unit::Count,
        (Some("kB"), None) => Unit::Kb,
        _ => return Err(shape()),
    };
    Ok(Field { name, value, unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_and_counts_are_told_apart() {
        let text = b"MemTotal:       24684096 kB\nActive(anon):       1560 kB\n\
            HugePages_Total:       4\nHugepagesize:       2048 kB\n";
        let info = meminfo(text).unwrap();
        assert_eq!(info.kb("MemTotal"), Some(24_684_096));
        assert_eq!(info.kb("Active(anon)"), Some(1560));
        assert_eq!(info.count("HugePages_Total"), Some(4));
        assert_eq!(info.kb("HugePages_Total"), None);
        assert_eq!(info.count("Hugepagesize"), None);
        assert_eq!(info.kb("Percpu"), None);
    }

    #[test]
    fn a_counter_that_fell_below_zero_is_still_a_number() {
        let info = meminfo(b"VmallocUsed:    18446744073709551604 kB\r\n").unwrap();
        assert_eq!(info.kb("VmallocUsed"), Some(18_446_744_073_709_551_604));
    }

    #[test]
    fn other_lines_are_errors_with_their_number() {
        for bad in [
            "MemTotal: 1 kB\nhello\n",
            "MemTotal: 1 kB\nA: -1 kB\n",
            "MemTotal: 1 kB\nA: 1 MB\n",
            "MemTotal: 1 kB\nA: 1 kB kB\n",
            "MemTotal: 1 kB\nA B: 1 kB\n",
            "MemTotal: 1 kB\n: 1 kB\n",
            "MemTotal: 1 kB\nA:\n",
            "MemTotal: 1 kB\nA: 18446744073709551616 kB\n",
        ] {
            let error = meminfo(bad.as_bytes()).unwrap_err();
            assert_eq!((error.file, error.line), ("meminfo", 2), "{bad:?}");
        }
        assert_eq!(meminfo(b"A\xff: 1 kB").unwrap_err().line, 1);
    }
}

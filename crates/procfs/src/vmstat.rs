//! `/proc/vmstat`: `name value`, one a line. `nr_*` are pages, except
//! `nr_kernel_stack`, which is kB since 4.9; the others count events.

use crate::line::{ParseError, Rows, decimal};

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter<'a> {
    /// Name, for example `nr_free_pages`.
    pub name: &'a str,
    /// Value.
    pub value: u64,
}

/// The counters of a vmstat.
pub fn vmstat(text: &[u8]) -> Rows<'_, Counter<'_>> {
    Rows::new("vmstat", text, |line| {
        let mut words = line.as_str()?.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        match (words.next().and_then(decimal), words.next()) {
            (Some(value), None) => Ok(Some(Counter { name, value })),
            _ => Err(line.error("expected `name number`")),
        }
    })
}

/// The counter `name`; `None` if the kernel has none of that name.
///
/// # Errors
/// A line before it that is not `name number`.
pub fn vmstat_value(text: &[u8], name: &str) -> Result<Option<u64>, ParseError> {
    for counter in vmstat(text) {
        let counter = counter?;
        if counter.name == name {
            return Ok(Some(counter.value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = b"nr_free_pages 33914\nnr_zspages 3\npgpgin 0\n";
        assert_eq!(vmstat(text).count(), 3);
        assert_eq!(vmstat_value(text, "nr_zspages"), Ok(Some(3)));
        assert_eq!(vmstat_value(text, "nr_zsp"), Ok(None));
    }

    #[test]
    fn other_lines_are_errors() {
        for bad in ["a", "a b", "a 1 2", "a -1"] {
            assert!(vmstat_value(bad.as_bytes(), "z").is_err(), "{bad}");
        }
    }
}

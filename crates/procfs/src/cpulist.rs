//! Lists of CPUs as `/sys/devices/system/cpu/possible` has them: `0-3,8,10-11`.

use crate::line::decimal;

/// How many numbers the list has; none where it is no list.
pub fn cpulist_count(text: &str) -> Option<u64> {
    text.trim().split(',').try_fold(0u64, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let count = decimal(last)?
            .checked_sub(decimal(first)?)?
            .checked_add(1)?;
        sum.checked_add(count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_numbers_count() {
        assert_eq!(cpulist_count("0-1\n"), Some(2));
        assert_eq!(cpulist_count("0-3,8,10-11"), Some(7));
        for bad in ["", "3-1", "0-", "x", "0-18446744073709551615"] {
            assert_eq!(cpulist_count(bad), None, "{bad}");
        }
    }
}

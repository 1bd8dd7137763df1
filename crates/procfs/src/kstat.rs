//! `/proc/spl/kstat/zfs/*`: counters of ZFS. A line with numbers, the line `name type
//! data`, and then a counter a line.

use crate::line::{Lines, decimal};

/// The counter `name`; none if there is no such, or it is no number.
pub fn kstat(text: &[u8], name: &str) -> Option<u64> {
    Lines::new("kstat", text).find_map(|line| {
        let mut words = line.as_str().ok()?.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| words.nth(1).and_then(decimal))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = b"7 1 0x01 21 1008 25476602923533 29223577332204\n\
            name                            type data\nscatter_cnt                     4    12\n\
            scatter_data_size               4    187904\nodd 4 x\n";
        assert_eq!(kstat(text, "scatter_data_size"), Some(187_904));
        assert_eq!((kstat(text, "odd"), kstat(text, "scatter")), (None, None));
    }
}

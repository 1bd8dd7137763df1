//! Numbers for people.

pub use pagehound_model::thousands;

/// Digits in groups of three: `-1,234`.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

/// The same with a `+` for what is not negative.
pub fn with_sign(number: i64) -> String {
    let sign = if number < 0 { "" } else { "+" };
    format!("{sign}{}", signed(number))
}

/// Bytes with a binary unit and one decimal: `45.7 MiB`; below 1 KiB exact.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    // 1023.95 would be printed as 1024.0.
    while value >= 1023.95 {
        let Some(next) = units.next() else { break };
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// `part` of `whole`: `38.4 %`; 0.0 % of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    };
    format!("{:.1} %", share * 100.0)
}

/// `1 page`, `2 pages`.
pub fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs() {
        assert_eq!(
            (signed(-1234), signed(1234)),
            ("-1,234".into(), "1,234".into())
        );
        assert_eq!(
            (with_sign(-1), with_sign(0), with_sign(1)),
            ("-1".into(), "+0".into(), "+1".into())
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(28 * 1024), "28.0 KiB");
        assert_eq!(size(11_683 * 4096), "45.6 MiB");
        assert_eq!(size((1 << 20) - 1), "1.0 MiB");
        assert_eq!(size(62_971 * 4096), "246.0 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn shares() {
        assert_eq!(percent(62_971, 163_805), "38.4 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(count(1, "page"), "1 page");
        assert_eq!(count(2000, "page"), "2,000 pages");
    }
}

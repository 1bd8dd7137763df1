//! Numbers for people.

pub use pagehound_model::{size, thousands};

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
    fn shares() {
        assert_eq!(percent(62_971, 163_805), "38.4 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(count(1, "page"), "1 page");
        assert_eq!(count(2000, "page"), "2,000 pages");
    }
}

//! Bounds of a proportion.

/// How many standard deviations to both sides hold 95 % of a normal distribution: its
/// 97.5 % point.
pub const Z: f64 = 1.959_963_984_540_054;

/// The 95 % score interval of `part` of `all`: E. B. Wilson, Journal of the American
/// Statistical Association 22 (1927) 209. It holds for small counts, too. None of
/// nothing.
pub fn wilson(part: u64, all: u64) -> Option<(f64, f64)> {
    if all == 0 {
        return None;
    }
    let (n, share) = (all as f64, part as f64 / all as f64);
    let centre = 2.0 * n * share + Z * Z;
    let half = Z * (Z * Z + 4.0 * n * share * (1.0 - share)).sqrt();
    let below = 2.0 * (n + Z * Z);
    let (low, high) = ((centre - half) / below, (centre + half) / below);
    Some((low.max(0.0), high.min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::wilson;

    /// R. G. Newcombe, Statistics in Medicine 17, 1998, 857–872, table I, method 3.
    #[test]
    fn bounds_are_as_published() {
        for (part, all, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(part, all).unwrap();
            assert!((found.0 - low).abs() < 5e-5, "{part}/{all}: {found:?}");
            assert!((found.1 - high).abs() < 5e-5, "{part}/{all}: {found:?}");
        }
        assert_eq!(wilson(0, 0), None);
    }
}

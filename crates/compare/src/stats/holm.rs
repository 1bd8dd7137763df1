//! Many tests at once.

/// The p-values corrected for their number, so that among all of them one in twenty
/// times, and not more often, chance alone makes one significant: S. Holm
/// (Scandinavian Journal of Statistics 6, 1979, 65–70). In the order given.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut corrected = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, (index, p)) in order.into_iter().enumerate() {
        let tests_left = (p_values.len() - rank) as f64;
        largest = largest.max((p * tests_left).min(1.0));
        if let Some(slot) = corrected.get_mut(index) {
            *slot = largest;
        }
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::holm;

    /// Worked by hand from Holm's definition: the smallest times 4, the next times 3
    /// and so on, none below the one before it.
    #[test]
    fn by_hand() {
        let corrected = holm(&[0.03, 0.01, 0.04, 0.02]);
        for (found, expected) in corrected.iter().zip([0.06, 0.04, 0.06, 0.06]) {
            assert!((found - expected).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}

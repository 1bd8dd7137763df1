//! How much larger one proportion is than another.

use super::Table;

/// An estimate with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounded {
    pub(crate) estimate: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// `part` of `all` as a proportion, with Wilson's interval. Of nothing it can be
/// anything.
fn proportion((part, all): (u64, u64)) -> Bounded {
    let bounds = pagehound_model::wilson(part, all);
    let (low, high) = bounds.unwrap_or((0.0, 1.0));
    Bounded {
        estimate: part as f64 / all.max(1) as f64,
        low,
        high,
    }
}

/// The proportion with the trait less that without it, and the 95 % interval that
/// combines the score intervals of both: method 10 of R. G. Newcombe (Statistics in
/// Medicine 17, 1998, 873–890).
pub(crate) fn difference(table: Table) -> Bounded {
    let (one, other) = (proportion(table.with), proportion(table.without));
    let estimate = one.estimate - other.estimate;
    let down = (one.estimate - one.low).hypot(other.high - other.estimate);
    let up = (one.high - one.estimate).hypot(other.estimate - other.low);
    Bounded {
        estimate,
        low: (estimate - down).max(-1.0),
        high: (estimate + up).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, published: f64) {
        assert!((found - published).abs() < 5e-5, "{found} {published}");
    }

    /// The eight examples of table II, method 10, of R. G. Newcombe, Statistics in
    /// Medicine 17, 1998, 873–890.
    #[test]
    fn differences_are_as_published() {
        for (with, without, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            let found = difference(Table { with, without });
            near(found.low, low);
            near(found.high, high);
        }
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let none = difference(Table::default());
        assert_eq!((none.low, none.high), (-1.0, 1.0));
    }
}

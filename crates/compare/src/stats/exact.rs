//! The exact conditional distribution of two by two tables in strata.
//!
//! Given the margins of every table, how many of the leaking hosts have the trait
//! depends on one unknown alone, the odds ratio that the strata have in common. With
//! one stratum this is Fisher's exact test with its odds ratio; with several it is
//! the exact form of the test of Mantel and Haenszel (J. J. Gart, Biometrika 57,
//! 1970, 471–475; A. Agresti, *Categorical Data Analysis*, 3.6.6 and 6.6.1).

use super::proportion::Bounded;
use super::{TAIL, Table};

/// Counts whose probabilities differ by less are equally probable: the same tolerance
/// as R's `fisher.test`, so that rounding leaves none of them out.
const TOLERANCE: f64 = 1e-7;

/// Logarithm of the largest odds that are looked at.
const WIDEST: f64 = 700.0;

/// Halvings of that range: to the last bit, also of the smallest logarithm.
const HALVINGS: usize = 100;

/// Logarithm of what a part may be of a whole and be left out: thousands of these are
/// less than rounding.
const NEGLIGIBLE: f64 = -50.0;

/// Logarithms of factorials, up to the number of hosts.
pub(crate) struct LnFactorials(Vec<f64>);

impl LnFactorials {
    /// Up to `most`, inclusive.
    pub(crate) fn up_to(most: usize) -> Self {
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        for number in 1..=most {
            sum += (number as f64).ln();
            sums.push(sum);
        }
        LnFactorials(sums)
    }

    /// Of `n` over `k`; `k` is at most `n`, and `n` at most what the table has.
    fn choose(&self, n: u64, k: u64) -> f64 {
        let of = |number: u64| {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            self.0.get(index).copied().unwrap_or(f64::INFINITY)
        };
        of(n) - of(k) - of(n.saturating_sub(k))
    }
}

/// How many leaking hosts with the trait there could have been.
pub(crate) struct Conditional {
    /// Logarithm of the number of ways to each count, from the least count on.
    ways: Vec<f64>,
    /// Index of the count that was seen.
    seen: usize,
}

impl Conditional {
    /// Of tables that have one odds ratio in common.
    pub(crate) fn of(strata: &[Table], factorials: &LnFactorials) -> Self {
        let mut all = Conditional {
            ways: vec![0.0],
            seen: 0,
        };
        for &table in strata {
            let one = Conditional::of_one(table, factorials);
            all = Conditional {
                ways: convolved(&all.ways, &one.ways),
                seen: all.seen + one.seen,
            };
        }
        all
    }

    fn of_one(table: Table, factorials: &LnFactorials) -> Self {
        let ((with, n_with), (without, n_without)) = (table.with, table.without);
        let leaking = with + without;
        let least = leaking.saturating_sub(n_without);
        let ways = (least..=leaking.min(n_with)).map(|count| {
            factorials.choose(n_with, count) + factorials.choose(n_without, leaking - count)
        });
        Conditional {
            ways: ways.collect(),
            seen: usize::try_from(with.saturating_sub(least)).unwrap_or(0),
        }
    }

    /// Whether more than one outcome was possible.
    pub(crate) fn tells(&self) -> bool {
        self.ways.len() > 1
    }

    /// Two-sided p-value of no association: the probability of all outcomes that are
    /// no more probable than what was seen. One where nothing can be told.
    pub(crate) fn p_value(&self) -> f64 {
        let shares = self.shares(0.0);
        let seen = shares.get(self.seen).copied().unwrap_or(1.0);
        let rare = shares
            .iter()
            .filter(|share| **share <= seen * (1.0 + TOLERANCE));
        rare.sum::<f64>().min(1.0)
    }

    /// The odds ratio that makes what was seen most likely, with its exact 95 %
    /// interval. Infinite where what was seen is the most there could be.
    pub(crate) fn odds_ratio(&self) -> Bounded {
        if !self.tells() {
            return Bounded {
                estimate: f64::NAN,
                low: 0.0,
                high: f64::INFINITY,
            };
        }
        let seen = self.seen as f64;
        let (least, most) = (self.seen == 0, self.seen + 1 == self.ways.len());
        // All three grow with the odds.
        let mean = |ln_odds: f64| {
            let shares = self.shares(ln_odds);
            let counts = shares.iter().enumerate();
            counts
                .map(|(count, share)| count as f64 * share)
                .sum::<f64>()
                - seen
        };
        let at_least = |ln_odds: f64| {
            let shares = self.shares(ln_odds);
            shares.iter().skip(self.seen).sum::<f64>() - TAIL
        };
        let above = |ln_odds: f64| {
            let shares = self.shares(ln_odds);
            TAIL - shares.iter().take(self.seen + 1).sum::<f64>()
        };
        Bounded {
            estimate: match (least, most) {
                (true, _) => 0.0,
                (_, true) => f64::INFINITY,
                _ => root(mean).exp(),
            },
            low: if least { 0.0 } else { root(at_least).exp() },
            high: if most {
                f64::INFINITY
            } else {
                root(above).exp()
            },
        }
    }

    /// Probability of each count, if this is the logarithm of the odds ratio.
    fn shares(&self, ln_odds: f64) -> Vec<f64> {
        let tilted = self.ways.iter().enumerate();
        let tilted: Vec<f64> = tilted
            .map(|(count, ways)| ways + count as f64 * ln_odds)
            .collect();
        let sum = ln_sum(tilted.iter().copied());
        tilted.iter().map(|ways| (ways - sum).exp()).collect()
    }
}

/// Ways to each sum of two counts.
fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    if let [ways] = one {
        return other.iter().map(|more| ways + more).collect();
    }
    let sums = one.len() + other.len() - 1;
    let ways = (0..sums).map(|sum| {
        let first = sum.saturating_sub(other.len() - 1);
        let pairs = one.iter().enumerate().skip(first).take(sum + 1 - first);
        ln_sum(pairs.filter_map(|(at, ways)| Some(ways + other.get(sum.checked_sub(at)?)?)))
    });
    ways.collect()
}

/// Logarithm of the sum of numbers of which these are the logarithms.
fn ln_sum(logarithms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logarithms.clone().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logarithms
        .map(|of| of - largest)
        .filter(|of| *of > NEGLIGIBLE)
        .map(f64::exp)
        .sum();
    largest + sum.ln()
}

/// Where a function that grows crosses zero.
fn root(grows: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-WIDEST, WIDEST);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if middle == low || middle == high {
            break;
        }
        if grows(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditional(strata: &[[u64; 4]]) -> Conditional {
        // As R prints a table: rows are with and without.
        let tables = strata.iter().map(|[a, b, c, d]| Table {
            with: (*a, a + b),
            without: (*c, c + d),
        });
        let tables: Vec<Table> = tables.collect();
        Conditional::of(&tables, &LnFactorials::up_to(100_000))
    }

    fn within(found: f64, published: f64, most: f64) {
        let error = ((found - published) / published).abs();
        assert!(error < most, "{found} is not {published}");
    }

    fn near(found: f64, published: f64) {
        within(found, published, 2e-5);
    }

    /// The examples of R's `fisher.test`, with what R prints.
    #[test]
    fn one_table_is_fisher_s_test() {
        // Fisher's tea drinker: Agresti, Categorical Data Analysis, table 3.9.
        let tea = conditional(&[[3, 1, 1, 3]]);
        near(tea.p_value(), 0.485_714_3);
        near(tea.odds_ratio().estimate, 6.408_309);
        // R prints bounds with seven digits, but looks for them to about three; by
        // definition 0.025 is left beyond a bound, of the ways written out.
        within(tea.odds_ratio().low, 0.211_732_9, 0.01);
        within(tea.odds_ratio().high, 621.933_750_5, 0.01);
        let odds = tea.odds_ratio().high;
        let fewer = 1.0 + 16.0 * odds + 36.0 * odds.powi(2) + 16.0 * odds.powi(3);
        near(fewer / (fewer + odds.powi(4)), 0.025);
        // Convictions of twins (Fisher 1962).
        let twins = conditional(&[[2, 15, 10, 3]]);
        assert!((twins.p_value() - 0.000_536_7).abs() < 5e-8);
        near(twins.odds_ratio().estimate, 0.046_936_61);
        within(twins.odds_ratio().low, 0.003_325_764, 0.01);
        within(twins.odds_ratio().high, 0.363_182_271, 0.01);
    }

    /// Penicillin in rabbits (Mantel 1963; Agresti, table 6.8), the example of R's
    /// `mantelhaen.test(exact = TRUE)`: p-value and odds ratio as R prints them.
    #[test]
    fn several_tables_are_the_exact_test_of_mantel_and_haenszel() {
        let rabbits = conditional(&[
            [0, 6, 0, 5],
            [3, 3, 0, 6],
            [6, 0, 2, 4],
            [5, 1, 6, 0],
            [2, 0, 5, 0],
        ]);
        assert!(
            (rabbits.p_value() - 0.039_944_9).abs() < 5e-7,
            "{}",
            rabbits.p_value()
        );
        near(rabbits.odds_ratio().estimate, 10.361_02);
        let bounds = rabbits.odds_ratio();
        assert!(bounds.low > 1.0 && bounds.high.is_finite(), "{bounds:?}");
    }

    /// Admissions at Berkeley by department (R's `UCBAdmissions`): R's
    /// `mantelhaen.test` has 0.9047 and 0.7719 to 1.0603 by a formula for large
    /// counts, which is what the exact one must come near to with 4,526 applicants.
    #[test]
    fn with_many_the_large_sample_formula_agrees() {
        let berkeley = conditional(&[
            [512, 313, 89, 19],
            [353, 207, 17, 8],
            [120, 205, 202, 391],
            [138, 279, 131, 244],
            [53, 138, 94, 299],
            [22, 351, 24, 317],
        ]);
        let found = berkeley.odds_ratio();
        assert!((found.estimate - 0.9047).abs() < 0.003, "{found:?}");
        assert!((found.low - 0.7719).abs() < 0.01, "{found:?}");
        assert!((found.high - 1.0603).abs() < 0.01, "{found:?}");
        assert!((berkeley.p_value() - 0.2323).abs() < 0.01);
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        let all_leak = conditional(&[[5, 0, 3, 0]]);
        assert!(!all_leak.tells());
        assert_eq!(all_leak.p_value(), 1.0);
        assert!(all_leak.odds_ratio().high.is_infinite());
        let split = conditional(&[[4, 0, 0, 4]]);
        near(split.p_value(), 2.0 / 70.0);
        assert!(split.odds_ratio().estimate.is_infinite());
        assert!(split.odds_ratio().low > 1.0);
        assert_eq!(conditional(&[]).p_value(), 1.0);
    }

    #[test]
    fn thousands_of_hosts_do_not_overflow() {
        let sure = conditional(&[[2000, 100, 50, 2000]]);
        assert!(sure.p_value() < 1e-300);
        let bounds = sure.odds_ratio();
        assert!(bounds.low > 500.0 && bounds.high < 1200.0, "{bounds:?}");
    }
}

//! Whether numbers grow with time, and how fast.
//!
//! Mann and Kendall's test (H. B. Mann, Econometrica 13, 1945, 245–259; M. G. Kendall,
//! *Rank Correlation Methods*) asks nothing of how numbers scatter, only that without
//! growth every order of them is equally probable; numbers taken shortly after each
//! other are less independent than that. With few moments only its exact distribution
//! holds. Moments in several runs, such as boots, are added up as R. M. Hirsch does with
//! seasons (Water Resources Research 18, 1982, 107–121).

use std::cmp::Ordering;

/// Numbers of one run: seconds, ascending, and what there was then.
pub(crate) type Run = Vec<(i64, u64)>;

/// The probability that numbers which do not grow come in an order with as few pairs
/// that fall, or fewer: one-sided. One where nothing can be told.
pub(crate) fn p_of_growth(runs: &[Run]) -> f64 {
    let mut ways = vec![1.0];
    let mut fall = 0;
    for run in runs {
        ways = convolved(&ways, &falling_pairs(&ties(run)));
        let pairs = pairs(run).filter(|(one, other)| one.1 > other.1);
        fall += pairs.count();
    }
    let as_few = ways.iter().take(fall + 1);
    as_few.sum::<f64>().min(1.0)
}

/// The median of the slopes of all pairs of a run, per second (P. K. Sen, Journal of the
/// American Statistical Association 63, 1968, 1379–1389). None without a pair.
pub(crate) fn slope(runs: &[Run]) -> Option<f64> {
    let slopes = runs.iter().flat_map(pairs).filter_map(|(one, other)| {
        let seconds = other.0.checked_sub(one.0).filter(|seconds| *seconds > 0)?;
        let more = i128::from(other.1) - i128::from(one.1);
        Some(more as f64 / seconds as f64)
    });
    let mut slopes: Vec<f64> = slopes.collect();
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    let upper = slopes.get(middle)?;
    match slopes.len() % 2 {
        0 => Some((slopes.get(middle - 1)? + upper) / 2.0),
        _ => Some(*upper),
    }
}

/// All pairs, the earlier first.
fn pairs(run: &Run) -> impl Iterator<Item = ((i64, u64), (i64, u64))> + '_ {
    let rest = |at: usize| run.iter().skip(at + 1);
    let firsts = run.iter().enumerate();
    firsts.flat_map(move |(at, one)| rest(at).map(move |other| (*one, *other)))
}

/// How often each number comes.
fn ties(run: &Run) -> Vec<usize> {
    let mut numbers: Vec<u64> = run.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    numbers
        .chunk_by(|one, other| one == other)
        .map(<[u64]>::len)
        .collect()
}

/// Probabilities of 0, 1, 2, … falling pairs in a random order of numbers, of which
/// equal ones come so often.
fn falling_pairs(ties: &[usize]) -> Vec<f64> {
    let mut ways = vec![1.0];
    let mut before = 0;
    for &more in ties {
        ways = convolved(&ways, &mixed(before, more));
        before += more;
    }
    ways
}

/// Probabilities of 0, 1, 2, … pairs that fall, of `low` equal numbers in a random order
/// with `high` larger ones.
fn mixed(low: usize, high: usize) -> Vec<f64> {
    // By how many of both there are, what the last of them is.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; high + 1];
    for lows in 1..=low {
        let mut last: Vec<f64> = Vec::new();
        for (highs, ways) in row.iter_mut().enumerate() {
            let all = (lows + highs) as f64;
            let mut next = vec![0.0; lows * highs + 1];
            // A low one at the end falls from every high one.
            for (to, from) in next.iter_mut().skip(highs).zip(ways.iter()) {
                *to += from * lows as f64 / all;
            }
            for (to, from) in next.iter_mut().zip(&last) {
                *to += from * highs as f64 / all;
            }
            last.clone_from(&next);
            *ways = next;
        }
    }
    row.pop().unwrap_or_default()
}

fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; (one.len() + other.len()).saturating_sub(1)];
    for (at, share) in one.iter().enumerate() {
        for (to, more) in sums.iter_mut().skip(at).zip(other) {
            *to += share * more;
        }
    }
    sums
}

/// The larger growth first; what has none stands last.
pub(crate) fn by_growth(one: Option<f64>, other: Option<f64>) -> Ordering {
    let of = |slope: Option<f64>| slope.unwrap_or(f64::NEG_INFINITY);
    of(other).total_cmp(&of(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(numbers: &[u64]) -> Run {
        (0..).zip(numbers.iter().copied()).collect()
    }

    fn near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-12,
            "{found} is not {expected}"
        );
    }

    /// Kendall's table of the probability that S is reached or exceeded (*Rank
    /// Correlation Methods*, appendix table 1), which prints three digits.
    #[test]
    fn without_ties_it_is_kendall_s_table() {
        let cases: [(&[u64], f64); 6] = [
            (&[1, 2, 3, 4], 0.042),
            (&[1, 2, 4, 3], 0.167),
            (&[1, 2, 3, 5, 4], 0.042),
            (&[2, 1, 4, 3, 6, 5, 8, 7], 0.0),
            (&[2, 1, 4, 3, 6, 5, 7, 8, 9, 10], 0.0),
            (&[4, 3, 2, 1], 1.0),
        ];
        for (numbers, table) in cases {
            let found = p_of_growth(&[run(numbers)]);
            let table = if table == 0.0 {
                by_counting(numbers)
            } else {
                table
            };
            assert!(
                (found - table).abs() < 5e-4,
                "{numbers:?}: {found} is not {table}"
            );
        }
    }

    /// By writing out every order there is.
    fn by_counting(numbers: &[u64]) -> f64 {
        fn orders(rest: &mut Vec<u64>, order: &mut Vec<u64>, most: usize, found: &mut [u64; 2]) {
            let fall = |order: &[u64]| {
                let firsts = order.iter().enumerate();
                let falls =
                    firsts.map(|(at, one)| order[at + 1..].iter().filter(|it| one > it).count());
                falls.sum::<usize>()
            };
            if rest.is_empty() {
                found[0] += u64::from(fall(order) <= most);
                found[1] += 1;
            }
            for at in 0..rest.len() {
                let number = rest.remove(at);
                order.push(number);
                orders(rest, order, most, found);
                rest.insert(at, order.pop().unwrap());
            }
        }
        let most = pairs(&run(numbers))
            .filter(|(one, other)| one.1 > other.1)
            .count();
        let mut found = [0, 0];
        orders(&mut numbers.to_vec(), &mut Vec::new(), most, &mut found);
        found[0] as f64 / found[1] as f64
    }

    #[test]
    fn ties_are_counted_as_they_are() {
        for numbers in [
            &[1, 1, 2, 2, 3][..],
            &[5, 5, 5, 5],
            &[1, 2, 2, 1, 3, 3],
            &[0, 0, 0, 0, 9, 9, 1],
            &[3, 1, 2, 2, 2, 7],
            &[7],
        ] {
            near(p_of_growth(&[run(numbers)]), by_counting(numbers));
        }
        near(p_of_growth(&[]), 1.0);
    }

    #[test]
    fn runs_are_added_up() {
        // Each of two runs of three is in order in one of six ways.
        let both = [run(&[1, 2, 3]), run(&[1, 2, 3])];
        near(p_of_growth(&both), 1.0 / 36.0);
        // Where the second begins below the first makes no difference.
        let both = [run(&[101, 102, 103]), run(&[1, 2, 3])];
        near(p_of_growth(&both), 1.0 / 36.0);
        near(slope(&both).unwrap(), 1.0);
    }

    #[test]
    fn the_slope_is_the_median_of_all_pairs() {
        near(slope(&[run(&[0, 10, 20, 30])]).unwrap(), 10.0);
        // One moment that is far off moves it little.
        near(
            slope(&[run(&[0, 10, 20, 1_000_000, 40, 50])]).unwrap(),
            10.0,
        );
        // Slopes of three pairs: -5, 0.5, 6.
        near(slope(&[run(&[10, 5, 11])]).unwrap(), 0.5);
        near(slope(&[run(&[u64::MAX, 0])]).unwrap(), -(u64::MAX as f64));
        assert_eq!(slope(&[run(&[1]), run(&[2])]), None);
    }

    /// A hundred and more moments: the sum of all probabilities stays one.
    #[test]
    fn many_moments_are_exact_too() {
        let rising: Vec<u64> = (0..128).collect();
        assert!(p_of_growth(&[run(&rising)]) < 1e-100);
        let falling: Vec<u64> = (0..128).rev().collect();
        assert!((p_of_growth(&[run(&falling)]) - 1.0).abs() < 1e-9);
        let halves: Vec<u64> = (0..128).map(|at| u64::from(at % 2 == 0)).collect();
        let p = p_of_growth(&[run(&halves)]);
        assert!((0.4..0.6).contains(&p), "{p}");
    }
}

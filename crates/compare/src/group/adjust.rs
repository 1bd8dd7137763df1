//! Which over-represented traits remain when others are held fixed.
//!
//! That one is explained by another takes more than that the one is significant and
//! the other is not, for a difference between those need not be significant itself
//! (A. Gelman, H. Stern, The American Statistician 60, 2006, 328–331). What it would
//! make of hosts alike in the other, were it the cause, must be ruled out there. This
//! is asked of differences of proportions: odds ratios also change where nothing is
//! explained (S. Greenland, J. M. Robins, J. Pearl, Statistical Science 14, 1999,
//! 29–46).

use super::Host;
use super::associate::{Class, table};
use super::limits::Limits;
use super::result::{
    Adjusted, Association, GroupComparison, Interval, Proportion, Standing, Stratum,
};
use crate::stats::{ALPHA, Conditional, LnFactorials, Table, difference};
use std::collections::BTreeMap;

/// Traits that others are adjusted for, at most: those with the lowest p-values.
const LEADING: usize = 12;

/// How the over-represented classes stand to each other.
pub(super) struct Leading {
    /// Standing of each class, with the classes that explain it.
    standings: Vec<(Standing, Vec<usize>)>,
    /// By class and the class it is adjusted for.
    pairs: BTreeMap<(usize, usize), Pair>,
    /// Over-represented classes for which there was no room.
    pub(super) unadjusted: usize,
}

struct Pair {
    strata: [Table; 2],
    odds_ratio: Interval,
    p_value: f64,
    /// Whether it still goes with leaking.
    remains: bool,
    /// Whether it is ruled out that it matters there as much as it does alone.
    vanishes: bool,
}

/// Adjusts the over-represented of `classes`, which are in the order of their
/// p-values, for each other.
pub(super) fn adjust(
    classes: &[Class],
    hosts: &[Host],
    limits: &Limits,
    factorials: &LnFactorials,
) -> Leading {
    let mut over: Vec<usize> = classes
        .iter()
        .enumerate()
        .filter(|(_, class)| class.is_over_represented())
        .map(|(index, _)| index)
        .collect();
    let unadjusted = over.split_off(over.len().min(limits.adjusted));
    let mut pairs = BTreeMap::new();
    for &of in &over {
        for &by in over.iter().take(LEADING).filter(|&&by| by != of) {
            let (Some(one), Some(other)) = (classes.get(of), classes.get(by)) else {
                continue;
            };
            for (at, of, by) in [((of, by), one, other), ((by, of), other, one)] {
                pairs
                    .entry(at)
                    .or_insert_with(|| pair(of, by, hosts, factorials));
            }
        }
    }
    let mut leading = Leading {
        standings: vec![(Standing::Chance, Vec::new()); classes.len()],
        pairs,
        unadjusted: unadjusted.len(),
    };
    leading.settle(&over);
    // Nothing tells them from the cohort.
    for index in unadjusted {
        if let Some(slot) = leading.standings.get_mut(index) {
            slot.0 = Standing::Inseparable;
        }
    }
    leading
}

fn pair(of: &Class, by: &Class, hosts: &[Host], factorials: &LnFactorials) -> Pair {
    let stratum = |wanted: bool| {
        let rows = hosts.iter().zip(&of.has).zip(&by.has);
        let rows = rows.filter(|(_, by)| **by == Some(wanted));
        table(rows.map(|((host, has), _)| (host.leaks, *has)))
    };
    let strata = [stratum(true), stratum(false)];
    let exact = Conditional::of(&strata, factorials);
    let (odds_ratio, p_value) = (exact.odds_ratio(), exact.p_value());
    Pair {
        strata,
        odds_ratio: odds_ratio.into(),
        p_value,
        remains: p_value < ALPHA && odds_ratio.estimate > 1.0,
        vanishes: vanishes(of.table, &strata),
    }
}

/// Whether the difference that the trait makes among all hosts is above the 95 %
/// interval in each of the strata that have hosts with it and without.
fn vanishes(alone: Table, strata: &[Table]) -> bool {
    let alone = difference(alone).estimate;
    let mut telling = strata
        .iter()
        .filter(|stratum| stratum.with.1 > 0 && stratum.without.1 > 0)
        .peekable();
    telling.peek().is_some() && telling.all(|stratum| difference(*stratum).high < alone)
}

impl Leading {
    fn remains(&self, of: usize, by: usize) -> bool {
        self.pairs.get(&(of, by)).is_some_and(|pair| pair.remains)
    }

    /// A class is explained by one that remains when adjusted for it, while it does
    /// not remain itself and is ruled out to matter as it seemed to.
    fn settle(&mut self, over: &[usize]) {
        let explained = |of: usize| -> Vec<usize> {
            let others = over.iter().copied().filter(|&by| by != of);
            others
                .filter(|&by| {
                    let pair = self.pairs.get(&(of, by));
                    pair.is_some_and(|pair| !pair.remains && pair.vanishes) && self.remains(by, of)
                })
                .collect()
        };
        let by: Vec<(usize, Vec<usize>)> = over.iter().map(|&of| (of, explained(of))).collect();
        // Three can explain each other in a circle; then the lowest p-value leads.
        let first = by.iter().find(|(_, by)| by.is_empty()).or(by.first());
        let Some(first) = first.map(|(of, _)| *of) else {
            return;
        };
        let mut cohort = vec![first];
        for (of, by) in by {
            let standing = if of == first {
                Standing::Cohort
            } else if !by.is_empty() {
                Standing::Explained
            } else if cohort.iter().all(|&other| self.remains(of, other)) {
                cohort.push(of);
                Standing::Cohort
            } else {
                Standing::Inseparable
            };
            if let Some(slot) = self.standings.get_mut(of) {
                *slot = (standing, if of == first { Vec::new() } else { by });
            }
        }
    }

    /// Whether a trait is over-represented and not explained.
    pub(super) fn found(&self) -> bool {
        let mut standings = self.standings.iter();
        standings.any(|(standing, _)| *standing == Standing::Cohort)
    }

    /// Puts all into the result, the most telling first.
    pub(super) fn deliver(self, classes: Vec<Class>, result: &mut GroupComparison) {
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by_key(|index| self.standings.get(*index).map(|(standing, _)| *standing));
        let places: BTreeMap<usize, usize> = order
            .iter()
            .enumerate()
            .map(|(place, index)| (*index, place))
            .collect();
        let place = |index: &usize| places.get(index).copied();
        let mut associations: Vec<(usize, Association)> = classes
            .into_iter()
            .zip(self.standings)
            .enumerate()
            .filter_map(|(index, (class, (standing, by)))| {
                let known = class.table.with.1 + class.table.without.1;
                let association = Association {
                    with: class.table.with.into(),
                    without: class.table.without.into(),
                    unknown: class.has.len() as u64 - known,
                    traits: class.traits,
                    difference: class.difference,
                    odds_ratio: class.odds_ratio,
                    p_value: class.p_value,
                    p_corrected: class.p_corrected,
                    standing,
                    explained_by: by.iter().filter_map(place).collect(),
                };
                Some((place(&index)?, association))
            })
            .collect();
        associations.sort_by_key(|(place, _)| *place);
        result.associations = associations.into_iter().map(|(_, of)| of).collect();
        let adjusted = self.pairs.into_iter().filter_map(|((of, by), pair)| {
            Some(Adjusted {
                of: place(&of)?,
                by: place(&by)?,
                strata: pair.strata.map(Stratum::from),
                odds_ratio: pair.odds_ratio,
                p_value: pair.p_value,
            })
        });
        result.adjusted = adjusted.collect();
        result.adjusted.sort_by_key(|pair| (pair.of, pair.by));
    }
}

impl From<Table> for Stratum {
    fn from(table: Table) -> Self {
        Stratum {
            with: Proportion::from(table.with),
            without: Proportion::from(table.without),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(with: (u64, u64), without: (u64, u64)) -> Table {
        Table { with, without }
    }

    /// 40 hosts with the one and 40 without, 20 of each with the other. Where the other
    /// is the cause, none leaks without it and all do with it.
    #[test]
    fn what_only_goes_along_vanishes() {
        let alone = table((32, 40), (4, 40));
        let strata = [table((32, 32), (4, 4)), table((0, 8), (0, 36))];
        assert!(vanishes(alone, &strata));
    }

    /// Two causes, which all hosts but one of each have together.
    #[test]
    fn a_second_cause_that_few_hosts_have_alone_does_not_vanish() {
        let alone = table((21, 21), (2, 29));
        let both = table((20, 20), (1, 1));
        assert!(!vanishes(alone, &[both, table((1, 1), (1, 28))]));
        assert!(!vanishes(alone, &[]), "nothing tells");
        let none = [table((21, 21), (0, 0)), table((0, 0), (2, 29))];
        assert!(!vanishes(alone, &none), "the same hosts have both");
    }
}

//! One table a trait.

use super::Host;
use super::catalogue::Catalogue;
use super::limits::Limits;
use super::result::{Interval, Proportion};
use crate::stats::{ALPHA, Conditional, LnFactorials, Table, difference, holm};
use crate::traits::{Trait, TraitKind};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Traits that the same hosts have.
pub(super) struct Class {
    pub(super) traits: Vec<Trait>,
    /// Whether each host has them.
    pub(super) has: Vec<Option<bool>>,
    pub(super) table: Table,
    pub(super) difference: Interval,
    pub(super) odds_ratio: Interval,
    pub(super) p_value: f64,
    pub(super) p_corrected: f64,
}

impl Class {
    /// Whether more of those with them leak than chance allows.
    pub(super) fn is_over_represented(&self) -> bool {
        self.p_corrected < ALPHA && self.difference.estimate.is_some_and(|more| more > 0.0)
    }
}

/// The traits that some hosts have and some have not, the lowest p-value first, and how
/// many were not tested.
///
/// Where there are too many those are tested that part the hosts most evenly, for only
/// these can tell much. Who leaks has no say in that, so that the p-values stay what
/// they are (R. Bourgon, R. Gentleman, W. Huber, PNAS 107, 2010, 9546–9551).
pub(super) fn classes(
    hosts: &[Host],
    catalogue: &Catalogue,
    limits: &Limits,
    factorials: &LnFactorials,
) -> (Vec<Class>, usize) {
    let mut with: Vec<Vec<usize>> = vec![Vec::new(); catalogue.len()];
    for (index, host) in hosts.iter().enumerate() {
        for &number in &host.has {
            if let Some(with) = usize::try_from(number).ok().and_then(|at| with.get_mut(at)) {
                with.push(index);
            }
        }
    }
    let none = Vec::new();
    let mut parting: Vec<(&Trait, &Vec<usize>)> = catalogue
        .traits()
        .map(|(of, number)| (of, with.get(number as usize).unwrap_or(&none)))
        .filter(|(_, with)| (1..hosts.len()).contains(&with.len()))
        .collect();
    parting.sort_by_key(|(of, with)| (Reverse(with.len().min(hosts.len() - with.len())), *of));
    let mut alike: BTreeMap<Vec<Option<bool>>, Vec<Trait>> = BTreeMap::new();
    let mut asked = 0;
    for (of, with) in &parting {
        if asked == limits.asked || alike.len() == limits.tests {
            break;
        }
        asked += 1;
        let has = states(of, with, hosts, catalogue);
        if has.contains(&Some(false)) {
            alike.entry(has).or_default().push((*of).clone());
        }
    }
    for traits in alike.values_mut() {
        traits.sort();
    }
    let mut classes: Vec<Class> = alike
        .into_iter()
        .map(|(has, traits)| class(traits, has, hosts, factorials))
        .collect();
    let p_values: Vec<f64> = classes.iter().map(|class| class.p_value).collect();
    for (class, corrected) in classes.iter_mut().zip(holm(&p_values)) {
        class.p_corrected = corrected;
    }
    // Equal p-values in the order of the kinds, those nearest to a leak first.
    classes.sort_by(|one, other| {
        let by_p = one.p_value.total_cmp(&other.p_value);
        by_p.then_with(|| one.traits.cmp(&other.traits))
    });
    (classes, parting.len() - asked)
}

/// Whether each host has `of`, which those at `with` are known to have.
fn states(of: &Trait, with: &[usize], hosts: &[Host], catalogue: &Catalogue) -> Vec<Option<bool>> {
    let module = catalogue.number(&Trait::new(TraitKind::Module, &of.name, ""));
    let lacks = |host: &Host| {
        let loaded = || module.is_some_and(|number| host.has.binary_search(&number).is_ok());
        host.tells.lacks(of, loaded).then_some(false)
    };
    let mut has: Vec<Option<bool>> = hosts.iter().map(lacks).collect();
    for &index in with {
        if let Some(state) = has.get_mut(index) {
            *state = Some(true);
        }
    }
    has
}

fn class(
    traits: Vec<Trait>,
    has: Vec<Option<bool>>,
    hosts: &[Host],
    factorials: &LnFactorials,
) -> Class {
    let table = table(hosts.iter().zip(&has).map(|(host, has)| (host.leaks, *has)));
    let exact = Conditional::of(&[table], factorials);
    Class {
        traits,
        has,
        table,
        difference: difference(table).into(),
        odds_ratio: exact.odds_ratio().into(),
        p_value: exact.p_value(),
        p_corrected: 1.0,
    }
}

/// Hosts by whether they leak and whether they have a trait; those of which that is
/// not known do not count.
pub(super) fn table(hosts: impl Iterator<Item = (bool, Option<bool>)>) -> Table {
    let mut table = Table::default();
    for (leaks, has) in hosts {
        let side = match has {
            Some(true) => &mut table.with,
            Some(false) => &mut table.without,
            None => continue,
        };
        side.0 += u64::from(leaks);
        side.1 += 1;
    }
    table
}

impl From<crate::stats::Bounded> for Interval {
    fn from(bounded: crate::stats::Bounded) -> Self {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        Interval {
            estimate: finite(bounded.estimate),
            low: finite(bounded.low),
            high: finite(bounded.high),
        }
    }
}

impl From<(u64, u64)> for Proportion {
    fn from((leaking, hosts): (u64, u64)) -> Self {
        Proportion { leaking, hosts }
    }
}

//! Amounts, and how much more of something the second has.

use super::result::{Amount, Change, NamedChange, Relation, Which};
use pagehound_model::{Estimate, Report};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What amounts are measured by.
pub(super) struct Scale {
    /// Bytes of a page, of each.
    pages: [u64; 2],
    /// MemTotal of each.
    totals: [u64; 2],
    /// Hours between two moments of one host.
    hours: Option<f64>,
}

impl Scale {
    pub(super) fn of(a: &Report, b: &Report, relation: Relation) -> Self {
        Scale {
            pages: [a.target.page_size, b.target.page_size],
            totals: [a.target.mem_total_bytes, b.target.mem_total_bytes],
            hours: relation
                .rate_seconds()
                .map(|seconds| seconds as f64 / 3600.0),
        }
    }

    fn at(&self, which: Which, of: &[u64; 2]) -> u64 {
        match which {
            Which::A => of[0],
            Which::B => of[1],
        }
    }

    /// So many bytes.
    pub(super) fn bytes(&self, which: Which, bytes: u64) -> Amount {
        let total = self.at(which, &self.totals);
        Amount {
            bytes,
            share: (total > 0).then(|| bytes as f64 / total as f64),
            bounds: None,
            count: None,
        }
    }

    /// Both together, with bounds if one of them has.
    pub(super) fn sum(&self, which: Which, one: Amount, other: Amount) -> Amount {
        let bounds = |of: Amount| of.bounds.unwrap_or((of.bytes, of.bytes));
        let ((low, high), (more_low, more_high)) = (bounds(one), bounds(other));
        let estimated = one.bounds.is_some() || other.bounds.is_some();
        let both = (low.saturating_add(more_low), high.saturating_add(more_high));
        Amount {
            bounds: estimated.then_some(both),
            ..self.bytes(which, one.bytes.saturating_add(other.bytes))
        }
    }

    /// The sum of pages, with bounds if one of them has.
    pub(super) fn pages(
        &self,
        which: Which,
        parts: impl Iterator<Item = (u64, Option<Estimate>)>,
    ) -> Amount {
        let size = self.at(which, &self.pages);
        let (mut sum, mut low, mut high, mut estimated) = (0u64, 0u64, 0u64, false);
        for (pages, bounds) in parts {
            estimated |= bounds.is_some();
            let bounds = bounds.unwrap_or(Estimate {
                low: pages,
                high: pages,
            });
            sum = sum.saturating_add(pages);
            low = low.saturating_add(bounds.low);
            high = high.saturating_add(bounds.high);
        }
        let bounds = (low.saturating_mul(size), high.saturating_mul(size));
        Amount {
            bounds: estimated.then_some(bounds),
            ..self.bytes(which, sum.saturating_mul(size))
        }
    }

    /// From one to the other; `None` is nothing at all.
    pub(super) fn change(&self, a: Option<Amount>, b: Option<Amount>) -> Change {
        let of = |amount: Option<Amount>| amount.map_or(0, |amount| i128::from(amount.bytes));
        let less = of(b) - of(a);
        let bytes = i64::try_from(less).unwrap_or(if less < 0 { i64::MIN } else { i64::MAX });
        let share = |amount: Option<Amount>| amount.map_or(Some(0.0), |amount| amount.share);
        Change {
            a,
            b,
            bytes,
            share: share(b).zip(share(a)).map(|(b, a)| b - a),
            bytes_per_hour: self.hours.map(|hours| bytes as f64 / hours),
        }
    }

    /// Changes of what has a name.
    pub(super) fn named(&self, a: &Named, b: &Named) -> Vec<NamedChange> {
        let keys: BTreeSet<&(String, String)> = a.keys().chain(b.keys()).collect();
        let changes = keys.into_iter().map(|key| NamedChange {
            kind: key.0.clone(),
            name: key.1.clone(),
            change: self.change(a.get(key).copied(), b.get(key).copied()),
        });
        let mut changes: Vec<NamedChange> = changes.filter(|of| of.change.tells()).collect();
        changes.sort_by(|one, other| by_change(&one.change, &other.change));
        changes
    }
}

/// By kind and name.
pub(super) type Named = BTreeMap<(String, String), Amount>;

impl Change {
    pub(super) fn without_shares(self) -> Self {
        let bare = |amount: Amount| Amount {
            share: None,
            ..amount
        };
        Change {
            a: self.a.map(bare),
            b: self.b.map(bare),
            share: None,
            ..self
        }
    }

    /// Whether it is more than the bounds leave open.
    pub fn tells(&self) -> bool {
        let bounds = |amount: Option<Amount>| {
            let (bytes, bounds) = amount.map_or((0, None), |of| (of.bytes, of.bounds));
            bounds.unwrap_or((bytes, bytes))
        };
        let ((a_low, a_high), (b_low, b_high)) = (bounds(self.a), bounds(self.b));
        let count = |amount: Option<Amount>| amount.and_then(|amount| amount.count);
        a_low > b_high || b_low > a_high || (self.bytes == 0 && count(self.a) != count(self.b))
    }
}

/// The largest first: by the share of memory, which hosts of different size compare;
/// what has none stands last, by bytes.
pub(super) fn by_change(one: &Change, other: &Change) -> Ordering {
    let share = |of: &Change| of.share.map_or(-1.0, f64::abs);
    let by_bytes = || other.bytes.unsigned_abs().cmp(&one.bytes.unsigned_abs());
    share(other).total_cmp(&share(one)).then_with(by_bytes)
}

//! The units of one group or of several, without a list of them: of a large leak it
//! would be larger than all else.

use pagehound_vmcore::Pfn;

use crate::units::Units;

/// Units of some groups.
#[derive(Clone)]
pub(super) struct Members<'a> {
    units: &'a Units,
    /// Number of the group by that of the unit.
    groups: &'a [u16],
    /// Numbers of these groups, ascending.
    numbers: Vec<u16>,
    count: usize,
    pages: u64,
}

impl<'a> Members<'a> {
    /// Those of the group with this number, `count` units of `pages` pages.
    pub(super) fn new(
        units: &'a Units,
        groups: &'a [u16],
        number: u16,
        count: usize,
        pages: u64,
    ) -> Members<'a> {
        Members {
            units,
            groups,
            numbers: vec![number],
            count,
            pages,
        }
    }

    /// Those of all of these; `None` of none.
    pub(super) fn together(all: impl IntoIterator<Item = Members<'a>>) -> Option<Members<'a>> {
        let mut sum = all.into_iter().reduce(|mut sum, other| {
            sum.numbers.extend(other.numbers);
            sum.count += other.count;
            sum.pages += other.pages;
            sum
        })?;
        sum.numbers.sort_unstable();
        Some(sum)
    }

    /// How many units.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Pages of all units.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// Numbers of the groups.
    pub(super) fn numbers(&self) -> &[u16] {
        &self.numbers
    }

    /// First frames, ascending.
    pub(super) fn heads(&self) -> impl Iterator<Item = Pfn> + Clone + '_ {
        let all = self.units.heads().zip(self.groups);
        let own = all.filter(|(_, group)| match self.numbers.as_slice() {
            [one] => *group == one,
            many => many.binary_search(group).is_ok(),
        });
        // Behind the last there is nothing to look for.
        own.map(|(head, _)| head).take(self.count)
    }
}

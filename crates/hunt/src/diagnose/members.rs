//! The units of one group or of several, mostly without a list of them: of a large leak
//! it would be larger than all else.

use pagehound_kernel::PageMap;
use pagehound_vmcore::Pfn;

use crate::units::Units;

/// Units of some groups.
#[derive(Clone)]
pub(super) struct Members<'a> {
    /// All units, and the number of the group of each.
    marked: Option<(&'a Units, &'a [u16])>,
    /// Numbers of these groups, ascending.
    numbers: Vec<u16>,
    /// Units that are listed after all, since they are few.
    listed: &'a [Pfn],
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
            marked: Some((units, groups)),
            numbers: vec![number],
            listed: &[],
            count,
            pages,
        }
    }

    /// Those in a list.
    pub(super) fn listed(heads: &'a [Pfn], map: &PageMap) -> Members<'a> {
        Members {
            marked: None,
            numbers: Vec::new(),
            listed: heads,
            count: heads.len(),
            pages: heads.iter().map(|&head| map.unit(head).len()).sum(),
        }
    }

    /// Those of all of these groups; `None` of none.
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

    /// First frames: ascending, or in the order of the list.
    pub(super) fn heads(&self) -> impl Iterator<Item = Pfn> + Clone + '_ {
        let marked = self.marked.into_iter();
        let all = marked.flat_map(|(units, groups)| units.heads().zip(groups));
        let own = all.filter(|(_, group)| match self.numbers.as_slice() {
            [one] => *group == one,
            many => many.binary_search(group).is_ok(),
        });
        let listed = self.listed.iter().copied();
        // Behind the last there is nothing to look for.
        listed.chain(own.map(|(head, _)| head)).take(self.count)
    }
}

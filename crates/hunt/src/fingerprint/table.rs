//! Traits of millions of units in two bytes each: few are different, so each is kept
//! once, and a unit has its number.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::traits::Traits;

/// Different traits from which on new ones lose offsets of frames, the last ones
/// first, until they are known ones: such offsets are all over the place, and only
/// offsets that many units share are ever told.
const WITH_OFFSETS: usize = 1 << 15;
/// Different traits from which on frames to an address that is new are frames to
/// nobody: addresses of devices were met long before.
const WITH_ADDRESS: usize = 3 << 14;

/// Traits by a unit's number.
pub(super) struct Table {
    /// Numbers of traits, from 1; 0 for units that were not read.
    ids: Vec<u16>,
    /// Different traits, the first with number 1.
    different: Vec<Traits>,
    numbers: HashMap<Traits, u16>,
}

impl Table {
    /// A table of so many units, of which nothing is known.
    pub(super) fn new(units: usize) -> Table {
        Table {
            ids: vec![0; units],
            different: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// Makes what is known of a unit what `change` makes of it; `None` leaves it.
    pub(super) fn change(
        &mut self,
        unit: usize,
        change: impl FnOnce(Option<&Traits>) -> Option<Traits>,
    ) {
        let Some(traits) = change(self.get(unit)) else {
            return;
        };
        let id = self.number(traits);
        if let Some(slot) = self.ids.get_mut(unit) {
            *slot = id;
        }
    }

    /// What is known of a unit.
    pub(super) fn get(&self, unit: usize) -> Option<&Traits> {
        self.different.get(self.id(unit)?)
    }

    /// Index of a unit's traits in [`different`](Self::different).
    pub(super) fn id(&self, unit: usize) -> Option<usize> {
        usize::from(*self.ids.get(unit)?).checked_sub(1)
    }

    /// All different traits, some of which no unit may have any more.
    pub(super) fn different(&self) -> &[Traits] {
        &self.different
    }

    /// How many units have each of [`different`](Self::different).
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.different.len()];
        for id in self
            .ids
            .iter()
            .filter_map(|&id| usize::from(id).checked_sub(1))
        {
            if let Some(count) = counts.get_mut(id) {
                *count += 1;
            }
        }
        counts
    }

    /// The number of traits, or of the nearest there is room for.
    fn number(&mut self, mut traits: Traits) -> u16 {
        loop {
            if let Some(&number) = self.numbers.get(&traits) {
                return number;
            }
            let known = self.different.len();
            if known >= WITH_OFFSETS
                && let Some(fewer) = traits.without_last_offset()
            {
                traits = fewer;
            } else if known >= WITH_ADDRESS && traits.dst.is_some() {
                traits = Traits::of(traits.content);
            } else if known >= usize::from(u16::MAX) {
                return 0;
            } else {
                break;
            }
        }
        self.different.push(traits);
        let number = self.different.len() as u16;
        self.numbers.insert(traits, number);
        number
    }
}

//! The traits of all hosts, each kept once.

use crate::traits::Trait;
use std::collections::BTreeMap;

/// Traits by number. A host's traits are a list of numbers: thousands of hosts have
/// mostly the same.
#[derive(Default)]
pub(super) struct Catalogue {
    numbers: BTreeMap<Trait, u32>,
    /// Whether there was no room for some.
    full: bool,
}

impl Catalogue {
    /// The numbers of `traits`, ascending. Those that are new when there are `most`
    /// already are left out.
    pub(super) fn take_in(&mut self, traits: impl Iterator<Item = Trait>, most: usize) -> Vec<u32> {
        let mut numbers: Vec<u32> = Vec::new();
        for of in traits {
            let next = self.numbers.len();
            match (self.numbers.get(&of), u32::try_from(next)) {
                (Some(known), _) => numbers.push(*known),
                (None, Ok(number)) if next < most => {
                    self.numbers.insert(of, number);
                    numbers.push(number);
                }
                (None, _) => self.full = true,
            }
        }
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn number(&self, of: &Trait) -> Option<u32> {
        self.numbers.get(of).copied()
    }

    /// All traits with their numbers, in the order of traits.
    pub(super) fn traits(&self) -> impl Iterator<Item = (&Trait, u32)> {
        self.numbers.iter().map(|(of, number)| (of, *number))
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }
}

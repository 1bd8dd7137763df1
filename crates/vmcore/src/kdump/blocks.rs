//! Whether every page's data is its own. A writer puts one block behind the other, and
//! only pages of zeroes share one: where a table of descriptors says otherwise, some
//! pages have the data of others.

use super::layout::PageDesc;

/// Blocks that lie before one of an earlier frame and are remembered. No writer makes
/// any; a file with more is not taken for one whose blocks are in another order.
const MOST_BACK: usize = 1 << 20;
/// Blocks of zeroes that pages share: one a file, and one a cycle perhaps.
const MOST_ZEROES: usize = 64;

/// Blocks of data, as the descriptors name them in the order of their frames.
#[derive(Default)]
pub(super) struct Blocks {
    /// Where the highest so far ends; 0 before the first.
    end: u64,
    /// Bytes between blocks.
    between: u64,
    /// Blocks that more than one page has, and that hold zeroes.
    zeroes: Vec<PageDesc>,
    /// Blocks that lie before the highest of earlier frames: start and end.
    back: Vec<(u64, u64)>,
    too_many: bool,
}

impl Blocks {
    /// Adds the block of the next frame; `is_zero` unpacks it.
    pub(super) fn add(&mut self, desc: &PageDesc, is_zero: impl FnOnce() -> bool) {
        if self.goes_on(desc) || self.is_of_zeroes(desc) {
            return;
        }
        if self.zeroes.len() < MOST_ZEROES && is_zero() {
            self.zeroes.push(*desc);
        } else if self.back.len() < MOST_BACK {
            self.back.push(span(desc));
        } else {
            self.too_many = true;
        }
    }

    /// Whether the block lies behind all so far.
    fn goes_on(&mut self, desc: &PageDesc) -> bool {
        let (start, end) = span(desc);
        if start < self.end {
            return false;
        }
        if self.end > 0 {
            self.between = self.between.saturating_add(start - self.end);
        }
        self.end = end;
        true
    }

    fn is_of_zeroes(&self, desc: &PageDesc) -> bool {
        let same = |zeroes: &PageDesc| {
            span(zeroes) == span(desc) && zeroes.flags.get() == desc.flags.get()
        };
        self.zeroes.iter().any(same)
    }

    /// What contradicts itself in all that was added, which `each` tells once more.
    pub(super) fn contradiction(
        mut self,
        each: impl FnOnce(&mut dyn FnMut(&PageDesc)),
    ) -> Option<String> {
        if self.too_many {
            return Some("the blocks of its pages lie in no order".to_owned());
        }
        self.back.sort_unstable();
        let mut shared = self
            .back
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if b.0 < a.1));
        if !self.back.is_empty() && !shared {
            // Once more, to see whether one that lay behind all before it meets them.
            let mut forth = Blocks::default();
            each(&mut |desc| {
                let (start, end) = span(desc);
                let after = self.back.partition_point(|back| back.1 <= start);
                let meets = self.back.get(after).is_some_and(|back| back.0 < end);
                shared |= forth.goes_on(desc) && meets;
            });
        }
        if shared {
            return Some("several pages share a block of data".to_owned());
        }
        let back = self.back.iter().map(|(start, end)| end - start);
        let nobodys = self.between.saturating_sub(back.sum());
        (nobodys > 0).then(|| format!("{nobodys} bytes among the data belong to no page"))
    }
}

/// Where a block lies; `Descs::check` has seen that it ends in the file.
fn span(desc: &PageDesc) -> (u64, u64) {
    let start = desc.offset.get();
    (start, start.saturating_add(u64::from(desc.size.get())))
}

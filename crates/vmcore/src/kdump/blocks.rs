//! Whether every page's data is its own. A writer puts one block behind the other, and
//! pages of equal content, such as zeroes, may share one. Where blocks overlap in part, or
//! bytes between them are nobody's, pages have the data of others.

use std::collections::HashSet;

use super::layout::PageDesc;

/// Blocks that do not lie behind those of earlier frames and are remembered. Writers make
/// none but shared ones; a file with more is not taken for one in another order.
const MOST: usize = 1 << 18;

/// Blocks of data, as the descriptors name them in the order of their frames.
#[derive(Default)]
pub(super) struct Blocks {
    /// Where the highest so far ends; 0 before the first.
    end: u64,
    /// Bytes between blocks.
    between: u64,
    /// Blocks that do not lie behind those of earlier frames: start and end.
    back: HashSet<(u64, u64)>,
    /// The last of them: most pages of zeroes share one.
    last: (u64, u64),
    /// Some of them hold more than zeroes.
    content: bool,
    too_many: bool,
}

impl Blocks {
    /// Adds the block of the next frame; `is_zero` unpacks it.
    pub(super) fn add(&mut self, desc: &PageDesc, is_zero: impl FnOnce() -> bool) {
        let block = span(desc);
        if block == self.last || self.goes_on(block) {
            return;
        }
        if self.back.len() >= MOST {
            self.too_many |= !self.back.contains(&block);
        } else if self.back.insert(block) {
            self.content = self.content || !is_zero();
        }
        self.last = block;
    }

    /// Whether the block lies behind all so far.
    fn goes_on(&mut self, (start, end): (u64, u64)) -> bool {
        if start < self.end {
            return false;
        }
        if self.end > 0 {
            self.between = self.between.saturating_add(start - self.end);
        }
        self.end = end;
        true
    }

    /// What contradicts itself in all that was added, which `each` tells once more;
    /// `file_end` is where the last block may end.
    pub(super) fn contradiction(
        self,
        file_end: u64,
        each: impl FnOnce(&mut dyn FnMut(&PageDesc)),
    ) -> Option<String> {
        const OVERLAP: &str = "the data of several pages overlaps";
        if self.too_many {
            return Some("the blocks of its pages lie in no order".to_owned());
        }
        let mut back: Vec<(u64, u64)> = self.back.into_iter().collect();
        back.sort_unstable();
        if back
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if b.0 < a.1))
        {
            return Some(OVERLAP.to_owned());
        }
        // Bytes of those that fill a gap; the others are blocks that lay behind all before.
        let mut fill: u64 = back.iter().map(|(start, end)| end - start).sum();
        let (mut overlap, mut again) = (false, false);
        if !back.is_empty() {
            let mut forth = Blocks::default();
            each(&mut |desc| {
                let block = span(desc);
                if !forth.goes_on(block) {
                    return;
                }
                let after = back.partition_point(|back| back.1 <= block.0);
                match back.get(after) {
                    Some(back) if *back == block => {
                        fill = fill.saturating_sub(block.1 - block.0);
                        again = true;
                    }
                    Some(back) => overlap |= back.0 < block.1,
                    None => {}
                }
            });
        }
        if overlap {
            return Some(OVERLAP.to_owned());
        }
        let mut nobodys = self.between.saturating_sub(fill);
        if again && self.content {
            // The page that has another's data may be the last.
            nobodys = nobodys.saturating_add(file_end.saturating_sub(self.end));
        }
        (nobodys > 0).then(|| format!("{nobodys} bytes among the data belong to no page"))
    }
}

/// Where a block lies; `Descs::check` has seen that it ends in the file.
fn span(desc: &PageDesc) -> (u64, u64) {
    let start = desc.offset.get();
    (start, start.saturating_add(u64::from(desc.size.get())))
}

//! An answer against the truth, page by page, and the goals it must meet.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::{Fate, KINDS, Truth};

/// The share of the planted lost pages that must be found.
const RECALL: f64 = 0.995;
/// The share of the planted held pages that may be called lost.
const HELD_CALLED_LOST: f64 = 0.001;
/// Pages that may be called lost beyond those planted: this share of the guest's,
/// but where planting has disturbed its memory at least as many as this, which
/// is more in a guest of up to 3,200,000 pages (12 GiB with 4 KiB pages).
const EXTRA_SHARE: f64 = 0.000_01;
const EXTRA_PAGES: u64 = 32;

/// How an answer compares with the truth. Counts are pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Lost pages that were planted, or that the driver counted.
    pub planted: u64,
    /// Of those, how many the answer has.
    pub found: u64,
    /// Planted pages that something holds.
    pub held: u64,
    /// Of those, how many the answer has.
    pub held_called_lost: u64,
    /// Called lost, but neither planted as lost nor planted as held.
    pub extra: u64,
    /// How many of these an answer may have.
    pub extra_allowed: u64,
}

impl Score {
    /// Compares the frames of all pages called lost with the truth.
    pub fn of(truth: &Truth, lost: &BTreeSet<u64>) -> Self {
        let mut score = Self {
            planted: 0,
            found: 0,
            held: 0,
            held_called_lost: 0,
            extra: 0,
            extra_allowed: extra_allowed(truth),
        };
        let mut either = 0;
        for (number, _, fate) in KINDS {
            let pfns = truth.pages(number);
            let pages = pfns.len() as u64;
            let called_lost = pfns.intersection(lost).count() as u64;
            match fate {
                Fate::Lost => {
                    score.planted += pages;
                    score.found += called_lost;
                }
                Fate::Held => {
                    score.held += pages;
                    score.held_called_lost += called_lost;
                }
                Fate::Counted => either += called_lost,
            }
        }
        let others =
            (lost.len() as u64).saturating_sub(score.found + score.held_called_lost + either);
        let counted = others.min(truth.leaked());
        score.planted += truth.leaked();
        score.found += counted;
        score.extra = others - counted;
        score
    }

    /// The share of the planted lost pages that was found.
    pub fn recall(&self) -> f64 {
        share(self.found, self.planted, 1.0)
    }

    /// Every goal this score misses, in words.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.recall() < RECALL {
            missed.push(format!(
                "recall {:.3} % < {} %",
                self.recall() * 100.0,
                RECALL * 100.0
            ));
        }
        missed.extend(self.wrongly_lost());
        missed
    }

    /// Goals on pages that must not be called lost, in words: even where much
    /// of the memory is missing, no such page may be.
    pub fn wrongly_lost(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if share(self.held_called_lost, self.held, 0.0) > HELD_CALLED_LOST {
            missed.push(format!("{} held pages called lost", self.held_called_lost));
        }
        if self.extra > self.extra_allowed {
            missed.push(format!(
                "{} pages called lost beyond what was planted",
                self.extra
            ));
        }
        missed
    }

    /// Whether every goal is met.
    ///
    /// # Errors
    ///
    /// Every goal this score misses.
    pub fn judge(&self) -> Result<()> {
        let missed = self.missed();
        if !missed.is_empty() {
            bail!("goals missed: {}", missed.join("; "));
        }
        Ok(())
    }
}

fn extra_allowed(truth: &Truth) -> u64 {
    // MemTotal, but in pages, of whatever size.
    let share = (truth.zoneinfo("managed") as f64 * EXTRA_SHARE) as u64;
    if truth.planted().next().is_none() {
        share
    } else {
        share.max(EXTRA_PAGES)
    }
}

fn share(part: u64, whole: u64, of_nothing: f64) -> f64 {
    if whole == 0 {
        of_nothing
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(planted: &str, counted: u64) -> Truth {
        truth_of(65_536, planted, counted)
    }

    /// The truth of a guest with so many pages.
    fn truth_of(pages: u64, planted: &str, counted: u64) -> Truth {
        let text = format!(
            "== zoneinfo\nNode 0, zone DMA\n  managed 1000\nNode 0, zone Normal\n  managed {}\n\
             == leaked\n{counted}\n== planted\n{planted}== end\n",
            pages - 1000
        );
        Truth::parse(&text).unwrap()
    }

    #[test]
    fn a_large_guest_may_have_more_strays() {
        let allowed = |pages, planted| {
            let truth = truth_of(pages, planted, 0);
            Score::of(&truth, &BTreeSet::new()).extra_allowed
        };
        // One in 100,000, whatever the size of a page.
        assert_eq!(allowed(65_536, ""), 0);
        assert_eq!(allowed(4_000_000, ""), 40);
        assert_eq!(allowed(65_536, "10 1 0\n"), 32);
        assert_eq!(allowed(4_000_000, "10 1 0\n"), 40);
    }

    #[test]
    fn pages_are_told_apart_by_number_not_by_count() {
        let truth = truth("10 1 0\n11 1 0\n20 6 0\n", 0);
        let score = Score::of(&truth, &BTreeSet::from([10, 20, 99]));
        assert_eq!((score.planted, score.found), (2, 1));
        assert_eq!((score.held, score.held_called_lost), (1, 1));
        assert_eq!(score.extra, 1);
        assert!(score.judge().is_err());
    }

    #[test]
    fn pages_a_driver_counted_are_compared_by_count() {
        let truth = truth("20 6 0\n", 100);
        let score = Score::of(&truth, &(1000..1102).collect());
        assert_eq!((score.planted, score.found, score.extra), (100, 100, 2));
        assert!(score.judge().is_ok());
    }

    #[test]
    fn nothing_planted_and_nothing_found_is_perfect() {
        let score = Score::of(&truth("", 0), &BTreeSet::new());
        assert_eq!(score.recall().to_bits(), 1.0_f64.to_bits());
        assert!(score.judge().is_ok());
    }

    #[test]
    fn what_the_kernel_counts_may_be_called_either() {
        let truth = truth("10 1 0\n20 53 2\n", 0);
        for lost in [vec![10], vec![10, 20, 21, 22, 23]] {
            let score = Score::of(&truth, &lost.into_iter().collect());
            assert_eq!((score.planted, score.found, score.extra), (1, 1, 0));
        }
    }
}

//! pagehound's answer against the truth, page by page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use pagehound_testdata::{Fate, KINDS, Truth};

use super::answer::{Answer, Binary};

/// The share of the planted lost pages that must be found.
const RECALL: f64 = 0.995;
/// The share of the planted held pages that may be called lost.
const HELD_CALLED_LOST: f64 = 0.001;
/// Pages that may be called lost beyond those planted: this share of the guest's,
/// but where planting has disturbed its memory at least as many as this, which
/// is more in a guest of up to 3,200,000 pages (12 GiB with 4 KiB pages).
const EXTRA_SHARE: f64 = 0.000_01;
const EXTRA_PAGES: u64 = 32;
/// Frame numbers shown of each kind of mistake.
const SHOWN: usize = 8;

/// How an answer compares with the truth. Counts are pages.
#[derive(Debug, PartialEq)]
pub(super) struct Score {
    /// Lost pages that were planted, or that the driver counted.
    pub(super) planted: u64,
    /// Of those, how many the answer has.
    pub(super) found: u64,
    pub(super) held: u64,
    pub(super) held_called_lost: u64,
    /// Called lost, but neither planted as lost nor planted as held.
    pub(super) extra: u64,
    pub(super) extra_allowed: u64,
}

impl Score {
    /// Compares the pages called lost with the truth.
    pub(super) fn of(truth: &Truth, lost: &BTreeSet<u64>) -> Self {
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
    pub(super) fn recall(&self) -> f64 {
        share(self.found, self.planted, 1.0)
    }

    /// Every goal this score misses, in words.
    pub(super) fn missed(&self) -> Vec<String> {
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
    pub(super) fn wrongly_lost(&self) -> Vec<String> {
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

    /// An error that names every goal this score misses.
    pub(super) fn judge(&self) -> Result<()> {
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
    if truth.planted().is_empty() {
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

/// Reads a truth file.
pub(super) fn truth(path: &Path) -> Result<Truth> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Truth::parse(&String::from_utf8_lossy(&text))
        .map_err(|error| anyhow::anyhow!("{} is no truth file: {error}", path.display()))
}

/// The release in the truth's `Linux version RELEASE (…) …`, where it has one.
pub(super) fn release(truth: &Truth) -> Option<String> {
    let version = truth.section("version")?;
    let line = version.first()?.strip_prefix("Linux version ")?;
    Some(line.split(' ').next()?.to_owned())
}

/// An error where the truth is of another kernel than the dump: every page
/// would be compared with one that has nothing to do with it.
pub(super) fn check_kernel(truth: &Truth, answer: &Answer) -> Result<()> {
    let release = release(truth).context("the truth does not say of which kernel it is")?;
    let kernel = answer.kernel();
    ensure!(
        kernel == release,
        "the truth is of Linux {release}, the dump of {kernel}: take the truth file written with the dump"
    );
    Ok(())
}

/// Asks pagehound about `dump` and prints how its answer compares.
pub(super) fn score(binary: &Binary, dump: &Path, path: &Path) -> Result<Score> {
    let truth = truth(path)?;
    let answer = Answer::of(binary, dump)?;
    check_kernel(&truth, &answer)?;
    println!("{}", dump.display());
    Ok(print(&truth, &answer))
}

/// Prints and returns how an answer compares.
pub(super) fn print(truth: &Truth, answer: &Answer) -> Score {
    let lost = &answer.lost;
    let score = Score::of(truth, lost);
    for (number, name, fate) in KINDS {
        let pfns = truth.pages(number);
        if pfns.is_empty() {
            continue;
        }
        let called_lost = pfns.intersection(lost).count();
        let fate = match fate {
            Fate::Lost => "lost",
            Fate::Held => "held",
            Fate::Counted => "either",
        };
        println!(
            "  {fate:<6}{name:<13}{:>7} planted {:>7} called lost",
            pfns.len(),
            called_lost,
        );
    }
    println!(
        "  recall            {:.3} % ({} of {})",
        score.recall() * 100.0,
        score.found,
        score.planted
    );
    println!(
        "  held called lost  {} of {}",
        score.held_called_lost, score.held
    );
    println!(
        "  beyond planted    {} (up to {} allowed)",
        score.extra, score.extra_allowed
    );
    let (missed, checked) = answer.control();
    println!("  control           {missed} of {checked} missed");
    println!("  verdict           {}", answer.verdict());
    println!("  seconds           {:.2}", answer.seconds);
    if truth.leaked() == 0 {
        print_samples(truth, lost);
    }
    score
}

/// Prints a few of the pages that the answer got wrong, for `pagehound why`.
fn print_samples(truth: &Truth, lost: &BTreeSet<u64>) {
    let (gone, kept) = (truth.lost(), truth.held());
    let either = truth.counted();
    let sample = |name, pfns: Vec<u64>| {
        if !pfns.is_empty() {
            let shown: Vec<String> = pfns.iter().map(|pfn| format!("{pfn:#x}")).collect();
            println!("  {name:<17} {}", shown.join(" "));
        }
    };
    sample(
        "such as missed",
        gone.difference(lost).take(SHOWN).copied().collect(),
    );
    sample(
        "such as held",
        kept.intersection(lost).take(SHOWN).copied().collect(),
    );
    let beyond = lost
        .iter()
        .filter(|pfn| !gone.contains(pfn) && !kept.contains(pfn) && !either.contains(pfn));
    sample("such as beyond", beyond.take(SHOWN).copied().collect());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn the_truth_of_another_kernel_is_refused() {
        let text = "== version\nLinux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1\n\
                    == planted\n== end\n";
        let truth = Truth::parse(text).unwrap();
        let check = |kernel: &str| {
            let answer = Answer {
                report: json!({"target": {"kernel": kernel}}),
                ..Answer::default()
            };
            check_kernel(&truth, &answer)
        };
        assert!(check("6.1.0-56-amd64").is_ok());
        let error = check("6.1.0-56-cloud-amd64").unwrap_err().to_string();
        assert!(error.contains("6.1.0-56-amd64") && error.contains("6.1.0-56-cloud-amd64"));
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

//! Prints pagehound's answer against the truth, page by page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

pub(super) use pagehound_testdata::Score;
use pagehound_testdata::{Fate, KINDS, Truth};

use super::allocators;
use super::answer::{Answer, Binary};
use super::named::Named;

/// Frame numbers shown of each kind of mistake.
const SHOWN: usize = 8;

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

/// How an answer compares with the truth.
pub(super) struct Comparison {
    /// What is lost and what is not.
    pub(super) score: Score,
    /// What is called by its owner's name.
    pub(super) named: Vec<Named>,
}

impl Comparison {
    /// An error with every goal that was missed.
    pub(super) fn judge(&self) -> Result<()> {
        self.score.judge()?;
        let missed: Vec<String> = self.named.iter().filter_map(Named::missed).collect();
        ensure!(missed.is_empty(), "goals missed: {}", missed.join("; "));
        Ok(())
    }
}

/// Asks pagehound about `dump` and prints how its answer compares.
///
/// # Errors
/// Also when allocators on record are not those that allocated.
pub(super) fn score(binary: &Binary, dump: &Path, path: &Path) -> Result<Comparison> {
    let truth = truth(path)?;
    let answer = Answer::of(binary, dump)?;
    check_kernel(&truth, &answer)?;
    println!("{}", dump.display());
    let score = print(&truth, &answer);
    allocators::check(&truth, &answer)?;
    Ok(score)
}

/// Prints and returns how an answer compares.
pub(super) fn print(truth: &Truth, answer: &Answer) -> Comparison {
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
    let named = Named::of(truth, answer);
    for one in &named {
        println!(
            "  named {:<13}{:>7} planted {:>7} called {}{}",
            one.what,
            one.planted,
            one.named,
            one.owner,
            one.in_all
                .map_or(String::new(), |all| format!(", {all} in all")),
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
    Comparison { score, named }
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
    use super::*;
    use crate::lab::answer::tests::of_kernel;

    #[test]
    fn the_truth_of_another_kernel_is_refused() {
        let text = "== version\nLinux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1\n\
                    == planted\n== end\n";
        let truth = Truth::parse(text).unwrap();
        let check = |kernel: &str| check_kernel(&truth, &of_kernel(kernel));
        assert!(check("6.1.0-56-amd64").is_ok());
        let error = check("6.1.0-56-cloud-amd64").unwrap_err().to_string();
        assert!(error.contains("6.1.0-56-amd64") && error.contains("6.1.0-56-cloud-amd64"));
    }
}

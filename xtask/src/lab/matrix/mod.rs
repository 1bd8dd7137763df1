//! `lab matrix` and `lab rescore`: many guests, one table.

mod plan;
mod results;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process as own;

use anyhow::{Context, Result, ensure};

use self::plan::Guest;
use super::answer::{Answer, Binary};
use super::dump::Way;
use super::named::Named;
use super::scenario::{Scenario, Variant};
use super::score::{self, Comparison, Score};
use super::target::{Arch, Series};
use super::{cache, guest, live, process, report};

#[derive(clap::Args)]
pub(super) struct MatrixArguments {
    #[command(flatten)]
    filter: Filter,
    /// A few guests that CI has time for; lab/RESULTS.md stays as it is, as
    /// with every choice of guests
    #[arg(long)]
    subset: bool,
    /// Keep the dumps below this folder, for `lab rescore`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    binary: Binary,
}

impl MatrixArguments {
    /// The subset with a binary that is built already.
    pub(super) fn subset(pagehound: &Path) -> Self {
        Self {
            filter: Filter::default(),
            subset: true,
            keep: None,
            binary: Binary {
                pagehound: Some(pagehound.to_owned()),
            },
        }
    }
}

#[derive(clap::Args)]
pub(super) struct RescoreArguments {
    /// Folder that `lab matrix --keep` wrote
    dir: PathBuf,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    binary: Binary,
}

/// Which guests.
#[derive(Default, clap::Args)]
struct Filter {
    /// Only guests of this scenario; lab/RESULTS.md stays as it is
    #[arg(long, value_name = "SCENARIO")]
    only: Option<String>,
    /// Only guests with this kernel; lab/RESULTS.md stays as it is
    #[arg(long, value_enum)]
    kernel: Option<Series>,
    /// Only guests of this architecture; lab/RESULTS.md stays as it is
    #[arg(long, value_enum)]
    arch: Option<Arch>,
}

impl Filter {
    /// Those of `guests` that pass.
    ///
    /// # Errors
    /// When none does, or no scenario is called so.
    fn choose(&self, guests: Vec<Guest>) -> Result<Vec<Guest>> {
        if let Some(only) = &self.only {
            Scenario::named(only)?;
        }
        let chosen: Vec<Guest> = guests
            .into_iter()
            .filter(|guest| self.passes(guest))
            .collect();
        ensure!(!chosen.is_empty(), "the matrix has no such guest");
        Ok(chosen)
    }

    fn passes(&self, guest: &Guest) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only == guest.scenario.name)
            && self
                .kernel
                .is_none_or(|kernel| kernel == guest.target.kernel)
            && self.arch.is_none_or(|arch| arch == guest.target.arch)
    }
}

/// One dump of one guest, scored.
struct Cell {
    kernel: String,
    arch: String,
    scenario: String,
    way: String,
    /// Whether the dump was cut short: what is lost cannot be known then.
    cut: bool,
    score: Score,
    /// What is called by its owner's name.
    named: Vec<Named>,
    /// Pages of the control group that were missed, and all of them.
    control: (u64, u64),
    verdict: String,
    /// Drivers that own lost pages, and whether the right one is among them;
    /// `None` where no received frame was lost.
    drivers: String,
    owner: Option<bool>,
    /// Classes that differ from the kernel's counters, with the difference.
    ledger: Vec<(String, i64)>,
    /// Pages called lost in this dump or in the first of the same crash, but not
    /// in both; `None` for that first one and what QEMU dumped before.
    apart: Option<usize>,
    seconds: f64,
}

impl Cell {
    /// Every goal it misses, in words.
    fn missed(&self) -> Vec<String> {
        if self.cut {
            return self.score.wrongly_lost();
        }
        let mut missed = self.score.missed();
        missed.extend(self.named.iter().filter_map(Named::missed));
        if self.score.planted == 0 && self.verdict == "suspect" {
            missed.push("suspect though nothing is lost".to_owned());
        }
        if self.owner == Some(false) {
            missed.push("the driver is not named".to_owned());
        }
        if let Some(apart) = self.apart.filter(|apart| *apart > 0) {
            missed.push(format!("{apart} pages unlike the first dump"));
        }
        if self.control.0 > 0 {
            missed.push(format!("{} of the control group", self.control.0));
        }
        missed
    }
}

/// What came of all guests.
#[derive(Default)]
struct Outcome {
    /// In the order of the plan, the dumps of one guest side by side.
    cells: Vec<Cell>,
    /// Names of the guests with a score.
    scored: BTreeSet<String>,
    /// Guests without a score, with the reason.
    failed: Vec<(String, String)>,
    /// Planned dumps of guests with a score that are not there: the way, and
    /// the guest's name.
    absent: Vec<(String, String)>,
    /// What was booted and what took the dumps, with versions.
    versions: BTreeSet<String>,
}

impl Outcome {
    /// Adds the scores of those dumps of a guest that are in `dir`.
    fn add(&mut self, binary: &Binary, guest: &Guest, dir: &Path) {
        match self.score(binary, guest, dir) {
            Ok(cells) => {
                self.cells.extend(cells);
                self.scored.insert(guest.name());
            }
            Err(error) => self.fail(guest, &error),
        }
    }

    fn fail(&mut self, guest: &Guest, error: &anyhow::Error) {
        eprintln!("lab: {}: {error:#}", guest.name());
        self.failed.push((guest.name(), format!("{error:#}")));
    }

    fn score(&mut self, binary: &Binary, guest: &Guest, dir: &Path) -> Result<Vec<Cell>> {
        let name = guest.scenario.name;
        let truth = score::truth(&dir.join(format!("{name}.truth.txt")))?;
        self.versions
            .extend(score::release(&truth).map(|release| format!("Linux {release}")));
        let mut crash: Option<BTreeSet<u64>> = None;
        let mut cells = Vec::new();
        let (there, absent) = part(guest, dir);
        ensure!(!there.is_empty(), "{} has none of its dumps", dir.display());
        for &way in &there {
            let dump = dir.join(way.file_name(name));
            if let Way::Report(shortage) = way {
                report::compare(binary, *shortage, &dump)?;
                continue;
            }
            let answer = if *way == Way::Live {
                let mut dumps = there.iter().filter(|way| way.is_comparable());
                let other = dumps.next().context("no dump to compare with")?;
                let other = dir.join(other.file_name(name));
                live::compare(binary, &dump, &other, &truth, Variant::PLAIN.mac)?
            } else {
                println!("{}", dump.display());
                let answer = Answer::of(binary, &dump)?;
                score::check_kernel(&truth, &answer)?;
                answer
            };
            let comparison = score::print(&truth, &answer);
            let apart = match &crash {
                _ if !way.crashes() || way.is_cut() => None,
                Some(first) => Some(first.symmetric_difference(&answer.lost).count()),
                None => {
                    crash = Some(answer.lost.clone());
                    None
                }
            };
            if let Some(apart) = apart {
                println!("  apart             {apart} lost pages unlike the first dump");
            }
            cells.push(cell(guest, way, comparison, apart, &answer));
        }
        let absent = absent.iter().map(|way| (way.to_string(), guest.name()));
        self.absent.extend(absent);
        Ok(cells)
    }

    /// Whether every guest of the plan has a score.
    fn is_whole(&self, plan: &[Guest]) -> bool {
        plan.iter().all(|guest| self.scored.contains(&guest.name()))
    }

    /// Writes the table to lab/RESULTS.md where every guest of the whole plan
    /// has a score, else prints it with what fell short.
    ///
    /// # Errors
    /// When a goal was missed, a guest has no score, or a planned dump is not
    /// there.
    fn end(mut self, binary: &Binary) -> Result<()> {
        if self.is_whole(&plan::whole()?) {
            self.versions.extend(versions(binary)?);
            let path = cache::sources().join("RESULTS.md");
            let before = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, results::text(&self, &before))
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("\nlab/RESULTS.md is written");
        } else {
            println!("\n{}", results::table(&self.cells));
            println!("{}", results::shortfalls(&self));
            println!(
                "lab/RESULTS.md stays as it is: it is written when every guest of the plan has a score"
            );
        }
        let summary = results::summary(&self);
        println!("{summary}");
        ensure!(
            self.failed.is_empty()
                && self.absent.is_empty()
                && self.cells.iter().all(|cell| cell.missed().is_empty()),
            "the lab's goals are not met"
        );
        Ok(())
    }
}

/// A guest's planned dumps that are in `dir`, and those that are not.
fn part<'a>(guest: &'a Guest, dir: &Path) -> (Vec<&'a Way>, Vec<&'a Way>) {
    let name = guest.scenario.name;
    let there = |way: &&Way| dir.join(way.file_name(name)).exists();
    guest.ways.iter().partition(there)
}

/// First lines of what the programs say of themselves.
fn versions(binary: &Binary) -> Result<Vec<String>> {
    [binary.path()?, Arch::X86_64.emulator().into()]
        .iter()
        .map(|program| {
            let said = process::output(own::Command::new(program).arg("--version"))?;
            Ok(said.lines().next().unwrap_or_default().to_owned())
        })
        .collect()
}

fn cell(
    guest: &Guest,
    way: &Way,
    comparison: Comparison,
    apart: Option<usize>,
    answer: &Answer,
) -> Cell {
    let drivers: Vec<&str> = answer.drivers().into_iter().collect();
    let driver = guest.scenario.driver();
    Cell {
        kernel: plan::name(&guest.target.kernel),
        arch: plan::name(&guest.target.arch),
        scenario: guest.scenario.name.to_owned(),
        way: way.to_string(),
        cut: way.is_cut(),
        score: comparison.score,
        named: comparison.named,
        control: answer.control(),
        verdict: answer.verdict().to_owned(),
        owner: driver.map(|driver| drivers.contains(&driver)),
        drivers: drivers.join(" "),
        ledger: answer
            .ledger()
            .into_iter()
            .map(|(class, difference)| (class.to_owned(), difference))
            .collect(),
        apart,
        seconds: answer.seconds,
    }
}

/// Boots, dumps and scores.
pub(super) fn run(arguments: &MatrixArguments) -> Result<()> {
    arguments.binary.path()?;
    let guests = if arguments.subset {
        plan::subset()?
    } else {
        plan::whole()?
    };
    let guests = arguments.filter.choose(guests)?;
    let root = match &arguments.keep {
        Some(dir) => dir.clone(),
        None => env::temp_dir().join(format!("pagehound-matrix-{}", own::id())),
    };
    let mut outcome = Outcome::default();
    for guest in &guests {
        let dir = root.join(guest.name());
        let taken = guest::take(
            &guest.target,
            &guest.scenario,
            &Variant::PLAIN,
            &guest.ways,
            &dir,
        );
        if let Err(error) = taken {
            // The folder stays, logs and all.
            outcome.fail(guest, &error);
            continue;
        }
        outcome.add(&arguments.binary, guest, &dir);
        if arguments.keep.is_some() {
            sparse(guest, &dir)?;
        } else {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
    }
    if arguments.keep.is_none() && outcome.failed.is_empty() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    outcome.end(&arguments.binary)
}

/// Frees the disk behind the zeroes of large dumps that are kept.
fn sparse(guest: &Guest, dir: &Path) -> Result<()> {
    for way in &guest.ways {
        if matches!(way, Way::Copy | Way::Qemu(super::qmp::Format::Elf)) {
            let dump = dir.join(way.file_name(guest.scenario.name));
            process::output(own::Command::new("fallocate").arg("-d").arg(dump))?;
        }
    }
    Ok(())
}

/// Scores kept dumps again.
pub(super) fn rescore(arguments: &RescoreArguments) -> Result<()> {
    let dir = &arguments.dir;
    ensure!(dir.is_dir(), "there is no folder {}", dir.display());
    arguments.binary.path()?;
    let mut outcome = Outcome::default();
    for guest in arguments.filter.choose(plan::whole()?)? {
        outcome.add(&arguments.binary, &guest, &dir.join(guest.name()));
    }
    outcome.end(&arguments.binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test, gone with this value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let dir = env::temp_dir().join(format!("pagehound-test-{name}-{}", own::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn filter(only: &str) -> Filter {
        Filter {
            only: Some(only.to_owned()),
            ..Filter::default()
        }
    }

    /// `rescore` of `dir` with a pagehound that would answer anything.
    fn rescored(dir: PathBuf) -> Result<()> {
        rescore(&RescoreArguments {
            dir,
            filter: Filter::default(),
            binary: Binary {
                pagehound: Some("/bin/true".into()),
            },
        })
    }

    #[test]
    fn a_folder_without_dumps_leaves_the_results_alone() {
        let results = cache::sources().join("RESULTS.md");
        let before = fs::read(&results).unwrap();
        let folder = Folder::new("rescore");
        let error = rescored(folder.0.join("none")).unwrap_err();
        assert!(error.to_string().contains("there is no folder"));
        assert!(rescored(folder.0.clone()).is_err());
        assert_eq!(fs::read(&results).unwrap(), before);
    }

    #[test]
    fn only_a_score_of_every_guest_is_whole() {
        let plan = plan::whole().unwrap();
        let mut outcome = Outcome::default();
        assert!(!outcome.is_whole(&plan));
        outcome.scored.extend(plan.iter().map(Guest::name));
        assert!(outcome.is_whole(&plan));
        outcome.scored.pop_last();
        assert!(!outcome.is_whole(&plan));
    }

    #[test]
    fn dumps_that_were_not_taken_are_told_from_those_that_were() {
        let folder = Folder::new("part");
        let guests = plan::whole().unwrap();
        let cut = |guest: &&Guest| guest.ways.iter().any(Way::is_cut);
        let guest = guests.iter().find(cut).unwrap();
        for way in guest.ways.iter().filter(|way| !way.is_cut()) {
            fs::write(folder.0.join(way.file_name(guest.scenario.name)), []).unwrap();
        }
        let (there, absent) = part(guest, &folder.0);
        assert_eq!(there.len(), guest.ways.len() - 1);
        assert!(absent.iter().all(|way| way.is_cut()) && absent.len() == 1);
    }

    #[test]
    fn unknown_scenarios_and_those_without_a_guest_are_refused() {
        let chosen = |only| filter(only).choose(plan::whole().unwrap());
        assert_eq!(chosen("lost").unwrap().len(), 4);
        let error = chosen("losst").err().unwrap().to_string();
        assert!(error.contains("no scenario is called losst"), "{error}");
        assert!(chosen("demo").is_err());
    }
}

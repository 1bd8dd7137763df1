//! `lab matrix` and `lab rescore`: many guests, one table.

mod plan;
mod results;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process as own;

use anyhow::{Context, Result, ensure};

use pagehound_testdata::Truth;

use self::plan::Guest;
use super::answer::{Answer, Binary};
use super::dump::Way;
use super::scenario::Variant;
use super::score::{self, Score};
use super::target::{Arch, Series};
use super::{cache, guest, process};

#[derive(clap::Args)]
pub(super) struct MatrixArguments {
    #[command(flatten)]
    filter: Filter,
    /// A few guests that CI has time for; lab/RESULTS.md stays as it is
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

/// Which guests; with any of these, lab/RESULTS.md stays as it is.
#[derive(Default, clap::Args)]
struct Filter {
    /// Only guests of this scenario
    #[arg(long, value_name = "SCENARIO")]
    only: Option<String>,
    /// Only guests with this kernel
    #[arg(long, value_enum)]
    kernel: Option<Series>,
    /// Only guests of this architecture
    #[arg(long, value_enum)]
    arch: Option<Arch>,
}

impl Filter {
    fn is_none(&self) -> bool {
        self.only.is_none() && self.kernel.is_none() && self.arch.is_none()
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
    score: Score,
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
        let mut missed = self.score.missed();
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
    /// Guests without a score, with the reason.
    failed: Vec<(String, String)>,
    /// What was booted and what took the dumps, with versions.
    versions: BTreeSet<String>,
}

impl Outcome {
    /// Adds the scores of those dumps of a guest that are in `dir`.
    fn add(&mut self, binary: &Binary, guest: &Guest, dir: &Path) {
        match self.score(binary, guest, dir) {
            Ok(cells) => self.cells.extend(cells),
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
        self.versions.extend(release(&truth));
        let mut crash: Option<BTreeSet<u64>> = None;
        let mut cells = Vec::new();
        for way in &guest.ways {
            let dump = dir.join(way.file_name(name));
            if !dump.exists() {
                continue;
            }
            println!("{}", dump.display());
            let answer = Answer::of(binary, &dump)?;
            let score = score::print(&truth, &answer);
            let apart = match &crash {
                _ if !way.crashes() => None,
                Some(first) => Some(first.symmetric_difference(&answer.lost).count()),
                None => {
                    crash = Some(answer.lost.clone());
                    None
                }
            };
            if let Some(apart) = apart {
                println!("  apart             {apart} lost pages unlike the first dump");
            }
            cells.push(cell(guest, way, score, apart, &answer));
        }
        ensure!(!cells.is_empty(), "{} has none of its dumps", dir.display());
        Ok(cells)
    }

    /// Prints the table, or writes it to lab/RESULTS.md.
    ///
    /// # Errors
    /// When a goal was missed or a guest has no score.
    fn end(mut self, binary: &Binary, write: bool) -> Result<()> {
        if write {
            self.versions.extend(versions(binary)?);
            let path = cache::sources().join("RESULTS.md");
            let before = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, results::text(&self, &before))
                .with_context(|| format!("cannot write {}", path.display()))?;
        } else {
            println!("\n{}", results::table(&self.cells));
        }
        let summary = results::summary(&self);
        println!("{summary}");
        ensure!(
            !self.cells.is_empty() || !self.failed.is_empty(),
            "no guest is chosen"
        );
        ensure!(
            self.failed.is_empty() && self.cells.iter().all(|cell| cell.missed().is_empty()),
            "the lab's goals are not met"
        );
        Ok(())
    }
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

fn cell(guest: &Guest, way: &Way, score: Score, apart: Option<usize>, answer: &Answer) -> Cell {
    let drivers: Vec<&str> = answer.drivers().into_iter().collect();
    let driver = guest.scenario.driver();
    Cell {
        kernel: plan::name(&guest.target.kernel),
        arch: plan::name(&guest.target.arch),
        scenario: guest.scenario.name.to_owned(),
        way: way.to_string(),
        score,
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

/// The release in `Linux version RELEASE (…) …`.
fn release(truth: &Truth) -> Option<String> {
    let version = truth.section("version")?;
    let line = version.first()?.strip_prefix("Linux version ")?;
    let release = line.split(' ').next()?;
    Some(format!("Linux {release}"))
}

/// Boots, dumps and scores.
pub(super) fn run(arguments: &MatrixArguments) -> Result<()> {
    arguments.binary.path()?;
    let guests = if arguments.subset {
        plan::subset()?
    } else {
        plan::whole()?
    };
    let root = match &arguments.keep {
        Some(dir) => dir.clone(),
        None => env::temp_dir().join(format!("pagehound-matrix-{}", own::id())),
    };
    let mut outcome = Outcome::default();
    for guest in guests.iter().filter(|guest| arguments.filter.passes(guest)) {
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
    let whole = arguments.filter.is_none() && !arguments.subset;
    outcome.end(&arguments.binary, whole)
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
    let mut outcome = Outcome::default();
    for guest in plan::whole()? {
        if !arguments.filter.passes(&guest) {
            continue;
        }
        outcome.add(&arguments.binary, &guest, &arguments.dir.join(guest.name()));
    }
    outcome.end(&arguments.binary, arguments.filter.is_none())
}

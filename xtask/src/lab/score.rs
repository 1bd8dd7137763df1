//! pagehound's answer against the truth, page by page.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use pagehound_testdata::{Fate, KINDS, Truth};

/// The share of the planted lost pages that must be found.
const RECALL: f64 = 0.995;
/// The share of the planted held pages that may be called lost.
const HELD_CALLED_LOST: f64 = 0.001;
/// Pages that may be called lost beyond those planted, in a dump of up to
/// about 3 GiB; then this share of it.
const EXTRA_PAGES: u64 = 32;
const EXTRA_SHARE: f64 = 0.000_01;
/// Frame numbers shown of each kind of mistake.
const SHOWN: usize = 8;

/// Which pagehound answers.
#[derive(Args)]
pub(super) struct Binary {
    /// The pagehound binary [default: the checkout's release build]
    #[arg(long, value_name = "FILE")]
    pagehound: Option<PathBuf>,
}

impl Binary {
    fn path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.pagehound {
            return Ok(path.clone());
        }
        // This program is <target>/<profile>/xtask.
        let own = env::current_exe().context("cannot tell where this program is")?;
        let target = own
            .parent()
            .and_then(Path::parent)
            .context("no target folder")?;
        let path = target.join("release/pagehound");
        if !path.exists() {
            bail!(
                "no {}: `cargo build --release`, or --pagehound FILE",
                path.display()
            );
        }
        Ok(path)
    }
}

/// How an answer compares with the truth. Counts are pages.
#[derive(Debug, PartialEq)]
pub(super) struct Score {
    /// Lost pages that were planted, or that the driver counted.
    planted: u64,
    /// Of those, how many the answer has.
    found: u64,
    held: u64,
    held_called_lost: u64,
    /// Called lost, but neither planted as lost nor planted as held.
    extra: u64,
    extra_allowed: u64,
}

impl Score {
    fn of(truth: &Truth, lost: &BTreeSet<u64>) -> Self {
        let mut score = Self {
            planted: 0,
            found: 0,
            held: 0,
            held_called_lost: 0,
            extra: 0,
            extra_allowed: EXTRA_PAGES
                .max((truth.meminfo("MemTotal").unwrap_or(0) as f64 / 4.0 * EXTRA_SHARE) as u64),
        };
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
            }
        }
        let others = (lost.len() as u64).saturating_sub(score.found + score.held_called_lost);
        let counted = others.min(truth.leaked());
        score.planted += truth.leaked();
        score.found += counted;
        score.extra = others - counted;
        score
    }

    fn recall(&self) -> f64 {
        share(self.found, self.planted, 1.0)
    }

    /// An error that names every goal this score misses.
    pub(super) fn judge(&self) -> Result<()> {
        let mut missed = Vec::new();
        if self.recall() < RECALL {
            missed.push(format!(
                "recall {:.3} % < {} %",
                self.recall() * 100.0,
                RECALL * 100.0
            ));
        }
        if share(self.held_called_lost, self.held, 0.0) > HELD_CALLED_LOST {
            missed.push(format!("{} held pages called lost", self.held_called_lost));
        }
        if self.extra > self.extra_allowed {
            missed.push(format!(
                "{} pages called lost beyond what was planted",
                self.extra
            ));
        }
        if !missed.is_empty() {
            bail!("goals missed: {}", missed.join("; "));
        }
        Ok(())
    }
}

fn share(part: u64, whole: u64, of_nothing: f64) -> f64 {
    if whole == 0 {
        of_nothing
    } else {
        part as f64 / whole as f64
    }
}

/// Asks pagehound about `dump` and prints how its answer compares.
pub(super) fn score(binary: &Binary, dump: &Path, truth: &Path) -> Result<Score> {
    let program = binary.path()?;
    let text = fs::read(truth).with_context(|| format!("cannot read {}", truth.display()))?;
    let truth = Truth::parse(&String::from_utf8_lossy(&text))
        .map_err(|error| anyhow::anyhow!("{} is no truth file: {error}", truth.display()))?;
    let pages = ask(Command::new(&program)
        .arg("pages")
        .arg(dump)
        .args(["--each", "--state", "lost", "--format", "csv"]))?;
    let lost = frame_numbers(&pages)?;
    let start = Instant::now();
    let report = ask(Command::new(&program)
        .arg("diagnose")
        .arg(dump)
        .arg("--json"))?;
    let seconds = start.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(&report).context("the report is not JSON")?;

    let score = Score::of(&truth, &lost);
    println!("{}", dump.display());
    for (number, name, fate) in KINDS {
        let pfns = truth.pages(number);
        if pfns.is_empty() {
            continue;
        }
        let called_lost = pfns.intersection(&lost).count();
        let fate = match fate {
            Fate::Lost => "lost",
            Fate::Held => "held",
        };
        println!(
            "  {fate}  {:<13}{:>7} planted {:>7} called lost",
            name,
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
    println!(
        "  control           {} of {} missed",
        number(&report, "/control/missed"),
        number(&report, "/control/checked"),
    );
    println!(
        "  verdict           {}",
        report.get("verdict").unwrap_or(&Value::Null)
    );
    println!("  seconds           {seconds:.2}");
    if truth.leaked() == 0 {
        print_samples(&truth, &lost);
    }
    Ok(score)
}

/// Prints a few of the pages that the answer got wrong, for `pagehound why`.
fn print_samples(truth: &Truth, lost: &BTreeSet<u64>) {
    let (gone, kept) = (truth.lost(), truth.held());
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
        .filter(|pfn| !gone.contains(pfn) && !kept.contains(pfn));
    sample("such as beyond", beyond.take(SHOWN).copied().collect());
}

fn number(report: &Value, pointer: &str) -> String {
    report
        .pointer(pointer)
        .map_or_else(|| "?".to_owned(), Value::to_string)
}

/// What a pagehound command prints. Exit codes up to 3 except 2 are answers.
fn ask(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    match output.status.code() {
        Some(0 | 1 | 3) => String::from_utf8(output.stdout).context("pagehound printed no UTF-8"),
        _ => bail!("{command:?} ended with {}", output.status),
    }
}

/// The first column of `pfn,class,order,refcount,state,finding` rows.
fn frame_numbers(csv: &str) -> Result<BTreeSet<u64>> {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or("");
    if header.split(',').next() != Some("pfn") {
        bail!("the pages start with {header:?}, not with a column pfn");
    }
    lines
        .map(|line| {
            let pfn = line.split(',').next().unwrap_or("");
            let parsed = match pfn.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => pfn.parse(),
            };
            parsed.with_context(|| format!("{line:?} does not start with a frame number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(planted: &str, counted: u64) -> Truth {
        let text = format!(
            "== meminfo\nMemTotal: 262144 kB\n== leaked\n{counted}\n== planted\n{planted}== end\n"
        );
        Truth::parse(&text).unwrap()
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
    fn rows_without_the_header_are_refused() {
        let rows =
            "pfn,class,order,refcount,state,finding\n10,raw,0,1,lost,f1\n0x1f,raw,0,1,lost,f1\n";
        assert_eq!(frame_numbers(rows).unwrap(), BTreeSet::from([10, 31]));
        assert!(frame_numbers("10,raw,0,1,lost,f1\n").is_err());
        assert!(frame_numbers("pfn\nx\n").is_err());
    }
}

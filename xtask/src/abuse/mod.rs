//! Dumps broken in every way a copy, a disk or an attacker breaks them: cut short,
//! header fields at their limits, single bytes changed. Each broken dump is given
//! to `pagehound diagnose`, which must give the right answer, a partial one that
//! says so, or a clear error; soon, and with at most twice the memory that the whole
//! dump took.

mod breakage;
mod fields;
mod formats;
mod outcome;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::paths::name;
use breakage::{Breakage, Kind};
use outcome::{Healthy, Outcome, Run};

/// Largest resident set over a broken dump, of that over the whole one.
const MOST_MEMORY: f64 = 2.0;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Dumps to break copies of [default: a small machine in eleven containers]
    dumps: Vec<PathBuf>,
    /// Places at which each dump is cut
    #[arg(long, default_value_t = 50, value_name = "N")]
    cuts: u64,
    /// Single bytes changed in each dump: half of them in what describes the pages
    #[arg(long, default_value_t = 2000, value_name = "N")]
    flips: u64,
    /// What the bytes are drawn with
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Broken dumps at a time
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// The pagehound that is tried [default: the static binary, built first]
    #[arg(long, value_name = "FILE")]
    pagehound: Option<PathBuf>,
    /// Folder for the broken copies, one a job [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// File for the table [default: none]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
}

/// Breaks every dump in every way, tells each outcome that is not allowed.
///
/// # Errors
/// When there is one.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let pagehound = match &arguments.pagehound {
        Some(binary) => binary.clone(),
        None => crate::ci::static_binary("pagehound")?,
    };
    let scratch = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let mut table = String::from(
        "| dump | format | MiB | broken by | runs | right | partial | error | wrong | most CPU s | most memory, of the whole dump's |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut faults = Vec::new();
    let made = tempfile::tempdir_in(&scratch).context("cannot make a folder")?;
    let dumps = match arguments.dumps.as_slice() {
        [] => formats::write(made.path())?,
        dumps => dumps.to_vec(),
    };
    for dump in &dumps {
        let tried = try_all(arguments, &pagehound, &scratch, dump)
            .with_context(|| dump.display().to_string())?;
        for (kind, tally) in &tried.tallies {
            let row = tally.row(&tried, *kind);
            println!("{row}");
            let _ = writeln!(table, "{row}");
        }
        faults.extend(tried.faults);
    }
    if let Some(path) = &arguments.results {
        fs::write(path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(
        faults.is_empty(),
        "{} broken dumps had an outcome that is not allowed",
        faults.len()
    );
    Ok(())
}

/// What became of the broken copies of one dump.
struct Tried {
    name: String,
    format: String,
    mib: u64,
    tallies: BTreeMap<Kind, Tally>,
    faults: Vec<String>,
}

#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    slowest: f64,
    most: f64,
}

impl Tally {
    fn row(&self, tried: &Tried, kind: Kind) -> String {
        let count = |outcome| self.outcomes.get(&outcome).copied().unwrap_or(0);
        format!(
            "| {} | {} | {} | {kind} | {} | {} | {} | {} | {} | {:.1} | {:.2} |",
            tried.name,
            tried.format,
            tried.mib,
            self.outcomes.values().sum::<u64>(),
            count(Outcome::Right),
            count(Outcome::Partial),
            count(Outcome::Error),
            count(Outcome::Wrong),
            self.slowest,
            self.most
        )
    }
}

fn try_all(arguments: &Arguments, pagehound: &Path, scratch: &Path, dump: &Path) -> Result<Tried> {
    let healthy = Healthy::of(pagehound, dump)?;
    let bytes = fs::read(dump).context("cannot read")?;
    let len = bytes.len() as u64;
    let mut breakages = breakage::fields(&bytes)?;
    breakages.extend(breakage::flips(&bytes, arguments.flips, arguments.seed)?);
    // Last and from the end: each job's copy only gets shorter.
    breakages.extend(breakage::cuts(len, arguments.cuts));
    drop(bytes);

    let next = AtomicUsize::new(0);
    let done = Mutex::new(Tried {
        name: name(dump),
        format: healthy.format.clone(),
        mib: len >> 20,
        tallies: BTreeMap::new(),
        faults: Vec::new(),
    });
    thread::scope(|scope| -> Result<()> {
        let mut jobs = Vec::new();
        for _ in 0..arguments.jobs.max(1) {
            let copy = tempfile::Builder::new()
                .prefix("pagehound-abuse-")
                .tempfile_in(scratch)
                .context("cannot make a copy")?;
            fs::copy(dump, copy.path()).context("cannot copy")?;
            let (next, done, healthy, breakages) = (&next, &done, &healthy, &breakages);
            jobs.push(scope.spawn(move || -> Result<()> {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(copy.path())
                    .context("cannot open the copy")?;
                while let Some(breakage) = breakages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = broken(&file, breakage, || Run::of(pagehound, copy.path(), healthy))?;
                    note(done, breakage, &run, healthy);
                }
                Ok(())
            }));
        }
        for job in jobs {
            match job.join() {
                Ok(result) => result?,
                Err(_) => bail!("a job panicked"),
            }
        }
        Ok(())
    })?;
    done.into_inner()
        .map_err(|_| anyhow::anyhow!("a job panicked"))
}

/// Runs `f` while `file` is broken, and mends it where that can be done.
fn broken<T>(file: &File, breakage: &Breakage, f: impl FnOnce() -> Result<T>) -> Result<T> {
    match breakage {
        Breakage::Cut { len } => {
            file.set_len(*len).context("cannot cut the copy")?;
            f()
        }
        Breakage::Write { at, bytes, .. } => {
            let mut old = vec![0; bytes.len()];
            file.read_exact_at(&mut old, *at)?;
            file.write_all_at(bytes, *at)?;
            let result = f();
            file.write_all_at(&old, *at)?;
            result
        }
    }
}

/// Counts one outcome; tells it at once if it is not allowed.
fn note(done: &Mutex<Tried>, breakage: &Breakage, run: &Run, healthy: &Healthy) {
    let Ok(mut done) = done.lock() else {
        return;
    };
    let tally = done.tallies.entry(breakage.kind()).or_default();
    *tally.outcomes.entry(run.outcome).or_default() += 1;
    tally.slowest = tally.slowest.max(run.seconds);
    let share = run.peak as f64 / healthy.peak as f64;
    tally.most = tally.most.max(share);
    let mut faults = run.faults.clone();
    if share > MOST_MEMORY {
        faults.push(format!(
            "{} MiB, {share:.1} of the whole dump's",
            run.peak >> 20
        ));
    }
    for fault in faults {
        let line = format!("{}: {breakage}: {fault}", done.name);
        println!("{line}");
        done.faults.push(line);
    }
}

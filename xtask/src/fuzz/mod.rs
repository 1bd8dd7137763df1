//! Fuzzing: builds the targets of `fuzz/` with coverage and runs libFuzzer over them.

mod figures;
mod run;

use crate::{ci, root};
use anyhow::{Context, bail, ensure};
use figures::Figures;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Targets [default: all]
    targets: Vec<String>,
    /// Seconds of each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seed of libFuzzer's dice
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Targets that run at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Folder that keeps inputs and figures from one run to the next, for campaigns
    /// [default: a new one below the build's]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Runs nothing: writes fuzz/RESULTS.md by the figures in the folder
    #[arg(long, requires = "keep")]
    results: bool,
}

/// A target, as the fuzzer lists it.
struct Target {
    name: String,
    max_len: usize,
}

/// What all runs have in common.
struct Plan {
    binary: PathBuf,
    keep: PathBuf,
    seconds: u64,
    seed: u32,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.results
        && let Some(keep) = &arguments.keep
    {
        return figures::write_results(keep);
    }
    let binary = build()?;
    let mut targets = list(&binary)?;
    for name in &arguments.targets {
        ensure!(
            targets.iter().any(|target| target.name == *name),
            "no target {name}: there are {}",
            names(&targets)
        );
    }
    if !arguments.targets.is_empty() {
        targets.retain(|target| arguments.targets.contains(&target.name));
    }
    let keep = match &arguments.keep {
        Some(keep) => keep.clone(),
        None => {
            let keep = ci::target_folder().join("fuzz");
            // What an earlier run found would make this one another.
            if keep.exists() {
                std::fs::remove_dir_all(&keep).with_context(|| keep.display().to_string())?;
            }
            keep
        }
    };
    let plan = Plan {
        binary,
        keep,
        seconds: arguments.seconds,
        seed: arguments.seed,
    };
    run_all(&plan, targets, arguments.jobs)
}

/// The job of CI: every target for 20 seconds, the same each time as far as time allows.
pub(crate) fn ci() -> anyhow::Result<()> {
    run(&Arguments {
        targets: Vec::new(),
        seconds: 20,
        seed: 1,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        keep: None,
        results: false,
    })
}

fn run_all(plan: &Plan, targets: Vec<Target>, jobs: usize) -> anyhow::Result<()> {
    let queue = Mutex::new(VecDeque::from(targets));
    let next = || queue.lock().ok()?.pop_front();
    let found = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    match run::target(plan, &target) {
                        Ok(run) => {
                            println!("{}", run.line());
                            if let (Some(input), Ok(mut found)) = (run.found, found.lock()) {
                                found.push(input);
                            }
                        }
                        Err(error) => {
                            if let Ok(mut failed) = failed.lock() {
                                failed.push(format!("{}: {error:#}", target.name));
                            }
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    let found = found.into_inner().unwrap_or_default();
    if !found.is_empty() {
        bail!(
            "{} inputs a target does not bear: {}; fuzz/README.md says how to go on",
            found.len(),
            found.join(" ")
        );
    }
    Ok(())
}

/// Builds the fuzzer and returns its path.
fn build() -> anyhow::Result<PathBuf> {
    let mut build = ci::cargo([
        "build",
        "--locked",
        "--package",
        "pagehound-fuzz",
        "--bin",
        "pagehound-fuzz",
        "--features",
        "libfuzzer",
    ]);
    build.env("RUSTC_WORKSPACE_WRAPPER", root().join("fuzz/rustc"));
    ci::run(build)?;
    Ok(ci::target_folder().join("debug/pagehound-fuzz"))
}

/// The targets, as the fuzzer lists them where none is named.
fn list(binary: &Path) -> anyhow::Result<Vec<Target>> {
    let mut command = Command::new(binary);
    let output = command.env_remove("PAGEHOUND_FUZZ_TARGET").output();
    let output = output.with_context(|| binary.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let target = |line: &str| {
        let (name, max_len) = line.split_once(' ')?;
        Some(Target {
            name: name.to_owned(),
            max_len: max_len.parse().ok()?,
        })
    };
    let targets: Option<Vec<Target>> = text.lines().map(target).collect();
    let targets = targets.filter(|targets| !targets.is_empty());
    targets.with_context(|| format!("{} lists no targets: {text}", binary.display()))
}

fn names(targets: &[Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    names.join(", ")
}

/// Where inputs lie that a target did not bear once, and seeds.
fn kept(what: &str, target: &str) -> PathBuf {
    root().join("fuzz").join(what).join(target)
}

//! `lab run`: one guest from boot to score.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Instant;

use anyhow::{Context, Result};

use super::kernel::Kernel;
use super::qemu::{Accelerator, Guest};
use super::qmp::Format;
use super::scenario::{Scenario, Variant};
use super::{RunArguments, cache, initrd, score};

/// Dumps of one stopped guest, with the truth they share.
pub(super) struct Taken {
    pub(super) dumps: Vec<PathBuf>,
    pub(super) truth: PathBuf,
}

/// Boots `scenario`, dumps it in every format of `formats` to `dir`.
/// The files are called after the scenario.
pub(super) fn take(
    scenario: &Scenario,
    variant: &Variant,
    formats: &[Format],
    dir: &Path,
) -> Result<Taken> {
    cache::create(dir)?;
    let dir = fs::canonicalize(dir).with_context(|| format!("cannot find {}", dir.display()))?;
    let kernel = Kernel::prepare()?;
    let accelerator = Accelerator::find(&kernel)?;
    let start = Instant::now();
    let initrd = dir.join("initrd.cpio");
    fs::write(&initrd, initrd::build(&kernel, scenario, variant.mac)?)
        .context("cannot write the initrd")?;
    let mut guest = Guest::boot(&kernel, accelerator, scenario, variant, &initrd, &dir)?;
    println!(
        "{}: {} under {} planted after {:.1} s",
        scenario.name,
        kernel.release,
        accelerator.name(),
        start.elapsed().as_secs_f64(),
    );
    let truth = dir.join(format!("{}.truth.txt", scenario.name));
    fs::write(&truth, &guest.truth).context("cannot write the truth")?;
    let mut dumps = Vec::new();
    for format in formats {
        let start = Instant::now();
        let dump = dir.join(format!("{}.{}", scenario.name, format.extension()));
        guest.monitor.dump(*format, &dump)?;
        println!(
            "{}: {} MiB in {:.1} s",
            dump.display(),
            fs::metadata(&dump).map_or(0, |file| file.len()) >> 20,
            start.elapsed().as_secs_f64(),
        );
        dumps.push(dump);
    }
    guest.quit()?;
    fs::remove_file(&initrd).context("cannot remove the initrd")?;
    Ok(Taken { dumps, truth })
}

/// Runs a scenario as the command line asks and scores every dump.
pub(super) fn run(arguments: &RunArguments) -> Result<()> {
    let scenario = Scenario::named(&arguments.scenario)?;
    let (dir, keep) = match &arguments.keep {
        Some(dir) => (dir.clone(), true),
        None => (
            env::temp_dir().join(format!("pagehound-lab-{}", process::id())),
            false,
        ),
    };
    let taken = take(&scenario, &arguments.variant, &arguments.format, &dir)?;
    let mut scores = Vec::new();
    if !arguments.no_score {
        for dump in &taken.dumps {
            scores.push(score::score(&arguments.binary, dump, &taken.truth)?);
        }
    }
    // On an early return above the folder stays, logs and all.
    if !keep {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    scores.iter().try_for_each(score::Score::judge)
}

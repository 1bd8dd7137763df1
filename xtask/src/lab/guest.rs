//! `lab run`: one guest from boot to score.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Instant;

use anyhow::{Context, Result};

use super::crash::Crash;
use super::dump::Way;
use super::kernel::Kernel;
use super::qemu::{Accelerator, Guest};
use super::scenario::{Scenario, Variant};
use super::target::Target;
use super::{RunArguments, cache, initrd, score};

/// Dumps of one guest, with the truth they share.
pub(super) struct Taken {
    pub(super) dumps: Vec<PathBuf>,
    pub(super) truth: PathBuf,
}

/// Boots `scenario` on the target's kernel and dumps it to `dir` in all `ways`.
/// The files are called after the scenario.
pub(super) fn take(
    target: &Target,
    scenario: &Scenario,
    variant: &Variant,
    ways: &[Way],
    dir: &Path,
) -> Result<Taken> {
    cache::create(dir)?;
    let dir = fs::canonicalize(dir).with_context(|| format!("cannot find {}", dir.display()))?;
    let kernel = Kernel::prepare(target)?;
    let accelerator = Accelerator::find(&kernel)?;
    let start = Instant::now();
    let crash = Crash::prepare(scenario, ways, &dir)?;
    let initrd = dir.join("initrd.cpio");
    let lines = crash.as_ref().map_or("", Crash::lines);
    let archive = initrd::build(&kernel, scenario, variant.mac, lines)?;
    fs::write(&initrd, archive).context("cannot write the initrd")?;
    if let Some(crash) = &crash {
        crash.share(&kernel.image, &initrd)?;
    }
    let mut guest = Guest::boot(
        &kernel,
        accelerator,
        scenario,
        variant,
        crash.as_ref(),
        &initrd,
        &dir,
    )?;
    println!(
        "{}: {} under {} planted after {:.1} s",
        scenario.name,
        kernel.release,
        accelerator.name(),
        start.elapsed().as_secs_f64(),
    );
    let truth = dir.join(format!("{}.truth.txt", scenario.name));
    fs::write(&truth, &guest.truth).context("cannot write the truth")?;
    for way in ways {
        if let Way::Qemu(format) = way {
            let start = Instant::now();
            let dump = dir.join(way.file_name(scenario.name));
            guest.monitor.dump(*format, &dump)?;
            print_size(&dump, &start);
        }
    }
    match crash {
        None => guest.quit()?,
        Some(crash) => {
            crash.take(guest, &dir)?;
            crash.filter_here(ways, scenario.name, &kernel.programs, &dir)?;
        }
    }
    fs::remove_file(&initrd).context("cannot remove the initrd")?;
    let dumps = ways
        .iter()
        .map(|way| dir.join(way.file_name(scenario.name)))
        .collect();
    Ok(Taken { dumps, truth })
}

/// Prints a finished dump's size and the time since `start`.
pub(super) fn print_size(dump: &Path, start: &Instant) {
    println!(
        "{}: {} MiB in {:.1} s",
        dump.display(),
        fs::metadata(dump).map_or(0, |file| file.len()) >> 20,
        start.elapsed().as_secs_f64(),
    );
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
    let taken = take(
        &arguments.target,
        &scenario,
        &arguments.variant,
        &arguments.dump,
        &dir,
    )?;
    let mut scores = Vec::new();
    if !arguments.no_score {
        for (way, dump) in arguments.dump.iter().zip(&taken.dumps) {
            if way.is_cut() {
                println!("{}: incomplete, so not scored", dump.display());
            } else {
                scores.push(score::score(&arguments.binary, dump, &taken.truth)?);
            }
        }
    }
    // On an early return above the folder stays, logs and all.
    if !keep {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    scores.iter().try_for_each(score::Score::judge)
}

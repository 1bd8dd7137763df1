//! `lab run`: one guest from boot to score.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::crash::Crash;
use super::dump::Way;
use super::initrd::More;
use super::kernel::Kernel;
use super::qemu::{Accelerator, Died, Guest};
use super::scenario::{Scenario, Variant};
use super::target::{Arch, Target};
use super::{RunArguments, cache, initrd, live, pagehound, report, score};

/// How often a guest that died while it booted or planted is begun anew. That is
/// no answer of pagehound's, and emulated machines do it now and then.
const RETRIES: usize = 2;

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
    check(target.arch, scenario, ways)?;
    check_kernel(target, ways)?;
    let kernel = Kernel::prepare(target)?;
    let mut accelerator = Accelerator::find(&kernel)?;
    // Only now, or what cannot be done would leave an empty folder.
    cache::create(dir)?;
    let dir = fs::canonicalize(dir).with_context(|| format!("cannot find {}", dir.display()))?;
    let start = Instant::now();
    let crash = Crash::prepare(scenario, ways, &dir)?;
    let initrd = dir.join("initrd.cpio");
    let runs_inside = |way: &Way| matches!(way, Way::Live | Way::Report(_));
    let program = match ways.iter().any(runs_inside) {
        true => Some(pagehound::build(&kernel, &dir)?),
        false => None,
    };
    let scenario = &Scenario {
        memory: scenario.memory + program.as_ref().map_or(0, |_| live::EXTRA),
        ..scenario.clone()
    };
    let more = More {
        captures: crash.as_ref().map_or("", Crash::lines),
        pagehound: program.as_deref(),
        live: ways.contains(&Way::Live),
    };
    let archive = initrd::build(&kernel, scenario, variant.mac, &more)?;
    fs::write(&initrd, archive).context("cannot write the initrd")?;
    if let Some(program) = &program {
        fs::remove_file(program).context("cannot remove the guest's pagehound")?;
    }
    if let Some(crash) = &crash {
        crash.share(&kernel.image, &initrd)?;
    }
    let boot = |accelerator| {
        let crash = crash.as_ref();
        Guest::boot(
            &kernel,
            accelerator,
            scenario,
            variant,
            crash,
            &initrd,
            &dir,
        )
    };
    let mut booted = boot(accelerator);
    for _ in 0..RETRIES {
        match &booted {
            Err(error) if error.is::<Died>() => println!(
                "{}: {} under {}: {error}  once more",
                scenario.name,
                kernel.release,
                accelerator.name()
            ),
            _ => break,
        }
        accelerator = Accelerator::Tcg;
        booted = boot(accelerator);
    }
    let mut guest = booted?;
    accelerator.remember(&kernel)?;
    println!(
        "{}: {} under {} planted after {:.1} s",
        scenario.name,
        kernel.release,
        accelerator.name(),
        start.elapsed().as_secs_f64(),
    );
    let truth = dir.join(format!("{}.truth.txt", scenario.name));
    if ways.contains(&Way::Live) {
        let answers = dir.join(Way::Live.file_name(scenario.name));
        guest.truth = live::keep(&guest.truth, &answers)?;
    }
    fs::write(&truth, &guest.truth).context("cannot write the truth")?;
    for way in ways {
        if let Way::Qemu(format) = way {
            let start = Instant::now();
            let dump = dir.join(way.file_name(scenario.name));
            guest.monitor.dump(*format, &dump)?;
            println!("{}, {:.1} s", size(&dump), start.elapsed().as_secs_f64());
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

/// Refuses what no guest of this architecture can do.
fn check(arch: Arch, scenario: &Scenario, ways: &[Way]) -> Result<()> {
    ensure!(
        scenario.machine.is_empty() || arch == Arch::X86_64,
        "{} needs a machine that only x86_64 has",
        scenario.name
    );
    let here = |way: &Way| matches!(way, Way::HostMakedumpfile(_));
    ensure!(
        !ways.contains(&Way::Live) || ways.iter().any(Way::is_comparable),
        "live is compared with a dump of the same guest: take another way too, such as live,qemu-elf"
    );
    let is_report = |way: &Way| matches!(way, Way::Report(_));
    ensure!(
        !ways.iter().any(is_report) || ways.contains(&Way::Copy),
        "a report is compared with the dump it was made of: take vmcore-raw too, as in report,vmcore-raw"
    );
    ensure!(
        arch.is_host() || !ways.iter().any(here),
        "the guest's makedumpfile does not run on this host: take makedumpfile:ARGS instead of host-makedumpfile:ARGS"
    );
    Ok(())
}

/// A kernel built here has no folder to share with the host, by which the second
/// kernel of a crash hands over its dumps.
fn check_kernel(target: &Target, ways: &[Way]) -> Result<()> {
    let qemu = |way: &Way| !way.crashes();
    if let Some(name) = target.kernel.configuration() {
        ensure!(
            ways.iter().all(qemu),
            "{name} can be dumped by QEMU only: take qemu-kdump-zlib or qemu-elf"
        );
    }
    Ok(())
}

/// A finished dump with its size.
pub(super) fn size(dump: &Path) -> String {
    let bytes = fs::metadata(dump).map_or(0, |file| file.len());
    format!("{}: {} MiB", dump.display(), bytes >> 20)
}

/// Runs a scenario as the command line asks and scores every dump.
pub(super) fn run(arguments: &RunArguments) -> Result<()> {
    let scenario = Scenario::named(&arguments.scenario)?;
    if !arguments.no_score {
        arguments.binary.path()?;
    }
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
            if let Way::Report(shortage) = way {
                report::compare(&arguments.binary, *shortage, dump)?;
            } else if *way == Way::Live {
                let ways = arguments.dump.iter().zip(&taken.dumps);
                let mut dumps = ways.filter(|(way, _)| way.is_comparable());
                let (_, other) = dumps.next().context("no dump to compare with")?;
                let truth = score::truth(&taken.truth)?;
                let mac = arguments.variant.mac;
                let answer = live::compare(&arguments.binary, dump, other, &truth, mac)?;
                scores.push(score::print(&truth, &answer));
            } else if way.is_cut() {
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
    scores.iter().try_for_each(score::Comparison::judge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_guest_of_the_architecture_can_do_is_refused_before_any_work() {
        let refused = |scenario, way: &str, arch| {
            let ways = [way.parse().unwrap()];
            check(arch, &Scenario::named(scenario).unwrap(), &ways).is_err()
        };
        assert!(refused("iommu", "qemu-elf", Arch::Aarch64));
        assert!(!refused("iommu", "qemu-elf", Arch::X86_64));
        assert!(!refused("lost", "makedumpfile:-d 31", Arch::Aarch64));
        let other = match Arch::X86_64.is_host() {
            true => Arch::Aarch64,
            false => Arch::X86_64,
        };
        assert!(refused("lost", "host-makedumpfile:-d 31", other));
        // What there is nothing to compare with.
        assert!(refused("lost", "live", Arch::X86_64));
        assert!(refused("lost", "report", Arch::X86_64));
    }
}

//! One run of libFuzzer over one target.

use super::{Figures, Plan, Target, figures, kept};
use anyhow::{Context, bail};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use wait4::Wait4;

/// Seconds that one input may take. Most take a thousandth of one; a kernel without
/// symbols is searched for them for one or two, and coverage makes that three times as
/// long.
const TIMEOUT: u32 = 25;
/// Resident memory that the fuzzer may have, in MiB: no target needs a quarter, and what
/// libFuzzer keeps for itself does not grow.
const RESIDENT_MIB: u32 = 512;
/// Address space, in KiB: what is allocated and never touched counts here.
const SPACE_KIB: u32 = 2 << 20;
/// Lines of the log that are shown with a finding.
const TAIL: usize = 30;

/// Runs it, and keeps the log, what was found and the figures.
pub(super) fn target(plan: &Plan, target: &Target) -> anyhow::Result<Figures> {
    let name = &target.name;
    let corpus = plan.keep.join("corpus").join(name);
    let found = plan.keep.join("found");
    let logs = plan.keep.join("logs");
    for folder in [&corpus, &found, &logs] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let log = logs.join(format!("{name}-{}.log", plan.seed));
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -v {SPACE_KIB} && exec \"$0\" \"$@\""))
        .arg(&plan.binary)
        .arg(format!("-max_total_time={}", plan.seconds))
        .arg(format!("-seed={}", plan.seed))
        .arg(format!("-max_len={}", target.max_len))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={RESIDENT_MIB}"))
        .arg("-report_slow_units=2")
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/{name}-", found.display()))
        .arg(&corpus);
    // Both are read only. Inputs that were a finding once come first of all.
    for folder in [kept("corpus", name), kept("regressions", name)] {
        if folder.is_dir() {
            command.arg(folder);
        }
    }
    command
        .env("PAGEHOUND_FUZZ_TARGET", name)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).with_context(|| log.display().to_string())?);
    let mut child = command.spawn().context("sh")?;
    let end = child.wait4().context("sh")?;
    let text = fs::read(&log).with_context(|| log.display().to_string())?;
    let text = String::from_utf8_lossy(&text);
    let cpu = end.rusage.utime + end.rusage.stime;
    let figures = Figures::of(name, &text, cpu.as_secs_f64());
    if !end.status.success() {
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..);
        println!("{}", tail.unwrap_or_default().join("\n"));
        if figures.found.is_none() {
            bail!(
                "{}, and no input was kept: see {}",
                end.status,
                log.display()
            );
        }
    }
    figures::append(&plan.keep, &figures)?;
    Ok(figures)
}

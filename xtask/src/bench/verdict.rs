//! What a verdict costs, measured beside what others need only to start.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pagehound_model::Report;

use super::contestant::{Contestant, version};
use super::{Arguments, THREADS};
use crate::check::Schema;
use crate::paths::name;

/// For the guest of 640 MiB.
const WALL_LIMIT: Duration = Duration::from_secs(2);
const PEAK_LIMIT: u64 = 300 << 20;
/// That guest's dump, in the corpus.
const DUMP: &str = "bond-leak-6.1-x86_64-d31-lzo.kdump";

/// The section of the results, and an error where a limit is exceeded.
pub(super) fn section(arguments: &Arguments, binary: &Path) -> Result<(String, Result<()>)> {
    let dump = dump(arguments)?;
    let size = std::fs::metadata(&dump)?.len();
    let report = answer(binary, &dump)?;
    let vmlinux = arguments
        .vmlinux
        .clone()
        .or_else(|| installed_vmlinux(&report.target.kernel));
    let mut contestants = vec![pagehound(binary, &dump)?];
    if let Some(vmlinux) = &vmlinux {
        contestants.extend(crash(vmlinux, &dump));
        contestants.extend(drgn(vmlinux, &dump));
    }
    // Into the page cache, for all of them.
    for contestant in &contestants {
        contestant.run()?;
    }
    for _ in 1..=arguments.runs {
        for contestant in &mut contestants {
            contestant.round()?;
        }
    }
    let text = results(&report, &dump, size, vmlinux.as_deref(), &contestants)?;
    let kept = contestants.first().map_or(Ok(()), keeps_limits);
    Ok((text, kept))
}

/// The dump to diagnose.
pub(super) fn dump(arguments: &Arguments) -> Result<PathBuf> {
    let dump = match &arguments.dump {
        Some(dump) => dump.clone(),
        None => crate::corpus().join(DUMP),
    };
    ensure!(
        dump.exists(),
        "{}: the dump to diagnose; PAGEHOUND_CORPUS names the folder of the default",
        dump.display()
    );
    Ok(dump)
}

/// The report of `binary` on `dump`, sound by the schema and its own sums.
fn answer(binary: &Path, dump: &Path) -> Result<Report> {
    let output = Command::new(binary)
        .args(["diagnose", "--json"])
        .arg(dump)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // 1 is pages lost, 3 nothing lost as far as can be read: both are answers.
    ensure!(
        matches!(output.status.code(), Some(0 | 1 | 3)),
        "pagehound diagnose: {}: {errors}",
        output.status
    );
    let wrong = Schema::new()?.check(&output.stdout)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The kernel release that `binary` reads in `dump`.
pub(super) fn release(binary: &Path, dump: &Path) -> Result<String> {
    Ok(answer(binary, dump)?.target.kernel)
}

/// Where distributions put the debuginfo of a kernel.
fn installed_vmlinux(release: &str) -> Option<PathBuf> {
    [
        format!("/usr/lib/debug/boot/vmlinux-{release}"),
        format!("/usr/lib/debug/lib/modules/{release}/vmlinux"),
        format!("/lib/modules/{release}/build/vmlinux"),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file())
}

pub(super) fn pagehound(binary: &Path, dump: &Path) -> Result<Contestant> {
    let said = version(binary).context("pagehound --version")?;
    let threads = THREADS.to_string();
    let mut contestant = Contestant::new(
        &said,
        binary,
        &[
            Path::new("diagnose"),
            dump,
            Path::new("--json"),
            Path::new("--threads"),
            Path::new(&threads),
        ],
    );
    contestant.answers = |status| matches!(status, 0 | 1 | 3);
    Ok(contestant)
}

/// crash up to its prompt: it ends where its input does. `None` where it is
/// not installed.
pub(super) fn crash(vmlinux: &Path, dump: &Path) -> Option<Contestant> {
    let program = Path::new("crash");
    let arguments = [Path::new("-s"), vmlinux, dump];
    let mut contestant = Contestant::new(&version(program)?, program, &arguments);
    contestant.input = "q\n";
    contestant.line.push_str(" <<< q");
    Some(contestant)
}

/// drgn up to its first variable. `None` where it is not installed.
pub(super) fn drgn(vmlinux: &Path, dump: &Path) -> Option<Contestant> {
    drgn_with(vmlinux, dump, "prog['init_task'].comm")
}

/// drgn running a line of Python. `None` where it is not installed.
pub(super) fn drgn_with(vmlinux: &Path, dump: &Path, code: &str) -> Option<Contestant> {
    let program = Path::new("drgn");
    let quiet = ["-q", "-c"].map(Path::new);
    let rest = [Path::new("-s"), vmlinux, Path::new("-e"), Path::new(code)];
    let arguments = [&quiet[..], &[dump], &rest].concat();
    let mut contestant = Contestant::new(&version(program)?, program, &arguments);
    contestant.line = contestant.line.replace(code, &format!("\"{code}\""));
    Some(contestant)
}

fn keeps_limits(contestant: &Contestant) -> Result<()> {
    let wall = contestant.wall().median;
    ensure!(
        wall <= WALL_LIMIT,
        "{}: {:.2} s, the limit is {:.2} s",
        contestant.line,
        wall.as_secs_f64(),
        WALL_LIMIT.as_secs_f64()
    );
    ensure!(
        contestant.peak() <= PEAK_LIMIT,
        "{}: {} MiB, the limit is {} MiB",
        contestant.line,
        contestant.peak() >> 20,
        PEAK_LIMIT >> 20
    );
    Ok(())
}

fn results(
    report: &Report,
    dump: &Path,
    size: u64,
    vmlinux: Option<&Path>,
    contestants: &[Contestant],
) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "`{}`, {} MiB, of a guest with {} MiB, kernel {}. {} crash and drgn only start.\n",
        name(dump),
        size >> 20,
        (report.target.pages * report.target.page_size) >> 20,
        report.target.kernel,
        match vmlinux {
            Some(vmlinux) => format!(
                "The others also need its vmlinux with debuginfo, {} MiB.",
                std::fs::metadata(vmlinux)?.len() >> 20
            ),
            None => "No vmlinux with debuginfo at hand, so crash and drgn cannot start.".into(),
        },
    )?;
    writeln!(
        text,
        "| | command | wall s: median | min | max | CPU s: median | peak MiB | median to pagehound's |\n\
         |---|---|---|---|---|---|---|---|"
    )?;
    let base = contestants.first().map(|first| first.wall().median);
    for contestant in contestants {
        let wall = contestant.wall();
        let ratio = wall.median.as_secs_f64() / base.unwrap_or_default().as_secs_f64().max(1e-9);
        writeln!(text, "{} {ratio:.1} |", contestant.cells(),)?;
    }
    writeln!(
        text,
        "\nThe job fails above {} s (median) or {} MiB. The peak counts the pages of the dump that \
         are mapped, {} MiB at most.",
        WALL_LIMIT.as_secs(),
        PEAK_LIMIT >> 20,
        size >> 20,
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::contestant::Figures;
    use super::*;

    fn contestant(walls: &[u64], peak: u64) -> Contestant {
        let run = |&millis| Figures {
            wall: Duration::from_millis(millis),
            cpu: Duration::ZERO,
            peak,
            done: None,
        };
        let mut contestant = Contestant::new("", Path::new("it"), &[]);
        contestant.runs = walls.iter().map(run).collect();
        contestant
    }

    #[test]
    fn one_slow_run_is_no_failure_and_a_slow_median_is() {
        assert!(keeps_limits(&contestant(&[300, 9000, 400], 1)).is_ok());
        let error = keeps_limits(&contestant(&[300, 2100, 2200], 1));
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err("it: 2.10 s, the limit is 2.00 s".into())
        );
        assert!(keeps_limits(&contestant(&[300], 300 << 20)).is_ok());
        assert!(keeps_limits(&contestant(&[300], (300 << 20) + 1)).is_err());
    }
}

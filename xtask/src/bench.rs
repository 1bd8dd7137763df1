//! What a verdict costs, measured beside what others need only to start.
//!
//! Runs take turns, so that a machine that is busy or throttled slows all of
//! them alike: medians and their ratios hold where single figures do not.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pagehound_model::Report;
use wait4::Wait4;

use crate::check::Schema;
use crate::ci;

/// The limits hold on this many cores.
const THREADS: usize = 2;
/// For the guest of 640 MiB.
const WALL_LIMIT: Duration = Duration::from_secs(2);
const PEAK_LIMIT: u64 = 300 << 20;
/// That guest's dump, in the corpus.
const DUMP: &str = "bond-leak-6.1-x86_64-d31-lzo.kdump";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Dump to diagnose; the limits are meant for the default, the 640 MiB
    /// guest of the corpus
    dump: Option<PathBuf>,
    /// Runs of each command, after one that is not counted
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The dumped kernel with its debuginfo, for crash and drgn; by default
    /// where distributions install it
    #[arg(long)]
    vmlinux: Option<PathBuf>,
}

/// Measures and writes `bench/RESULTS.md`; fails where a limit is exceeded.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dump = match &arguments.dump {
        Some(dump) => dump.clone(),
        None => crate::corpus().join(DUMP),
    };
    let size = std::fs::metadata(&dump)
        .with_context(|| {
            format!(
                "{}: the dump to diagnose; PAGEHOUND_CORPUS names the folder of the default",
                dump.display()
            )
        })?
        .len();
    let binary = ci::static_binary()?;
    let report = answer(&binary, &dump)?;
    let vmlinux = arguments
        .vmlinux
        .clone()
        .or_else(|| installed_vmlinux(&report.target.kernel));
    let mut contestants = vec![Contestant::pagehound(&binary, &dump)?];
    if let Some(vmlinux) = &vmlinux {
        contestants.extend(Contestant::crash(vmlinux, &dump));
        contestants.extend(Contestant::drgn(vmlinux, &dump));
    }
    // Into the page cache, for all of them.
    for contestant in &contestants {
        contestant.run()?;
    }
    for round in 1..=arguments.runs {
        for contestant in &mut contestants {
            let figures = contestant.run()?;
            println!("{round:3}  {figures}  {}", contestant.line);
            contestant.runs.push(figures);
        }
    }
    let text = results(&report, &dump, size, vmlinux.as_deref(), &contestants)?;
    let path = crate::root().join("bench/RESULTS.md");
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    std::fs::write(&path, &text).with_context(|| path.display().to_string())?;
    println!("\n{text}");
    match contestants.first() {
        Some(pagehound) => pagehound.keeps_limits(),
        None => Ok(()),
    }
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

/// A command that is measured.
struct Contestant {
    /// Name and version.
    version: String,
    /// The command without the folders of this machine.
    line: String,
    program: PathBuf,
    arguments: Vec<PathBuf>,
    /// What it is given to read.
    input: &'static str,
    /// Whether a status is an answer.
    answers: fn(i32) -> bool,
    runs: Vec<Figures>,
}

impl Contestant {
    fn pagehound(binary: &Path, dump: &Path) -> Result<Contestant> {
        let threads = THREADS.to_string();
        Ok(Contestant {
            version: version(binary).context("pagehound --version")?,
            line: format!(
                "pagehound diagnose {} --json --threads {threads}",
                name(dump)
            ),
            program: binary.into(),
            arguments: vec![
                "diagnose".into(),
                dump.into(),
                "--json".into(),
                "--threads".into(),
                threads.into(),
            ],
            input: "",
            answers: |status| matches!(status, 0 | 1 | 3),
            runs: Vec::new(),
        })
    }

    /// crash up to its prompt: it ends where its input does. `None` where it
    /// is not installed.
    fn crash(vmlinux: &Path, dump: &Path) -> Option<Contestant> {
        Some(Contestant {
            version: version(Path::new("crash"))?,
            line: format!("crash -s vmlinux {} <<< q", name(dump)),
            program: "crash".into(),
            arguments: vec!["-s".into(), vmlinux.into(), dump.into()],
            input: "q\n",
            answers: |status| status == 0,
            runs: Vec::new(),
        })
    }

    /// drgn up to its first variable. `None` where it is not installed.
    fn drgn(vmlinux: &Path, dump: &Path) -> Option<Contestant> {
        const FIRST: &str = "prog['init_task'].comm";
        Some(Contestant {
            version: version(Path::new("drgn"))?,
            line: format!("drgn -q -c {} -s vmlinux -e \"{FIRST}\"", name(dump)),
            program: "drgn".into(),
            arguments: ["-q", "-c"]
                .into_iter()
                .map(PathBuf::from)
                .chain([dump.into(), "-s".into(), vmlinux.into()])
                .chain(["-e", FIRST].map(PathBuf::from))
                .collect(),
            input: "",
            answers: |status| status == 0,
            runs: Vec::new(),
        })
    }

    fn run(&self) -> Result<Figures> {
        let start = Instant::now();
        let ended = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .and_then(|mut child| {
                // Dropped, and so closed, once written.
                if let Some(mut stdin) = child.stdin.take() {
                    stdin.write_all(self.input.as_bytes())?;
                }
                child.wait4()
            })
            .with_context(|| self.line.clone())?;
        let wall = start.elapsed();
        ensure!(
            ended.status.code().is_some_and(self.answers),
            "{}: {}",
            self.line,
            ended.status
        );
        Ok(Figures {
            wall,
            cpu: ended.rusage.utime + ended.rusage.stime,
            peak: ended.rusage.maxrss,
        })
    }

    fn wall(&self) -> Spread<Duration> {
        Spread::of(self.runs.iter().map(|run| run.wall))
    }

    fn peak(&self) -> u64 {
        self.runs.iter().map(|run| run.peak).max().unwrap_or(0)
    }

    fn keeps_limits(&self) -> Result<()> {
        let wall = self.wall().median;
        ensure!(
            wall <= WALL_LIMIT,
            "{}: {:.2} s, the limit is {:.2} s",
            self.line,
            wall.as_secs_f64(),
            WALL_LIMIT.as_secs_f64()
        );
        ensure!(
            self.peak() <= PEAK_LIMIT,
            "{}: {} MiB, the limit is {} MiB",
            self.line,
            self.peak() >> 20,
            PEAK_LIMIT >> 20
        );
        Ok(())
    }
}

/// First line of what a program says of its version, `None` if it is not there.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find(|line| !line.trim().is_empty())?;
    // drgn goes on to say what it was built with.
    let line = line.split(" (").next().unwrap_or(line);
    Some(line.trim().to_owned())
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What one run took.
#[derive(Clone, Copy)]
struct Figures {
    wall: Duration,
    /// User and system time of all its threads.
    cpu: Duration,
    /// Largest resident set, pages of mapped files included, in bytes.
    peak: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:6.2} s wall {:6.2} s CPU {:5} MiB",
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.peak >> 20
        )
    }
}

/// Lowest, middle and highest of some values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Spread<T> {
    min: T,
    /// Of an even number the lower of the two in the middle.
    median: T,
    max: T,
}

impl<T: Copy + Ord + Default> Spread<T> {
    fn of(values: impl Iterator<Item = T>) -> Spread<T> {
        let mut values: Vec<T> = values.collect();
        values.sort_unstable();
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Spread {
            min: at(0),
            median: at(values.len().saturating_sub(1) / 2),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

fn results(
    report: &Report,
    dump: &Path,
    size: u64,
    vmlinux: Option<&Path>,
    contestants: &[Contestant],
) -> Result<String> {
    let now = jiff::Timestamp::now().to_string();
    let date = now.split('T').next().unwrap_or_default();
    let runs = contestants.first().map_or(0, |first| first.runs.len());
    let mut text = String::new();
    writeln!(
        text,
        "# What a verdict costs\n\n\
         Written by `cargo xtask bench` on {date}. {}.\n\n\
         Dump: `{}`, {} MiB, of a guest with {} MiB, kernel {}. {}\n\n\
         {runs} runs of each command in turn, after one that is not counted; files are in the page \
         cache. `crash` and `drgn` only start.\n",
        machine(),
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
        let cpu = Spread::of(contestant.runs.iter().map(|run| run.cpu));
        let ratio = wall.median.as_secs_f64() / base.unwrap_or_default().as_secs_f64().max(1e-9);
        writeln!(
            text,
            "| {} | `{}` | {:.2} | {:.2} | {:.2} | {:.2} | {} | {ratio:.1} |",
            contestant.version,
            contestant.line,
            wall.median.as_secs_f64(),
            wall.min.as_secs_f64(),
            wall.max.as_secs_f64(),
            cpu.median.as_secs_f64(),
            contestant.peak() >> 20,
        )?;
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

/// Processor, cores, memory and load of this machine.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let total = value(&read("/proc/meminfo"), "MemTotal");
    let kib: u64 = total
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let load = read("/proc/loadavg");
    format!(
        "{}, {} cores, {} GiB, load {} before the first run",
        value(&read("/proc/cpuinfo"), "model name"),
        std::thread::available_parallelism().map_or(1, usize::from),
        kib >> 20,
        load.split(' ').next().unwrap_or("unknown"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant(walls: &[u64], peak: u64) -> Contestant {
        let run = |&millis| Figures {
            wall: Duration::from_millis(millis),
            cpu: Duration::ZERO,
            peak,
        };
        Contestant {
            version: String::new(),
            line: "it".into(),
            program: PathBuf::new(),
            arguments: Vec::new(),
            input: "",
            answers: |_| true,
            runs: walls.iter().map(run).collect(),
        }
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let spread = Spread::of([5, 1, 9].into_iter());
        assert_eq!((spread.min, spread.median, spread.max), (1, 5, 9));
        assert_eq!(Spread::of([4, 2, 3, 1].into_iter()).median, 2);
        assert_eq!(Spread::of([7].into_iter()).median, 7);
    }

    #[test]
    fn one_slow_run_is_no_failure_and_a_slow_median_is() {
        assert!(contestant(&[300, 9000, 400], 1).keeps_limits().is_ok());
        let error = contestant(&[300, 2100, 2200], 1).keeps_limits();
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err("it: 2.10 s, the limit is 2.00 s".into())
        );
        assert!(contestant(&[300], 300 << 20).keeps_limits().is_ok());
        assert!(contestant(&[300], (300 << 20) + 1).keeps_limits().is_err());
    }
}

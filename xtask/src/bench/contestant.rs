//! Commands that are measured as whole processes.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wait4::Wait4 as _;

use super::limits::Done;
use crate::paths::name;

/// Nothing is waited for longer; measured only where it is known to be slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(900);

/// A command that is measured.
pub(super) struct Contestant {
    /// Name and version.
    pub(super) version: String,
    /// The command without the folders of this machine.
    pub(super) line: String,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<PathBuf>,
    /// What it is given to read.
    pub(super) input: &'static str,
    /// Whether a status is an answer.
    pub(super) answers: fn(i32) -> bool,
    /// Whether it prints what it did, as the limits do.
    pub(super) reports: bool,
    pub(super) runs: Vec<Figures>,
}

impl Contestant {
    /// `program` with `arguments`; what is a path among them is shown without
    /// its folders.
    pub(super) fn new(version: &str, program: &Path, arguments: &[&Path]) -> Contestant {
        let shown = arguments.iter().map(|argument| name(argument));
        let line: Vec<String> = std::iter::once(name(program)).chain(shown).collect();
        Contestant {
            version: version.to_owned(),
            line: line.join(" "),
            program: program.into(),
            arguments: arguments.iter().map(PathBuf::from).collect(),
            input: "",
            answers: |status| status == 0,
            reports: false,
            runs: Vec::new(),
        }
    }

    /// The same with one more argument.
    pub(super) fn with(mut self, argument: &str) -> Contestant {
        self.line = format!("{} {argument}", self.line);
        self.arguments.push(argument.into());
        self
    }

    /// Runs it once and keeps what that took.
    pub(super) fn round(&mut self) -> Result<()> {
        let figures = self.run()?;
        println!("     {figures}  {}", self.line);
        self.runs.push(figures);
        Ok(())
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When it cannot be started, or its status is no answer.
    pub(super) fn run(&self) -> Result<Figures> {
        let start = Instant::now();
        let mut said = String::new();
        let output = if self.reports {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let ended = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .and_then(|mut child| {
                // Dropped, and so closed, once written.
                if let Some(mut stdin) = child.stdin.take() {
                    stdin.write_all(self.input.as_bytes())?;
                }
                if let Some(mut stdout) = child.stdout.take() {
                    stdout.read_to_string(&mut said)?;
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
        let done = self.reports.then(|| serde_json::from_str(&said));
        Ok(Figures {
            wall,
            cpu: ended.rusage.utime + ended.rusage.stime,
            peak: ended.rusage.maxrss,
            done: done.transpose().with_context(|| self.line.clone())?,
        })
    }

    pub(super) fn wall(&self) -> Spread<Duration> {
        Spread::of(self.runs.iter().map(|run| run.wall))
    }

    /// Median of the processor time of all its threads.
    pub(super) fn cpu(&self) -> Duration {
        Spread::of(self.runs.iter().map(|run| run.cpu)).median
    }

    /// The beginning of its row in a table: version, command, wall and processor
    /// time, peak.
    pub(super) fn cells(&self) -> String {
        let wall = self.wall();
        format!(
            "| {} | `{}` | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
            self.version,
            self.line,
            wall.median.as_secs_f64(),
            wall.min.as_secs_f64(),
            wall.max.as_secs_f64(),
            self.cpu().as_secs_f64(),
            self.peak() >> 20,
        )
    }

    pub(super) fn peak(&self) -> u64 {
        self.runs.iter().map(|run| run.peak).max().unwrap_or(0)
    }
}

/// First line of what a program says of its version, `None` if it is not there.
pub(super) fn version(program: &Path) -> Option<String> {
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

/// What one run took.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) wall: Duration,
    /// User and system time of all its threads.
    pub(super) cpu: Duration,
    /// Largest resident set, pages of mapped files included, in bytes.
    pub(super) peak: u64,
    /// What it says it did.
    pub(super) done: Option<Done>,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:6.2} s wall {:6.2} s CPU {:5} MiB",
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.peak >> 20
        )?;
        match &self.done {
            Some(done) => write!(f, " {:6.2} s of work", done.seconds),
            None => Ok(()),
        }
    }
}

/// Lowest, middle and highest of some values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spread<T> {
    pub(super) min: T,
    /// Of an even number the lower of the two in the middle.
    pub(super) median: T,
    pub(super) max: T,
}

impl<T: Copy + Ord + Default> Spread<T> {
    pub(super) fn of(values: impl Iterator<Item = T>) -> Spread<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let spread = Spread::of([5, 1, 9].into_iter());
        assert_eq!((spread.min, spread.median, spread.max), (1, 5, 9));
        assert_eq!(Spread::of([4, 2, 3, 1].into_iter()).median, 2);
        assert_eq!(Spread::of([7].into_iter()).median, 7);
    }
}

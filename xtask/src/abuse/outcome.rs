//! What pagehound made of a dump.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wait4::Wait4 as _;

/// Seconds within which there must be an answer.
const PATIENCE: f64 = 10.0;
/// Where a run is ended: seconds, of a busy machine too, and addresses in KiB.
const MOST_SECONDS: u32 = 120;
const MOST_KIB: u32 = 16 << 20;
/// Pages by which a whole answer may differ: where a broken byte lies in a page, a
/// frame looks different or a pointer is gone.
const TOLERANCE: u64 = 32;

/// What is said of the whole dump.
pub(super) struct Healthy {
    pub(super) format: String,
    lost: u64,
    warnings: usize,
    /// Largest resident set, in bytes.
    pub(super) peak: u64,
}

impl Healthy {
    pub(super) fn of(pagehound: &Path, dump: &Path) -> Result<Self> {
        let ended = Ended::of(pagehound, dump)?;
        ensure!(
            matches!(ended.status, Some(0 | 1)),
            "the whole dump gives no sure answer: {}",
            ended.stderr
        );
        let report: Value = serde_json::from_str(&ended.stdout)?;
        let format = report["target"]["format"].as_str();
        Ok(Self {
            format: format.unwrap_or_default().to_owned(),
            lost: lost(&report),
            warnings: warnings(&report),
            peak: ended.peak,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Outcome {
    /// The answer of the whole dump.
    Right,
    /// An answer that says what it lacks and claims no proof.
    Partial,
    /// No answer, one sentence why.
    Error,
    /// An answer that is another and claims to be sure, or none of these.
    Wrong,
}

/// A run over a broken dump.
pub(super) struct Run {
    pub(super) outcome: Outcome,
    pub(super) seconds: f64,
    pub(super) peak: u64,
    /// What must not be.
    pub(super) faults: Vec<String>,
}

impl Run {
    pub(super) fn of(pagehound: &Path, dump: &Path, healthy: &Healthy) -> Result<Self> {
        let ended = Ended::of(pagehound, dump)?;
        let mut faults = Vec::new();
        let outcome = judge(&ended, healthy).unwrap_or_else(|fault| {
            faults.push(fault);
            Outcome::Wrong
        });
        // By the processor's time, which a busy machine does not stretch.
        if ended.seconds > PATIENCE {
            faults.push(format!("{:.1} s", ended.seconds));
        }
        Ok(Self {
            outcome,
            seconds: ended.seconds,
            peak: ended.peak,
            faults,
        })
    }
}

fn judge(ended: &Ended, healthy: &Healthy) -> Result<Outcome, String> {
    let report: Option<Value> = serde_json::from_str(&ended.stdout).ok();
    let last = || ended.stderr.lines().last().unwrap_or_default().to_owned();
    match (ended.status, report) {
        (Some(2), Some(report)) => match report["error"].as_str() {
            Some(error) if !error.contains(char::is_control) && error.len() > 20 => {
                Ok(Outcome::Error)
            }
            error => Err(format!("no sentence: {error:?}")),
        },
        (Some(status @ (0 | 1 | 3)), Some(report)) => {
            let lost = lost(&report);
            let same = lost.abs_diff(healthy.lost) <= TOLERANCE.max(healthy.lost / 200);
            let sure = report["verdict"] == "lost" || (status == 0 && report["verdict"] == "none");
            let as_status = match report["verdict"].as_str() {
                Some("lost") => status == 1 || status == 3,
                Some("none") => status == 0 || status == 3,
                _ => status != 0 || report["verdict"] == "suspect",
            };
            if !as_status {
                return Err(format!("{} with status {status}", report["verdict"]));
            }
            match (sure, same) {
                (true, true) => Ok(Outcome::Right),
                (true, false) => Err(format!(
                    "{} with {lost} pages lost, {} in the whole dump; warnings {}",
                    report["verdict"], healthy.lost, report["warnings"]
                )),
                (false, _) => {
                    let says_so =
                        report["complete"] == false || warnings(&report) > healthy.warnings;
                    match says_so {
                        true => Ok(Outcome::Partial),
                        false => Err(format!("{} without a word why", report["verdict"])),
                    }
                }
            }
        }
        (status, _) => Err(format!("status {status:?}: {:?}", last())),
    }
}

/// Pages that are called lost for sure.
fn lost(report: &Value) -> u64 {
    let findings = report["findings"].as_array().into_iter().flatten();
    let lost = findings.filter(|finding| finding["verdict"] == "lost");
    lost.filter_map(|finding| finding["pages"].as_u64()).sum()
}

fn warnings(report: &Value) -> usize {
    report["warnings"].as_array().map_or(0, Vec::len)
}

/// A process that came to its end.
struct Ended {
    /// `None` for a signal.
    status: Option<i32>,
    stdout: String,
    stderr: String,
    seconds: f64,
    peak: u64,
}

impl Ended {
    fn of(pagehound: &Path, dump: &Path) -> Result<Self> {
        // Neither an endless loop nor an endless allocation may take the machine.
        let bounded = format!(
            "ulimit -v {MOST_KIB}; exec timeout -s KILL {MOST_SECONDS} \"$0\" diagnose \"$1\" --json"
        );
        let mut child = Command::new("sh")
            .args(["-c", &bounded])
            .arg(pagehound)
            .arg(dump)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| pagehound.display().to_string())?;
        let (stdout, stderr) = read(&mut child)?;
        let ended = child.wait4()?;
        Ok(Self {
            status: ended.status.code(),
            stdout,
            stderr,
            seconds: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
            peak: ended.rusage.maxrss,
        })
    }
}

/// Both streams to their ends: neither may fill up while the other is read.
fn read(child: &mut Child) -> Result<(String, String)> {
    use std::io::Read as _;
    let mut err = child.stderr.take().context("no stderr")?;
    let stderr = std::thread::spawn(move || {
        let mut said = Vec::new();
        err.read_to_end(&mut said).map(|_| said)
    });
    let mut said = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_end(&mut said)?;
    }
    let stderr = stderr.join().map_err(|_| anyhow::anyhow!("stderr"))??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((text(said), text(stderr)))
}

//! What pagehound says of a dump.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

/// Which pagehound answers.
#[derive(Args)]
pub(super) struct Binary {
    /// The pagehound binary [default: the checkout's release build]
    #[arg(long, value_name = "FILE")]
    pub(super) pagehound: Option<PathBuf>,
}

impl Binary {
    pub(super) fn path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.pagehound {
            ensure!(path.exists(), "there is no {}", path.display());
            return Ok(path.clone());
        }
        // This program is <target>/<profile>/xtask.
        let own = env::current_exe().context("cannot tell where this program is")?;
        let target = own
            .parent()
            .and_then(Path::parent)
            .context("no target folder")?;
        let path = target.join("release/pagehound");
        if !path.exists() {
            bail!(
                "no {}: `cargo build --release`, or --pagehound FILE",
                path.display()
            );
        }
        Ok(path)
    }
}

/// Its answer to one dump.
#[cfg_attr(test, derive(Default))]
pub(super) struct Answer {
    /// Frame numbers of all pages it calls lost.
    pub(super) lost: BTreeSet<u64>,
    /// How long `diagnose` took.
    pub(super) seconds: f64,
    /// What `diagnose --json` printed.
    pub(super) report: Value,
}

impl Answer {
    /// Asks about `dump`.
    pub(super) fn of(binary: &Binary, dump: &Path) -> Result<Self> {
        let program = binary.path()?;
        let start = Instant::now();
        let report = ask(Command::new(&program)
            .arg("diagnose")
            .arg(dump)
            .arg("--json"))?;
        let mut answer = Self {
            lost: BTreeSet::new(),
            seconds: start.elapsed().as_secs_f64(),
            report: serde_json::from_str(&report).context("the report is not JSON")?,
        };
        // Without page structs to be read no page is called anything.
        if answer.verdict() != "incomplete" {
            let pages = ask(Command::new(&program)
                .arg("pages")
                .arg(dump)
                .args(["--each", "--state", "lost", "--format", "csv"]))?;
            answer.lost = frame_numbers(&pages)?;
        }
        Ok(answer)
    }

    /// The control group: pages missed, pages checked.
    pub(super) fn control(&self) -> (u64, u64) {
        let number = |pointer| self.report.pointer(pointer).and_then(Value::as_u64);
        (
            number("/control/missed").unwrap_or(0),
            number("/control/checked").unwrap_or(0),
        )
    }

    /// The release of the dump's kernel.
    pub(super) fn kernel(&self) -> &str {
        text(&self.report, "/target/kernel").unwrap_or("?")
    }

    /// The answer in one word.
    pub(super) fn verdict(&self) -> &str {
        text(&self.report, "/verdict").unwrap_or("?")
    }

    /// Drivers that own lost pages.
    pub(super) fn drivers(&self) -> BTreeSet<&str> {
        list(&self.report, "/findings")
            .iter()
            .filter(|finding| text(finding, "/verdict") == Some("lost"))
            .flat_map(|finding| list(finding, "/owners"))
            .filter_map(|owner| text(owner, "/driver"))
            .collect()
    }

    /// Classes of pages of which the kernel itself counts another number, and
    /// by how many pages it is less than what was found.
    pub(super) fn ledger(&self) -> Vec<(&str, i64)> {
        let number = |row: &Value, pointer| row.pointer(pointer).and_then(Value::as_i64);
        list(&self.report, "/ledger")
            .iter()
            .filter_map(|row| {
                let difference = number(row, "/pages")? - number(row, "/counter/pages")?;
                Some((text(row, "/class")?, difference))
            })
            .filter(|(_, difference)| *difference != 0)
            .collect()
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// What a pagehound command prints. Exit codes up to 3 except 2 are answers.
fn ask(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    match output.status.code() {
        Some(0 | 1 | 3) => String::from_utf8(output.stdout).context("pagehound printed no UTF-8"),
        _ => bail!("{command:?} ended with {}", output.status),
    }
}

/// The first column of `pfn,class,order,refcount,state,finding` rows.
fn frame_numbers(csv: &str) -> Result<BTreeSet<u64>> {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or("");
    if header.split(',').next() != Some("pfn") {
        bail!("the pages start with {header:?}, not with a column pfn");
    }
    lines
        .map(|line| {
            let pfn = line.split(',').next().unwrap_or("");
            let parsed = match pfn.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => pfn.parse(),
            };
            parsed.with_context(|| format!("{line:?} does not start with a frame number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_without_the_header_are_refused() {
        let rows =
            "pfn,class,order,refcount,state,finding\n10,raw,0,1,lost,f1\n0x1f,raw,0,1,lost,f1\n";
        assert_eq!(frame_numbers(rows).unwrap(), BTreeSet::from([10, 31]));
        assert!(frame_numbers("10,raw,0,1,lost,f1\n").is_err());
        assert!(frame_numbers("pfn\nx\n").is_err());
    }

    #[test]
    fn owners_are_those_of_lost_pages_and_the_ledger_what_differs() {
        let answer = Answer {
            lost: BTreeSet::new(),
            seconds: 0.0,
            report: json!({
                "verdict": "lost",
                "control": {"checked": 9, "missed": 1},
                "ledger": [
                    {"class": "free", "pages": 7, "counter": {"pages": 7}},
                    {"class": "slab", "pages": 5, "counter": {"pages": 8}},
                    {"class": "raw", "pages": 5, "counter": null},
                ],
                "findings": [
                    {"verdict": "lost", "owners": [{"driver": "e1000"}, {"driver": null}]},
                    {"verdict": "held", "owners": [{"driver": "other"}]},
                ],
            }),
        };
        assert_eq!(answer.control(), (1, 9));
        assert_eq!(answer.verdict(), "lost");
        assert_eq!(answer.drivers(), BTreeSet::from(["e1000"]));
        assert_eq!(answer.ledger(), [("slab", -3)]);
    }
}

//! What `contrib/kdump-report` wrote in the kernel that kdump boots, against what
//! pagehound says here of the dump taken in the same kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::answer::Binary;
use super::dump::{Shortage, Way};
use crate::paths;

/// What the guest's pagehound read.
const VMCORE: &str = "/proc/vmcore";
/// How the line begins that is left where memory does not suffice.
const STARVED: &str = "crashkernel= is too small: full report needs ";

/// Holds the report at `path` against the copy of `/proc/vmcore` beside it.
///
/// # Errors
/// With the fields that differ.
pub(super) fn compare(binary: &Binary, shortage: Shortage, path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let told = match shortage {
        Shortage::Memory => starved(&text)?,
        Shortage::None | Shortage::Disk(_) => {
            let vmcore = beside(path)?;
            let output = Command::new(binary.path()?)
                .args(["diagnose", "--json"])
                .arg(&vmcore)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .context("cannot start pagehound")?;
            let of_dump = String::from_utf8(output.stdout).context("pagehound printed no UTF-8")?;
            equal(
                &text,
                &of_dump.replace(&vmcore.display().to_string(), VMCORE),
            )?
        }
    };
    println!("{}\n  report  {told}", path.display());
    Ok(())
}

/// The copy of `/proc/vmcore` of the same scenario.
fn beside(path: &Path) -> Result<std::path::PathBuf> {
    let name = paths::name(path);
    // SCENARIO.report.json, SCENARIO-8mib.report.json
    let scenario = name.split(['.', '-']).next().unwrap_or_default();
    let vmcore = path.with_file_name(Way::Copy.file_name(scenario));
    ensure!(vmcore.exists(), "there is no {}", vmcore.display());
    Ok(vmcore)
}

/// Everything but the time it took.
fn equal(report: &str, of_dump: &str) -> Result<String> {
    let read = |text| -> Result<Value> {
        let mut value: Value = serde_json::from_str(text).context("no JSON")?;
        let fields = value.as_object_mut().context("no report")?;
        fields.remove("timing").context("a report has its timing")?;
        Ok(value)
    };
    let (one, other) = (read(report)?, read(of_dump)?);
    let fields = |value: &Value| -> BTreeSet<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).collect()
    };
    let all: BTreeSet<String> = fields(&one).union(&fields(&other)).cloned().collect();
    let differ: Vec<String> = all
        .into_iter()
        .filter(|field| one[field.as_str()] != other[field.as_str()])
        .map(|field| format!("{field}: {}, of the dump {}", one[&field], other[&field]))
        .collect();
    ensure!(
        differ.is_empty(),
        "the report differs: {}",
        differ.join("\n")
    );
    let full: Value = serde_json::from_str(report).context("no JSON")?;
    Ok(format!(
        "as of the dump: {}, {} pages lost, {} KiB, {} s",
        one["verdict"],
        one["unaccounted"]["lost_pages"],
        report.len().div_ceil(1024),
        full["timing"]["seconds"],
    ))
}

/// One line, with how much memory lacks.
fn starved(text: &str) -> Result<String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    ensure!(
        line.starts_with(STARVED) && !line.contains('\n'),
        "does not say what lacks: {text}"
    );
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_may_differ() {
        let report = |verdict: &str, seconds: u32| {
            format!(r#"{{"verdict": "{verdict}", "timing": {{"seconds": {seconds}}}}}"#)
        };
        assert!(equal(&report("lost", 1), &report("lost", 2)).is_ok());
        let error = equal(&report("lost", 1), &report("none", 1)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("verdict: \"lost\", of the dump \"none\"")
        );
        assert!(equal("{}", "{}").is_err());
    }

    #[test]
    fn a_line_must_say_what_lacks() {
        let line = "crashkernel= is too small: full report needs 66 MiB, and 12 of …\n";
        assert!(starved(line).is_ok());
        assert!(starved("no full report: killed\n").is_err());
        assert!(starved("").is_err());
    }
}

//! Reports that `diagnose --json` wrote.

use anyhow::{Context, bail};
use pagehound_model::{ERROR_SCHEMA, ErrorReport, Report, SCHEMA};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest report that is read, in bytes: findings, holders and control groups have
/// bounds, and the longest lists of them come to a few MiB.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// Most findings and warnings: there are some hundreds on the largest machines.
const MAX_FINDINGS: usize = 1 << 14;

/// Bytes looked at to know JSON from a dump.
const HEAD: u64 = 64;

/// What every JSON of ours begins with.
#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
}

/// Whether the file at `path` is JSON, and so no dump and no meminfo.
pub(crate) fn is_json(path: &Path) -> bool {
    let mut head = Vec::new();
    // A folder cannot be read, and a pipe must not be.
    let regular = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if let Some(file) = regular.then(|| File::open(path).ok()).flatten() {
        let _ = file.take(HEAD).read_to_end(&mut head);
    }
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

/// The report at `path`.
pub(crate) fn report(path: &Path) -> anyhow::Result<Report> {
    let read = || {
        let mut text = Vec::new();
        let file = File::open(path)?;
        file.take(MAX_FILE + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            bail!("longer than {} MiB: this is no report", MAX_FILE >> 20);
        }
        parse(&text)
    };
    read().with_context(|| path.display().to_string())
}

/// Why there is no report, if that is what `text` says.
pub(crate) fn error(text: &[u8]) -> Option<String> {
    let told: ErrorReport = serde_json::from_slice(text).ok()?;
    (told.schema == ERROR_SCHEMA).then_some(told.error)
}

/// The report in `text`.
///
/// # Errors
/// If it is other JSON or none, of another schema, or contradicts itself; says what to
/// do.
pub fn parse(text: &[u8]) -> anyhow::Result<Report> {
    const HOW: &str = "make one with `pagehound diagnose TARGET --json -o FILE`";
    let head: Head = serde_json::from_slice(text)
        .with_context(|| format!("no report, nor other JSON of pagehound; {HOW}"))?;
    match head.schema.as_deref() {
        Some(SCHEMA) => {}
        Some(ERROR_SCHEMA) => {
            let told: ErrorReport = serde_json::from_slice(text)?;
            bail!("no report, but why there is none: {}", told.error);
        }
        Some(other) if other.starts_with("pagehound.report/") => {
            bail!("the report's schema is {other}, and this pagehound reads {SCHEMA}: {HOW}")
        }
        Some(other) => bail!("its schema is {other}, not {SCHEMA}: {HOW}"),
        None => bail!("JSON without a `schema`: no report; {HOW}"),
    }
    let report: Report = serde_json::from_slice(text)
        .with_context(|| format!("a {SCHEMA} that does not fit its schema"))?;
    if report.findings.len() > MAX_FINDINGS || report.warnings.len() > MAX_FINDINGS {
        bail!("more than {MAX_FINDINGS} findings or warnings: no report of ours has as many");
    }
    if let Some(contradiction) = report.contradictions().first() {
        bail!("the report contradicts itself, so it is not as it was written: {contradiction}");
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", parse(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn a_report_is_read() {
        let text = include_str!("../../../tests/fixtures/reference.json");
        let report = parse(text.as_bytes()).unwrap();
        assert_eq!(report.host.name.as_deref(), Some("db7"));
    }

    #[test]
    fn what_is_no_report_is_told() {
        let other = refused(r#"{"schema": "pagehound.net/1"}"#);
        assert!(
            other.starts_with("its schema is pagehound.net/1"),
            "{other}"
        );
        let newer = refused(r#"{"schema": "pagehound.report/2"}"#);
        assert!(newer.contains("reads pagehound.report/1"), "{newer}");
        let error = refused(r#"{"schema": "pagehound.error/1", "error": "too small"}"#);
        assert!(error.ends_with("too small"), "{error}");
        assert!(refused("[1]").starts_with("no report"));
        assert!(refused("{}").starts_with("JSON without a `schema`"));
        let half = refused(r#"{"schema": "pagehound.report/1"}"#);
        assert!(half.contains("missing field"), "{half}");
    }

    #[test]
    fn a_report_that_was_tampered_with_is_refused() {
        let text = include_str!("../../../tests/fixtures/reference.json");
        for (field, value) in [
            ("\"verdict\": \"lost\"", "\"verdict\": \"none\""),
            ("\"lost_pages\": 11683", "\"lost_pages\": 11684"),
            ("\"share\": 1.0", "\"share\": 1.5"),
        ] {
            let bad = text.replacen(field, value, 1);
            assert_ne!(bad, text, "{field}");
            let why = refused(&bad);
            assert!(why.starts_with("the report contradicts itself"), "{why}");
        }
    }

    #[test]
    fn hostile_json_is_an_error() {
        let deep = "[".repeat(100_000);
        assert!(refused(&deep).starts_with("no report"));
        let deep = format!(r#"{{"schema": {deep}"#);
        assert!(refused(&deep).starts_with("no report"));
        let text = include_str!("../../../tests/fixtures/reference.json");
        for (field, value) in [
            ("\"page_size\": 4096", "\"page_size\": 1e30"),
            ("\"page_size\": 4096", "\"page_size\": -4096"),
            ("\"share\": 1.0", "\"share\": NaN"),
            ("\"share\": 1.0", "\"share\": 1e999"),
            ("\"share\": 1.0", "\"share\": null"),
        ] {
            let bad = text.replacen(field, value, 1);
            assert_ne!(bad, text);
            refused(&bad);
        }
    }
}

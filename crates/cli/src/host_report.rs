//! The report of a host of which there are only counters.

use crate::args::Target;
use pagehound_hunt::host::{HostFiles, HostLedger};
use pagehound_model::{
    Control, Counter, Coverage, Host, LedgerRow, Report, SCHEMA, Target as ReportTarget, Timing,
    UNACCOUNTED, Unaccounted, Verdict,
};
use pagehound_procfs as procfs;

/// `ledger` as a report. Counters cannot tell lost pages from held ones: all
/// that is unaccounted is unknown, and the report is not complete unless there
/// is none.
pub(crate) fn report(target: &Target, files: &HostFiles, ledger: &HostLedger) -> Report {
    let pages = |bytes: i64| {
        u64::try_from(bytes)
            .unwrap_or(0)
            .checked_div(ledger.page_size)
            .unwrap_or(0)
    };
    let mut rows: Vec<LedgerRow> = ledger
        .rows
        .iter()
        .map(|row| {
            let raw = row.name == "unaccounted";
            let pages = pages(row.bytes);
            LedgerRow {
                class: if raw {
                    UNACCOUNTED[0].to_owned()
                } else {
                    class(row.name)
                },
                pages,
                bytes: pages.saturating_mul(ledger.page_size),
                estimate: None,
                counter: (!raw).then(|| Counter {
                    name: row.source.clone(),
                    pages,
                }),
            }
        })
        .collect();
    rows.retain(|row| row.pages > 0);
    let total = rows
        .iter()
        .fold(0u64, |sum, row| sum.saturating_add(row.pages));
    let raw = pages(ledger.unaccounted_bytes);
    Report {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: if raw == 0 {
            Verdict::None
        } else {
            Verdict::Incomplete
        },
        complete: raw == 0,
        sample: None,
        host: Host::default(),
        target: ReportTarget {
            path: target.to_string(),
            format: if *target == Target::Live {
                "live"
            } else {
                "meminfo"
            }
            .to_owned(),
            kernel: kernel(files),
            arch: if *target == Target::Live {
                std::env::consts::ARCH
            } else {
                "unknown"
            }
            .to_owned(),
            page_size: ledger.page_size,
            pages: total,
            mem_total_bytes: u64::try_from(ledger.total_bytes).unwrap_or(0),
            // Counters are not content: no page was seen.
            coverage: Coverage {
                absent: total,
                ..Coverage::default()
            },
            dump_level: None,
        },
        ledger: rows,
        unaccounted: Unaccounted {
            pages: raw,
            bytes: raw.saturating_mul(ledger.page_size),
            unknown_pages: raw,
            ..Unaccounted::default()
        },
        control: Control::default(),
        findings: Vec::new(),
        holders: Vec::new(),
        heap: Vec::new(),
        cgroups: Vec::new(),
        dying_cgroups: Default::default(),
        warnings: ledger.notes.clone(),
        timing: Timing::default(),
    }
}

fn kernel(files: &HostFiles) -> String {
    let version = files
        .version
        .as_deref()
        .and_then(|text| procfs::version(text).ok());
    version
        .map_or("unknown", |version| version.release)
        .to_owned()
}

/// `slab, reclaimable` as a class: `slab_reclaimable`.
fn class(name: &str) -> String {
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("_").to_lowercase()
}

//! The report of a host of which there are only counters.

use crate::args::Target;
use pagehound_hunt::host::{self, Bound, HostFiles, HostLedger};
use pagehound_model::{
    Control, Counter, Coverage, Explained, Host, LedgerRow, Module, NetDevice, Report, SCHEMA,
    Target as ReportTarget, Timing, UNACCOUNTED, Unaccounted, Verdict,
};
use pagehound_procfs as procfs;
use std::collections::BTreeMap;

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
            let raw = row.name == host::UNACCOUNTED;
            let pages = pages(row.bytes);
            LedgerRow {
                class: class(row.name),
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
    // Nothing, by a file that is not always given, tells that it was.
    let companion = |row: &LedgerRow| {
        let counter = row.counter.as_ref();
        counter.is_some_and(|counter| !counter.name.starts_with("meminfo "))
    };
    rows.retain(|row| row.pages > 0 || companion(row));
    let total = rows
        .iter()
        .fold(0u64, |sum, row| sum.saturating_add(row.pages));
    let raw = pages(ledger.unaccounted_bytes);
    let version = files.version.as_deref();
    let version = version.and_then(|text| procfs::version(text).ok());
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
        host: Host {
            name: files.hostname.clone(),
            boot_id: files.boot_id.clone(),
            captured_at: match target {
                Target::Live => Some(now()),
                Target::Path(_) | Target::Stdin => files.captured_at.clone(),
            },
        },
        target: ReportTarget {
            path: target.to_string(),
            format: if *target == Target::Live {
                "live"
            } else {
                "meminfo"
            }
            .to_owned(),
            kernel: version
                .map_or("unknown", |version| version.release)
                .to_owned(),
            build: version
                .map(|version| version.build.to_owned())
                .filter(|build| !build.is_empty()),
            arch: match target {
                Target::Live => std::env::consts::ARCH,
                Target::Path(_) | Target::Stdin => files.machine.as_deref().unwrap_or("unknown"),
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
        explained: explained(ledger),
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
        netdevs: netdevs(files),
        modules: modules(files),
        warnings: ledger.notes.clone(),
        timing: Timing::default(),
    }
}

/// What rows consist of, by their class.
pub fn explained(ledger: &HostLedger) -> Vec<Explained> {
    let parts = ledger.parts.iter();
    let explained = parts.map(|part| Explained {
        class: class(part.within),
        name: part.name.clone(),
        owner: part.owner.clone(),
        bytes: part.bytes,
        at_most: part.bound == Bound::AtMost,
        source: part.source.clone(),
    });
    explained.collect()
}

/// To the second, as dumps tell it.
fn now() -> String {
    let now = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(now)
        .unwrap_or_default()
        .to_string()
}

fn netdevs(files: &HostFiles) -> Vec<NetDevice> {
    let devices = files.netdevs.iter().flatten().cloned();
    devices
        .map(|device| NetDevice {
            name: device.name,
            mac: device.mac,
            driver: device.driver,
            module: device.module,
            bus: device.bus,
            firmware: device.firmware,
            upper: device.upper,
            kind: device.kind,
        })
        .collect()
}

/// The loaded modules, by name, with their builds where `/sys` tells them.
fn modules(files: &HostFiles) -> Vec<Module> {
    let builds = files.module_builds.iter().flatten();
    let builds: BTreeMap<&str, &procfs::ModuleBuild> =
        builds.map(|build| (build.name.as_str(), build)).collect();
    let rows = procfs::modules(files.modules.as_deref().unwrap_or_default());
    let mut modules: Vec<Module> = rows
        .flatten()
        .map(|module| {
            let build = builds.get(module.name);
            let told = |of: fn(&procfs::ModuleBuild) -> &Option<String>| {
                build.and_then(|it| of(it).clone())
            };
            Module {
                name: module.name.to_owned(),
                version: told(|build| &build.version),
                srcversion: told(|build| &build.srcversion),
                build_id: told(|build| &build.build_id),
                taints: module.taints.to_owned(),
            }
        })
        .collect();
    modules.sort_by(|one, other| one.name.cmp(&other.name));
    modules
}

/// `slab, reclaimable` as a class: `slab_reclaimable`. What is unaccounted is raw.
pub(crate) fn class(name: &str) -> String {
    if name == host::UNACCOUNTED {
        return UNACCOUNTED[0].to_owned();
    }
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("_").to_lowercase()
}

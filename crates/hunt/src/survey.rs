//! What can be said of a dump whose kernel cannot be read: how much of it
//! there is, and whose frames lie in it. No page's owner is known, so nothing
//! is called lost.

use std::collections::BTreeMap;

use std::ops::ControlFlow;

use pagehound_kernel::find_in_memory;
use pagehound_model as model;
use pagehound_model::thousands;
use pagehound_scan::Pass;
use pagehound_vmcore::{Dump, Mac, Machine};

use crate::clock::captured_at;
use crate::diagnose::Options;
use crate::fingerprint::{GROUP, frames};

/// Surveys the readable pages of `dump`; `reason` is why its kernel could not
/// be opened.
pub fn survey(dump: &Dump, options: &Options<'_>, reason: &str) -> model::Report {
    let begin = std::time::Instant::now();
    let memory = dump.memory.as_ref();
    let coverage = memory.coverage();
    let pass = Pass {
        progress: options.progress,
        cancel: options.cancel,
        threads: options.threads.unwrap_or(Pass::new(memory).threads),
        ..Pass::new(memory)
    };
    let outcome = pass.fold(
        |_| true,
        BTreeMap::new,
        |found: &mut BTreeMap<Mac, u64>, _, page| {
            if let Some(frame) = frames(page, &[]).first() {
                *found.entry(frame.dst).or_default() += 1;
            }
        },
    );
    let mut by_mac: BTreeMap<Mac, u64> = BTreeMap::new();
    for (mac, pages) in outcome.states.into_iter().flatten() {
        *by_mac.entry(mac).or_default() += pages;
    }
    let mut by_mac: Vec<_> = by_mac
        .into_iter()
        .filter(|&(_, pages)| pages >= GROUP as u64)
        .collect();
    by_mac.sort_by_key(|&(_, pages)| std::cmp::Reverse(pages));
    let pages = coverage.present + coverage.excluded + coverage.absent + coverage.unreadable;
    let mut warnings = dump.info.warnings.clone();
    warnings.push(format!("no more can be told of it: {reason}"));
    warnings.push(format!(
        "{} of {} pages can be read; whose they are, and what is lost, cannot be told from them",
        thousands(outcome.tally.seen),
        thousands(pages)
    ));
    for (mac, pages) in by_mac.into_iter().take(8) {
        warnings.push(format!(
            "{} of the readable pages hold Ethernet frames to {mac}; some may be free or in use",
            thousands(pages)
        ));
    }
    let kernel = kernel_release(dump);
    let page_size = memory.page_size() as u64;
    model::Report {
        schema: model::SCHEMA.into(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        verdict: model::Verdict::Incomplete,
        complete: false,
        sample: None,
        host: model::Host {
            name: dump
                .info
                .utsname
                .as_ref()
                .map(|uname| uname.nodename.clone())
                .filter(|name| !name.is_empty()),
            boot_id: None,
            captured_at: captured_at(&dump.info, None),
        },
        target: model::Target {
            path: options.path.into(),
            format: dump.info.format.name().into(),
            kernel,
            build: dump
                .info
                .utsname
                .as_ref()
                .map(|uname| uname.version.clone())
                .filter(|build| !build.is_empty()),
            arch: dump.info.machine.map_or("unknown", Machine::name).into(),
            page_size,
            pages,
            mem_total_bytes: pages * page_size,
            coverage: model::Coverage {
                present: coverage.present,
                excluded: coverage.excluded,
                absent: coverage.absent,
                unreadable: coverage.unreadable,
                outside: 0,
            },
            dump_level: dump.info.dump_level,
        },
        ledger: vec![model::LedgerRow {
            class: "unknown".into(),
            pages,
            bytes: pages * page_size,
            estimate: None,
            counter: None,
        }],
        unaccounted: model::Unaccounted::default(),
        control: model::Control::default(),
        findings: Vec::new(),
        holders: Vec::new(),
        heap: Vec::new(),
        cgroups: Vec::new(),
        explained: Vec::new(),
        dying_cgroups: Default::default(),
        netdevs: Vec::new(),
        modules: Vec::new(),
        warnings,
        timing: model::Timing {
            seconds: begin.elapsed().as_secs_f64(),
            bytes_read: outcome.tally.bytes,
        },
    }
}

/// Whether a dump has lost so much that a kernel may be in it all the same.
pub fn is_damaged(dump: &Dump) -> bool {
    let coverage = dump.memory.coverage();
    dump.info.incomplete || coverage.absent > 0 || coverage.unreadable > 0
}

fn kernel_release(dump: &Dump) -> String {
    let note = dump.info.vmcoreinfo.as_deref();
    let named = note.and_then(|text| pagehound_kernel::Vmcoreinfo::parse(text).ok());
    named
        .map(|info| info.osrelease().to_owned())
        .or_else(|| {
            let uname = dump.info.utsname.as_ref()?;
            (!uname.release.is_empty()).then(|| uname.release.clone())
        })
        .or_else(|| {
            let go_on = |_, _| ControlFlow::Continue(());
            let found = find_in_memory(&*dump.memory, &go_on, &|_| ControlFlow::Break(()));
            Some(found.first()?.info.osrelease().to_owned())
        })
        .unwrap_or_else(|| "unknown".into())
}

//! `pagehound known`: the known leaks, and which of them a host can have.

use super::Context;
use crate::args::{self, Target};
use crate::exit::Exit;
use crate::input::{self, Input, Reading};
use crate::output;
use crate::render::{self, known};
use anyhow::Context as _;
use pagehound_hunt::Installed;
use pagehound_hunt::host::HostFiles;
use pagehound_known::{self as list, Affected, Kernel, Leak, LookAlike};
use serde::Serialize;
use std::collections::BTreeSet;

/// What `known --json` prints.
#[derive(Serialize)]
struct List {
    schema: &'static str,
    leaks: Vec<&'static Leak>,
    look_alikes: Vec<&'static LookAlike>,
}

pub(super) fn run(args: &args::Known, context: &Context) -> anyhow::Result<Exit> {
    match &args.check {
        Some(target) => check(target, args.json, context),
        None => search(&args.words, args.json),
    }
}

fn search(words: &[String], json: bool) -> anyhow::Result<Exit> {
    let leaks = list::all().iter();
    let mut leaks: Vec<&Leak> = leaks
        .filter(|leak| words.iter().all(|word| leak.says(word)))
        .collect();
    // Who asks for a module means it.
    let is_of = |leak: &&Leak| leak.modules.iter().any(|module| words.contains(module));
    leaks.sort_by_key(|leak| !is_of(leak));
    let look_alikes: Vec<&LookAlike> = list::look_alikes()
        .iter()
        .filter(|one| words.iter().all(|word| one.says(word)))
        .collect();
    let none = leaks.is_empty() && look_alikes.is_empty();
    if json {
        let found = List {
            schema: "pagehound.known/1",
            leaks,
            look_alikes,
        };
        output::plain(|out| render::json(&found, out))?;
    } else {
        if none {
            output::note("no entry has all these words; `pagehound known` lists them all");
        }
        output::page(|page| known::list(&leaks, &look_alikes, page))?;
    }
    Ok(if none { Exit::NOT_FOUND } else { Exit::OK })
}

fn check(target: &Target, json: bool, context: &Context) -> anyhow::Result<Exit> {
    let machine = match Input::open(target, &[], Reading::default())? {
        Input::Dump(dump) => {
            input::note_part(target, &dump);
            let kernel = context.kernel(&dump)?;
            super::note(&kernel.warnings);
            Installed::of_kernel(&kernel)
        }
        Input::Report(report) => Installed::of_report(&report),
        Input::Capture(capture) => Installed::of_report(&capture.report),
        Input::Host { files, memory } => {
            Installed::of_host(&files).with_context(|| not_told(&files, memory.is_some()))?
        }
    };
    let kernel = Kernel::of(&machine.release, &machine.banner);
    let loaded: BTreeSet<&str> = machine.modules.iter().map(String::as_str).collect();
    let (modules, built_in) = list::affected(kernel, &loaded)
        .into_iter()
        .partition::<Vec<_>, _>(|affected| affected.module.is_some());
    let entries = |of: Vec<Affected>| of.into_iter().map(known::Entry::from).collect();
    let unsure =
        machine.modules.is_empty() || machine.by_drivers || !matches!(kernel, Kernel::Stable(_));
    let status = match modules.is_empty() {
        _ if unsure => Exit::UNSURE,
        true => Exit::OK,
        false => Exit::AFFECTED,
    };
    let answer = known::Check {
        schema: "pagehound.known-check/1",
        target: target.to_string(),
        kernel: machine.release,
        version: match kernel {
            Kernel::Stable(version) => Some(version.to_string()),
            Kernel::Vendor { .. } | Kernel::Unknown => None,
        },
        vendor: match kernel {
            Kernel::Vendor { name, .. } => Some(name),
            Kernel::Stable(_) | Kernel::Unknown => None,
        },
        modules: machine.modules.len(),
        by_drivers: machine.by_drivers,
        affected: entries(modules),
        built_in: entries(built_in),
    };
    if json {
        output::plain(|out| render::json(&answer, out))?;
    } else {
        output::page(|page| known::check(&answer, page))?;
    }
    Ok(status)
}

/// Why `files`, of this host if it is `live`, do not tell which leaks it can have.
fn not_told(files: &HostFiles, live: bool) -> String {
    let origin = &files.origin;
    match (files.version.is_some(), files.modules.is_some()) {
        (true, false) if live => format!(
            "{origin}: this kernel has no loadable modules (there is no /proc/modules); which drivers \
             are built into it, and so which leaks it can have, is not told"
        ),
        _ => format!(
            "{origin}: `version` and `modules` are needed beside the meminfo, as /proc has them"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_modules_is_not_asked_for_a_file() {
        let files = HostFiles {
            version: Some(b"Linux version 6.1.0".to_vec()),
            ..HostFiles::default()
        };
        assert!(not_told(&files, true).contains("no loadable modules"));
        let saved = not_told(&files, false);
        assert!(saved.contains("`version` and `modules` are needed"));
    }
}

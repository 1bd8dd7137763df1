//! `pagehound diff`: two hosts or moments, or many hosts.

use super::Context;
use crate::args::{self, Target};
use crate::destination::Destination;
use crate::exit::Exit;
use crate::input::{self, Input, Reading};
use crate::render::{self, Detail, page::Page};
use crate::{host_report, output, saved};
use anyhow::bail;
use pagehound_compare::{Conclusion, Group, compare};
use pagehound_hunt::host::{self, host_folder};
use pagehound_kernel::KernelError;
use pagehound_model::Report;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most reports of a group.
const MOST_REPORTS: usize = 4096;

/// Fewest that are worth a comparison.
const FEWEST_REPORTS: usize = 3;

/// Kinds that are named where none fits.
const KINDS: usize = 5;

pub(super) fn run(args: &args::Diff, context: &Context) -> anyhow::Result<Exit> {
    if args.group {
        return group(args);
    }
    if args.series {
        return super::series::run(args, context);
    }
    let [a, b] = args.targets.as_slice() else {
        bail!(
            "diff takes two targets, and here {}; many hosts go with --group, more moments of one with --series",
            match args.targets.len() {
                1 => "is one".to_owned(),
                more => format!("are {more}"),
            }
        );
    };
    for target in [a, b] {
        target.check()?;
        let folder = |path: &Path| path.is_dir() && host_folder(path).is_none();
        if matches!(target, Target::Path(path) if folder(path)) {
            bail!(
                "{target}: a folder; `pagehound diff --group {target}` compares the reports in it"
            );
        }
    }
    let file = destination(args, [a, b].map(target_path).into_iter().flatten())?;
    let reports = [report(a, context)?, report(b, context)?];
    let comparison = compare(&reports[0], &reports[1]);
    deliver(args, file, &comparison, |page| {
        render::diff(&comparison, &reports, Detail::of(args.all), page)
    })?;
    Ok(if comparison.matters {
        Exit::DIFFERENT
    } else {
        Exit::OK
    })
}

pub(super) fn target_path(target: &Target) -> Option<&Path> {
    match target {
        Target::Path(path) => Some(path),
        Target::Live | Target::Stdin => None,
    }
}

/// The report of a target, made here unless it is one.
pub(super) fn report(target: &Target, context: &Context) -> anyhow::Result<Report> {
    match Input::open(target, &[], Reading::default())? {
        Input::Report(report) => Ok(*report),
        Input::Capture(capture) => Ok(capture.report),
        Input::Host { files, .. } => {
            let ledger = host::ledger(&files)?;
            Ok(host_report::report(target, &files, &ledger))
        }
        Input::Dump(dump) => {
            input::note_part(target, &dump);
            let kernel = context.kernel(&dump)?;
            let report = context.diagnose(&kernel, &target.to_string())?.report;
            // Half an answer is nothing to compare with.
            if context.interrupted() {
                return Err(KernelError::Interrupted.into());
            }
            Ok(report)
        }
    }
}

fn group(args: &args::Diff) -> anyhow::Result<Exit> {
    let paths = reports(&args.targets)?;
    let file = destination(args, paths.iter().map(|file| file.path.as_path()))?;
    let mut group = Group::new(args.signature.clone());
    for file in &paths {
        let name = file.path.display().to_string();
        match saved::report(&file.path) {
            Ok(report) => group.add(&name, &report),
            // In a folder of many, those that could not be made say why.
            Err(error) if file.of_folder => group.leave_out(&name, &error.root_cause().to_string()),
            Err(error) => return Err(error),
        }
    }
    if group.reports() < FEWEST_REPORTS {
        bail!(
            "--group compares {FEWEST_REPORTS} reports or more, and here {}",
            match group.reports() {
                1 => "is one".to_owned(),
                fewer => format!("are {fewer}"),
            }
        );
    }
    if let Some((part, kinds)) = group.unmatched() {
        let more = if kinds.len() > KINDS { ", …" } else { "" };
        let told: Vec<&str> = kinds.take(KINDS).collect();
        let there_are = match told.as_slice() {
            [] => "there are none".to_owned(),
            told => format!("kinds are: {}{more}", told.join(", ")),
        };
        bail!("no finding of any report matches \"{part}\"; {there_are}");
    }
    let comparison = group.compare();
    deliver(args, file, &comparison, |page| {
        render::group(&comparison, Detail::of(args.all), page)
    })?;
    Ok(match comparison.conclusion {
        Conclusion::Cohort => Exit::DIFFERENT,
        Conclusion::None | Conclusion::TooFew | Conclusion::AllAlike => Exit::OK,
    })
}

/// A file that is meant.
struct Member {
    path: PathBuf,
    /// It was not named itself.
    of_folder: bool,
}

/// The files that are meant, each once: a folder stands for the JSON in it.
fn reports(targets: &[Target]) -> anyhow::Result<Vec<Member>> {
    let mut paths = Vec::new();
    let mut known = BTreeSet::new();
    let mut add = |path: PathBuf, of_folder| {
        let same = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if known.insert(same) {
            paths.push(Member { path, of_folder });
        }
        if paths.len() > MOST_REPORTS {
            bail!("more than {MOST_REPORTS} reports");
        }
        Ok(())
    };
    for target in targets {
        target.check()?;
        let Target::Path(path) = target else {
            bail!("{target}: --group compares saved reports; `pagehound --json -o FILE` saves one");
        };
        if path.is_dir() {
            let entries: Result<Vec<_>, _> = std::fs::read_dir(path)?.collect();
            let mut files: Vec<PathBuf> = entries?.into_iter().map(|entry| entry.path()).collect();
            files.retain(|file| file.extension().is_some_and(|it| it == "json") && file.is_file());
            files.sort();
            files.into_iter().try_for_each(|file| add(file, true))?;
        } else if saved::is_json(path) {
            add(path.clone(), false)?;
        } else {
            bail!(
                "{target}: no saved report; make one with `pagehound diagnose {target} --json -o FILE`"
            );
        }
    }
    Ok(paths)
}

/// The file the answer is wanted in, if it is: none of those that are read.
pub(super) fn destination<'a>(
    args: &args::Diff,
    mut read: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<Option<Destination>> {
    let Some(file) = args.output.as_deref() else {
        return Ok(None);
    };
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let there = identity(file);
    let same = read.find(|path| there.is_some() && identity(path) == there);
    Destination::open(file, same.as_slice()).map(Some)
}

/// Puts the answer where it is wanted: `text` for people, else JSON.
pub(super) fn deliver(
    args: &args::Diff,
    file: Option<Destination>,
    answer: &impl Serialize,
    text: impl FnOnce(&mut Page) -> io::Result<()>,
) -> anyhow::Result<()> {
    match file {
        Some(file) => {
            let mut bytes = Vec::new();
            if args.json {
                render::json(answer, &mut bytes)?;
            } else {
                bytes = output::text(text)?;
            }
            file.write(&bytes)
        }
        None if args.json => output::plain(|out| render::json(answer, out)),
        None => output::page(text),
    }
}

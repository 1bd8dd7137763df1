//! `pagehound [diagnose]`: the main job.

use super::{Context, is_about_vmlinux};
use crate::args::{self, Target};
use crate::child;
use crate::destination::Destination;
use crate::exit::{Exit, is_interruption};
use crate::host_report;
use crate::input::{Input, Reading};
use crate::output;
use crate::redact::redact;
use crate::render::{self, Detail, page::Page};
use pagehound_hunt::host::{self, HostFiles};
use pagehound_hunt::{DiagnosisError, is_damaged};
use pagehound_live as live;
use pagehound_model::Report;
use pagehound_vmcore::{Dump, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(super) fn run(args: &args::Diagnose, context: &Context) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let context = &context.within(args.mem_limit);
    if let Some(parent) = args.as_child {
        let report = child::look(parent, args.mem_limit, context, |_, found| Ok(found.report))?;
        output::plain(|out| render::json(&report, out))?;
        return Ok(Exit::OK);
    }
    let file = destination(args)?;
    // Pages of a mapped file count as the program's memory.
    let reading = Reading {
        dump: OpenOptions {
            map: args.mem_limit.is_none(),
            ..OpenOptions::default()
        },
        ..context.reading()
    };
    match Input::open(&args.target, &args.others.parts, reading)? {
        Input::Report(report) => saved(args, file, *report),
        Input::Capture(capture) => saved(args, file, capture.report),
        Input::Host { files, memory } => of_host(args, file, context, &files, memory, start),
        Input::Dump(dump) => {
            let path = args.target.to_string();
            let kernel = context.kernel(&dump);
            let report = kernel.and_then(|kernel| {
                if args.quick {
                    return context.quick(&kernel, &path, args.seed);
                }
                if wants_preview(args, &dump)
                    && let Ok(report) = context.quick(&kernel, &path, args.seed)
                {
                    output::note(&render::preview(&report));
                }
                Ok(context.diagnose(&kernel, &path)?.report)
            });
            let report = match report {
                Ok(report) => report,
                // Of a dump that broke off, what there is is worth telling.
                Err(reason)
                    if is_damaged(&dump)
                        && !is_too_large(&reason)
                        && !is_interruption(&reason)
                        && !is_about_vmlinux(&reason) =>
                {
                    context.survey(&dump, &path, &reason)
                }
                Err(error) => return Err(error),
            };
            answer(args, file, report, start, context)
        }
    }
}

/// A host: its pages where they can be had, else its counters. The counters were read
/// first, for a look may fail by what it takes.
fn of_host(
    args: &args::Diagnose,
    file: Option<Destination>,
    context: &Context,
    files: &HostFiles,
    memory: Option<live::OpenOptions>,
    start: Instant,
) -> anyhow::Result<Exit> {
    let mut ledger = host::ledger(files)?;
    let mut exit = Exit::OK;
    match memory.map(|options| live::open(&options)) {
        // The counters are the quick answer.
        Some(_) if args.quick => {}
        Some(Ok(_)) => match child::report(args, context) {
            Ok(report) => return answer(args, file, report, start, context),
            Err(error) => {
                let note = format!("pages were not looked at: {error:#}");
                ledger.notes.push(note);
                // They might have been, and the answer would be another.
                exit = match context.interrupted() {
                    true => Exit::INTERRUPTED,
                    false => Exit::UNSURE,
                };
            }
        },
        Some(Err(reason)) => {
            ledger
                .notes
                .push(format!("pages were not looked at: {reason}"));
        }
        None => unused(args, "of saved counters there are no pages"),
    }
    let mut report = host_report::report(&args.target, files, &ledger);
    report.timing.seconds = start.elapsed().as_secs_f64();
    deliver(args, file, report, |report, page| {
        render::host::diagnosis(
            &ledger,
            &report.explained,
            &report.warnings,
            Detail::of(args.all),
            page,
        )
    })?;
    Ok(exit)
}

/// Delivers a report that was made before.
fn saved(args: &args::Diagnose, file: Option<Destination>, report: Report) -> anyhow::Result<Exit> {
    unused(args, "of a saved report nothing is worked out again");
    let exit = Exit::of(&report, args.fail_on);
    let detail = Detail::of(args.all);
    deliver(args, file, report, |report, page| {
        render::report(report, detail, page)
    })?;
    Ok(exit)
}

/// Delivers what was worked out since `start`.
fn answer(
    args: &args::Diagnose,
    file: Option<Destination>,
    mut report: Report,
    start: Instant,
    context: &Context,
) -> anyhow::Result<Exit> {
    // From the first byte of the file on, not only the census.
    report.timing.seconds = start.elapsed().as_secs_f64();
    let detail = Detail::of(args.all);
    let exit = Exit::of(&report, args.fail_on);
    deliver(args, file, report, |report, page| {
        render::report(report, detail, page)
    })?;
    match context.interrupted() {
        true => Ok(Exit::INTERRUPTED),
        false => Ok(exit),
    }
}

/// Says which options change nothing here, and why.
fn unused(args: &args::Diagnose, why: &str) {
    let options = [
        ("--quick", args.quick),
        ("--mem-limit", args.mem_limit.is_some()),
    ];
    for (option, _) in options.iter().filter(|(_, given)| *given) {
        output::note(&format!("{option} changes nothing here: {why}"));
    }
}

/// Whether there was only too little memory to work in.
fn is_too_large(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DiagnosisError::Memory(_)))
}

/// Frames from which on somebody who looks on is told a first answer while the
/// whole is worked out: 16 GiB, with 4 KiB pages.
const LARGE: u64 = 1 << 22;

fn wants_preview(args: &args::Diagnose, dump: &Dump) -> bool {
    let looked_on = io::stdout().is_terminal() && io::stderr().is_terminal();
    let told = !args.json
        && !args.redact
        && !args.quiet
        && args.output.is_none()
        && args.mem_limit.is_none();
    looked_on && told && dump.memory.end_pfn().0 >= LARGE
}

/// The file the report is wanted in, if it is.
fn destination(args: &args::Diagnose) -> anyhow::Result<Option<Destination>> {
    let mut read: Vec<&Path> = args.others.parts.iter().map(PathBuf::as_path).collect();
    if let Target::Path(path) = &args.target {
        read.push(path);
    }
    let file = args.output.as_deref();
    file.map(|file| Destination::open(file, &read)).transpose()
}

/// Puts the report where it is wanted: `text` for people, else JSON.
fn deliver(
    args: &args::Diagnose,
    file: Option<Destination>,
    mut report: Report,
    text: impl FnOnce(&Report, &mut Page) -> io::Result<()>,
) -> anyhow::Result<()> {
    if args.redact {
        report = redact(&report)?;
    }
    let report = &report;
    let text = |page: &mut Page| text(report, page);
    match file {
        Some(file) => {
            let mut bytes = Vec::new();
            if args.json {
                render::json(report, &mut bytes)?;
            } else if args.md {
                render::markdown(report, Detail::of(args.all), &mut bytes)?;
            } else {
                bytes = output::text(text)?;
            }
            file.write(&bytes)
        }
        None if args.quiet => Ok(()),
        None if args.json => output::plain(|out| render::json(report, out)),
        None if args.md => output::plain(|out| render::markdown(report, Detail::of(args.all), out)),
        None => output::page(text),
    }
}

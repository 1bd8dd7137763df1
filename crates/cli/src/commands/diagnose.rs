//! `pagehound [diagnose]`: the main job.

use crate::args::{self, Target};
use crate::exit::Exit;
use crate::input::Input;
use crate::output;
use crate::render::{self, page::Page};
use pagehound_hunt::host;
use pagehound_model::Report;
use std::io;
use std::path::Path;
use std::time::Instant;

pub(super) fn run(args: &args::Diagnose) -> anyhow::Result<Exit> {
    let start = Instant::now();
    match Input::open(&args.target)? {
        Input::Host(files) => {
            let ledger = host::ledger(&files)?;
            let mut report = crate::host_report::report(&args.target, &files, &ledger);
            report.timing.seconds = start.elapsed().as_secs_f64();
            deliver(args, &report, |page| render::host::diagnosis(&ledger, page))?;
            Ok(Exit::of(&report, args.fail_on))
        }
        Input::Dump => anyhow::bail!("{}: dumps cannot be diagnosed yet", args.target),
    }
}

/// Puts the report where it is wanted: `text` for people, else JSON.
fn deliver(
    args: &args::Diagnose,
    report: &Report,
    text: impl FnOnce(&mut Page) -> io::Result<()>,
) -> anyhow::Result<()> {
    match &args.output {
        Some(file) => {
            let mut bytes = Vec::new();
            if args.json {
                render::json(report, &mut bytes)?;
            } else {
                bytes = output::text(text)?;
            }
            let read = if let Target::Path(path) = &args.target {
                path
            } else {
                Path::new("")
            };
            output::file(file, &bytes, read)
        }
        None if args.quiet => Ok(()),
        None if args.json => Ok(output::plain(|out| render::json(report, out))?),
        None => Ok(output::page(text)?),
    }
}

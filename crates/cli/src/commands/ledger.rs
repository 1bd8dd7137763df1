//! `pagehound ledger`: where the memory is.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::host_report::explained;
use crate::input::{Input, Reading};
use crate::output;
use crate::render::{self, Detail, host, page::Page};
use anyhow::bail;
use pagehound_hunt::host::{classic, ledger};
use pagehound_model::{LedgerRow, Report, Unaccounted};
use serde::Serialize;
use std::io;

/// A result with the schema it has.
#[derive(Serialize)]
struct Tagged<'a, T> {
    schema: &'static str,
    target: &'a str,
    #[serde(flatten)]
    result: &'a T,
}

/// The part of a report that is about a dump's ledger.
#[derive(Serialize)]
struct DumpLedger<'a> {
    ledger: &'a [LedgerRow],
    unaccounted: &'a Unaccounted,
    warnings: &'a [String],
}

pub(super) fn run(args: &args::Ledger, context: &Context) -> anyhow::Result<Exit> {
    let target = args.target.to_string();
    let input = match Input::open(&args.target, &args.others.parts, Reading::default())? {
        // Of a host, what its own files say.
        Input::Capture(capture) => match capture.host {
            Some(files) => Input::Host {
                files,
                memory: None,
            },
            None => Input::Report(Box::new(capture.report)),
        },
        other => other,
    };
    match input {
        Input::Host { files, .. } if args.classic => {
            let classic = classic(&files)?;
            print(args, "pagehound.classic/1", &classic, |page| {
                host::classic(&classic, page)
            })?;
        }
        Input::Host { files, .. } => {
            let ledger = ledger(&files)?;
            print(args, "pagehound.host-ledger/1", &ledger, |page| {
                let explained = explained(&ledger);
                host::ledger(
                    &ledger,
                    &explained,
                    &ledger.notes,
                    Detail::of(args.all),
                    page,
                )
            })?;
        }
        Input::Dump(_) | Input::Report(_) | Input::Capture(_) if args.classic => {
            bail!(
                "{target}: the hand formula is about /proc/meminfo, not a dump; leave out --classic"
            )
        }
        Input::Report(report) => of_report(args, &report)?,
        Input::Capture(capture) => of_report(args, &capture.report)?,
        Input::Dump(dump) => {
            let kernel = context.kernel(&dump)?;
            let diagnosis = context.diagnose(&kernel, &target)?;
            of_report(args, &diagnosis.report)?;
            if context.interrupted() {
                return Ok(Exit::INTERRUPTED);
            }
        }
    }
    Ok(Exit::OK)
}

/// The ledger of a dump, from its report.
fn of_report(args: &args::Ledger, report: &Report) -> anyhow::Result<()> {
    let ledger = DumpLedger {
        ledger: &report.ledger,
        unaccounted: &report.unaccounted,
        warnings: &report.warnings,
    };
    print(args, "pagehound.ledger/1", &ledger, |page| {
        render::ledger(report, Detail::of(args.all), page)?;
        for warning in &report.warnings {
            page.item("Note", warning)?;
        }
        Ok(())
    })
}

fn print(
    args: &args::Ledger,
    schema: &'static str,
    result: &impl Serialize,
    text: impl FnOnce(&mut Page) -> io::Result<()>,
) -> anyhow::Result<()> {
    if args.json {
        let target = &args.target.to_string();
        output::plain(|out| {
            render::json(
                &Tagged {
                    schema,
                    target,
                    result,
                },
                out,
            )
        })?;
    } else {
        output::page(text)?;
    }
    Ok(())
}

//! `pagehound ledger`: where the memory is.

use crate::args;
use crate::exit::Exit;
use crate::input::Input;
use crate::output;
use crate::render::{self, host};
use pagehound_hunt::host::{HostFiles, classic, ledger};
use serde::Serialize;

/// A result with the schema it has.
#[derive(Serialize)]
struct Tagged<T> {
    schema: &'static str,
    target: String,
    #[serde(flatten)]
    result: T,
}

pub(super) fn run(args: &args::Ledger) -> anyhow::Result<Exit> {
    let files = match Input::open(&args.target)? {
        Input::Host(files) => files,
        Input::Dump if args.classic => anyhow::bail!(
            "{}: the hand formula is about /proc/meminfo, not a dump; leave out --classic",
            args.target
        ),
        Input::Dump => anyhow::bail!("{}: the ledger of a dump is not there yet", args.target),
    };
    if args.classic {
        run_classic(args, &files)
    } else {
        run_ledger(args, &files)
    }
}

fn run_classic(args: &args::Ledger, files: &HostFiles) -> anyhow::Result<Exit> {
    let classic = classic(files)?;
    if args.json {
        let tagged = Tagged {
            schema: "pagehound.classic/1",
            target: args.target.to_string(),
            result: &classic,
        };
        output::plain(|out| render::json(&tagged, out))?;
    } else {
        output::page(|page| host::classic(&classic, page))?;
    }
    Ok(Exit::OK)
}

fn run_ledger(args: &args::Ledger, files: &HostFiles) -> anyhow::Result<Exit> {
    let ledger = ledger(files)?;
    if args.json {
        let tagged = Tagged {
            schema: "pagehound.host-ledger/1",
            target: args.target.to_string(),
            result: &ledger,
        };
        output::plain(|out| render::json(&tagged, out))?;
    } else {
        output::page(|page| host::ledger(&ledger, page))?;
    }
    Ok(Exit::OK)
}

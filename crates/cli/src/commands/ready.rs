//! `pagehound ready`: could this host give evidence?

use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render::{self, ready};
use anyhow::{Context as _, ensure};
use pagehound_hunt::ready::{Kcore, Readiness, ready as look};
use pagehound_live::{self as live, NoMemory};
use pagehound_procfs::{Root, Tree as _};
use serde::Serialize;
use std::path::Path;

/// What `ready --json` prints.
#[derive(Serialize)]
struct Tagged<'a> {
    schema: &'static str,
    root: String,
    #[serde(flatten)]
    readiness: &'a Readiness,
}

pub(super) fn run(args: &args::Ready) -> anyhow::Result<Exit> {
    let root = args.root.display().to_string();
    let tree = Root::open(&args.root).with_context(|| root.clone())?;
    ensure!(
        ["etc", "proc", "sys"]
            .iter()
            .any(|folder| tree.names(folder).is_ok()),
        "{root}: has neither etc, proc nor sys; give the folder that a host's files are in"
    );
    let is_here = args
        .root
        .canonicalize()
        .is_ok_and(|path| path == Path::new("/"));
    let readiness = look(&tree, is_here.then(kcore));
    if args.json {
        let tagged = Tagged {
            schema: "pagehound.ready/1",
            root,
            readiness: &readiness,
        };
        output::plain(|out| render::json(&tagged, out))?;
    } else {
        output::page(|page| ready::print(&readiness, page))?;
    }
    Ok(match readiness.ready {
        true => Exit::OK,
        false => Exit::UNSURE,
    })
}

/// Opens the host's memory, and closes it.
fn kcore() -> Kcore {
    match live::open(&live::OpenOptions::default()) {
        Ok(_) => Kcore::Readable,
        Err(NoMemory::Denied { root: false, .. }) => Kcore::ForRoot,
        Err(reason) => Kcore::Barred(reason.to_string()),
    }
}

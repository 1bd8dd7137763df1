//! `pagehound ready`.

use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pagehound ready                      this host
  sudo pagehound ready                 and what only root can tell
  pagehound ready sosreport-db7/       another host by its saved files
  pagehound ready --json | jq '.checks[] | select(.state != \"ok\")'

Nothing is written, nothing is run, and no dump is taken: the last line says how
one would be. Rows below the first table are not needed, but would tell more.

Exit status: 0 all that is needed is there, 2 could not be carried out, 3
something is missing or cannot be told.";

/// Arguments of `ready`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Ready {
    /// Folder with the host's etc, proc and sys; of another folder than `/`, disks and
    /// memory are not looked at
    #[arg(value_name = "ROOT", default_value = "/")]
    pub root: PathBuf,

    /// Print JSON, schema pagehound.ready/1
    #[arg(long)]
    pub json: bool,
}

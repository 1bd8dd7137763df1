//! `pagehound info`.

use super::Target;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pagehound info vmcore
  pagehound info vmcore --json | jq -r .kernel";

/// Arguments of `info`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Info {
    /// Dump file, or `-`: standard input
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Other files of the same dump, if it is split (makedumpfile --split), in any order
    #[arg(value_name = "PART")]
    pub parts: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

//! `pagehound net`.

use super::Target;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pagehound net vmcore
  pagehound net vmcore --json | jq -r '.devices[] | [.name, .mac] | @tsv'";

/// Arguments of `net`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Net {
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

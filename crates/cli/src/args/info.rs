//! `pagehound info`.

use super::{Parts, Target};

const EXAMPLES: &str = "\
Examples:
  pagehound info vmcore
  pagehound info vmcore --json | jq -r .kernel";

/// Arguments of `info`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Info {
    /// Dump file, capture, `-`: standard input, or `live`: the memory of this host (root)
    #[arg(value_name = "TARGET")]
    pub target: Target,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: Parts,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

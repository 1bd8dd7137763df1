//! `pagehound net`.

use super::{Parts, Target};

const EXAMPLES: &str = "\
Examples:
  pagehound net vmcore
  pagehound net vmcore --json | jq -r '.devices[] | [.name, .mac] | @tsv'";

/// Arguments of `net`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Net {
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

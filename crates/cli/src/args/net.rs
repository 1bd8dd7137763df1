//! `pagehound net`.

use super::Target;

const EXAMPLES: &str = "\
Examples:
  pagehound net vmcore
  pagehound net vmcore --json | jq -r '.devices[] | [.name, .mac] | @tsv'";

/// Arguments of `net`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Net {
    /// Dump file
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

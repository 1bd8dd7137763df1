//! `pagehound info`.

use super::Target;

const EXAMPLES: &str = "\
Examples:
  pagehound info vmcore
  pagehound info vmcore --json | jq -r .kernel";

/// Arguments of `info`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Info {
    /// Dump file
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

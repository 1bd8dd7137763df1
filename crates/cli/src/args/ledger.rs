//! `pagehound ledger`.

use super::Target;

const EXAMPLES: &str = "\
Examples:
  pagehound ledger vmcore
  pagehound ledger --classic            the hand formula for this host
  pagehound ledger --classic meminfo    the same from a saved /proc/meminfo";

/// Arguments of `ledger`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Ledger {
    /// Dump file, saved /proc/meminfo, or `live` for this host
    #[arg(value_name = "TARGET", default_value = "live")]
    pub target: Target,

    /// The hand formula instead: MemTotal less everything /proc/meminfo counts
    #[arg(long)]
    pub classic: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

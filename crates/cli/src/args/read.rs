//! `pagehound read`.

use super::{Target, value};

const EXAMPLES: &str = "\
Examples:
  pagehound read vmcore ffff880100400000
  pagehound read vmcore ffff880100400000 512
  pagehound read vmcore --physical 1a2b3000 8";

/// Arguments of `read`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Read {
    /// Dump file
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Kernel address in hex
    #[arg(value_name = "ADDRESS", value_parser = value::hex)]
    pub address: u64,

    /// How many 64-bit words to print
    #[arg(value_name = "COUNT", default_value = "32", value_parser = value::number)]
    pub count: u64,

    /// ADDRESS is physical
    #[arg(long, short)]
    pub physical: bool,
}

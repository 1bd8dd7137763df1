//! `pagehound read`.

use super::{PartOption, Place, Target, value};

const EXAMPLES: &str = "\
Examples:
  pagehound read vmcore ffff880100400000
  pagehound read vmcore ffff880100400000 512
  pagehound read vmcore init_task+0x10 4
  pagehound read vmcore --physical 1a2b3000 8

What can be hex is an address. Symbols are those of the kernel image.";

/// Arguments of `read`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Read {
    /// Dump file, capture, `-`: standard input, or `live`: the memory of this host (root)
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Kernel address in hex, or a symbol: `init_task`, `init_task+0x10`
    #[arg(value_name = "ADDRESS|SYMBOL")]
    pub place: String,

    /// How many 64-bit words to print
    #[arg(value_name = "COUNT", default_value = "32", value_parser = value::number)]
    pub count: u64,

    /// ADDRESS is physical
    #[arg(long, short)]
    pub physical: bool,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: PartOption,
}

impl Read {
    /// The place that is asked for.
    pub fn place(&self) -> Result<Place, String> {
        Place::parse(&self.place, self.physical)
    }
}

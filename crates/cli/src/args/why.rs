//! `pagehound why`.

use super::{PageRef, PartOption, Target};

const EXAMPLES: &str = "\
Examples:
  pagehound why vmcore 0x1a2b3               page frame number
  pagehound why vmcore 107187                the same in decimal
  pagehound why vmcore ffff880100400000      kernel address
  pagehound why vmcore --physical 1a2b3000   physical address
  pagehound why vmcore 107187 --show-content and what lies in it
  pagehound why vmcore 107187 --json | jq -r '.reproduce[] | select(.tool == \"crash\").line'";

/// Arguments of `why`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Why {
    /// Dump file, capture, `-`: standard input, or `live`: the memory of this host (root)
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Page frame number (decimal, or hex with 0x) or kernel address (hex)
    #[arg(value_name = "PFN|ADDRESS")]
    pub page: String,

    /// The number is a physical address, in hex
    #[arg(long, short)]
    pub physical: bool,

    /// Print the first bytes of the page, which may be anybody's secrets
    #[arg(long)]
    pub show_content: bool,

    /// Print JSON, with the lines for crash and drgn
    #[arg(long)]
    pub json: bool,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: PartOption,
}

impl Why {
    /// The page that is asked for.
    pub fn page(&self) -> Result<PageRef, String> {
        PageRef::parse(&self.page, self.physical)
    }
}

//! `pagehound pages`.

use super::Target;
use clap::ValueEnum;

const EXAMPLES: &str = "\
Examples:
  pagehound pages vmcore > pages.csv
  pagehound pages vmcore --state lost --each
  pagehound pages vmcore --class slab --format jsonl
  pagehound pages vmcore --finding 1 | wc -l

Columns: pfn,count,class,order,refcount,state,finding; --each leaves out count.";

/// Arguments of `pages`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Pages {
    /// Dump file
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// A row for every page, not one for a run of equal pages
    #[arg(long)]
    pub each: bool,

    /// Only pages of this class, named as in `ledger`; may be repeated
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<String>,

    /// Only pages in this state; may be repeated
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: Vec<PageState>,

    /// Only pages of the finding with this number
    #[arg(long, value_name = "ID")]
    pub finding: Option<u32>,

    /// Format of the rows
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
}

/// State of a page, accounted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PageState {
    /// On a free list of the allocator
    Free,
    /// In a counter of the kernel
    Accounted,
    /// In no counter, but something points to it
    Held,
    /// Looks lost, but the proof has a gap
    Suspect,
    /// In no counter, and nothing points to it
    Lost,
    /// Could not be decided
    Unknown,
}

impl PageState {
    /// Name as in the rows.
    pub fn name(self) -> &'static str {
        match self {
            PageState::Free => "free",
            PageState::Accounted => "accounted",
            PageState::Held => "held",
            PageState::Suspect => "suspect",
            PageState::Lost => "lost",
            PageState::Unknown => "unknown",
        }
    }
}

/// Format of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated, with a header line
    #[default]
    Csv,
    /// A JSON object a line
    Jsonl,
}

//! `pagehound pages`.

use super::{Parts, Target};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use pagehound_hunt::Standing;

const EXAMPLES: &str = "\
Examples:
  pagehound pages vmcore > pages.csv
  pagehound pages vmcore --state lost --each
  pagehound pages vmcore --class unaccounted
  pagehound pages vmcore --class slab --format jsonl
  pagehound pages vmcore --finding 1 | wc -l
  pagehound pages vmcore --state lost --allocators

Columns: pfn,count,class,order,refcount,state,finding,holder_kind,holder,holder_pid;
--each leaves out count, --allocators adds allocator. pfn is decimal, the first frame
of the run:
  107187,12,raw,0,1,lost,1,,,
are 12 lost pages from 0x1a2b3 on; `pagehound why vmcore 107187` explains one.
  20480,16,raw,0,1,held,3,pipe,dd,169
are 16 pages that the buffers of a pipe have, which process 169 has open.";

/// Arguments of `pages`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Pages {
    /// Dump file, capture, `-`: standard input, or `live`: the memory of this host (root)
    #[arg(value_name = "TARGET")]
    pub target: Target,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: Parts,

    /// A row for every page, not one for a run of equal pages
    #[arg(long)]
    pub each: bool,

    /// Only pages of this class, named as in `ledger`, or of both classes that
    /// are `unaccounted` there, raw and detached; may be repeated
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<String>,

    /// Only pages in this state; may be repeated
    #[arg(long, value_name = "STATE", value_parser = standing())]
    pub state: Vec<Standing>,

    /// Only pages of the finding with this number
    #[arg(long, value_name = "ID")]
    pub finding: Option<u32>,

    /// Add a column with the function that allocated the page, where the kernel
    /// keeps records (page_owner, memory allocation profiling)
    #[arg(long)]
    pub allocators: bool,

    /// Format of the rows
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
}

/// Reads a page's state, and tells in the help which there are.
pub(super) fn standing() -> impl TypedValueParser<Value = Standing> {
    let help = |standing| match standing {
        Standing::Free => "On a free list of the allocator",
        Standing::Accounted => "In a counter of the kernel",
        Standing::Held => "In no counter, but something points to it",
        Standing::Suspect => "Looks lost, but the proof has a gap",
        Standing::Lost => "In no counter, and nothing points to it",
        Standing::Unknown => "Could not be decided",
    };
    let value = |standing: Standing| PossibleValue::new(standing.name()).help(help(standing));
    PossibleValuesParser::new(Standing::ALL.map(value))
        .try_map(|name| Standing::from_name(&name).ok_or("no such state"))
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

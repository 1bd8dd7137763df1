//! `pagehound capture`.

use super::{Parts, Target, diagnose, value};
use pagehound_hunt::MemoryLimit;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pagehound capture                               this host, as root with its pages
  pagehound capture vmcore -o db7.phc
  pagehound capture vmcore --redact               to send to strangers
  pagehound db7.phc                               the same answer, elsewhere
  tar --zstd -tf db7.phc                          what is in it

Exit status: 0 written, 2 could not be carried out, 3 written without the pages of this
host, which could not be looked at, 130 ended by Ctrl-C, with nothing written.";

/// Arguments of `capture`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Capture {
    /// `live`: this host, as far as this user may look (root: its pages); or a dump file,
    /// or `-` for one on standard input
    #[arg(value_name = "TARGET", default_value = "live")]
    pub target: Target,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: Parts,

    /// Write the capture to FILE, which only its owner can read [default:
    /// pagehound-HOST-TIME.phc]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Leave out what tells of this site: as `diagnose --redact` does, and the log, all
    /// bytes of pages, and processes
    #[arg(long)]
    pub redact: bool,

    /// Take at most SIZE of pages' bytes along, some of every finding; 0 for none
    #[arg(long, value_name = "SIZE", default_value = "2M", value_parser = value::size)]
    pub content: u64,

    /// Make the file no larger than SIZE: less content first, then less of the page map
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = value::size)]
    pub size: u64,

    /// Keep resident memory below SIZE (96M, 1G); what needs more is refused
    /// [default for `live`: a sixteenth of what is available]
    #[arg(long, value_name = "SIZE", value_parser = diagnose::mem_limit)]
    pub mem_limit: Option<MemoryLimit>,

    /// Be the process that looks at the pages of this host, for the one with this id
    #[arg(long, value_name = "PID", hide = true)]
    pub as_child: Option<u32>,
}

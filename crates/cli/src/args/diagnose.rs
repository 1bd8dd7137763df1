//! `pagehound [diagnose] [TARGET]`.

use super::{Parts, Target, value};
use pagehound_hunt::MemoryLimit;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pagehound vmcore
  pagehound diagnose live
  pagehound diagnose vmcore --quick
  pagehound diagnose vmcore --json | jq .verdict
  pagehound diagnose vmcore --md --redact -o report.md
  pagehound diagnose /proc/vmcore --mem-limit 96M --json -o report.json
  pagehound diagnose vmcore --quiet --fail-on lost:64M || page-the-operator

Exit status: 0 nothing lost, 1 pages lost, 2 could not be carried out, 3 nothing
found lost but what was not read might hide it, 130 ended by Ctrl-C; the second ends
at once. --quick proves nothing: of a dump it ends with 3, and takes no --fail-on.
Counters alone, which is what saved ones, `live --quick` and a host that does not show
its pages have, end with 0; with 3 if pages were to be looked at and that failed.";

/// Arguments of `diagnose`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Diagnose {
    /// Dump file, capture, saved report, saved /proc/meminfo, archive of sos, folder
    /// with copies of /proc and /sys, `-` for a dump on standard input, or `live` for
    /// this host
    #[arg(value_name = "TARGET", default_value = "live")]
    pub target: Target,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: Parts,

    /// Print the report as JSON, schema pagehound.report/1
    #[arg(long)]
    pub json: bool,

    /// Print a bug report in Markdown, ready to paste: what is lost, how sure that is,
    /// whose it is, what to do next, and why to believe it
    #[arg(long, conflicts_with = "json")]
    pub md: bool,

    /// Leave out what tells of this site: host and boot, kernel addresses, paths,
    /// contents of pages, MAC addresses beyond the vendor's half; names of interfaces,
    /// processes and modules and page frame numbers stay
    #[arg(long)]
    pub redact: bool,

    /// A row for every finding in the text, not only the largest; JSON has all
    #[arg(long)]
    pub all: bool,

    /// First answer from a sample, in seconds whatever the size: how much is
    /// unaccounted and what it holds, with bounds; a full run proves what is lost
    #[arg(long)]
    pub quick: bool,

    /// Draw another sample; the same SEED draws the same
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "quick")]
    pub seed: u64,

    /// Keep resident memory below SIZE (96M, 1G), as in the kernel that kdump boots: the
    /// same answer, somewhat later; a dump that needs more is refused, and how much would
    /// do is said [default for `live`: a sixteenth of what is available]
    #[arg(long, value_name = "SIZE", value_parser = mem_limit)]
    pub mem_limit: Option<MemoryLimit>,

    /// Print nothing: only the exit status answers
    #[arg(long, short)]
    pub quiet: bool,

    /// When to end with status 1: `lost:SIZE`, at least SIZE lost (64M, 1GiB,
    /// 4096), or `never` [default: any page lost]
    #[arg(long, value_name = "LIMIT", value_parser = fail_on, conflicts_with = "quick")]
    pub fail_on: Option<FailOn>,

    /// Be the process that looks at the pages of this host, for the one with this id
    #[arg(long, value_name = "PID", hide = true, requires = "json")]
    pub as_child: Option<u32>,

    /// Write the report to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Where `diagnose` draws the line between status 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// At least this many bytes lost, and never for none at all.
    Lost(u64),
    /// Lost pages do not change the status.
    Never,
}

pub(super) fn mem_limit(text: &str) -> Result<MemoryLimit, String> {
    let limit = MemoryLimit(value::size(text)?);
    if limit.0 < MemoryLimit::LEAST.0 {
        let least = MemoryLimit::LEAST.0 >> 20;
        return Err(format!(
            "no dump fits into less than {least} MiB: --mem-limit {least}M"
        ));
    }
    Ok(limit)
}

fn fail_on(text: &str) -> Result<FailOn, String> {
    if text == "never" {
        return Ok(FailOn::Never);
    }
    let size = text
        .strip_prefix("lost:")
        .ok_or("expected `lost:SIZE` or `never`")?;
    value::size(size).map(FailOn::Lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        assert_eq!(mem_limit("96M"), Ok(MemoryLimit(96 << 20)));
        assert_eq!(mem_limit("1G"), Ok(MemoryLimit(1 << 30)));
        assert_eq!(mem_limit("30M"), Ok(MemoryLimit::LEAST));
        let error = mem_limit("29M").unwrap_err();
        assert!(error.contains("--mem-limit 30M"), "{error}");
        assert!(mem_limit("96").is_err());
        assert!(mem_limit("many").is_err());
    }

    #[test]
    fn limits() {
        assert_eq!(fail_on("never"), Ok(FailOn::Never));
        assert_eq!(fail_on("lost:64M"), Ok(FailOn::Lost(64 << 20)));
        assert_eq!(fail_on("lost:0"), Ok(FailOn::Lost(0)));
        assert!(fail_on("64M").is_err());
        assert!(fail_on("lost:").is_err());
    }
}

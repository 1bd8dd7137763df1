//! `pagehound known`.

use super::Target;

const EXAMPLES: &str = "\
Examples:
  pagehound known                      the whole list
  pagehound known i40e                 leaks of a driver
  pagehound known ice page_pool        entries with both words in them
  pagehound known 2b9478ffc550         one entry in full, by its commit
  pagehound known --check live         would this host's loaded modules leak?
  pagehound known --check vmcore --json

Exit status: 0 found, 1 nothing found; with --check 0 no loaded module is in an
affected range, 1 some are, 2 could not be carried out, 3 the kernel's version does
not tell, or its modules are not known.";

/// Arguments of `known`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Known {
    /// Words that an entry must have, from their begin on: a module, a commit, a CVE, words of the subject
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,

    /// Tell which loaded modules of TARGET have a known leak in its kernel's version: a
    /// dump in one file, a saved report, a saved /proc/meminfo with `modules` and `version`
    /// beside it, an archive of sos, or `live`
    #[arg(long, value_name = "TARGET", conflicts_with = "words")]
    pub check: Option<Target>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

//! `pagehound ledger`.

use super::{Parts, Target};

const EXAMPLES: &str = "\
Examples:
  pagehound ledger vmcore
  pagehound ledger --classic            the hand formula for this host
  pagehound ledger --classic meminfo    the same from a saved /proc/meminfo
  pagehound ledger sosreport-db7.tar.xz of another host, by its archive of sos

A host's rows add up to MemTotal. Lines below a row say what it consists of, by
other files; ≤ is a bound, of which less may be in this row. Of saved files a
folder with `proc` and `sys` tells most, or an archive of sos, packed or not.

Rows of a dump's ledger are classes, as `pages --class` takes them. Below
`unaccounted`, which is the classes raw and detached, stand its findings by
number: `pages --finding NUMBER` lists their pages. Pages of a network driver's
page_pool have a class of their own.

The kernel counts kmalloc() too large for a slab as slab. These pages are the
class large_kmalloc on kernels that mark them (6.15), else unaccounted.

A hole is frames without memory: it is in no total, and shares are without it.";

/// Arguments of `ledger`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Ledger {
    /// Dump file, capture, saved report or /proc/meminfo, archive of sos, folder with
    /// copies of /proc and /sys, `-` for a dump on standard input, or `live` for
    /// this host
    #[arg(value_name = "TARGET", default_value = "live")]
    pub target: Target,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: Parts,

    /// The hand formula instead: MemTotal less everything /proc/meminfo counts
    #[arg(long)]
    pub classic: bool,

    /// A row for every finding and every part, not only the largest
    #[arg(long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

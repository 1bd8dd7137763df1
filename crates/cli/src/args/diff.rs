//! `pagehound diff`.

use super::Target;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pagehound diff vmcore-leaking vmcore-healthy       two hosts: why does only one leak?
  pagehound diff monday.json tuesday.json            two moments: what grew, how fast
  pagehound --json -o before.json; sleep 3600; pagehound diff before.json live
  pagehound diff --series sosreport-db7-*.tar.xz     many moments: what keeps growing?
  pagehound diff --group reports/                    many hosts: what do those that leak
                                                     have in common?
  pagehound diff --group *.json --signature ethernet/to

What the machines differ by stands first, the most telling at its head: a driver, firmware
or module that a loss names and that only one of them has. Findings are matched by what
they have in common on all hosts: content, driver and order, not the MAC address. Where one
report is redacted, text in pages is not compared, only where it stands.

`B less A` is a difference of bytes. Beside it stands its part of MemTotal; of hosts of
different size the share that each has of its own MemTotal, which can be less where the bytes
are more. Rates are told of two moments of one host a minute or more apart.

--series takes three moments of one host or more, in any order, each of which tells its time:
reports of the live host, dumps, archives of sos. Of each class, part and loss it tells the
median slope (Theil and Sen) and, with four moments or more, whether it grows: by Mann and
Kendall's exact test, p < 0.05. After a reboot it begins anew. The estimate of when memory is
used up rests on what grows going on as it did.

--group takes reports as `pagehound diagnose --json` writes them, and folders of such, and
compares hosts with proved answers: those that leak with those that do not. Reports of one
boot, and copies of one report, count once; they are known by boot id, else by what they say
of the moment and the machine. It names the trait that still matters among hosts alike in
any other one. Intervals are 95 %, tests exact, p-values corrected for the number of traits.

Exit status: 0 nothing that matters differs (--series: or grows; --group: no trait is
over-represented), 1 something does: the answer, a loss, the machines, or a class, holder
or control group by the larger of 1 % of MemTotal and 4 MiB; 2 could not be carried out,
130 ended by Ctrl-C.";

/// Arguments of `diff`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Diff {
    /// Two of: dump file, saved report, saved /proc/meminfo, archive of sos or its folder,
    /// `live`; with --series three or more; with --group three or more saved reports, or
    /// folders of them; of a split dump (makedumpfile --split)
    /// the report of all its files
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Target>,

    /// Compare many reports: which driver, firmware, module or kernel those that leak have
    /// in common
    #[arg(long)]
    pub group: bool,

    /// Compare several moments of one host: what grows, how fast, until when
    #[arg(long, conflicts_with = "group")]
    pub series: bool,

    /// Only this leak counts: PART of a finding's signature, or of its kind as
    /// `diff --json` tells it (ethernet/to ice)
    #[arg(long, value_name = "PART", requires = "group")]
    pub signature: Option<String>,

    /// Every change and every trait in the text, not only the largest; JSON has all
    #[arg(long)]
    pub all: bool,

    /// Print JSON, schema pagehound.diff/1, with --series pagehound.series/1, with --group
    /// pagehound.group/1
    #[arg(long)]
    pub json: bool,

    /// Write the answer to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

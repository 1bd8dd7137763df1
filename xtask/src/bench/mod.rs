//! What verdicts and searches cost, measured beside what the machine can do and
//! beside other tools.
//!
//! Runs take turns, so that a machine that is busy or throttled slows all of
//! them alike: medians and their ratios hold where single figures do not.

mod contestant;
mod inputs;
pub(crate) mod limits;
pub(crate) mod pack;
mod quick;
mod results;
mod rivals;
mod scale;
mod search;
mod table;
mod verdict;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::ci;
use inputs::Format;
pub(crate) use inputs::vmlinux;

/// All limits hold on this many cores.
const THREADS: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Dump to diagnose; the limits are meant for the default, the 640 MiB
    /// guest of the corpus
    dump: Option<PathBuf>,
    /// Only these parts; the others' results stay as they are
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    only: Vec<Part>,
    /// Runs of each command, after one that is not counted
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Runs of crash's and drgn's searches, which take minutes; 0 for none
    #[arg(long, default_value_t = 1)]
    rivals: u32,
    /// The dumped kernel with its debuginfo, for crash and drgn; by default
    /// where distributions install it, or downloaded
    #[arg(long)]
    vmlinux: Option<PathBuf>,
    /// The pagehound to measure [default: the static binary, built first]
    #[arg(long, value_name = "FILE")]
    pagehound: Option<PathBuf>,
}

/// A section of the results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Part {
    Verdict,
    Quick,
    Elf,
    Zlib,
    Lzo,
    Snappy,
    Zstd,
    Scale,
}

impl Part {
    fn format(self) -> Option<Format> {
        match self {
            Self::Verdict | Self::Quick | Self::Scale => None,
            Self::Elf => Some(Format::Elf),
            Self::Zlib => Some(Format::Zlib),
            Self::Lzo => Some(Format::Lzo),
            Self::Snappy => Some(Format::Snappy),
            Self::Zstd => Some(Format::Zstd),
        }
    }

    fn title(self) -> String {
        match (self, self.format()) {
            (Self::Quick, _) => "A first answer".to_owned(),
            (Self::Scale, _) => "A search in 1, 8 and 64 GiB".to_owned(),
            (_, None) => "A verdict".to_owned(),
            (_, Some(format)) => format!("A search in 8 GiB, {format}"),
        }
    }
}

/// Measures and writes `bench/RESULTS.md`; fails where the verdict exceeds a
/// limit.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // The limits must not be built without optimization, and what this process has
    // in memory when it starts another counts as that one's peak.
    if cfg!(debug_assertions) {
        let status = Command::new(ci::static_binary("xtask")?)
            .args(std::env::args_os().skip(1))
            .status()?;
        ensure!(status.success(), "{status}");
        return Ok(());
    }
    let xtask = std::env::current_exe()?;
    let pagehound = match &arguments.pagehound {
        Some(binary) => binary.clone(),
        None => ci::static_binary("pagehound")?,
    };
    let mut outcome = Ok(());
    for part in <Part as clap::ValueEnum>::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(part) {
            continue;
        }
        let machine = results::machine();
        let text = match part.format() {
            None if *part == Part::Scale => scale::section(arguments, &pagehound, &xtask)?,
            None if *part == Part::Quick => quick::section(arguments, &pagehound, &xtask)?,
            None => {
                let (text, kept) = verdict::section(arguments, &pagehound)?;
                outcome = kept;
                text
            }
            Some(format) => search::section(format, arguments, &pagehound, &xtask)?,
        };
        results::replace(&part.title(), &machine, &text)?;
        println!("\n{text}");
    }
    outcome
}

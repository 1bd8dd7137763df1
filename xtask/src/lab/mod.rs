//! The lab: real kernels in QEMU, with pages whose fate is known.
//!
//! One run is a line of stages: [`packages`] unpacks a stock Debian kernel, or
//! [`source`] builds one with what Debian's have not, [`kernel`] builds the planting module for it with the [`tools`] of its own
//! suite, [`initrd`] packs the guest,
//! [`qemu`] boots it while [`frames`] sends it traffic, [`qmp`] dumps it, and
//! [`score`] compares pagehound's answer with the [`truth`] the guest wrote.

mod allocators;
mod answer;
mod apt;
pub(crate) mod cache;
mod crash;
mod demo;
mod dump;
mod elf;
mod frames;
mod guest;
mod holder;
mod initrd;
pub(crate) mod kdump;
mod kernel;
mod live;
mod matrix;
mod modules;
mod named;
mod packages;
mod pagehound;
mod process;
mod programs;
mod qemu;
mod qmp;
mod repack;
mod report;
mod scenario;
mod score;
mod source;
mod target;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

/// Arguments of the verb `lab`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch the kernel, build the module and probe the accelerator
    Build(target::Target),
    /// Name the scenarios and what each of them plants
    List,
    /// Boot a scenario, dump it and score pagehound's answer
    Run(RunArguments),
    /// Boot, dump and score every kernel with every scenario; writes
    /// lab/RESULTS.md where every guest has a score
    Matrix(matrix::MatrixArguments),
    /// Score the dumps that `lab matrix --keep` kept again; writes
    /// lab/RESULTS.md where every guest has a score
    Rescore(matrix::RescoreArguments),
    /// Score pagehound's answer on a dump against the truth beside it
    Score(ScoreArguments),
    /// Make the small dump that the repository carries in demo/
    Demo {
        /// Folder to write to
        #[arg(long, default_value = "demo")]
        out: PathBuf,
    },
}

#[derive(Args)]
struct RunArguments {
    /// A name from `lab list`
    scenario: String,
    /// Keep dump, truth and logs in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Ways of dumping the one guest, with commas between them: qemu-kdump-zlib,
    /// qemu-elf, vmcore-raw, makedumpfile:ARGS, host-makedumpfile:ARGS,
    /// incomplete:MIB:ARGS, where ARGS are makedumpfile's own, such as -d 31 -l; live:
    /// pagehound in the guest, compared with a dump; report, report:MIB, report:starved:
    /// kdump-report in the second kernel, with a disk of MIB or without memory, compared
    /// with vmcore-raw
    #[arg(
        long,
        value_name = "WAY,...",
        value_delimiter = ',',
        default_value = "qemu-kdump-zlib"
    )]
    dump: Vec<dump::Way>,
    /// Take the dumps but do not score them
    #[arg(long)]
    no_score: bool,
    #[command(flatten)]
    target: target::Target,
    #[command(flatten)]
    variant: scenario::Variant,
    #[command(flatten)]
    binary: answer::Binary,
}

#[derive(Args)]
struct ScoreArguments {
    /// The dump to let pagehound look at
    dump: PathBuf,
    /// The truth file written with it
    truth: PathBuf,
    #[command(flatten)]
    binary: answer::Binary,
}

/// A few guests with `pagehound`, for CI.
pub(crate) fn subset(pagehound: &Path) -> Result<()> {
    matrix::run(&matrix::MatrixArguments::subset(pagehound))
}

/// Boots the busiest guest and dumps its memory into `dir` as QEMU writes ELF.
pub(crate) fn busy_guest(dir: &Path) -> Result<PathBuf> {
    let taken = guest::take(
        &target::Target::USUAL,
        &scenario::Scenario::named("busy")?,
        &scenario::Variant::PLAIN,
        &[dump::Way::Qemu(qmp::Format::Elf)],
        dir,
    )?;
    taken.dumps.into_iter().next().context("no dump was taken")
}

/// Puts the usual kernel of this release with its debuginfo into `folder`, as
/// `vmlinux-RELEASE`.
pub(crate) fn debuginfo(release: &str, folder: &Path) -> Result<()> {
    let target = target::Target::USUAL;
    let apt = apt::Apt::open(target.kernel.suite(), target.arch.debian())?;
    apt.extract(
        &format!("linux-image-{release}-dbg"),
        &format!("./usr/lib/debug/boot/vmlinux-{release}"),
        folder,
    )
}

/// Carries out one `lab` command; an error also when a score misses its goal.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Build(target) => {
            let kernel = kernel::Kernel::prepare(&target)?;
            let accelerator = qemu::Accelerator::find(&kernel)?;
            println!("kernel       {}", kernel.release);
            println!("module       {}", kernel.module.display());
            println!("accelerator  {}", accelerator.name());
            Ok(())
        }
        Command::List => {
            scenario::print_all();
            Ok(())
        }
        Command::Run(arguments) => guest::run(&arguments),
        Command::Matrix(arguments) => matrix::run(&arguments),
        Command::Rescore(arguments) => matrix::rescore(&arguments),
        Command::Score(arguments) => {
            score::score(&arguments.binary, &arguments.dump, &arguments.truth)?.judge()
        }
        Command::Demo { out } => demo::make(&out),
    }
}

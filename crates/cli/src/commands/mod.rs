//! One file a command: each takes its arguments and answers with a status.

mod diagnose;
mod info;
mod ledger;
mod read;
mod search;

use crate::args::{Cli, Command, Global};
use crate::exit::Exit;
use crate::interrupt;
use crate::output;
use pagehound_kernel::{Kernel, Options};
use pagehound_vmcore::Dump;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

/// What every command works with.
pub(crate) struct Context {
    /// Threads to use.
    pub(crate) threads: NonZeroUsize,
    /// Raised by Ctrl-C: print what there is and end.
    pub(crate) cancel: &'static AtomicBool,
    /// Do as if the dump held no BTF.
    pub(crate) without_btf: bool,
}

impl Context {
    fn new(global: &Global) -> anyhow::Result<Self> {
        interrupt::install()?;
        let threads = global
            .threads
            .and_then(|threads| NonZeroUsize::new(threads.into()));
        let threads = threads.or_else(|| std::thread::available_parallelism().ok());
        Ok(Context {
            threads: threads.unwrap_or(NonZeroUsize::MIN),
            cancel: &interrupt::RAISED,
            without_btf: global.without_btf,
        })
    }
}

/// Carries out the command line.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    output::set_color(&cli.global);
    let context = Context::new(&cli.global)?;
    match &cli.command {
        Command::Diagnose(args) => diagnose::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Info(args) => info::run(args),
        Command::Read(args) => read::run(args, &context),
        Command::Search(args) => search::run(args, &context),
    }
}

/// Opens the kernel in `dump` and says what of it could not be had.
fn open_kernel<'d>(dump: &'d Dump, context: &Context) -> anyhow::Result<Kernel<'d>> {
    let kernel = Kernel::open(
        dump,
        Options {
            without_btf: context.without_btf,
        },
    )?;
    for warning in &kernel.warnings {
        output::note(warning);
    }
    Ok(kernel)
}

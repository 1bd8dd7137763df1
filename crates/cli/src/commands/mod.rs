//! One file a command: each takes its arguments and answers with a status.

mod info;

use crate::args::{Cli, Command, Global};
use crate::exit::Exit;
use crate::interrupt;
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
        let threads = global.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
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
    crate::output::set_color(&cli.global);
    let context = Context::new(&cli.global)?;
    match &cli.command {
        Command::Info(args) => info::run(args),
        _ => anyhow::bail!("{}", context.threads),
    }
}

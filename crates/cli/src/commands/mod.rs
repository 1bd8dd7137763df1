//! One file a command: each takes its arguments and answers with a status.

mod capture;
mod diagnose;
mod diff;
pub(crate) mod info;
mod known;
mod ledger;
pub(crate) mod log;
pub(crate) mod net;
mod pages;
mod read;
mod ready;
mod search;
mod series;
mod why;

use crate::args::{Cli, Command, Global};
use crate::exit::Exit;
use crate::input::Reading;
use crate::interrupt;
use crate::output;
use crate::progress::Bar;
use anyhow::Context as _;
use pagehound_hunt::{self as hunt, Diagnosis, MemoryLimit};
use pagehound_kernel::{Class, Kernel, KernelError, Making, Options};
use pagehound_live::OpenOptions as LiveOptions;
use pagehound_model::{Report, UNACCOUNTED};
use pagehound_vmcore::{Dump, Format};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Where distributions put debug information.
const DEBUG_ROOT: &str = "/usr/lib/debug";

/// How long what is in flight on a host that runs has to arrive between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What every command works with.
pub(crate) struct Context {
    /// Threads to use.
    pub(crate) threads: NonZeroUsize,
    /// That many were asked for.
    pub(crate) threads_given: bool,
    /// Raised by Ctrl-C: print what there is and end.
    pub(crate) cancel: &'static AtomicBool,
    /// Do as if the dump held no BTF.
    pub(crate) without_btf: bool,
    /// The vmlinux of the dump's kernel.
    pub(crate) vmlinux: Option<PathBuf>,
    /// Bytes a second to read of a live host.
    pub(crate) max_rate: Option<NonZeroU64>,
    /// Resident memory to keep below, if there is little.
    pub(crate) memory: Option<MemoryLimit>,
}

impl Context {
    fn new(global: &Global) -> anyhow::Result<Self> {
        interrupt::install()?;
        let threads = global
            .threads
            .and_then(|threads| NonZeroUsize::new(threads.into()));
        let threads = threads.or_else(|| thread::available_parallelism().ok());
        Ok(Context {
            threads: threads.unwrap_or(NonZeroUsize::MIN),
            threads_given: global.threads.is_some(),
            cancel: &interrupt::RAISED,
            without_btf: global.without_btf,
            vmlinux: global.vmlinux.clone(),
            max_rate: global.max_rate,
            memory: None,
        })
    }

    /// The same with this memory to work in.
    fn within(&self, memory: Option<MemoryLimit>) -> Context {
        let threads = memory.map(|limit| limit.threads(self.threads));
        Context {
            threads: threads.unwrap_or(self.threads),
            memory,
            vmlinux: self.vmlinux.clone(),
            ..*self
        }
    }

    /// How to read memory.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            live: LiveOptions {
                max_rate: self.max_rate,
            },
            ..Reading::default()
        }
    }

    /// Whether Ctrl-C ended the work early.
    fn interrupted(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Opens the kernel in `dump`. What of it could not be had is in its
    /// warnings; [`Context::note`] says them where no report does.
    pub(crate) fn kernel<'d>(&self, dump: &'d Dump) -> anyhow::Result<Kernel<'d>> {
        let options = Options {
            without_btf: self.without_btf,
            cache: self.memory.map(|limit| limit.cache()),
            vmlinux: self.vmlinux.as_deref(),
            debug_root: Some(Path::new(DEBUG_ROOT)),
            cancel: Some(self.cancel),
        };
        let live = dump.info.format == Format::Live;
        let what = if live {
            "the kernel"
        } else {
            "the kernel in the dump"
        };
        Kernel::open(dump, options).context(what)
    }

    /// How to make a map of all pages.
    fn making(&self) -> Making<'static> {
        Making {
            threads: self.threads,
            cancel: self.cancel,
            ..Making::default()
        }
    }

    /// The whole diagnosis of the target called `path`, with a bar; of a host that runs by
    /// several looks.
    pub(crate) fn diagnose(&self, kernel: &Kernel<'_>, path: &str) -> anyhow::Result<Diagnosis> {
        let is_live = kernel.dump.info.format == Format::Live;
        Ok(self.with_bar(path, |options| match is_live {
            true => Diagnosis::live(kernel, options, || thread::sleep(PAUSE)),
            false => Diagnosis::of(kernel, options),
        })?)
    }

    /// A first answer, from the sample that `seed` draws.
    fn quick(&self, kernel: &Kernel<'_>, path: &str, seed: u64) -> anyhow::Result<Report> {
        let draw = hunt::Draw {
            seed,
            ..hunt::Draw::default()
        };
        Ok(self.with_bar(path, |options| hunt::quick(kernel, options, &draw))?)
    }

    /// What can be said of a dump whose kernel cannot be read, for `reason`.
    fn survey(&self, dump: &Dump, path: &str, reason: &anyhow::Error) -> Report {
        self.with_bar(path, |options| {
            hunt::survey(dump, options, &format!("{reason:#}"))
        })
    }

    fn with_bar<T>(&self, path: &str, work: impl FnOnce(&hunt::Options<'_>) -> T) -> T {
        let bar = Bar::new();
        let result = work(&hunt::Options {
            path,
            progress: &bar,
            cancel: self.cancel,
            threads: Some(self.threads),
            memory: self.memory,
            without: hunt::census::Without::default(),
        });
        bar.end();
        result
    }
}

/// Whether the file that was given as the kernel's vmlinux is of no use for it.
fn is_about_vmlinux(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(KernelError::Vmlinux(_)))
}

/// Says on standard error what limits an answer.
fn note(warnings: &[String]) {
    for warning in warnings {
        output::note(warning);
    }
}

/// Classes by name; `unaccounted`, a row of the ledger, is several.
fn classes(names: &[String]) -> anyhow::Result<Vec<Class>> {
    let class = |name: &String| {
        // As the ledger prints it, or as reports spell it.
        let spelled = name.replace([' ', '-'], "_");
        Class::from_name(&spelled).with_context(|| {
            let known: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
            format!(
                "there is no class `{name}`; the classes are {}, and unaccounted is {}",
                known.join(", "),
                UNACCOUNTED.join(" and ")
            )
        })
    };
    let mut classes = Vec::new();
    for name in names {
        if name == "unaccounted" {
            let all = Class::ALL.iter().copied();
            classes.extend(all.filter(|class| class.is_unaccounted()));
        } else {
            classes.push(class(name)?);
        }
    }
    Ok(classes)
}

/// Carries out the command line.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    output::set_color(&cli.global);
    let context = Context::new(&cli.global)?;
    match &cli.command {
        Command::Diagnose(args) => diagnose::run(args, &context),
        Command::Ledger(args) => ledger::run(args, &context),
        Command::Pages(args) => pages::run(args, &context),
        Command::Why(args) => why::run(args, &context),
        Command::Search(args) => search::run(args, &context),
        Command::Log(args) => log::run(args, &context),
        Command::Net(args) => net::run(args, &context),
        Command::Info(args) => info::run(args, &context),
        Command::Read(args) => read::run(args, &context),
        Command::Known(args) => known::run(args, &context),
        Command::Ready(args) => ready::run(args),
        Command::Diff(args) => diff::run(args, &context),
        Command::Capture(args) => capture::run(args, &context),
    }
}

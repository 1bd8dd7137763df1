//! The command line as plain data: one file a command, parsed before any work
//! starts.

mod capture;
mod diagnose;
mod diff;
mod info;
mod known;
mod ledger;
mod log;
mod net;
mod pages;
mod parts;
mod read;
mod ready;
mod search;
mod target;
mod value;
mod why;

pub use capture::Capture;
pub use diagnose::{Diagnose, FailOn};
pub use diff::Diff;
pub use info::Info;
pub use known::Known;
pub use ledger::Ledger;
pub use log::{Level, Levels, Log};
pub use net::Net;
pub use pages::{Format, Pages};
pub use parts::{PartOption, Parts};
pub use read::Read;
pub use ready::Ready;
pub use search::Search;
pub use target::Target;
pub use value::{AddressRange, PageRef, Place};
pub use why::Why;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const USAGE: &str = "\
pagehound [OPTIONS] [TARGET]
       pagehound [OPTIONS] COMMAND [ARGS]";

const ABOUT: &str = "\
Tells from a Linux crash dump, or on the live host, where the memory is, what is \
leaked, and whose it is. Needs no debuginfo.

TARGET is a dump file (ELF core, kdump, LiME, AVML or raw memory), `-` for a dump that \
is piped in, a capture, a saved report or /proc/meminfo, an archive of sos, or `live`, this \
host, which is the default. Without a COMMAND, `diagnose` runs.";

const EXAMPLES: &str = "\
Examples:
  pagehound vmcore                     verdict, findings, owner, ledger
  pagehound --json -o report.json vmcore
  pagehound ledger --classic           the hand formula for this host
  pagehound search vmcore --mac 24:6e:96:43:3e:38 --at 0

A file that is called like a command needs a path: `pagehound ./ledger`; a file
called `live` likewise: `pagehound ./live`.

Exit status of diagnose:
  0    answered, nothing lost
  1    pages are lost (--fail-on moves the line)
  2    could not be carried out
  3    nothing found lost, but what was not read might hide it
  130  ended by Ctrl-C";

const HEADING: &str = "Options of every command";

/// Options that every command takes.
#[derive(clap::Args, Clone, Debug)]
pub struct Global {
    /// When to colour: `auto` (on a terminal, without NO_COLOR), `always`, `never`
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        global = true,
        hide_possible_values = true,
        hide_default_value = true,
        help_heading = HEADING
    )]
    pub color: Color,

    /// Threads to work with [default: one a processor]
    #[arg(
        long,
        value_name = "N",
        global = true,
        value_parser = clap::value_parser!(u16).range(1..=1024),
        help_heading = HEADING
    )]
    pub threads: Option<u16>,

    /// vmlinux with debug information, for a kernel without BTF [default: the one of its
    /// build id or release under /usr/lib/debug]
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    pub vmlinux: Option<PathBuf>,

    /// Read at most so many bytes a second of a live host's memory, such as 200M
    #[arg(
        long,
        value_name = "SIZE",
        global = true,
        value_parser = max_rate,
        help_heading = HEADING
    )]
    pub max_rate: Option<NonZeroU64>,

    /// Do as if the dump held no BTF (to test the fallbacks)
    #[arg(long, global = true, hide = true)]
    pub without_btf: bool,
}

/// A size, large enough for an answer to come.
fn max_rate(text: &str) -> Result<NonZeroU64, String> {
    const LEAST: u64 = 1 << 20;
    let rate = value::size(text)?;
    NonZeroU64::new(rate)
        .filter(|rate| rate.get() >= LEAST)
        .ok_or_else(|| "at that rate no answer would come: give at least 1M".to_owned())
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the output is a terminal and NO_COLOR is not set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Parser, Debug)]
#[command(
    name = "pagehound",
    version,
    about = "Where a Linux host's memory is, what is leaked, and whose it is",
    long_about = ABOUT,
    override_usage = USAGE,
    after_help = EXAMPLES,
    styles = STYLES,
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands",
    disable_help_subcommand = true
)]
struct Root {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    diagnose: Diagnose,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Verdict, findings, owner, evidence, next step, ledger (the default)
    Diagnose(Diagnose),
    /// Every class of pages, with the kernel's own count beside it
    Ledger(Ledger),
    /// Every page with its class and state, as CSV or JSON lines
    Pages(Pages),
    /// One page explained: what it is, who points to it, its bytes
    Why(Why),
    /// Values, MAC addresses, bytes, text in all of memory
    Search(Box<Search>),
    /// The kernel log
    Log(Log),
    /// Network devices: MAC, upper device, driver, bus address
    Net(Net),
    /// The dump and its kernel
    Info(Info),
    /// Memory as hex, with what it points to
    Read(Read),
    /// Known leaks: list, search, which of them a host can have
    Known(Known),
    /// Whether this host could give evidence: kdump, room, memory, records
    Ready(Ready),
    /// Two hosts or moments: what one has and the other has not; many: what leaks share
    Diff(Diff),
    /// What is worth having of a host or dump, in a file small enough to send
    Capture(Capture),
}

/// The whole command line.
#[derive(Debug)]
pub struct Cli {
    /// Options that every command takes.
    pub global: Global,
    /// What to do.
    pub command: Command,
}

impl Cli {
    /// Parses `args`, the program's name first. Help and version are errors
    /// too, as in clap.
    pub fn parse_from(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut clap = Root::command();
        let matches = clap
            .try_get_matches_from_mut(&args)
            .map_err(|error| mistyped(&mut clap, &args).unwrap_or_else(|| told(error, &clap)))?;
        let Root {
            global,
            diagnose,
            command,
        } = Root::from_arg_matches(&matches)?;
        let Some(command) = command else {
            return Ok(Cli {
                global,
                command: Command::Diagnose(diagnose),
            });
        };
        reject_stray(&mut clap, &matches)?;
        Ok(Cli { global, command })
    }

    /// The command line's definition, for help texts, completions and pages.
    pub fn definition() -> clap::Command {
        Root::command()
    }
}

/// `pagehound diagnos vmcore` does not parse, because `diagnos` is taken for a
/// target: says so where the first word is no file, but almost a command.
fn mistyped(clap: &mut clap::Command, args: &[OsString]) -> Option<clap::Error> {
    let words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    let mut words = words.filter(|word| !word.starts_with('-'));
    let (word, command) = words.find_map(|word| Some((word, target::similar_command(word)?)))?;
    if command == word || Path::new(word).exists() {
        return None;
    }
    let message = format!("there is no command `{word}`; did you mean `{command}`?");
    Some(clap.error(ErrorKind::InvalidSubcommand, message))
}

/// An option this command does not have is no value, as clap's tip has it: tells
/// the commands that have it, if any do.
fn told(mut error: clap::Error, clap: &clap::Command) -> clap::Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    // Something alike is the better tip.
    let known = error.get(ContextKind::SuggestedArg).is_some();
    if error.kind() != ErrorKind::UnknownArgument || known {
        return error;
    }
    let has = |command: &&clap::Command| {
        command.get_arguments().any(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            [long, short]
                .into_iter()
                .flatten()
                .any(|name| name == *option)
        })
    };
    let commands: Vec<String> = clap
        .get_subcommands()
        .filter(has)
        .map(|command| format!("`pagehound {}`", command.get_name()))
        .collect();
    if commands.is_empty() {
        error.remove(ContextKind::Suggested);
    } else {
        let tip = format!("'{option}' is an option of {}", commands.join(", "));
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

/// `pagehound --json ledger` would silently drop `--json`: options of the
/// default command stand after a command's name, not before it.
fn reject_stray(clap: &mut clap::Command, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
    let name = matches.subcommand_name().unwrap_or_default();
    let stray = clap
        .get_arguments()
        .filter(|arg| !arg.is_global_set())
        .find(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine));
    let Some(stray) = stray.map(ToString::to_string) else {
        return Ok(());
    };
    Err(clap.error(
        ErrorKind::ArgumentConflict,
        format!("'{stray}' stands before the command `{name}`: put it after"),
    ))
}

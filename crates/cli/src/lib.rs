//! The `pagehound` command: arguments as plain data, one file a command, and
//! the terminal's view of the report.

pub mod args;
mod capture;
mod child;
mod commands;
mod destination;
pub mod exit;
pub mod host_report;
mod input;
mod interrupt;
pub mod output;
mod page_facts;
mod progress;
pub mod redact;
pub mod render;
pub mod saved;
mod spool;

use args::Cli;
use exit::Exit;
use output::StandardOutput;
use pagehound_model::ErrorReport;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Parses the command line, carries it out, and says how it went.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let json = wants_json(&args);
    let exit = match Cli::parse_from(args) {
        Ok(cli) => commands::run(&cli).unwrap_or_else(|error| failure(&error, json)),
        Err(error) if json && error.use_stderr() => {
            failure(&anyhow::Error::msg(usage(&error)), json)
        }
        Err(error) => told(&error),
    };
    exit.into()
}

/// Whether errors are to be JSON, known even where the rest does not parse.
fn wants_json(args: &[OsString]) -> bool {
    args.iter()
        .skip(1)
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json")
}

/// clap's message without usage and tip lines.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

/// Prints clap's message, which may be the help that was asked for.
fn told(error: &clap::Error) -> Exit {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if error.use_stderr() {
        // Where it fails there is nobody left to tell.
        return Exit::FAILED;
    }
    match output::unless_closed(printed) {
        Ok(()) => Exit::OK,
        Err(error) => failure(&error, false),
    }
}

/// Says why the command could not be carried out: on standard error, or as JSON
/// on standard output unless that is what failed.
fn failure(error: &anyhow::Error, json: bool) -> Exit {
    let json = json && error.downcast_ref::<StandardOutput>().is_none();
    // Where the message cannot be printed there is nobody left to tell.
    if json {
        let report = ErrorReport::new(one_line(error));
        if let Err(unwritten) = output::plain(|out| render::json(&report, out)) {
            failure(error, false);
            failure(&unwritten, false);
        }
    } else {
        let style = render::page::BAD;
        let text = lines(error);
        let _ = writeln!(anstream::stderr(), "{style}pagehound:{style:#} {text}");
    }
    Exit::of_error(error)
}

/// The error and its causes. A regular expression's error points at the place
/// with a line of its own; such lines are indented, so that none passes for a
/// message of ours.
fn lines(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<String> = text.lines().map(render::escape).collect();
    lines.join("\n  ")
}

/// The same as one line, without the line that only points.
fn one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|line| !line.trim_matches('^').is_empty())
        .collect();
    lines.join(" ")
}

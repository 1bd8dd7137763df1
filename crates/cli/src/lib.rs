//! The `pagehound` command: arguments as plain data, one file a command, and
//! the terminal's view of the report.

pub mod args;
mod commands;
pub mod exit;
mod host_report;
mod input;
mod interrupt;
pub mod output;
mod progress;
pub mod render;

use args::Cli;
use exit::Exit;
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
        Err(error) => {
            // A closed pipe: nobody is left to tell.
            let _ = error.print();
            if error.use_stderr() {
                Exit::FAILED
            } else {
                Exit::OK
            }
        }
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

fn failure(error: &anyhow::Error, json: bool) -> Exit {
    if output::is_closed(error) {
        return Exit::OK;
    }
    // Where these fail too there is nobody left to tell.
    if json {
        let report = ErrorReport::new(format!("{error:#}"));
        let _ = render::json(&report, &mut std::io::stdout().lock());
    } else {
        let style = render::page::BAD;
        let text = render::escape(format!("{error:#}"));
        let _ = writeln!(anstream::stderr(), "{style}pagehound:{style:#} {text}");
    }
    Exit::FAILED
}

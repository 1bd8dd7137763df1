//! Each CI job is one verb of this program.

mod abuse;
mod bench;
mod bytes;
mod check;
mod ci;
mod evidence;
mod fuzz;
mod grow;
mod image;
mod lab;
mod oracle;
mod paths;
mod smoke;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The project's own chores, one verb each"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// All jobs that must succeed before a change lands, the lab last
    Ci,
    /// Formatting and lints
    Lint,
    /// Licences, sources and unused dependencies
    Deps,
    /// The static release binary
    Static,
    /// Every command of the static binary over the corpus
    Smoke,
    /// All tests, with one summary at the end
    Test,
    /// The tests of the crates with unsafe code, under AddressSanitizer
    Sanitize,
    /// Every parser and a whole diagnosis under libFuzzer; writes fuzz/RESULTS.md
    Fuzz(fuzz::Arguments),
    /// Rewrite the published JSON Schema from the report's types
    Schema,
    /// Check reports against the schema and their own sums
    CheckReport {
        /// Files with the output of `pagehound diagnose --json`
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Time and memory of verdicts and searches, beside crash, drgn and what the
    /// machine can do; writes bench/RESULTS.md
    Bench(bench::Arguments),
    /// One of the limits that `bench` measures, as a process of its own
    #[command(hide = true)]
    Limit(bench::limits::Arguments),
    /// An ELF core as a kdump, for `bench`
    #[command(hide = true)]
    Pack(bench::pack::Arguments),
    /// A dump of a machine with far more memory and a known leak, grown from a
    /// real dump of x86-64
    Grow(grow::Arguments),
    /// Type the lines that `why` prints into crash and drgn, compare their answers
    /// with what it says; keeps those for the demo in tests/fixtures/why
    Evidence(evidence::Arguments),
    /// Break dumps in every way, one at a time: each must be answered rightly, in
    /// part or with a clear error, soon and in little memory
    Abuse(abuse::Arguments),
    /// Read dumps with libkdumpfile too: every page must be the same
    Oracle(oracle::Arguments),
    /// Boot real kernels with planted leaks, dump them, score pagehound's answer
    Lab(lab::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        // The causes in one line; a backtrace would only hide them.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Abuse(arguments) => abuse::run(&arguments),
        Verb::Oracle(arguments) => oracle::run(&arguments),
        Verb::Lab(arguments) => lab::run(arguments),
        Verb::Grow(arguments) => grow::run(&arguments),
        Verb::Evidence(arguments) => evidence::run(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::Limit(arguments) => bench::limits::run(&arguments),
        Verb::Pack(arguments) => bench::pack::run(&arguments),
        Verb::Ci => ci::all(),
        Verb::Lint => ci::lint(),
        Verb::Deps => ci::deps(),
        Verb::Static => ci::static_binary("pagehound").map(drop),
        Verb::Smoke => smoke::run(&ci::static_binary("pagehound")?),
        Verb::Test => ci::test(),
        Verb::Sanitize => ci::sanitize(),
        Verb::Fuzz(arguments) => fuzz::run(&arguments),
        Verb::Schema => check::write_schema(),
        Verb::CheckReport { files } => check::reports(&files),
    }
}

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The folder of real dumps.
fn corpus() -> PathBuf {
    std::env::var_os("PAGEHOUND_CORPUS")
        .map_or_else(|| root().join("../shared/corpus"), PathBuf::from)
}

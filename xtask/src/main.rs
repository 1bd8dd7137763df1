//! Each CI job is one verb of this program.
mod lab;

use clap::{Parser, Subcommand};

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
    /// Boot real kernels with planted leaks, dump them, score pagehound's answer
    Lab(lab::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().verb {
        Verb::Lab(arguments) => lab::run(arguments),
    }
}

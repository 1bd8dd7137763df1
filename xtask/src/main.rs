//! Each CI job is one verb of this program.

mod check;

use clap::Parser;
use std::path::{Path, PathBuf};

/// Jobs around the code, one verb each.
#[derive(Parser)]
enum Verb {
    /// Rewrite the published JSON Schema from the report's types
    Schema,
    /// Check reports against the schema and their own sums
    CheckReport {
        /// Files with the output of `pagehound diagnose --json`
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Verb::parse() {
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

//! Every command over every dump of the corpus with a 6.1 x86_64 kernel.

use crate::check::Schema;
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

/// What a command's standard output must be.
#[derive(Clone, Copy)]
enum Prints {
    /// Something.
    Text,
    /// JSON that names its schema.
    Json,
    /// A report that is sound.
    Report,
}

/// Runs the commands of `binary`; fails at the first that does not answer.
pub(crate) fn run(binary: &Path) -> anyhow::Result<()> {
    let schema = Schema::new()?;
    let dumps = dumps()?;
    let mut runs = 0;
    for dump in &dumps {
        let name = dump
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let truth = dump.with_extension("truth.txt");
        for (line, status, prints) in COMMANDS {
            let start = Instant::now();
            let output = Command::new(binary)
                .args(line.split(' ').map(|word| match word {
                    "DUMP" => dump.as_os_str(),
                    "TRUTH" => truth.as_os_str(),
                    _ => word.as_ref(),
                }))
                .output()
                .with_context(|| binary.display().to_string())?;
            let what = format!("{name}: pagehound {line}");
            check(&output, status, prints, &schema).with_context(|| what.clone())?;
            println!("{:6.2} s  {what}", start.elapsed().as_secs_f64());
            runs += 1;
        }
    }
    println!("{runs} commands on {} dumps answered", dumps.len());
    Ok(())
}

/// Command lines, the status each must end with, and what it prints. `TRUTH`
/// is what the guest's own /proc said just before the dump.
const COMMANDS: [(&str, i32, Prints); 9] = [
    ("info DUMP", 0, Prints::Text),
    ("info DUMP --json", 0, Prints::Json),
    ("search DUMP --text Linux", 0, Prints::Text),
    (
        "search DUMP --regex Linux.version --in kernel_image",
        0,
        Prints::Text,
    ),
    ("diagnose TRUTH", 3, Prints::Text),
    ("diagnose TRUTH --json", 3, Prints::Report),
    ("ledger TRUTH", 0, Prints::Text),
    ("ledger TRUTH --classic", 0, Prints::Text),
    ("ledger TRUTH --classic --json", 0, Prints::Json),
];

fn check(output: &Output, status: i32, prints: Prints, schema: &Schema) -> anyhow::Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(status),
        "ended with {}, not {status}: {stderr}",
        output.status
    );
    ensure!(!output.stdout.is_empty(), "printed nothing");
    match prints {
        Prints::Text => {}
        Prints::Json => {
            let value: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            ensure!(value["schema"].is_string(), "the JSON names no schema");
        }
        Prints::Report => {
            let wrong = schema.check(&output.stdout)?;
            ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    }
    Ok(())
}

/// The dumps; fails where there are none.
fn dumps() -> anyhow::Result<Vec<PathBuf>> {
    let corpus = crate::corpus();
    let entries = std::fs::read_dir(&corpus).with_context(|| {
        format!(
            "{}: the corpus of dumps; PAGEHOUND_CORPUS names another folder",
            corpus.display()
        )
    })?;
    let mut dumps = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("-6.1-x86_64") && name.ends_with(".kdump") {
            dumps.push(path);
        }
    }
    dumps.sort();
    ensure!(
        !dumps.is_empty(),
        "{}: no 6.1 x86_64 dump there",
        corpus.display()
    );
    Ok(dumps)
}

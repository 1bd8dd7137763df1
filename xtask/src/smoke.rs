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
        // What the corpus says of itself: leaks are planted in all but one.
        let verdict = i32::from(!name.starts_with("healthy"));
        for (line, status, prints) in commands(verdict) {
            let start = Instant::now();
            let output = Command::new(binary)
                .args(line.split(' ').map(|word| {
                    if word == "DUMP" {
                        dump.as_os_str()
                    } else {
                        word.as_ref()
                    }
                }))
                .output()
                .with_context(|| binary.display().to_string())?;
            let what = format!("pagehound {}", line.replace("DUMP", &name));
            check(&output, status, prints, &schema).with_context(|| what.clone())?;
            println!("{:6.2} s  {what}", start.elapsed().as_secs_f64());
            runs += 1;
        }
    }
    println!("{runs} commands on {} dumps answered", dumps.len());
    Ok(())
}

/// Command lines, the status each must end with, and what it prints.
fn commands(verdict: i32) -> Vec<(&'static str, i32, Prints)> {
    vec![
        ("info DUMP", 0, Prints::Text),
        ("info DUMP --json", 0, Prints::Json),
    ]
}

fn check(output: &Output, status: i32, prints: Prints, schema: &Schema) -> anyhow::Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(status),
        "ended with {}, not {status}: {stderr}",
        output.status
    );
    ensure!(!output.stdout.is_empty(), "printed nothing");
    let wrong = match prints {
        Prints::Text => Vec::new(),
        Prints::Json => {
            let value: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            ensure!(value["schema"].is_string(), "the JSON names no schema");
            Vec::new()
        }
        Prints::Report => schema.check(&output.stdout)?,
    };
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The dumps; fails where there are none.
fn dumps() -> anyhow::Result<Vec<PathBuf>> {
    let corpus = std::env::var_os("PAGEHOUND_CORPUS")
        .map_or_else(|| crate::root().join("../shared/corpus"), PathBuf::from);
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

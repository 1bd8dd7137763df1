//! Every command over the demo dump, and over the corpus's dumps of 6.1 on
//! x86_64.

use crate::check::Schema;
use anyhow::{Context, ensure};
use std::ffi::OsString;
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
    /// JSON, an object a line.
    Lines,
    /// A report that is sound.
    Report,
}

/// Runs the commands of `binary`; fails at the first that does not answer.
pub(crate) fn run(binary: &Path) -> anyhow::Result<()> {
    let schema = Schema::new()?;
    let dumps = dumps()?;
    let mut runs = 0;
    for dump in &dumps {
        let name = dump.file_name().unwrap_or_default().to_string_lossy();
        let words = Words {
            dump,
            truth: dump.with_extension("truth.txt"),
            slab: slab(binary, dump)?,
        };
        // What the corpus says of itself: leaks are planted in all but one.
        let verdict = i32::from(!name.starts_with("healthy"));
        for (line, status, prints) in commands(verdict) {
            let start = Instant::now();
            let args = line.split(' ').map(|word| words.of(word));
            let output = Command::new(binary).args(args).output();
            let output = output.with_context(|| binary.display().to_string())?;
            let what = format!("{name}: pagehound {line}");
            check(&output, status, prints, &schema).with_context(|| what.clone())?;
            println!("{:6.2} s  {what}", start.elapsed().as_secs_f64());
            runs += 1;
        }
    }
    println!("{runs} commands on {} dumps answered", dumps.len());
    Ok(())
}

/// Command lines, the status each must end with, and what it prints.
fn commands(verdict: i32) -> [(&'static str, i32, Prints); 31] {
    use Prints::{Json, Lines, Report, Text};
    [
        ("DUMP", verdict, Text),
        ("diagnose DUMP", verdict, Text),
        ("diagnose DUMP --json", verdict, Report),
        ("diagnose DUMP --json --threads 1", verdict, Report),
        ("diagnose DUMP --json --fail-on never", 0, Report),
        ("ledger DUMP", 0, Text),
        ("ledger DUMP --json", 0, Json),
        ("pages DUMP", 0, Text),
        ("pages DUMP --each --class slab", 0, Text),
        ("pages DUMP --state held --format jsonl", 0, Lines),
        ("why DUMP SLAB", 0, Text),
        ("why DUMP SLAB --json", 0, Json),
        ("search DUMP --text Linux", 0, Text),
        ("search DUMP --text Linux --state accounted", 0, Text),
        (
            "search DUMP --regex Linux.version --in kernel_image -p",
            0,
            Text,
        ),
        ("log DUMP", 0, Text),
        ("log DUMP -T --level info+", 0, Text),
        ("net DUMP", 0, Text),
        ("net DUMP --json", 0, Json),
        ("info DUMP", 0, Text),
        ("info DUMP --json", 0, Json),
        ("diff DUMP DUMP --json", 0, Json),
        ("read DUMP --physical SLAB000 16", 0, Text),
        ("diagnose TRUTH --json", 0, Report),
        ("ledger TRUTH", 0, Text),
        ("ledger TRUTH --json", 0, Json),
        ("ledger TRUTH --classic", 0, Text),
        ("known --json", 0, Json),
        ("diagnose DUMP --md --redact", verdict, Text),
        ("capture DUMP -o /dev/null", 0, Text),
        ("capture DUMP -o /dev/null --redact", 0, Text),
    ]
}

/// What the words in capitals stand for.
struct Words<'a> {
    dump: &'a Path,
    /// What the guest's own /proc said just before the dump.
    truth: PathBuf,
    /// Number of a frame that holds a slab, which no dump level leaves out.
    slab: u64,
}

impl Words<'_> {
    fn of(&self, word: &str) -> OsString {
        match word {
            "DUMP" => self.dump.into(),
            "TRUTH" => (&self.truth).into(),
            "SLAB" => format!("{:#x}", self.slab).into(),
            "SLAB000" => format!("{:x}000", self.slab).into(),
            _ => word.into(),
        }
    }
}

/// The first frame of the class in `pages`.
fn slab(binary: &Path, dump: &Path) -> anyhow::Result<u64> {
    let mut pages = Command::new(binary);
    let output = pages
        .arg("pages")
        .arg(dump)
        .args(["--class", "slab"])
        .output()?;
    let rows = String::from_utf8(output.stdout)?;
    let row = rows.lines().nth(1).context("pages: no slab")?;
    let pfn = row.split(',').next().unwrap_or_default();
    pfn.parse().with_context(|| format!("pages: {row}"))
}

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
        Prints::Lines => {
            for line in String::from_utf8(output.stdout.clone())?.lines() {
                let value: serde_json::Value = serde_json::from_str(line)?;
                ensure!(value.is_object(), "no object: {line}");
            }
        }
        Prints::Report => {
            let wrong = schema.check(&output.stdout)?;
            ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    }
    Ok(())
}

/// The demo, and where there is a corpus its dumps of 6.1 on x86_64.
fn dumps() -> anyhow::Result<Vec<PathBuf>> {
    let mut dumps = vec![pagehound_testdata::demo()];
    let corpus = pagehound_testdata::corpus_folder();
    let entries = match std::fs::read_dir(&corpus) {
        Ok(entries) => entries,
        Err(error) => {
            println!("{}: {error}: only the demo dump is tried", corpus.display());
            return Ok(dumps);
        }
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("-6.1-x86_64") && name.ends_with(".kdump") {
            dumps.push(path);
        }
    }
    dumps.sort();
    Ok(dumps)
}

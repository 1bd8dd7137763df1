//! The lines that `why` prints, typed into crash and drgn: what they answer must be
//! what `why` says. The answers for the demo dump are kept for a test that needs
//! neither.

mod pages;
mod typed;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pagehound_testdata::evidence::{self, PageAnswers};
use pagehound_testdata::{Truth, demo};
use serde_json::Value;

use crate::bench;
use pages::Chosen;
use typed::Tools;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Dump of x86-64 with its truth beside it [default: the demo, whose answers
    /// are kept in tests/fixtures/why]
    dump: Option<PathBuf>,
    /// The dumped kernel with its debuginfo [default: downloaded]
    #[arg(long)]
    vmlinux: Option<PathBuf>,
    /// The pagehound that says why [default: the static binary, built first]
    #[arg(long, value_name = "FILE")]
    pagehound: Option<PathBuf>,
}

/// Asks, compares, and keeps the answers of the demo.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dump = arguments.dump.clone().unwrap_or_else(demo);
    let pagehound = match &arguments.pagehound {
        Some(binary) => binary.clone(),
        None => crate::ci::static_binary("pagehound")?,
    };
    let vmlinux = match &arguments.vmlinux {
        Some(vmlinux) => vmlinux.clone(),
        None => bench::vmlinux(&release(&pagehound, &dump)?)?,
    };
    let tools = Tools::new(&vmlinux, &dump)?;
    let truth = Truth::beside(&dump);
    let mut chosen = pages::planted(&truth);
    chosen.extend(pages::of_the_kernel(&tools)?);
    let mut told = Vec::new();
    for Chosen { pfn, what } in chosen {
        let why = ask(&pagehound, &dump, pfn)?;
        let lines = evidence::lines(&why).with_context(|| format!("page {pfn}"))?;
        told.push((pfn, what, why, lines));
    }
    let lines: Vec<_> = told.iter().flat_map(|(.., lines)| lines.clone()).collect();
    let mut answers = tools.answers(&lines)?.into_iter();
    let mut pages = Vec::new();
    let (mut compared, mut differences) = (0, Vec::new());
    for (pfn, what, why, lines) in &told {
        let page = PageAnswers {
            pfn: *pfn,
            what: what.clone(),
            answers: answers.by_ref().take(lines.len()).collect(),
        };
        match evidence::compare(why, &page) {
            Ok(answers) => compared += answers,
            Err(error) => differences.push(format!("{error:#}")),
        }
        pages.push(page);
    }
    let of = |tool: &str| lines.iter().filter(|(of, _)| of == tool).count();
    println!(
        "{} pages, {} lines in crash, {} in drgn; {compared} answers are what pagehound says",
        pages.len(),
        of("crash"),
        of("drgn"),
    );
    ensure!(
        differences.is_empty(),
        "{} pages differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    if arguments.dump.is_none() {
        let path = crate::root().join("tests/fixtures/why/demo.txt");
        std::fs::write(&path, evidence::write(&pages)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("kept in {}", path.display());
    }
    Ok(())
}

/// What `pagehound why` says of a page.
fn ask(pagehound: &Path, dump: &Path, pfn: u64) -> Result<Value> {
    let mut command = Command::new(pagehound);
    command.arg("why").arg(dump).arg(pfn.to_string());
    json(command.args(["--json", "--show-content"]))
}

fn release(pagehound: &Path, dump: &Path) -> Result<String> {
    let info = json(Command::new(pagehound).arg("info").arg(dump).arg("--json"))?;
    let release = info["release"]
        .as_str()
        .context("a dump without a release")?;
    Ok(release.to_owned())
}

fn json(command: &mut Command) -> Result<Value> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

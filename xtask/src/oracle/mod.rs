//! Dumps read by pagehound's own readers and by libkdumpfile: every page must be
//! the same in both.

mod cases;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use pagehound_vmcore::{Dump, FaultReason, PageState, Pfn};

use crate::bench::name;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Dumps to compare, each of one file [default: the demo, the corpus, and small
    /// dumps of every format that libkdumpfile reads]
    dumps: Vec<PathBuf>,
}

/// Compares them all.
///
/// # Errors
/// When a page differs, or libkdumpfile's headers are not installed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let oracle = Oracle::build(folder.path())?;
    let mut dumps: Vec<Vec<PathBuf>> = arguments
        .dumps
        .iter()
        .map(|dump| vec![dump.clone()])
        .collect();
    if dumps.is_empty() {
        dumps.push(vec![pagehound_testdata::demo()]);
        let corpus = crate::corpus();
        let files = fs::read_dir(&corpus).with_context(|| corpus.display().to_string())?;
        for file in files {
            let path = file?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "kdump")
            {
                dumps.push(vec![path]);
            }
        }
        dumps.sort();
        dumps.extend(cases::write(folder.path())?);
    }
    let mut differences = 0;
    for files in &dumps {
        let called: Vec<String> = files.iter().map(|file| name(file)).collect();
        let called = called.join(" + ");
        let compared = oracle.compare(files).with_context(|| called.clone())?;
        println!("{called}: {compared}");
        differences += compared.differ.len();
    }
    ensure!(differences == 0, "{differences} pages differ");
    Ok(())
}

/// What both have of a dump.
struct Compared {
    equal: u64,
    /// Frames that only the named one has, by an interpretation that both tell.
    differ: Vec<String>,
    /// Why libkdumpfile does not read it.
    refused: Option<String>,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(why) = &self.refused {
            return write!(f, "libkdumpfile does not read it: {why}");
        }
        write!(f, "{} pages are equal", self.equal)?;
        if !self.differ.is_empty() {
            write!(f, ", {} differ", self.differ.len())?;
        }
        self.differ
            .iter()
            .take(10)
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The program that reads with libkdumpfile.
struct Oracle {
    program: PathBuf,
}

/// What a reader has of a frame.
#[derive(PartialEq, Eq, Debug)]
enum Page {
    Hash(u64),
    Broken,
}

impl Oracle {
    fn build(folder: &Path) -> Result<Self> {
        let source = folder.join("pages.c");
        fs::write(&source, include_str!("pages.c"))?;
        let program = folder.join("pages");
        let status = Command::new("cc")
            .args(["-O2", "-Wall", "-Werror", "-o"])
            .arg(&program)
            .arg(&source)
            .arg("-lkdumpfile")
            .status()
            .context("cc")?;
        ensure!(
            status.success(),
            "cannot build with libkdumpfile: is it installed (libkdumpfile-dev)?"
        );
        Ok(Self { program })
    }

    fn compare(&self, files: &[PathBuf]) -> Result<Compared> {
        let dump = open(files)?;
        let end = dump.memory.end_pfn().0;
        // Further, for frames of which only it would know.
        let output = Command::new(&self.program)
            .arg(dump.memory.page_size().to_string())
            .arg((end + end / 8 + 64).to_string())
            .args(files)
            .stdin(Stdio::null())
            .output()
            .context("the program with libkdumpfile")?;
        let mut compared = Compared {
            equal: 0,
            differ: Vec::new(),
            refused: None,
        };
        if output.status.code() == Some(3) {
            let why = String::from_utf8_lossy(&output.stderr);
            compared.refused = Some(why.trim().to_owned());
            return Ok(compared);
        }
        ensure!(output.status.success(), "{output:?}");
        let mut theirs = parse(&String::from_utf8(output.stdout)?)?;
        for pfn in 0..end {
            let ours = page(&dump, pfn);
            let theirs = theirs.remove(&pfn);
            match (&ours, &theirs) {
                _ if ours == theirs => compared.equal += u64::from(ours.is_some()),
                _ => compared.differ.push(format!(
                    "frame {pfn:#x}: {:?} here, there {theirs:?}, {ours:?} here",
                    dump.memory.state(Pfn(pfn))
                )),
            }
        }
        let beyond = theirs
            .keys()
            .map(|pfn| format!("frame {pfn:#x}: only there"));
        compared.differ.extend(beyond);
        Ok(compared)
    }
}

fn open(files: &[PathBuf]) -> Result<Dump> {
    match files {
        [file] => Ok(pagehound_vmcore::open(file)?),
        _ => bail!("{} files", files.len()),
    }
}

fn page(dump: &Dump, pfn: u64) -> Option<Page> {
    let mut bytes = vec![0; dump.memory.page_size()];
    match dump.memory.read_page(Pfn(pfn), &mut bytes) {
        Ok(()) => {
            debug_assert_eq!(dump.memory.state(Pfn(pfn)), PageState::Present);
            let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            Some(Page::Hash(hash))
        }
        Err(fault) => match fault.reason {
            FaultReason::Excluded | FaultReason::Absent => None,
            FaultReason::Unreadable(_) => Some(Page::Broken),
        },
    }
}

fn parse(said: &str) -> Result<BTreeMap<u64, Page>> {
    let line = |line: &str| -> Result<(u64, Page)> {
        let (pfn, page) = line.split_once(' ').with_context(|| line.to_owned())?;
        let page = match page.strip_prefix('!') {
            Some(_) => Page::Broken,
            None => Page::Hash(u64::from_str_radix(page, 16)?),
        };
        Ok((pfn.parse()?, page))
    };
    said.lines().map(line).collect()
}

//! Dumps read by pagehound's own readers and by libkdumpfile: every page must be
//! the same in both. Flattened streams, which libkdumpfile does not know, are taken
//! apart for it by `makedumpfile -R`.

mod cases;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use pagehound_vmcore::{Dump, FaultReason, OpenOptions, PageState, Pfn};

use crate::paths::name;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Dumps to compare, each of one file [default: the demo, the corpus, and small
    /// dumps of every format that libkdumpfile reads, split ones too]
    dumps: Vec<PathBuf>,
}

/// Compares them all.
///
/// # Errors
/// When a page differs, or libkdumpfile's headers are not installed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let oracle = Oracle::build(folder.path())?;
    let (mut read, mut refused) = (0, 0);
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
        // It reads all of these; of others, not those by QEMU of arm64.
        let is_ours = files.iter().all(|file| file.starts_with(folder.path()));
        let called: Vec<String> = files.iter().map(|file| name(file)).collect();
        let called = called.join(" + ");
        let compared = oracle.compare(files).with_context(|| called.clone())?;
        println!("{called}: {compared}");
        differences += compared.differ.len();
        match compared.refused {
            None => read += 1,
            Some(why) if is_ours => bail!("{called}: libkdumpfile does not read it: {why}"),
            Some(_) => refused += 1,
        }
    }
    println!("{read} dumps compared, {refused} that libkdumpfile does not read");
    ensure!(read > 0, "libkdumpfile read none of them");
    ensure!(differences == 0, "{differences} pages differ");
    Ok(())
}

/// What both have of a dump.
struct Compared {
    equal: u64,
    /// A line for each frame that differs.
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
    /// For what is made of the dumps.
    folder: PathBuf,
}

/// What a reader has of a frame.
#[derive(PartialEq, Eq, Debug)]
enum Page {
    Hash(u64),
    Broken,
}

impl Page {
    /// FNV-1a, 64 bits.
    fn of(bytes: &[u8]) -> Self {
        Page::Hash(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
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
        Ok(Self {
            program,
            folder: folder.to_owned(),
        })
    }

    /// A dump as libkdumpfile can read it.
    fn plain(&self, file: &Path) -> Result<PathBuf> {
        let mut stream = File::open(file).with_context(|| file.display().to_string())?;
        let mut signature = [0; 13];
        let flattened =
            stream.read_exact(&mut signature).is_ok() && &signature == b"makedumpfile\0";
        if !flattened {
            return Ok(file.to_owned());
        }
        let plain = self.folder.join(format!("{}.plain", name(file)));
        stream.rewind()?;
        let status = Command::new("makedumpfile")
            .arg("-R")
            .arg(&plain)
            .stdin(stream)
            .stdout(Stdio::null())
            .status()
            .context("makedumpfile: is it installed?")?;
        ensure!(status.success(), "makedumpfile -R: {status}");
        Ok(plain)
    }

    fn compare(&self, files: &[PathBuf]) -> Result<Compared> {
        let dump = open(files)?;
        let end = dump.memory.end_pfn().0;
        let plain: Vec<PathBuf> = files
            .iter()
            .map(|file| self.plain(file))
            .collect::<Result<_>>()?;
        // Further, for frames of which only it would know.
        let output = Command::new(&self.program)
            .arg(dump.memory.page_size().to_string())
            .arg((end + end / 8 + 64).to_string())
            .args(plain)
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
        if let Some(signal) = output.status.signal() {
            compared.refused = Some(format!("it ends with signal {signal}"));
            return Ok(compared);
        }
        ensure!(output.status.success(), "{output:?}");
        let mut theirs = parse(&String::from_utf8(output.stdout)?)?;
        let zeroes = Page::of(&vec![0; dump.memory.page_size()]);
        for pfn in 0..end {
            let ours = page(&dump, pfn)?;
            let theirs = theirs.remove(&pfn);
            match (&ours, &theirs) {
                _ if ours == theirs => compared.equal += u64::from(ours.is_some()),
                // Of an ELF core it also has the page below a segment, as zeroes
                // (0.5.1), where the core has none.
                (None, Some(page)) if *page == zeroes && begins(&dump, pfn + 1) => {}
                _ => compared.differ.push(format!(
                    "frame {pfn:#x}: {:?} here, {ours:?}; there {theirs:?}",
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

/// Whether a segment of an ELF core begins with this frame.
fn begins(dump: &Dump, pfn: u64) -> bool {
    let segments = dump.info.segments.iter();
    let shift = dump.memory.page_shift();
    segments
        .map(|segment| segment.paddr.0 >> shift)
        .any(|first| first == pfn)
}

fn open(files: &[PathBuf]) -> Result<Dump> {
    Ok(match files {
        [file] => pagehound_vmcore::open(file)?,
        parts => OpenOptions::default().open_parts(parts)?,
    })
}

fn page(dump: &Dump, pfn: u64) -> Result<Option<Page>> {
    let mut bytes = vec![0; dump.memory.page_size()];
    match dump.memory.read_page(Pfn(pfn), &mut bytes) {
        Ok(()) => {
            ensure!(
                dump.memory.state(Pfn(pfn)) == PageState::Present,
                "frame {pfn:#x} can be read and is not present"
            );
            Ok(Some(Page::of(&bytes)))
        }
        Err(fault) => match fault.reason {
            FaultReason::Excluded | FaultReason::Absent => Ok(None),
            FaultReason::Unreadable(_) => Ok(Some(Page::Broken)),
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

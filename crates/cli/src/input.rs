//! From a target to what it is.

use crate::args::Target;
use crate::capture::{Capture, is_capture};
use crate::interrupt;
use crate::output;
use crate::progress::Bar;
use crate::saved;
use crate::spool::{self, STDIN};
use anyhow::{Context, anyhow, bail, ensure};
use pagehound_hunt::host::{HostFiles, host_folder, looks_like_host_files};
use pagehound_kernel::{KernelError, Searched};
use pagehound_live as live;
use pagehound_model::Report;
use pagehound_vmcore::{Advice, Dump, OpenError, OpenOptions, shell_path};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a target turns out to be.
pub(crate) enum Input {
    /// A host's counters; and how its memory is read, unless they are saved ones.
    Host {
        files: Box<HostFiles>,
        memory: Option<live::OpenOptions>,
    },
    /// A crash dump.
    Dump(Box<Dump>),
    /// A report that `diagnose --json` wrote.
    Report(Box<Report>),
    /// What `capture` wrote.
    Capture(Box<Capture>),
}

impl Input {
    /// Opens `target`; what it is shows in its first bytes. `parts` are the other files
    /// of a split dump. The memory of a live host is left to who needs it.
    pub(crate) fn open(
        target: &Target,
        parts: &[PathBuf],
        reading: Reading,
    ) -> anyhow::Result<Input> {
        target.check()?;
        if let Some(capture) = capture(target, parts)? {
            return Ok(Input::Capture(Box::new(capture)));
        }
        let host = |files, memory| Input::Host {
            files: Box::new(files),
            memory,
        };
        match target {
            Target::Live if parts.is_empty() => {
                return Ok(host(HostFiles::live()?, Some(reading.live)));
            }
            Target::Path(path) if parts.is_empty() => {
                if saved::is_json(path) {
                    return Ok(Input::Report(Box::new(saved::report(path)?)));
                }
                if let Some(files) = saved_host(path)? {
                    return Ok(host(files, None));
                }
            }
            _ => {}
        }
        Ok(Input::Dump(Box::new(open_dump(target, parts, reading)?)))
    }
}

/// What was saved of a host, if `path` is that: a file, a folder, or an archive.
fn saved_host(path: &Path) -> anyhow::Result<Option<HostFiles>> {
    if looks_like_host_files(&head(path)) {
        return Ok(Some(HostFiles::from_meminfo_path(path)?));
    }
    if host_folder(path).is_some() {
        return Ok(Some(HostFiles::from_folder(path)?));
    }
    // Opening a pipe would wait for somebody to write.
    let regular = std::fs::metadata(path).ok().filter(|it| it.is_file());
    let Some(length) = regular.map(|it| it.len()) else {
        return Ok(None);
    };
    let Ok(file) = std::fs::File::open(path) else {
        return Ok(None);
    };
    let bounds = live::saved::bounds(length);
    let saved = live::saved::open(Interruptible(file), bounds, path.to_owned());
    if interrupt::RAISED.load(Ordering::Relaxed) {
        return Err(KernelError::Interrupted.into());
    }
    let Some(saved) = saved? else {
        return Ok(None);
    };
    let mut files = HostFiles::of(&saved.files, path.display().to_string())?;
    files.problems.extend(saved.problems);
    Ok(Some(files))
}

/// A file that Ctrl-C ends.
struct Interruptible(std::fs::File);

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if interrupt::RAISED.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("interrupted"));
        }
        self.0.read(buffer)
    }
}

/// How memory is read: that of a dump, and that of a live host.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) dump: OpenOptions,
    pub(crate) live: live::OpenOptions,
}

/// The capture at `target`, if that is one; says on standard error of what it is.
pub(crate) fn capture(target: &Target, parts: &[PathBuf]) -> anyhow::Result<Option<Capture>> {
    let Target::Path(path) = target else {
        return Ok(None);
    };
    if !is_capture(path) {
        return Ok(None);
    }
    ensure!(
        parts.is_empty(),
        "{target}: a capture is no part of a dump; give it alone"
    );
    let capture = Capture::open(path)?;
    output::note(&format!(
        "{target}: {}",
        capture.header.told(&capture.report)
    ));
    Ok(Some(capture))
}

/// The dump at `target`, of which `parts` are other files, or the memory of this host;
/// fails where the target is a report, does not exist, or shows no memory.
pub(crate) fn dump(target: &Target, parts: &[PathBuf], reading: Reading) -> anyhow::Result<Dump> {
    target.check()?;
    open_dump(target, parts, reading)
}

/// The same for commands that print no warnings of their own: what is missing of the
/// file is said before anything is looked for in it.
pub(crate) fn dump_with_notes(
    target: &Target,
    parts: &[PathBuf],
    reading: Reading,
) -> anyhow::Result<Dump> {
    let dump = dump(target, parts, reading)?;
    if dump.info.incomplete || dump.info.missing_parts {
        for warning in &dump.info.warnings {
            output::note(&format!("{target}: {warning}"));
        }
    }
    Ok(dump)
}

fn open_dump(target: &Target, parts: &[PathBuf], reading: Reading) -> anyhow::Result<Dump> {
    let options = reading.dump;
    match target {
        Target::Live if parts.is_empty() => live::open(&reading.live).context("live"),
        Target::Live => bail!("live: this host is no part of a dump; give the files of one dump"),
        Target::Stdin => {
            ensure!(
                parts.is_empty(),
                "-: one part of a split dump cannot be piped; give all as files"
            );
            let file = spool::standard_input(with_pipe)?;
            let name = Path::new(STDIN);
            opened(|searched| pagehound_kernel::open_file(&file, name, options, searched))
        }
        Target::Path(path) if saved::is_json(path) => {
            bail!("{target}: JSON, such as a saved report; this command needs the dump itself")
        }
        Target::Path(path) if is_capture(path) => {
            bail!("{target}: a capture; this command needs the dump itself")
        }
        Target::Path(path) => {
            let mut paths = vec![path.clone()];
            paths.extend_from_slice(parts);
            opened(|searched| pagehound_kernel::open_parts(&paths, options, searched))
        }
    }
}

/// What `open` opens, with a bar while memory is searched for the kernel's pages, which
/// Ctrl-C ends.
fn opened(open: impl FnOnce(&Searched<'_>) -> Result<Dump, OpenError>) -> anyhow::Result<Dump> {
    let bar = Bar::new();
    let ended = AtomicBool::new(false);
    let dump = open(&|searched, all| {
        bar.at(searched, all);
        if !interrupt::RAISED.load(Ordering::Relaxed) {
            return ControlFlow::Continue(());
        }
        ended.store(true, Ordering::Relaxed);
        ControlFlow::Break(())
    });
    bar.end();
    if ended.into_inner() {
        return Err(KernelError::Interrupted.into());
    }
    dump.map_err(with_pipe)
}

/// The error, and how to read what is packed without unpacking it to a file.
fn with_pipe(error: OpenError) -> anyhow::Error {
    let OpenError::Unsupported {
        path,
        what,
        advice: Advice::Run { command, pipe },
    } = &error
    else {
        return error.into();
    };
    let refused = |advice: String| {
        anyhow!(
            "{}: {what} cannot be read directly; {advice}",
            path.display()
        )
    };
    match pipe {
        Some(pipe) if path == Path::new(STDIN) => refused(format!(
            "unpack it in the pipe: {} | pagehound diagnose -",
            pipe.replace("{}", "FILE")
        )),
        None if path == Path::new(STDIN) => {
            refused(format!("run: {}", command.replace("{}", "FILE")))
        }
        Some(pipe) => {
            let pipe = pipe.replace("{}", &shell_path(path));
            anyhow!("{error}; or without a copy: {pipe} | pagehound diagnose -")
        }
        None => error.into(),
    }
}

/// Says what to do where `dump`, at `target`, is a part of one that a command takes one
/// file of.
pub(crate) fn note_part(target: &Target, dump: &Dump) {
    if dump.info.missing_parts {
        output::note(&format!(
            "{target}: one file of a split dump, and no more than one can be given here: give the report \
             that `pagehound diagnose --json` makes of all, or join them with makedumpfile --reassemble"
        ));
    }
}

/// The first bytes of the file, or none: opening it will say why.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // A folder cannot be read, and a pipe must not be.
    let regular = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if let Some(file) = regular.then(|| std::fs::File::open(path).ok()).flatten() {
        let _ = file.take(4096).read_to_end(&mut head);
    }
    head
}

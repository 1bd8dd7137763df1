//! From a target to what it is.

use crate::args::Target;
use crate::saved;
use crate::spool;
use anyhow::{bail, ensure};
use pagehound_hunt::host::{HostFiles, looks_like_host_files};
use pagehound_model::Report;
use pagehound_vmcore::{Dump, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a target turns out to be.
pub(crate) enum Input {
    /// The kernel's counters, live or saved.
    Host(Box<HostFiles>),
    /// A crash dump.
    Dump(Box<Dump>),
    /// A report that `diagnose --json` wrote.
    Report(Box<Report>),
}

impl Input {
    /// Opens `target`; what it is shows in its first bytes. A dump is read as
    /// `options` say; `parts` are its other files if it is split.
    pub(crate) fn open(
        target: &Target,
        parts: &[PathBuf],
        options: OpenOptions,
    ) -> anyhow::Result<Input> {
        target.check()?;
        Ok(match target {
            Target::Live if parts.is_empty() => Input::Host(Box::new(HostFiles::live()?)),
            Target::Path(path) if parts.is_empty() && saved::is_json(path) => {
                Input::Report(Box::new(saved::report(path)?))
            }
            Target::Path(path) if parts.is_empty() && looks_like_host_files(&head(path)) => {
                Input::Host(Box::new(HostFiles::from_meminfo_path(path)?))
            }
            _ => Input::Dump(Box::new(open_dump(target, parts, options)?)),
        })
    }
}

/// The dump at `target`, of which `parts` are other files; fails where it is this host,
/// a report, or does not exist.
pub(crate) fn dump(target: &Target, parts: &[PathBuf]) -> anyhow::Result<Dump> {
    target.check()?;
    open_dump(target, parts, OpenOptions::default())
}

fn open_dump(target: &Target, parts: &[PathBuf], options: OpenOptions) -> anyhow::Result<Dump> {
    match target {
        Target::Live if parts.is_empty() => {
            bail!("live: this command needs a dump; give the path of one")
        }
        Target::Live => bail!("live: this host is no part of a dump; give the files of one dump"),
        Target::Stdin => {
            ensure!(
                parts.is_empty(),
                "-: one part of a split dump cannot be piped; give all as files"
            );
            let file = spool::standard_input()?;
            let name = Path::new("-");
            Ok(pagehound_kernel::open_file(&file, name, options)?)
        }
        Target::Path(path) if saved::is_json(path) => {
            bail!("{target}: JSON, such as a saved report; this command needs the dump itself")
        }
        Target::Path(path) => {
            let mut paths = vec![path.clone()];
            paths.extend_from_slice(parts);
            Ok(pagehound_kernel::open_parts(&paths, options)?)
        }
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

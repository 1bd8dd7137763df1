//! From a target to what it is.

use crate::args::Target;
use crate::saved;
use pagehound_hunt::host::{HostFiles, looks_like_host_files};
use pagehound_model::Report;
use pagehound_vmcore::{Dump, OpenOptions};
use std::io::Read;
use std::path::Path;

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
    /// `options` say.
    pub(crate) fn open(target: &Target, options: OpenOptions) -> anyhow::Result<Input> {
        target.check()?;
        Ok(match target {
            Target::Live => Input::Host(Box::new(HostFiles::live()?)),
            Target::Path(path) if saved::is_json(path) => {
                Input::Report(Box::new(saved::report(path)?))
            }
            Target::Path(path) if looks_like_host_files(&head(path)) => {
                Input::Host(Box::new(HostFiles::from_meminfo_path(path)?))
            }
            Target::Path(path) => {
                Input::Dump(Box::new(pagehound_kernel::open_with(path, options)?))
            }
        })
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

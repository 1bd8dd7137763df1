//! A capture: what is worth having of a host or a dump, small enough to send.
//!
//! It is an archive of tar in one stream of Zstandard, so that `tar --zstd -xf` unpacks it
//! into a folder that `pagehound ledger` takes, with these entries:
//!
//! | entry | what |
//! |---|---|
//! | `capture.json` | [`Header`](header::Header), schema `pagehound.capture/1`: of what, when, what is missing and why |
//! | `report.json` | the report of `diagnose` |
//! | `info.json`, `net.json` | what `info` and `net` print as JSON |
//! | `log` | the kernel's log, as `/dev/kmsg` has it |
//! | `pages.json`, `pages.map` | kinds of pages as rows of `pages`, and which frames are of which (`live::capture`) |
//! | `content.lime` | bytes of some pages of each finding, as a LiME image |
//! | `proc/…`, `sys/…` | files of a live host, under their own paths |
//!
//! Without pages, those entries are not there which tell of them.

mod content;
mod file;
mod header;
mod log;
mod make;
mod pages;
mod redact;

pub(crate) use file::{Capture, is_capture};
pub(crate) use header::Memory;
pub(crate) use make::{Files, Limits, of_files, of_kernel};
pub(crate) use pages::{CapturedPages, Known};

use anyhow::Context;
use pagehound_kernel::LogRecord;
use pagehound_vmcore::Dump;

impl Capture {
    /// What there is of the memory, for `what`.
    ///
    /// # Errors
    /// There is none of it, in one line that says why.
    pub(crate) fn memory(&self, what: &str) -> anyhow::Result<(&Memory, &CapturedPages)> {
        let memory = self.header.pages.as_ref().zip(self.pages.as_ref());
        memory.with_context(|| self.lacks(what))
    }

    /// Why `what` is not in the capture.
    pub(crate) fn lacks(&self, what: &str) -> String {
        let why = match self.header.missing.as_slice() {
            [] => String::new(),
            some => format!(": {}", some.join("; ")),
        };
        format!("this capture has no {what}{why}")
    }

    /// The kernel's log, if it is there.
    pub(crate) fn log(&self) -> Option<Vec<LogRecord>> {
        self.log.as_deref().map(log::records)
    }

    /// The sampled pages as memory.
    ///
    /// # Errors
    /// There are none; or what there is cannot be read.
    pub(crate) fn content(&self) -> anyhow::Result<Dump> {
        let (memory, _) = self.memory("pages")?;
        let content = self.content.as_deref();
        let content = content.with_context(|| self.lacks("bytes of pages"))?;
        content::memory(content, memory.page_size.ilog2())
    }
}

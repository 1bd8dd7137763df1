//! Where a host's memory is, from the kernel's own counters: no dump, and on most
//! kernels no privilege needed.
//!
//! [`HostFiles`] holds the text of `/proc/meminfo` and its companions, live or saved.
//! [`classic`] is the formula people work out by hand, step by step, and what it
//! misses; [`ledger`] is the table that adds up to MemTotal. Both come from the same
//! list of terms, so the corrected figure of one is the `unaccounted` row of the other.

mod allocations;
mod balloon;
mod below;
mod classic;
mod facts;
mod files;
mod ledger;
mod live;
mod nodes;
mod page_size;
mod parts;
mod saved;
mod sos;
mod terms;
#[cfg(test)]
mod tests;
mod vmalloc;

pub use allocations::HostAllocation;
pub use below::BelowRow;
pub use classic::{Classic, Note, Sign, Step, classic};
pub use files::{HostFiles, host_folder, looks_like_host_files};
pub use ledger::{HostLedger, HostRow, UNACCOUNTED, ledger};
pub use nodes::NodeRow;
pub use parts::{Bound, Part};

use pagehound_procfs::{ParseError, Unread};
use std::path::PathBuf;

/// Largest counter that is believed, in kB: 64 PiB, 16 times what the page tables of
/// any architecture reach. Counters that fell below zero print as about 2^64.
const MAX_KB: u64 = 1 << 46;

/// Why a host's files give no answer.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The file could not be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is longer than any text of /proc.
    #[error("{}: longer than {limit} bytes: give a saved /proc/meminfo", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Longest file that is read, in bytes.
        limit: u64,
    },
    /// The meminfo is not one.
    #[error("{origin}: {error}")]
    Parse {
        /// Where the text came from.
        origin: String,
        /// What was wrong with it.
        error: ParseError,
    },
    /// The sections of the file do not include a meminfo.
    #[error("{origin}: no section `== meminfo`; add one with what /proc/meminfo says")]
    NoSection {
        /// Where the text came from.
        origin: String,
    },
    /// The files do not include a meminfo.
    #[error(
        "{origin}: meminfo: {reason}; give a folder with proc/meminfo in it, or the file itself"
    )]
    NoMeminfo {
        /// Where they came from.
        origin: String,
        /// Why there is none.
        reason: Unread,
    },
    /// A field nothing can be said without.
    #[error(
        "{origin}: meminfo has no {field} in kB; give all of /proc/meminfo, as the kernel prints it"
    )]
    Missing {
        /// Where the text came from.
        origin: String,
        /// The field.
        field: &'static str,
    },
    /// A field nothing can be said without has a value no machine has.
    #[error("{origin}: meminfo says {field} is {kb} kB, more than any machine has")]
    Implausible {
        /// Where the text came from.
        origin: String,
        /// The field.
        field: &'static str,
        /// Its value.
        kb: u64,
    },
}

//! What was saved of a host elsewhere and packed: an archive of sos, or of copies of
//! `/proc` and `/sys`.
//!
//! Archives of sos (sos 4.12, `sos/archive.py`) have one folder at the top, and in it
//! `proc`, `sys`, `sos_commands` and what else was collected; they are packed with xz,
//! before that with gzip.

mod packing;
#[cfg(test)]
mod tests;
mod wanted;

use crate::tar::{Archive, Bounds, looks_like_tar};
use packing::Packing;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

/// Bytes read at once of the packed file.
const CHUNK: usize = 64 << 10;

/// The first of these bytes tell whether an archive was packed.
const HEAD: u64 = 512;

/// Bytes that are unpacked whatever the length of the file: some seconds' work.
const UNPACKED: u64 = 256 << 20;

/// And so many times its length: what sos packs is ten times as long unpacked, more where
/// logs are mostly empty.
const RATIO: u64 = 512;

/// What lies in the folder with `proc` in it.
const MEMINFO: &str = "proc/meminfo";

/// A host's files out of an archive.
#[derive(Debug)]
pub struct SavedHost {
    /// The files, from the folder that `proc` lies in.
    pub files: Archive,
    /// What of the archive could not be read; sentences.
    pub problems: Vec<String>,
}

/// Why an archive is not taken for a host's files.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has none, or none before where reading ended.
    #[error(
        "{}: an archive without proc/meminfo{}; give one that sos made, or of copies of /proc and /sys; \
         what else is in it must be unpacked first",
        path.display(),
        stopped.as_ref().map_or(String::new(), |reason| format!(" ({reason})"))
    )]
    NoHost {
        /// The file.
        path: PathBuf,
        /// Why it was not read to its end.
        stopped: Option<String>,
    },
    /// Nobody knows which is meant.
    #[error("{}: an archive of more than one host ({first}, {second}): unpack it and give one folder", path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// The folder of one.
        first: String,
        /// The folder of another.
        second: String,
    },
}

/// How far a file of `length` bytes is unpacked: what is in proportion to it.
pub fn bounds(length: u64) -> Bounds {
    let unpacked = length.saturating_mul(RATIO).saturating_add(UNPACKED);
    let default = Bounds::default();
    Bounds {
        bytes: unpacked.min(default.bytes),
        ..default
    }
}

/// The host's files in `packed`, the file at `path`; none if it is no tar archive,
/// packed or not.
///
/// # Errors
/// It cannot be read, or has no such files.
pub fn open(
    packed: impl Read,
    bounds: Bounds,
    path: PathBuf,
) -> Result<Option<SavedHost>, SavedError> {
    let (unpacked, head) = match begin(packed) {
        Ok(begin) => begin,
        Err(source) => return Err(SavedError::Io { path, source }),
    };
    if !looks_like_tar(&head) {
        return Ok(None);
    }
    let whole = head.as_slice().chain(unpacked);
    let mut files = Archive::read(whole, bounds, wanted::wanted);
    files.below(&folder(&files, path)?);
    let problems = problems(&files, bounds);
    Ok(Some(SavedHost { files, problems }))
}

/// What is unpacked of `packed`, and its first bytes; none where that fails at once.
fn begin<'a>(packed: impl Read + 'a) -> io::Result<(Box<dyn Read + 'a>, Vec<u8>)> {
    let mut packed = BufReader::with_capacity(CHUNK, packed);
    let packing = Packing::of(packed.fill_buf()?);
    let mut unpacked = packing.unpack(packed)?;
    let mut head = Vec::new();
    // A packed dump that is broken is refused as one that is whole.
    let read = unpacked.by_ref().take(HEAD).read_to_end(&mut head);
    if packing == Packing::Not {
        read?;
    }
    Ok((unpacked, head))
}

/// The only folder that has a host's files.
fn folder(files: &Archive, path: PathBuf) -> Result<String, SavedError> {
    let mut folders = files.paths().filter_map(|path| {
        let folder = path.strip_suffix(MEMINFO)?;
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        Some(folder.to_owned())
    });
    let Some(first) = folders.next() else {
        let stopped = files.stopped.as_ref().map(ToString::to_string);
        return Err(SavedError::NoHost { path, stopped });
    };
    match folders.next() {
        Some(second) => Err(SavedError::Several {
            path,
            first,
            second,
        }),
        None => Ok(first),
    }
}

fn problems(files: &Archive, bounds: Bounds) -> Vec<String> {
    let stopped = files.stopped.as_ref();
    let stopped = stopped.map(|reason| format!("{reason}: what lies behind that is not counted"));
    let left_out = (files.left_out > 0).then(|| {
        format!(
            "{} entries of the archive have names that lead out of it or are too long; left out",
            files.left_out
        )
    });
    let not_kept = (files.not_kept > 0).then(|| {
        format!(
            "{} files of the archive would not fit in {} MiB; left out",
            files.not_kept,
            bounds.kept >> 20
        )
    });
    [stopped, left_out, not_kept]
        .into_iter()
        .flatten()
        .collect()
}

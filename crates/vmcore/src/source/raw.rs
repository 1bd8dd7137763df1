//! The file on disk.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use memmap2::Mmap;

use super::ReadError;
use super::map::map_file;

/// A file, mapped where that is possible.
pub(crate) struct RawFile {
    file: File,
    mapped: Option<Mmap>,
    len: u64,
}

impl RawFile {
    /// Opens a regular file, mapped if `map` says so, or a block device.
    pub(crate) fn open(path: &Path, map: bool) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_file() {
            let len = meta.len();
            let mapped = if map && !is_in_proc(&meta) {
                map_file(&file, len)
            } else {
                None
            };
            return Ok(Self { file, mapped, len });
        }
        // A block device says its size only to a seek. A pipe cannot seek.
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            mapped: None,
            len,
        })
    }

    /// Length at open, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// See [`Source::slice_at`](super::Source::slice_at).
    pub(super) fn slice_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.mapped.as_ref()?.get(start..start.checked_add(len)?)
    }

    /// See [`Source::read_at`](super::Source::read_at).
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        match self.slice_at(offset, buf.len()) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => self.copy_at(offset, buf),
        }
    }

    /// See [`Source::copy_at`](super::Source::copy_at).
    pub(crate) fn copy_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(ReadError::PastEnd {
                offset,
                len,
                end: self.len,
            });
        }
        self.file
            .read_exact_at(buf, offset)
            .map_err(|e| ReadError::Io(offset, e))
    }
}

/// Whether the file is the kernel's own, such as `/proc/vmcore`: the kernel
/// would set up page tables for all of it at once, which the little memory of a
/// kdump kernel does not hold.
fn is_in_proc(meta: &Metadata) -> bool {
    fs::metadata("/proc").is_ok_and(|proc| proc.dev() == meta.dev())
}

//! The file on disk.

use std::fs::{File, Metadata, metadata};
use std::io::{self, Seek};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

use memmap2::Mmap;
use rustix::fs::{self, SeekFrom};
use rustix::io::Errno;

use super::ReadError;
use super::map::map_file;

/// A file, mapped where that is possible.
pub(crate) struct RawFile {
    file: File,
    mapped: Option<Mmap>,
    len: u64,
}

impl RawFile {
    /// A regular file, mapped if `map` says so, or a block device.
    pub(crate) fn new(mut file: File, map: bool) -> io::Result<Self> {
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
        let len = file.seek(io::SeekFrom::End(0))?;
        Ok(Self {
            file,
            mapped: None,
            len,
        })
    }

    /// What of the file is no hole, ascending; at most `most` parts. Where the file
    /// system does not tell, all of it.
    pub(crate) fn parts(&self, most: usize) -> io::Result<Vec<Range<u64>>> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < self.len && parts.len() < most {
            let start = match fs::seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break, // nothing but a hole from here on
                Err(Errno::INVAL) if at == 0 => 0,
                Err(error) => return Err(error.into()),
            };
            let end = fs::seek(&self.file, SeekFrom::Hole(start)).unwrap_or(self.len);
            let end = end.min(self.len);
            if start < end {
                parts.push(start..end);
            }
            at = end.max(at + 1);
        }
        Ok(parts)
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
    metadata("/proc").is_ok_and(|proc| proc.dev() == meta.dev())
}

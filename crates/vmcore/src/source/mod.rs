//! The bytes of a container, whatever they lie in: a mapped file, a file that
//! can only be read, or either of them inside makedumpfile's flattened stream or
//! Snappy's frames.

mod flat;
mod framed;
mod map;
mod raw;

use std::cell::Cell;
use std::io;

pub(crate) use flat::{FLAT_SIGNATURE, FlatIndex};
pub(crate) use framed::{FrameIndex, STREAM_IDENTIFIER, Walked};
pub(crate) use raw::RawFile;

/// Why bytes of a container could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Beyond the last byte.
    #[error(
        "offset {offset:#x} + {len:#x} lies beyond the end of the file ({end:#x}): the file is cut short"
    )]
    PastEnd {
        /// Where the read began.
        offset: u64,
        /// How many bytes were asked for.
        len: u64,
        /// Length of the container.
        end: u64,
    },
    /// A range that a flattened stream never wrote.
    #[error(
        "offset {0:#x} was never written: the flattened stream breaks off before it, or a record of it is lost"
    )]
    NeverWritten(u64),
    /// Packed bytes that cannot be unpacked.
    #[error("what is packed at offset {0:#x} is damaged: {1}")]
    Damaged(u64, String),
    /// The operating system refused.
    #[error("reading at offset {0:#x}: {1}")]
    Io(u64, #[source] io::Error),
}

/// What is told where [`Source::is_cut_short`].
pub(crate) const CUT_SHORT: &str = "the flattened stream breaks off before its end record";

/// Random access to the bytes of a container, from any thread.
pub(crate) struct Source {
    raw: RawFile,
    layer: Layer,
}

/// What lies between the container and the file.
enum Layer {
    Nothing,
    Flat(FlatIndex),
    Framed(FrameIndex),
}

thread_local! {
    /// Where [`Source::with_bytes`] reads what it cannot borrow.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Source {
    /// The file as it is.
    pub(crate) fn plain(raw: RawFile) -> Self {
        Self {
            raw,
            layer: Layer::Nothing,
        }
    }

    /// The file that a flattened stream describes.
    pub(crate) fn flattened(raw: RawFile, index: FlatIndex) -> Self {
        Self {
            raw,
            layer: Layer::Flat(index),
        }
    }

    /// What is packed in the file's frames.
    pub(crate) fn framed(raw: RawFile, index: FrameIndex) -> Self {
        Self {
            raw,
            layer: Layer::Framed(index),
        }
    }

    /// The file itself.
    pub(crate) fn into_raw(self) -> RawFile {
        self.raw
    }

    /// Length in bytes; of a flattened stream, of the file it describes; of frames,
    /// of what they hold.
    pub(crate) fn len(&self) -> u64 {
        match &self.layer {
            Layer::Nothing => self.raw.len(),
            Layer::Flat(flat) => flat.end(),
            Layer::Framed(framed) => framed.end(),
        }
    }

    /// Bytes of memory that say where what lies in the file.
    pub(crate) fn index_bytes(&self) -> u64 {
        match &self.layer {
            Layer::Nothing => 0,
            Layer::Flat(flat) => flat.index_bytes(),
            Layer::Framed(framed) => framed.index_bytes(),
        }
    }

    fn flat(&self) -> Option<&FlatIndex> {
        match &self.layer {
            Layer::Flat(flat) => Some(flat),
            _ => None,
        }
    }

    /// Bytes that lie on disk: no table can be longer than this, whatever a
    /// header or a record's offset claims.
    pub(crate) fn stored_len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether the bytes come out of a flattened stream.
    pub(crate) fn is_flattened(&self) -> bool {
        self.flat().is_some()
    }

    /// The same where a flattened stream leaves no holes from `offset` on: there they
    /// are no zeroes, but missing.
    pub(crate) fn without_holes_from(mut self, offset: u64) -> Self {
        if let Layer::Flat(flat) = &mut self.layer {
            flat.forbid_holes_from(offset);
        }
        self
    }

    /// Whether bytes `offset..offset + len` lie in a hole that is none of zeroes, in part.
    pub(crate) fn has_hole(&self, offset: u64, len: u64) -> bool {
        self.flat().is_some_and(|flat| flat.has_hole(offset, len))
    }

    /// Whether a flattened stream writes bytes from `offset` on more than once.
    pub(crate) fn is_written_twice_from(&self, offset: u64) -> bool {
        self.flat()
            .is_some_and(|flat| flat.written_twice() > offset)
    }

    /// Whether a flattened stream breaks off before its end record.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.flat().is_some_and(|flat| !flat.is_complete())
    }

    /// Bytes `offset..offset + len` where they lie in one piece in mapped memory.
    pub(crate) fn slice_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        match &self.layer {
            Layer::Nothing => self.raw.slice_at(offset, len),
            Layer::Flat(flat) => self.raw.slice_at(flat.locate(offset, len as u64)?, len),
            Layer::Framed(_) => None,
        }
    }

    /// Fills `buf` with the bytes from `offset` on.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        match &self.layer {
            Layer::Nothing => self.raw.read_at(offset, buf),
            Layer::Flat(flat) => flat.read_at(&self.raw, offset, buf),
            Layer::Framed(framed) => framed.read_at(&self.raw, offset, buf),
        }
    }

    /// As [`read_at`](Self::read_at), past the mapping: for bytes that are read
    /// once and many at a time. Copying them costs less than the page faults of a
    /// mapping, of which every page read would also stay mapped.
    pub(crate) fn copy_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        match &self.layer {
            Layer::Nothing => self.raw.copy_at(offset, buf),
            Layer::Flat(flat) => match flat.locate(offset, buf.len() as u64) {
                Some(at) => self.raw.copy_at(at, buf),
                None => flat.read_at(&self.raw, offset, buf),
            },
            Layer::Framed(framed) => framed.read_at(&self.raw, offset, buf),
        }
    }

    /// Hands bytes `offset..offset + len` to `f`, borrowed where possible, else
    /// from a buffer that each thread keeps. The caller bounds `len`.
    pub(crate) fn with_bytes<R>(
        &self,
        offset: u64,
        len: usize,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, ReadError> {
        if let Some(bytes) = self.slice_at(offset, len) {
            return Ok(f(bytes));
        }
        let mut buf = SCRATCH.take();
        buf.resize(len, 0);
        let result = self.read_at(offset, &mut buf).map(|()| f(&buf));
        SCRATCH.set(buf);
        result
    }

    /// Hands a copy of bytes `offset..offset + len` to `f`, made past the mapping,
    /// or nothing where they cannot be had. The caller bounds `len`.
    pub(crate) fn with_copy<R>(
        &self,
        offset: u64,
        len: usize,
        f: impl FnOnce(Option<&[u8]>) -> R,
    ) -> R {
        let mut buf = SCRATCH.take();
        buf.resize(len.max(buf.len()), 0);
        let copy = buf.get_mut(..len).unwrap_or_default();
        let result = match self.copy_at(offset, copy) {
            Ok(()) => f(Some(copy)),
            Err(_) => f(None),
        };
        SCRATCH.set(buf);
        result
    }

    /// As many of the bytes `offset..offset + len` as can be had, in order, up
    /// to the first that cannot. Never more than lie on disk.
    pub(crate) fn read_prefix(&self, offset: u64, len: u64) -> Vec<u8> {
        const CHUNK: u64 = 1 << 16;
        let len = len
            .min(self.len().saturating_sub(offset))
            .min(self.stored_len());
        let mut out = Vec::new();
        while (out.len() as u64) < len {
            let have = out.len();
            let want = CHUNK.min(len - have as u64) as usize;
            out.resize(have + want, 0);
            let Some(tail) = out.get_mut(have..) else {
                break;
            };
            if self.read_at(offset + have as u64, tail).is_err() {
                out.truncate(have);
                // A stream that breaks off may hold the beginning of the chunk.
                let written = self.flat().map_or(0, |flat| {
                    flat.written(offset + have as u64).min(want as u64)
                });
                out.resize(have + written as usize, 0);
                let tail = out.get_mut(have..).unwrap_or_default();
                if self.read_at(offset + have as u64, tail).is_err() {
                    out.truncate(have);
                }
                break;
            }
        }
        out
    }
}

//! Bytes packed into Snappy frames, as AVML writes them: chunks of at most 64 KiB,
//! each with a checksum, one behind the other. Where each chunk lies is noted once;
//! then any of them is unpacked by itself. The frame format is Google's
//! `framing_format.txt`.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use snap::read::FrameDecoder;

use super::{RawFile, ReadError};

/// What a stream begins with: a chunk of its own.
pub(crate) const STREAM_IDENTIFIER: &[u8; 10] = b"\xff\x06\0\0sNaPpY";
/// Type and length of a chunk.
const CHUNK_HEADER: u64 = 4;
const CHECKSUM: u64 = 4;
/// Bytes that a chunk holds unpacked, by the format.
const MOST_UNPACKED: u64 = 1 << 16;
/// Snappy's own bound for as many: 32 + n + n / 6.
const MOST_PACKED: u64 = 32 + MOST_UNPACKED + MOST_UNPACKED / 6;

/// Where chunks lie, by what they hold: unpacked and laid one behind the other.
pub(crate) struct FrameIndex {
    /// Ascending in both.
    chunks: Vec<Chunk>,
    /// Bytes in all chunks.
    end: u64,
    /// Tells this index's chunks from others' in [`LAST`].
    id: u64,
}

#[derive(Clone, Copy)]
struct Chunk {
    /// The first byte it holds.
    start: u64,
    /// Where its header lies in the file.
    at: u64,
}

/// How the walk over a stream ended.
pub(crate) enum Walked {
    /// All is there; the stream ends before this offset.
    Whole(u64),
    /// It breaks off or is damaged here.
    Broken(u64, String),
}

/// The chunk unpacked last: its neighbours are usually wanted next.
#[derive(Default)]
struct Unpacked {
    key: Option<(u64, u64)>,
    bytes: Vec<u8>,
    /// Has seen the stream's identifier, so that chunks can be fed to it.
    decoder: Option<FrameDecoder<Feed>>,
}

/// What the decoder is to unpack next.
#[derive(Default)]
struct Feed {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Feed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.read(buf)?;
        self.at += len;
        Ok(len)
    }
}

thread_local! {
    static LAST: RefCell<Unpacked> = RefCell::default();
}

impl FrameIndex {
    pub(crate) fn new() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Self {
            chunks: Vec::new(),
            end: 0,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Gives back the room that no chunk came for.
    pub(crate) fn shrink(&mut self) {
        self.chunks.shrink_to_fit();
    }

    /// Bytes in all chunks.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes of memory this takes.
    pub(super) fn index_bytes(&self) -> u64 {
        (self.chunks.capacity() * size_of::<Chunk>()) as u64
    }

    /// Adds the stream at `at`, which holds `len` bytes.
    pub(crate) fn add(&mut self, raw: &RawFile, at: u64, len: u64) -> Walked {
        // A chunk of real memory takes some KiB even if it is all zero; an index of
        // crumbs would need more memory than the file is long.
        let limit = (1 << 16) + raw.len() / 512;
        let until = self.end.saturating_add(len);
        let mut pos = at;
        loop {
            if self.end == until {
                return Walked::Whole(pos);
            }
            let (holds, next) = match chunk_at(raw, pos) {
                Ok(found) => found,
                Err(problem) => return Walked::Broken(pos, problem),
            };
            if holds > until - self.end {
                return Walked::Broken(pos, "a chunk holds more than its range".to_owned());
            }
            if holds > 0 {
                if self.chunks.len() as u64 >= limit {
                    let problem = format!("more than {limit} chunks");
                    return Walked::Broken(pos, problem);
                }
                self.chunks.push(Chunk {
                    start: self.end,
                    at: pos,
                });
                self.end += holds;
            }
            pos = next;
        }
    }

    /// Fills `buf` with unpacked bytes from `offset` on.
    pub(super) fn read_at(
        &self,
        raw: &RawFile,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.end) {
            return Err(ReadError::PastEnd {
                offset,
                len,
                end: self.end,
            });
        }
        let mut pos = offset;
        let mut rest = buf;
        let mut next = self.chunks.partition_point(|chunk| chunk.start <= offset);
        while !rest.is_empty() {
            let chunk = next.checked_sub(1).and_then(|at| self.chunks.get(at));
            let chunk = *chunk.ok_or(ReadError::NeverWritten(pos))?;
            let end = self.chunks.get(next).map_or(self.end, |chunk| chunk.start);
            let part = (end - pos).min(rest.len() as u64) as usize;
            let (to, tail) = rest.split_at_mut(part);
            LAST.with_borrow_mut(|last| {
                let bytes = last.load(self, raw, chunk, (end - chunk.start) as usize)?;
                let from = (pos - chunk.start) as usize;
                let from = bytes.get(from..from + to.len());
                to.copy_from_slice(from.ok_or(ReadError::NeverWritten(pos))?);
                Ok(())
            })?;
            pos += part as u64;
            rest = tail;
            next += 1;
        }
        Ok(())
    }
}

/// Bytes that the chunk at `pos` holds unpacked (none where it only fills room), and
/// where the next one lies.
fn chunk_at(raw: &RawFile, pos: u64) -> Result<(u64, u64), String> {
    let mut header = [0; 4];
    raw.read_at(pos, &mut header).map_err(|e| e.to_string())?;
    let [kind, low, middle, high] = header;
    let len = u64::from(u32::from_le_bytes([low, middle, high, 0]));
    let next = pos + CHUNK_HEADER + len;
    if next > raw.len() {
        return Err(format!("a chunk of {len} bytes goes on beyond the file"));
    }
    let data = len.checked_sub(CHECKSUM);
    let holds = match (kind, data) {
        (0x00, Some(data)) if data <= MOST_PACKED => unpacked_len(raw, pos + 8, data)?,
        (0x01, Some(data)) => data,
        // Padding, chunks that readers may skip, the identifier of a stream.
        (0x80..=0xfe, _) => 0,
        (0xff, Some(2)) => 0,
        _ => return Err(format!("a chunk of type {kind:#x} and {len} bytes")),
    };
    if holds > MOST_UNPACKED {
        return Err(format!(
            "a chunk of {holds} bytes, more than {MOST_UNPACKED}"
        ));
    }
    Ok((holds, next))
}

/// A block's length stands before it: seven bits a byte, lowest first.
fn unpacked_len(raw: &RawFile, at: u64, data: u64) -> Result<u64, String> {
    let mut bytes = [0; 5];
    let bytes = bytes.get_mut(..data.min(5) as usize).unwrap_or_default();
    raw.read_at(at, bytes).map_err(|e| e.to_string())?;
    let mut len = 0;
    for (index, byte) in bytes.iter().enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(len);
        }
    }
    Err("a chunk without a length".to_owned())
}

impl Unpacked {
    /// What `chunk` holds, `len` bytes, unpacked unless it is here already.
    fn load(
        &mut self,
        index: &FrameIndex,
        raw: &RawFile,
        chunk: Chunk,
        len: usize,
    ) -> Result<&[u8], ReadError> {
        let key = Some((index.id, chunk.at));
        if self.key != key {
            self.key = None;
            self.bytes.resize(len, 0);
            let mut decoder = match self.decoder.take() {
                Some(decoder) => decoder,
                None => identified(),
            };
            fetch(raw, chunk.at, decoder.get_mut())?;
            decoder
                .read_exact(&mut self.bytes)
                .map_err(|error| ReadError::Damaged(chunk.at, error.to_string()))?;
            // Only one that has read all it was given is fit for the next chunk.
            self.decoder = Some(decoder);
            self.key = key;
        }
        Ok(&self.bytes)
    }
}

/// A decoder at the begin of a stream.
fn identified() -> FrameDecoder<Feed> {
    let mut decoder = FrameDecoder::new(Feed {
        bytes: STREAM_IDENTIFIER.to_vec(),
        at: 0,
    });
    // There is nothing behind the identifier yet.
    let _ = decoder.read(&mut [0]);
    decoder
}

/// Gives the chunk at `at` to the decoder.
fn fetch(raw: &RawFile, at: u64, feed: &mut Feed) -> Result<(), ReadError> {
    let mut header = [0; 4];
    raw.copy_at(at, &mut header)?;
    let [_, low, middle, high] = header;
    let len = u64::from(u32::from_le_bytes([low, middle, high, 0])) + CHUNK_HEADER;
    // Checked when the index was made; a file rewritten since may say otherwise.
    let len = len.min(CHUNK_HEADER + CHECKSUM + MOST_PACKED);
    feed.at = 0;
    feed.bytes.resize(len as usize, 0);
    raw.copy_at(at, &mut feed.bytes)
}

//! makedumpfile's flattened stream (`makedumpfile -F`, and what QEMU's
//! `dump-guest-memory` writes for its kdump formats): records that say where
//! their bytes belong in the real file. Records come in any order, and later
//! ones overwrite earlier ones: headers are often rewritten at the end.

use zerocopy::byteorder::big_endian::I64;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{RawFile, ReadError};
use crate::error::Defect;
use crate::intervals::{Piece, first_after, overlay};

/// The first bytes of a flattened stream, zero-padded to 16.
pub(crate) const FLAT_SIGNATURE: &[u8; 16] = b"makedumpfile\0\0\0\0";
/// Where the first record lies.
const FIRST_RECORD: u64 = 4096;
/// `makedumpfile_header.type` and `.version`; there has only been one of each.
const TYPE_AND_VERSION: (i64, i64) = (1, 1);
/// Offset and size of the record that ends the stream.
const END: (i64, i64) = (-1, -1);

/// `struct makedumpfile_header`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FlatHeader {
    signature: [u8; 16],
    kind: I64,
    version: I64,
}

/// `struct makedumpfile_data_header`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RecordHeader {
    offset: I64,
    size: I64,
}

/// Which record holds which bytes of the real file.
pub(crate) struct FlatIndex {
    /// Disjoint, ascending; `at` is an offset in the stream.
    pieces: Vec<Piece>,
    complete: bool,
    /// Where the last byte that was written twice ends, or 0.
    written_twice: u64,
    /// From where on a gap between records is no hole of a sparse file.
    solid_from: u64,
    /// Such gaps, start and end, ascending.
    holes: Vec<(u64, u64)>,
}

impl FlatIndex {
    /// Reads every record's header. A stream that breaks off is an index of
    /// what is there, marked incomplete.
    pub(crate) fn read(raw: &RawFile) -> Result<Self, Defect> {
        let mut header = FlatHeader::new_zeroed();
        raw.read_at(0, header.as_mut_bytes()).map_err(|e| Defect {
            format: "flattened stream",
            field: "makedumpfile_header",
            offset: 0,
            problem: e.to_string(),
        })?;
        let found = (header.kind.get(), header.version.get());
        if found != TYPE_AND_VERSION {
            return Err(Defect {
                format: "flattened stream",
                field: "makedumpfile_header type and version",
                offset: 16,
                problem: format!("{found:?}, expected {TYPE_AND_VERSION:?}"),
            });
        }
        let mut pieces = Vec::new();
        let complete = Self::read_records(raw, &mut pieces)?;
        let written_twice = last_overlap(&pieces);
        let mut index = Self {
            pieces: overlay(pieces),
            complete,
            written_twice,
            solid_from: u64::MAX,
            holes: Vec::new(),
        };
        if !complete {
            // Nobody knows what would have come to lie there.
            index.forbid_holes_from(0);
        }
        Ok(index)
    }

    /// Collects the records; whether the end record was reached.
    fn read_records(raw: &RawFile, pieces: &mut Vec<Piece>) -> Result<bool, Defect> {
        const HEADER: u64 = size_of::<RecordHeader>() as u64;
        // Writers flush several KiB a record. An index of crumbs would need
        // more memory than the file is long.
        let limit = (1 << 20) + raw.len() / 512;
        let mut pos = FIRST_RECORD;
        loop {
            let mut header = RecordHeader::new_zeroed();
            if raw.read_at(pos, header.as_mut_bytes()).is_err() {
                return Ok(false);
            }
            let (offset, size) = (header.offset.get(), header.size.get());
            if (offset, size) == END {
                return Ok(true);
            }
            let (Ok(start), Ok(size)) = (u64::try_from(offset), u64::try_from(size)) else {
                // Damage: nothing after it can be found, what lies before it stands.
                return Ok(false);
            };
            let at = pos + HEADER;
            let stored = size.min(raw.len().saturating_sub(at));
            // Both below 2^63, so neither sum overflows.
            if stored > 0 {
                pieces.push(Piece {
                    start,
                    end: start + stored,
                    at,
                });
            }
            if stored < size {
                return Ok(false);
            }
            if pieces.len() as u64 > limit {
                return Err(Defect {
                    format: "flattened stream",
                    field: "record",
                    offset: pos,
                    problem: format!("more than {limit} records in a file of {} bytes", raw.len()),
                });
            }
            pos = at + size;
        }
    }

    /// Length of the real file, as far as records tell.
    pub(super) fn end(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    /// Bytes of memory this takes.
    pub(super) fn index_bytes(&self) -> u64 {
        let holes = self.holes.capacity() * size_of::<(u64, u64)>();
        (self.pieces.capacity() * size_of::<Piece>() + holes) as u64
    }

    /// Takes gaps from `offset` on for what is missing: a writer leaves none there.
    pub(super) fn forbid_holes_from(&mut self, offset: u64) {
        self.solid_from = self.solid_from.min(offset);
        let gaps = self.pieces.windows(2).filter_map(|pair| match pair {
            [a, b] => Some((a.end.max(self.solid_from), b.start)),
            _ => None,
        });
        self.holes = gaps.filter(|(start, end)| start < end).collect();
    }

    /// Whether bytes `offset..offset + len` meet a gap that is none of zeroes.
    pub(super) fn has_hole(&self, offset: u64, len: u64) -> bool {
        let after = self.holes.partition_point(|hole| hole.1 <= offset);
        let next = self.holes.get(after);
        next.is_some_and(|hole| hole.0 < offset.saturating_add(len))
    }

    /// Where the last byte that was written twice ends, or 0.
    pub(super) fn written_twice(&self) -> u64 {
        self.written_twice
    }

    /// Whether the stream has its end record.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Where in the stream bytes `offset..offset + len` lie, if in one piece.
    pub(super) fn locate(&self, offset: u64, len: u64) -> Option<u64> {
        let piece = self.pieces.get(first_after(&self.pieces, offset))?;
        let fits = piece.start <= offset && offset.checked_add(len)? <= piece.end;
        fits.then(|| piece.at + (offset - piece.start))
    }

    /// How many bytes from `offset` on were written without a hole.
    pub(super) fn written(&self, offset: u64) -> u64 {
        let mut end = offset;
        let from = first_after(&self.pieces, offset);
        for piece in self.pieces.get(from..).unwrap_or_default() {
            if piece.start > end {
                break;
            }
            end = piece.end;
        }
        end - offset
    }

    /// Fills `buf` from the real file's `offset` on. Gaps between records are
    /// holes of a sparse file and read as zero, where there may be any.
    pub(super) fn read_at(
        &self,
        raw: &RawFile,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        let Some(end) = offset.checked_add(len).filter(|&end| end <= self.end()) else {
            return Err(ReadError::PastEnd {
                offset,
                len,
                end: self.end(),
            });
        };
        let mut pos = offset;
        let mut rest = buf;
        let from = first_after(&self.pieces, offset);
        for piece in self.pieces.get(from..).unwrap_or_default() {
            if pos >= end {
                break;
            }
            let hole = piece.start.clamp(pos, end) - pos;
            if hole > 0 {
                if pos + hole > self.solid_from {
                    return Err(ReadError::NeverWritten(pos));
                }
                rest = split(rest, hole, |gap| {
                    gap.fill(0);
                    Ok(())
                })?;
                pos += hole;
            }
            let stored = piece.end.min(end).saturating_sub(pos);
            let at = piece.at + (pos.saturating_sub(piece.start));
            rest = split(rest, stored, |part| raw.read_at(at, part))?;
            pos += stored;
        }
        Ok(())
    }
}

/// Where the last byte ends that several pieces have, or 0.
fn last_overlap(pieces: &[Piece]) -> u64 {
    let mut spans: Vec<(u64, u64)> = pieces
        .iter()
        .map(|piece| (piece.start, piece.end))
        .collect();
    spans.sort_unstable();
    let (mut end, mut last) = (0, 0);
    for (start, until) in spans {
        if start < end {
            last = last.max(until.min(end));
        }
        end = end.max(until);
    }
    last
}

/// Hands the first `len` bytes of `buf` to `fill` and returns the others.
fn split(
    buf: &mut [u8],
    len: u64,
    fill: impl FnOnce(&mut [u8]) -> Result<(), ReadError>,
) -> Result<&mut [u8], ReadError> {
    let (part, rest) = buf.split_at_mut(buf.len().min(len as usize));
    fill(part)?;
    Ok(rest)
}

//! The file that a capture is: an archive of tar in one stream of Zstandard.

use std::io::{self, Cursor, Read, Write};

use pagehound_procfs::Recorded;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use crate::tar::TarWriter;

/// Of 22: of higher ones a capture becomes no smaller, but slower.
const LEVEL: i32 = 9;

/// log2 of the most bytes that unpacking looks back; what was packed by ourselves needs less.
const WINDOW: u32 = 27;

/// What a frame begins with, and of the byte that describes it the bit which says that a
/// checksum ends it (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
const CHECKSUM: u8 = 4;

/// Packs the entries, each with its path, as of `mtime`, in seconds since 1970. What the
/// format has no place for is left out: longer paths than any that are asked for.
///
/// # Errors
/// None that memory does not make.
pub fn pack<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a Recorded)>,
    mtime: u64,
) -> io::Result<Vec<u8>> {
    let mut out = Encoder::new(Vec::new(), LEVEL)?;
    // Whoever unpacks it is told of a broken one.
    out.include_checksum(true)?;
    let mut tar = TarWriter::new(out, mtime);
    for (path, entry) in entries {
        let put = match entry {
            Recorded::File(content) => tar.file(path, content),
            Recorded::Link(target) => tar.link(path, target),
        };
        match put {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            Err(error) => return Err(error),
        }
    }
    let mut out = tar.finish()?;
    out.flush()?;
    out.finish()
}

/// What is in a stream of Zstandard, from anybody. It must end with a checksum, without
/// which a damaged capture reads like a sound one.
///
/// # Errors
/// It is no such stream; reading tells what else is wrong with it.
pub fn unpack<R: Read>(mut packed: R) -> io::Result<impl Read> {
    let mut begin = [0; MAGIC.len() + 1];
    packed.read_exact(&mut begin)?;
    let [magic @ .., descriptor] = begin;
    if magic != MAGIC || descriptor & CHECKSUM == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not packed as captures are: by Zstandard, with a checksum",
        ));
    }
    let mut unpacked = Decoder::new(Cursor::new(begin).chain(packed))?;
    unpacked.window_log_max(WINDOW)?;
    Ok(unpacked)
}

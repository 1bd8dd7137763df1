//! The file that a capture is: an archive of tar in one stream of Zstandard.

use std::io::{self, Read, Write};

use pagehound_procfs::Recorded;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use crate::tar::TarWriter;

/// Of 22: of higher ones a capture becomes no smaller, but slower.
const LEVEL: i32 = 9;

/// log2 of the most bytes that unpacking looks back; what was packed by ourselves needs less.
const WINDOW: u32 = 27;

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

/// What is in a stream of Zstandard, from anybody.
///
/// # Errors
/// None that memory does not make; reading tells what is wrong with the stream.
pub fn unpack<R: Read>(packed: R) -> io::Result<impl Read> {
    let mut unpacked = Decoder::new(packed)?;
    unpacked.window_log_max(WINDOW)?;
    Ok(unpacked)
}

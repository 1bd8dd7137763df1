//! The file that a capture is: an archive of tar in one stream of Zstandard.

use std::io::{self, Write};

use zstd::stream::write::Encoder;

use crate::tar::TarWriter;

/// Of 22: of higher ones a capture becomes no smaller, but slower.
const LEVEL: i32 = 9;

/// What an archive has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A regular file.
    File(Vec<u8>),
    /// A symbolic link to this.
    Link(String),
}

/// Packs the entries, each with its path, as of `mtime`, in seconds since 1970. What the
/// format has no place for is left out; the paths of these are returned too.
///
/// # Errors
/// None that memory does not make.
pub fn pack<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a Entry)>,
    mtime: u64,
) -> io::Result<(Vec<u8>, Vec<&'a str>)> {
    let mut out = Encoder::new(Vec::new(), LEVEL)?;
    // Whoever unpacks it is told of a broken one.
    out.include_checksum(true)?;
    let mut tar = TarWriter::new(out, mtime);
    let mut left_out = Vec::new();
    for (path, entry) in entries {
        let put = match entry {
            Entry::File(content) => tar.file(path, content),
            Entry::Link(target) => tar.link(path, target),
        };
        match put {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => left_out.push(path),
            Err(error) => return Err(error),
        }
    }
    let mut out = tar.finish()?;
    out.flush()?;
    Ok((out.finish()?, left_out))
}

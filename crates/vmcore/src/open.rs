//! From a path to a dump, by the file's first bytes.

use std::path::Path;

use crate::error::OpenError;
use crate::source::{FLAT_SIGNATURE, FlatIndex, RawFile, Source};
use crate::{Dump, kdump};

/// Opens the dump at `path`, whatever its container.
///
/// # Errors
///
/// See [`OpenError`]. A dump that is merely incomplete opens; see
/// [`DumpInfo::incomplete`](crate::DumpInfo::incomplete).
pub fn open(path: &Path) -> Result<Dump, OpenError> {
    let raw = RawFile::open(path).map_err(|error| OpenError::Io {
        path: path.to_owned(),
        error,
    })?;
    let mut signature = [0; 16];
    let source = if raw.read_at(0, &mut signature).is_ok() && signature == *FLAT_SIGNATURE {
        let index = FlatIndex::read(&raw).map_err(|defect| defect.of(path))?;
        Source::flattened(raw, index)
    } else {
        Source::plain(raw)
    };
    let mut signature = [0; 8];
    if source.read_at(0, &mut signature).is_ok() && signature == *kdump::SIGNATURE {
        return kdump::open(source).map_err(|defect| defect.of(path));
    }
    Err(OpenError::NotADump {
        path: path.to_owned(),
        what: "unknown format".to_owned(),
        advice: "give a crash dump".to_owned(),
    })
}

//! Names of files, for people.

use std::path::Path;

/// A path without its folders.
pub(crate) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

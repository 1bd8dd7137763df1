//! What several test programs need.

use std::path::{Path, PathBuf};

/// A file of the corpus: real dumps with known contents.
pub(crate) fn corpus(file: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let path = std::env::var_os("PAGEHOUND_CORPUS")
        .map_or(default, PathBuf::from)
        .join(file);
    assert!(
        path.exists(),
        "{}: put the corpus of dumps there, or name its folder in PAGEHOUND_CORPUS",
        path.display()
    );
    path
}

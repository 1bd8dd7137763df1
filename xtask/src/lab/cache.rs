//! Where downloads and builds are kept: the user's cache folder, never the
//! checkout.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `$XDG_CACHE_HOME/pagehound/lab`, or `~/.cache/pagehound/lab`; created.
pub(super) fn root() -> Result<PathBuf> {
    folder("lab")
}

/// A folder called `name` beside it; created.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            let home = env::var_os("HOME")
                .context("neither XDG_CACHE_HOME nor HOME is set: set one to a writable folder")?;
            PathBuf::from(home).join(".cache")
        }
    };
    let dir = base.join("pagehound").join(name);
    create(&dir)?;
    Ok(dir)
}

/// Creates a folder with its parents; one that exists already is fine.
pub(super) fn create(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// Writes a file unless it already has this content, so that make(1) sees a
/// new time stamp only for what really changed.
pub(super) fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// The `lab` folder of the checkout this program was built from.
pub(super) fn sources() -> PathBuf {
    checkout().join("lab")
}

/// The root of the checkout this program was built from.
pub(super) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

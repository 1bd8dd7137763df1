//! Folders of `/sys` and `/proc/sys`, live or saved: bounded reads that stay below their root.
//!
//! `/sys` is made of links. In an archive they come from anybody: one that leads out
//! of the root would show this host for that one, and a pipe would be waited for.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest attribute of `/sys`: a page.
const MAX_ATTRIBUTE: u64 = 4096;

/// More entries than such a folder has.
const MAX_ENTRIES: usize = 1 << 13;

/// One line of text at `path` below `root`, without its newline; none if there is
/// none, or it leads out of `root`.
pub fn read_line(root: &Path, path: &str) -> Option<String> {
    Root::open(root).ok()?.text(path)
}

/// A folder all links must stay below.
pub(crate) struct Root(PathBuf);

impl Root {
    /// # Errors
    /// There is no such folder.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        path.canonicalize().map(Root)
    }

    /// Names in `folder` of the root, sorted.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(crate) fn names(&self, folder: &str) -> std::io::Result<Vec<String>> {
        let folder = self.resolve(folder).ok_or(std::io::ErrorKind::NotFound)?;
        let entries = std::fs::read_dir(folder)?.take(MAX_ENTRIES);
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// What `path` is when all links are followed; `None` outside the root.
    pub(crate) fn resolve(&self, path: &str) -> Option<PathBuf> {
        let path = self.0.join(path).canonicalize().ok()?;
        path.starts_with(&self.0).then_some(path)
    }

    /// Name of what the link at `path` leads to, whether or not that is there.
    pub(crate) fn link_name(&self, path: &str) -> Option<String> {
        let folder = self.resolve(Path::new(path).parent()?.to_str()?)?;
        let link = std::fs::read_link(folder.join(Path::new(path).file_name()?)).ok()?;
        link.file_name()?.to_str().map(str::to_owned)
    }

    /// The bytes of an attribute.
    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.resolve(path)?;
        // Opening a pipe would wait for somebody to write.
        std::fs::metadata(&path).ok()?.is_file().then_some(())?;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(MAX_ATTRIBUTE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The same as text without the newline at its end; none if it is empty.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let text = String::from_utf8(self.bytes(path)?).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

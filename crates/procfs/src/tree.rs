//! `/proc` and `/sys` as one tree of files, live or saved: bounded reads that stay
//! below their root.
//!
//! `/sys` is made of links. In an archive they come from anybody: one that leads out
//! of the root would show this host for that one, and a pipe would be waited for.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Longest attribute of `/sys`: a page.
const MAX_ATTRIBUTE: u64 = 4096;

/// At most so many entries of a folder are listed: more than there are processes.
const MAX_ENTRIES: usize = 1 << 16;

/// Files as a kernel shows them, or as somebody saved them.
///
/// Paths are relative to the root, with `/` between and no `..`: `proc/meminfo`,
/// `sys/class/net/eth0/address`. Links are followed inside the tree, never out of it.
pub trait Tree {
    /// The first `most` bytes of the regular file at `path`.
    ///
    /// # Errors
    /// Why there are none.
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread>;

    /// Names in `folder`, sorted, at most 65,536.
    ///
    /// # Errors
    /// Why it cannot be listed.
    fn names(&self, folder: &str) -> Result<Vec<String>, Unread>;

    /// What the link at `path` says, whether or not that is there; none if it is no link.
    fn link(&self, path: &str) -> Option<String>;

    /// `path` with all links followed; none where it leads out of the tree or to nothing.
    fn resolve(&self, path: &str) -> Option<String>;
}

/// What was read of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// Whether it has more.
    pub cut: bool,
}

/// Why a file was not read, or a folder not listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// There is none, or not inside the tree.
    #[error("not there")]
    NotThere,
    /// This user may not.
    #[error("permission denied")]
    Denied,
    /// Another reason.
    #[error("{0}")]
    Other(String),
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Unread {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Unread::NotThere,
            ErrorKind::PermissionDenied => Unread::Denied,
            _ => Unread::Other(error.to_string()),
        }
    }
}

/// The text of an attribute without the newline at its end; none if it is empty.
pub fn read_line(tree: &dyn Tree, path: &str) -> Option<String> {
    let text = tree.read(path, MAX_ATTRIBUTE).ok()?;
    let text = String::from_utf8(text.bytes).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The number that an attribute is; none if it is something else.
pub fn read_number(tree: &dyn Tree, path: &str) -> Option<u64> {
    crate::line::decimal(&read_line(tree, path)?)
}

/// The last name in what the link at `path` says.
pub(crate) fn link_name(tree: &dyn Tree, path: &str) -> Option<String> {
    let target = tree.link(path)?;
    let name = Path::new(&target).file_name()?.to_str()?;
    Some(name.to_owned())
}

/// The tree below a folder: `/`, or where a copy lies.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// # Errors
    /// There is no such folder.
    pub fn open(path: &Path) -> std::io::Result<Root> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            Ok(Root(path))
        } else {
            Err(ErrorKind::NotADirectory.into())
        }
    }

    /// Where `path` is when all links are followed.
    fn inside(&self, path: &str) -> Result<PathBuf, Unread> {
        let path = self.0.join(path).canonicalize()?;
        let inside = path.starts_with(&self.0);
        inside.then_some(path).ok_or(Unread::NotThere)
    }
}

impl Tree for Root {
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread> {
        let path = self.inside(path)?;
        read_some(open_regular(&path)?, most).map_err(Unread::from)
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, Unread> {
        let entries = std::fs::read_dir(self.inside(folder)?)?.take(MAX_ENTRIES);
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    fn link(&self, path: &str) -> Option<String> {
        let path = Path::new(path);
        let folder = self.inside(path.parent()?.to_str()?).ok()?;
        let target = std::fs::read_link(folder.join(path.file_name()?)).ok()?;
        Some(target.to_str()?.to_owned())
    }

    fn resolve(&self, path: &str) -> Option<String> {
        let path = self.inside(path).ok()?;
        Some(path.strip_prefix(&self.0).ok()?.to_str()?.to_owned())
    }
}

/// Opens a regular file, and nothing else: opening a pipe would wait for somebody to
/// write, and a device need not end.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open_regular(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(std::io::Error::other("no regular file"))
    }
}

/// The first `most` bytes of a file. Files under `/proc` have no length, so reading is
/// what bounds it.
///
/// # Errors
/// It cannot be read.
pub fn read_some(file: impl Read, most: u64) -> std::io::Result<Text> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    let cut = bytes.len() as u64 > most;
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(Text { bytes, cut })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_lies_below_the_root_is_read_up_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("proc/net")).unwrap();
        std::fs::write(at("proc/meminfo"), "MemTotal:\n").unwrap();
        symlink("../meminfo", at("proc/net/there")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let text = |bytes: &[u8], cut| {
            Ok(Text {
                bytes: bytes.to_vec(),
                cut,
            })
        };
        assert_eq!(root.read("proc/meminfo", 10), text(b"MemTotal:\n", false));
        assert_eq!(root.read("proc/meminfo", 9), text(b"MemTotal:", true));
        assert_eq!(root.read("proc/net/there", 3), text(b"Mem", true));
        assert_eq!(root.names("proc").unwrap(), ["meminfo", "net"]);
        assert_eq!(root.link("proc/net/there").unwrap(), "../meminfo");
        assert_eq!(root.resolve("proc/net/there").unwrap(), "proc/meminfo");
        assert_eq!(root.link("proc/meminfo"), None);
        assert_eq!(read_line(&root, "proc/meminfo").unwrap(), "MemTotal:");
        assert!(Root::open(&at("proc/meminfo")).is_err());
    }

    #[test]
    fn what_is_not_below_the_root_or_no_file_is_not_read() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |path: &str| folder.path().join(path);
        std::fs::write(other.path().join("secret"), "x").unwrap();
        symlink(other.path().join("secret"), at("out")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo, mode, 0).unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(root.read("out", 9), Err(Unread::NotThere));
        assert_eq!(root.read("../../etc/passwd", 9), Err(Unread::NotThere));
        assert_eq!(root.read("dangling", 9), Err(Unread::NotThere));
        assert_eq!(root.resolve("out"), None);
        assert_eq!(root.link("dangling").unwrap(), "nothing");
        let no_file = Err(Unread::Other("no regular file".to_owned()));
        assert_eq!(root.read("socket", 9), no_file);
        assert_eq!(root.read("pipe", 9), no_file, "nobody writes to it");
        assert_eq!(root.names("socket"), Err(Unread::NotThere));
    }
}

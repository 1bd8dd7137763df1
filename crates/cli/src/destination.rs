//! The file a report or capture is written to: whole or not at all.

use anyhow::{Context, bail};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Where a report goes, found to be writable before the work begins.
pub(crate) struct Destination {
    /// As the user named it.
    name: PathBuf,
    kind: Kind,
    /// Nobody but its owner may read it.
    private: bool,
}

enum Kind {
    /// A regular file, or none yet: replaced once everything is written. A link
    /// is followed, so that it stays one.
    Replaced(PathBuf),
    /// A pipe or device: there is nothing to replace.
    Stream(File),
}

impl Destination {
    /// Fails where no file could be written at `path`, or where it is the file
    /// at `read`, by whatever name. Leaves everything there as it is.
    pub(crate) fn open(path: &Path, read: &[&Path]) -> anyhow::Result<Self> {
        let kind = Self::probe(path, read).with_context(|| path.display().to_string())?;
        Ok(Destination {
            name: path.to_owned(),
            kind,
            private: false,
        })
    }

    /// The same, for what nobody but its owner may read.
    pub(crate) fn for_its_owner(self) -> Self {
        Destination {
            private: true,
            ..self
        }
    }

    fn probe(path: &Path, read: &[&Path]) -> anyhow::Result<Kind> {
        match fs::metadata(path) {
            Ok(metadata) => {
                let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
                let mut read = read.iter().filter_map(|read| fs::metadata(read).ok());
                if read.any(|read| identity(&read) == identity(&metadata)) {
                    bail!("this is the target itself; write the report elsewhere");
                }
                // What may not be written may not be replaced either.
                let file = OpenOptions::new().write(true).open(path)?;
                if !metadata.is_file() {
                    return Ok(Kind::Stream(file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.file_name().is_none() {
            bail!("this names no file");
        }
        // Taken away again at once: a run that is killed leaves nothing behind.
        temporary(&path)?;
        Ok(Kind::Replaced(path))
    }

    /// Writes `bytes`, and nothing where that fails.
    pub(crate) fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = match self.kind {
            Kind::Stream(mut file) => file.write_all(bytes),
            Kind::Replaced(path) => replace(&path, bytes, self.private),
        };
        written.with_context(|| self.name.display().to_string())
    }
}

fn replace(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let mut file = temporary(path)?;
    // Before there is something to read.
    if private {
        let owner = Permissions::from_mode(0o600);
        file.as_file().set_permissions(owner)?;
    }
    file.write_all(bytes)?;
    if let Some(before) = fs::metadata(path).ok().filter(|_| !private) {
        file.as_file().set_permissions(before.permissions())?;
    }
    // Some file systems tell only now that they are full.
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A file beside `path` that goes away unless it is kept, with the permissions
/// of any new file.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    // Opened here: an error of tempfile's own would name a file that the user
    // knows nothing of.
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    tempfile::Builder::new()
        .prefix(".pagehound-")
        .make_in(folder.unwrap_or(Path::new(".")), open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_changes_only_when_all_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let destination = Destination::open(&path, &[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(names(folder.path()), ["report"]);
        destination.write(b"after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(names(folder.path()), ["report"]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Destination::open(path, &[]).err().unwrap().to_string();
        let nowhere = folder.path().join("nowhere/report");
        assert_eq!(refused(&nowhere), nowhere.display().to_string());
        let error = Destination::open(&nowhere, &[]).err().unwrap();
        let system = io::Error::from_raw_os_error(2);
        let wanted = format!("{}: {system}", nowhere.display());
        assert_eq!(format!("{error:#}"), wanted, "no file of ours is named");
        refused(folder.path());
        refused(Path::new(""));
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn the_target_is_not_written_over_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let dump = folder.path().join("dump");
        fs::write(&dump, "dump").unwrap();
        let (hard, soft) = (folder.path().join("hard"), folder.path().join("soft"));
        fs::hard_link(&dump, &hard).unwrap();
        std::os::unix::fs::symlink(&dump, &soft).unwrap();
        for path in [&dump, &hard, &soft] {
            assert!(Destination::open(path, &[&dump]).is_err());
        }
    }

    #[test]
    fn a_link_stays_one_and_a_device_stays_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Destination::open(&link, &[]).unwrap().write(b"x").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        let null = Path::new("/dev/null");
        Destination::open(null, &[]).unwrap().write(b"x").unwrap();
        assert!(!fs::metadata(null).unwrap().is_file());
        let full = Destination::open(Path::new("/dev/full"), &[]).unwrap();
        assert!(full.write(b"x").is_err());
    }
}

//! The file a report or capture is written to: whole or not at all.

use anyhow::{Context, bail};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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
                if metadata.file_type().is_fifo() {
                    return Ok(Kind::Stream(pipe(path)?));
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
        let path = fs::canonicalize(path).unwrap_or_else(|_| target(path));
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

/// Opens a pipe that somebody reads: without, opening it would wait for that.
fn pipe(path: &Path) -> anyhow::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits())?;
    let mut options = OpenOptions::new();
    let file = match options.write(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            bail!("a pipe that nobody reads: begin with what reads it")
        }
        opened => opened?,
    };
    // Who reads slowly is waited for.
    fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}

/// What the link at `path` leads to, though nothing is there yet.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(to) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    path
}

/// Links in a row that the kernel follows (`MAXSYMLINKS`, include/linux/namei.h).
const MOST_LINKS: usize = 40;

fn replace(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let mut file = temporary(path)?;
    // Before there is something to read.
    if private {
        let owner = Permissions::from_mode(0o600);
        file.as_file().set_permissions(owner)?;
    }
    // As the file it is: an error of tempfile's own would name the temporary one.
    file.as_file_mut().write_all(bytes)?;
    if let Some(before) = fs::metadata(path).ok().filter(|_| !private) {
        file.as_file().set_permissions(before.permissions())?;
    }
    // Some file systems tell only now that they are full.
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder(path))
}

/// Writes the folder's names to the disk: what runs in the kernel that kdump boots is
/// reset a moment later, and a file without its name is lost.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Who may write to it need not be allowed to open it.
    let Ok(opened) = File::open(folder) else {
        return Ok(());
    };
    match opened.sync_all() {
        // fsync(2): a file system that has nothing to do for it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Where `path` lies.
fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A file beside `path` that goes away unless it is kept, with the permissions
/// of any new file.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    // Opened here: an error of tempfile's own would name a file that the user
    // knows nothing of.
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    tempfile::Builder::new()
        .prefix(".pagehound-")
        .make_in(folder(path), open)
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
    fn a_folder_that_cannot_be_synced_is_no_error() {
        let error = File::open("/proc").unwrap().sync_all().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        sync_folder(Path::new("/proc")).unwrap();
        sync_folder(Path::new("/nowhere")).unwrap();
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
    fn a_link_to_nothing_is_followed_too() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        std::os::unix::fs::symlink("sub/next", at("link")).unwrap();
        std::os::unix::fs::symlink("file", at("sub/next")).unwrap();
        let destination = Destination::open(&at("link"), &[]).unwrap();
        assert_eq!(names(folder.path()), ["link", "sub"]);
        destination.write(b"x").unwrap();
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(at("sub/next")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(at("sub/file")).unwrap(), "x");
    }

    #[test]
    fn a_pipe_is_written_to_if_somebody_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        let error = Destination::open(&fifo, &[]).err().unwrap();
        assert!(format!("{error:#}").contains("nobody reads"), "{error:#}");
        let path = fifo.clone();
        let reader = std::thread::spawn(move || fs::read(path).unwrap());
        // It has not opened it at once.
        let destination = loop {
            if let Ok(destination) = Destination::open(&fifo, &[]) {
                break destination;
            }
            std::thread::yield_now();
        };
        // More than a pipe holds.
        let text = vec![b'x'; 1 << 20];
        destination.write(&text).unwrap();
        assert_eq!(reader.join().unwrap(), text);
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

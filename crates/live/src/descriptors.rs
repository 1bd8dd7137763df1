//! Open files of kcore, one for each reader at work.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Open files that are kept for the next reader.
const KEPT: usize = 64;

/// Hands out open files of one path, no file to two readers at once.
///
/// kcore copies through a page that belongs to the open file and reads take no lock
/// around it (`open_kcore` and `read_kcore_iter` in fs/proc/kcore.c): two readers of one
/// open file get each other's bytes. `dup` shares the open file, so each is opened anew.
pub(crate) struct Descriptors {
    path: PathBuf,
    idle: Mutex<Vec<File>>,
}

impl Descriptors {
    /// `first` is an open file of `path`.
    pub(crate) fn new(path: &Path, first: File) -> Self {
        Self {
            path: path.to_owned(),
            idle: Mutex::new(vec![first]),
        }
    }

    /// Lends a file to `read` for as long as it takes.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let file = match kept {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        let result = read(&file);
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(file);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom};
    use std::sync::Barrier;

    #[test]
    fn readers_at_the_same_time_have_open_files_of_their_own() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let files = Descriptors::new(path.path(), File::open(path.path()).unwrap());
        let both = Barrier::new(2);
        let read = |place: u64| {
            files.with(|mut file| {
                both.wait();
                // The position belongs to the open file: a copy of a descriptor has it too.
                file.seek(SeekFrom::Start(place))?;
                both.wait();
                file.stream_position()
            })
        };
        let places = std::thread::scope(|threads| {
            [7, 8]
                .map(|place| threads.spawn(move || read(place).unwrap()))
                .map(|thread| thread.join().unwrap())
        });
        assert_eq!(places, [7, 8]);
    }

    #[test]
    fn one_reader_keeps_its_open_file() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let files = Descriptors::new(path.path(), File::open(path.path()).unwrap());
        files
            .with(|mut file| file.seek(SeekFrom::Start(5)))
            .unwrap();
        std::fs::remove_file(path.path()).unwrap();
        let place = files.with(|mut file| file.stream_position());
        assert_eq!(place.unwrap(), 5);
    }

    #[test]
    fn a_file_is_kept_after_an_error() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let files = Descriptors::new(path.path(), File::open(path.path()).unwrap());
        let error = files.with(|_| Err::<(), _>(io::Error::other("refused")));
        assert!(error.is_err());
        std::fs::remove_file(path.path()).unwrap();
        files.with(|_| Ok(())).unwrap();
    }
}

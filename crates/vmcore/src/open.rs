//! From a path to a dump, by the file's first bytes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::detect::{self, Container};
use crate::error::OpenError;
use crate::missing::{likely_dumps_in, similar_to};
use crate::shell::shell_path;
use crate::source::{FLAT_SIGNATURE, FlatIndex, RawFile, Source};
use crate::{Dump, elf, kdump, lime, raw};

/// Opens the dump at `path`, whatever its container.
///
/// # Errors
///
/// See [`OpenError`]. A dump that is merely incomplete opens; see
/// [`DumpInfo::incomplete`](crate::DumpInfo::incomplete).
pub fn open(path: &Path) -> Result<Dump, OpenError> {
    OpenOptions::default().open(path)
}

/// How a dump's file is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// Map the file where that is possible (the default). Without, every page
    /// is a read of its own: slower, but a file that shrinks or a mount that
    /// goes away is an error then instead of the end of the process.
    pub map: bool,
    /// log2 of the kernel's page size (12 to 16), for containers that do not
    /// say it: found in memory after a first look, say. Pages larger than a
    /// kdump's blocks cannot be had; its blocks are pages then.
    pub page_shift: Option<u32>,
    /// Take what has no signature for raw memory, in which an offset is a physical
    /// address. Any file is: the caller looks for a kernel in it.
    pub raw: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            map: true,
            page_shift: None,
            raw: false,
        }
    }
}

impl OpenOptions {
    /// [`open`] with these options.
    ///
    /// # Errors
    ///
    /// See [`open`].
    pub fn open(self, path: &Path) -> Result<Dump, OpenError> {
        let file = open_file(path)?;
        self.open_file(file, path)
    }

    /// The same of an open file, which errors call `name`. Where it stands makes no
    /// difference.
    ///
    /// # Errors
    ///
    /// See [`open`].
    pub fn open_file(self, file: File, name: &Path) -> Result<Dump, OpenError> {
        let raw = self.raw_file(file, name)?;
        let file_bytes = raw.len();
        let mut dump = open_source(raw, name, self)?;
        dump.info.file_bytes = file_bytes;
        Ok(dump)
    }

    /// Opens the dump whose parts (`makedumpfile --split`) are the files at `paths`,
    /// in any order. One that is missing makes the dump incomplete.
    ///
    /// # Errors
    ///
    /// See [`open`]; also where the files are not parts of one dump.
    pub fn open_parts(self, paths: &[PathBuf]) -> Result<Dump, OpenError> {
        let (first, others) = match paths {
            [] => {
                return Err(OpenError::NotADump {
                    path: PathBuf::new(),
                    what: "no file".to_owned(),
                    advice: "give the files of a dump".to_owned(),
                });
            }
            [path] => return self.open(path),
            [first, others @ ..] => (first, others),
        };
        let mut file_bytes = 0u64;
        let mut part = |path: &PathBuf| {
            let raw = self.raw_file(open_file(path)?, path)?;
            file_bytes = file_bytes.saturating_add(raw.len());
            let source = source_of(raw, path)?;
            let head = source.read_prefix(0, detect::HEAD as u64);
            if !matches!(detect::container(&head), Some(Container::Kdump)) {
                return Err(OpenError::NotADump {
                    path: path.clone(),
                    what: "no part of a split dump, which is a kdump".to_owned(),
                    advice: format!(
                        "of other dumps give one file; pieces that split(1) made are one when joined: \
                         cat {} > DUMP",
                        paths
                            .iter()
                            .map(|path| shell_path(path))
                            .collect::<Vec<_>>()
                            .join(" ")
                    ),
                });
            }
            Ok((path.clone(), source))
        };
        let first = part(first)?;
        let others = others.iter().map(part).collect::<Result<_, _>>()?;
        let mut dump = kdump::open(first, others, self.page_shift())?;
        dump.info.file_bytes = file_bytes;
        Ok(dump)
    }

    fn raw_file(self, file: File, name: &Path) -> Result<RawFile, OpenError> {
        let raw = RawFile::new(file, self.map).map_err(|error| OpenError::Io {
            path: name.to_owned(),
            error,
        })?;
        if raw.len() > 0 {
            return Ok(raw);
        }
        Err(OpenError::NotADump {
            path: name.to_owned(),
            what: "empty".to_owned(),
            advice: "the dump was not written (disk full, or kdump failed): see the log of kdump"
                .to_owned(),
        })
    }

    fn page_shift(self) -> Option<u32> {
        self.page_shift.filter(|shift| (12..=16).contains(shift))
    }
}

/// The bytes of `raw`, or of the file in its flattened stream.
fn source_of(raw: RawFile, path: &Path) -> Result<Source, OpenError> {
    let mut signature = [0; 16];
    if raw.read_at(0, &mut signature).is_err() || signature != *FLAT_SIGNATURE {
        return Ok(Source::plain(raw));
    }
    let index = FlatIndex::read(&raw).map_err(|defect| defect.of(path))?;
    Ok(Source::flattened(raw, index))
}

fn open_source(raw: RawFile, path: &Path, options: OpenOptions) -> Result<Dump, OpenError> {
    let source = source_of(raw, path)?;
    let page_shift = options.page_shift();
    let head = source.read_prefix(0, detect::HEAD as u64);
    match detect::container(&head) {
        Some(Container::Elf) => elf::open(source, path, page_shift),
        Some(Container::Kdump) => kdump::open((path.to_owned(), source), Vec::new(), page_shift),
        _ if source.is_flattened() => Err(OpenError::NotADump {
            path: path.to_owned(),
            what: "a flattened stream without an ELF core or a kdump at its start".to_owned(),
            advice: "it was cut off while it was written; write the dump again".to_owned(),
        }),
        Some(Container::Lime(kind)) => lime::open(kind, source.into_raw(), path, page_shift),
        None => match detect::explain(path, &head) {
            OpenError::NoSignature { .. } if options.raw => {
                raw::open(source.into_raw(), path, page_shift)
            }
            error => Err(error),
        },
    }
}

/// A file or a block device.
fn open_file(path: &Path) -> Result<File, OpenError> {
    let not_a_dump = |what: &str, advice: String| OpenError::NotADump {
        path: path.to_owned(),
        what: what.to_owned(),
        advice,
    };
    // Asked before opening: opening a pipe waits for somebody to write to it.
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let advice = match likely_dumps_in(path).as_slice() {
                [] => "give the dump inside it (often named vmcore or dump.*)".to_owned(),
                [first, ..] => format!("try {}", first.display()),
            };
            return Err(not_a_dump("a folder", advice));
        }
        Ok(meta) if !meta.is_file() && !is_block_device(&meta) => {
            return Err(not_a_dump(
                "neither a file nor a block device",
                "a dump is read at random: write it to a file first".to_owned(),
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotFound {
                path: path.to_owned(),
                similar: similar_to(path),
            });
        }
        Err(error) => {
            return Err(OpenError::Io {
                path: path.to_owned(),
                error,
            });
        }
    }
    File::open(path).map_err(|error| OpenError::Io {
        path: path.to_owned(),
        error,
    })
}

fn is_block_device(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&meta.file_type())
}

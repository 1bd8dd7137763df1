//! The entries of an archive, one by one.

use super::header::{BLOCK, Block, Header, more_map};
use super::path::clean;
use super::pax::Records;
use pagehound_procfs::Text;
use std::io::{BufRead, BufReader, ErrorKind, Read};

/// Longest name, in bytes: `PATH_MAX` of Linux. An entry with a longer one is left out.
const MAX_NAME: u64 = 4096;

/// Longest extended header, in bytes. What it was for is left out.
const MAX_PAX: u64 = 64 << 10;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How far an archive is read.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Headers, those that only extend others too.
    pub entries: u64,
    /// Bytes, after unpacking.
    pub bytes: u64,
    /// Bytes of what an [`Archive`](super::Archive) keeps.
    pub kept: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            entries: 4 << 20,
            bytes: 64 << 30,
            kept: 256 << 20,
        }
    }
}

/// Why an archive was not read to its end. All before that point counts.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// It ends before the block of zeroes that every archive ends with.
    #[error("cut at byte {at} of the unpacked archive")]
    Cut {
        /// Where.
        at: u64,
    },
    /// What is no header stands where one must.
    #[error(
        "byte {at} of the unpacked archive is no tar header: its bytes add up to {found}, it says {}",
        said.map_or("no number".to_owned(), |said| said.to_string())
    )]
    NoHeader {
        /// Where.
        at: u64,
        /// The sum of the block.
        found: u64,
        /// The sum it says.
        said: Option<u64>,
    },
    /// An entry's size is no number, or at least 2^63.
    #[error("the size of the entry at byte {at} of the unpacked archive is no number of bytes")]
    Size {
        /// Where.
        at: u64,
    },
    /// Something stands behind the block of zeroes that an archive ends with.
    #[error("something follows the end of the archive, at byte {at} of what is unpacked")]
    Behind {
        /// Where.
        at: u64,
    },
    /// Two entries have this name.
    #[error("two entries are called {0:?}")]
    Twice(String),
    /// It has more headers than the bound given here.
    #[error("more than {0} entries")]
    Entries(u64),
    /// It has, or says that it has, more unpacked bytes than the bound given here.
    #[error("more than {0} bytes unpacked")]
    Bytes(u64),
    /// What is below could not be read or unpacked.
    #[error("byte {at} of the unpacked archive: {source}")]
    Source {
        /// Where.
        at: u64,
        /// Why.
        source: std::io::Error,
    },
}

/// A file, or what else has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where in the archive: parts between `/`, none of them `.` or `..`, no `/` at
    /// either end.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content; 0 for all but files.
    pub size: u64,
    /// When it was last written, in seconds since 1970; none before that.
    pub modified: Option<u64>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link, with what it says.
    Link(String),
    /// Another name of the file at this path of the archive.
    SameAs(String),
    /// A folder.
    Folder,
    /// A device, a pipe, a file with holes, what one program only knows.
    Other,
}

/// Reads an archive from front to end.
pub struct Reader<R> {
    source: BufReader<R>,
    bounds: Bounds,
    /// Bytes read of the unpacked archive.
    at: u64,
    entries: u64,
    left_out: u64,
    /// Content of the present entry that was not read, and what fills its last block.
    content: u64,
    filler: u64,
    /// What global extended headers say.
    global: Records,
    ended: bool,
}

/// What extended headers say of the entry behind them.
#[derive(Default)]
struct Extensions {
    records: Records,
    /// What it is called, or how long it is, cannot be told.
    broken: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the archive that `source` gives unpacked.
    pub fn new(source: R, bounds: Bounds) -> Reader<R> {
        Reader {
            source: BufReader::with_capacity(CHUNK, source),
            bounds,
            at: 0,
            entries: 0,
            left_out: 0,
            content: 0,
            filler: 0,
            global: Records::default(),
            ended: false,
        }
    }

    /// Entries so far that have no name that can be used: too long, no UTF-8, with `..`.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The next entry; none at the end of the archive, and after an error.
    ///
    /// # Errors
    /// The archive cannot be read further.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        if self.ended {
            return Ok(None);
        }
        self.ended = true;
        let entry = self.advance()?;
        self.ended = entry.is_none();
        Ok(entry)
    }

    /// The first `most` bytes of the entry that [`next_entry`](Reader::next_entry) gave
    /// last, or of what was not yet read of it.
    ///
    /// # Errors
    /// The archive ends before the entry does, or cannot be read.
    pub fn content(&mut self, most: u64) -> Result<Text, TarError> {
        let wanted = self.content.min(most);
        let mut bytes = Vec::new();
        let mut content = self.source.by_ref().take(wanted);
        let read = content.read_to_end(&mut bytes);
        let count = bytes.len() as u64;
        self.at = self.at.saturating_add(count);
        self.content = self.content.saturating_sub(count);
        let cut = self.content > 0;
        let result = match read {
            Ok(_) if count == wanted => return Ok(Text { bytes, cut }),
            Ok(_) => Err(TarError::Cut { at: self.at }),
            Err(error) => Err(self.failed(error)),
        };
        self.ended = true;
        result
    }

    /// Reads what is behind the archive's end, which must be nothing but zeroes: only at
    /// the end of what is unpacked it shows whether its checksum fits.
    ///
    /// # Errors
    /// Something stands there, or it cannot be read.
    pub fn finish(&mut self) -> Result<(), TarError> {
        loop {
            let left = self.bounds.bytes.saturating_sub(self.at);
            let read = match self.source.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(bytes) if bytes.iter().any(|&byte| byte != 0) => {
                    return Err(TarError::Behind { at: self.at });
                }
                Ok(bytes) => bytes.len(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            if read as u64 > left {
                return Err(TarError::Bytes(self.bounds.bytes));
            }
            self.source.consume(read);
            self.at = self.at.saturating_add(read as u64);
        }
    }

    fn advance(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        loop {
            self.pass_over()?;
            let at = self.at;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            if matches!(header.kind, b'x' | b'g' | b'L' | b'K') {
                self.follows(header.size.ok_or(TarError::Size { at })?)?;
                self.extend(header.kind, &mut extensions)?;
                continue;
            }
            let Extensions { records, broken } = std::mem::take(&mut extensions);
            let size = records.size.or(header.size).ok_or(TarError::Size { at })?;
            // Links, devices, folders and pipes: a size would be no number of bytes here.
            if !matches!(header.kind, b'1'..=b'6') {
                self.follows(size)?;
            }
            if header.more_map {
                self.map_of_holes()?;
            }
            match entry(header, records.or(&self.global), size) {
                Named::Entry(entry) if !broken => return Ok(Some(entry)),
                Named::Top if !broken => {}
                _ => self.left_out += 1,
            }
        }
    }

    /// The header here; none at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let at = self.at;
        let block = self.block()?;
        // There should be two of these, and there is nothing behind one.
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(TarError::Entries(self.bounds.entries));
        }
        let header = Header::of(&block).map_err(|sum| TarError::NoHeader {
            at,
            found: sum.found,
            said: sum.said,
        })?;
        Ok(Some(header))
    }

    /// Reads an extended header of this kind.
    fn extend(&mut self, kind: u8, extensions: &mut Extensions) -> Result<(), TarError> {
        let most = if matches!(kind, b'L' | b'K') {
            MAX_NAME
        } else {
            MAX_PAX
        };
        let text = self.content(most)?;
        let name = || {
            let name = text.bytes.split(|&byte| byte == 0).next()?;
            String::from_utf8(name.to_vec()).ok()
        };
        let records = match kind {
            b'L' => name().map(|name| Records {
                path: Some(name),
                ..Records::default()
            }),
            b'K' => name().map(|name| Records {
                target: Some(name),
                ..Records::default()
            }),
            _ => Records::of(&text.bytes),
        };
        let records = records.filter(|_| !text.cut);
        if kind == b'g' {
            // Of no use for one entry, so a broken one spoils none.
            self.global = records.unwrap_or_default().or(&self.global);
            return Ok(());
        }
        extensions.broken |= records.is_none();
        extensions.records = records.unwrap_or_default().or(&extensions.records);
        Ok(())
    }

    /// GNU tar's map of holes goes on in blocks before the content.
    fn map_of_holes(&mut self) -> Result<(), TarError> {
        while more_map(&self.block()?) {}
        Ok(())
    }

    /// `size` bytes of content follow, and what fills their last block.
    fn follows(&mut self, size: u64) -> Result<(), TarError> {
        let filled = size.checked_next_multiple_of(BLOCK as u64);
        let end = filled.and_then(|filled| self.at.checked_add(filled));
        if end.is_none_or(|end| end > self.bounds.bytes) {
            return Err(TarError::Bytes(self.bounds.bytes));
        }
        self.content = size;
        self.filler = filled.unwrap_or(size) - size;
        Ok(())
    }

    /// To the next header.
    fn pass_over(&mut self) -> Result<(), TarError> {
        let mut left = self.content.saturating_add(self.filler);
        (self.content, self.filler) = (0, 0);
        while left > 0 {
            let read = match self.source.fill_buf() {
                Ok(bytes) => bytes.len() as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            if read == 0 {
                return Err(TarError::Cut { at: self.at });
            }
            let passed = read.min(left);
            self.source
                .consume(usize::try_from(passed).unwrap_or(CHUNK));
            self.at = self.at.saturating_add(passed);
            left -= passed;
        }
        Ok(())
    }

    fn block(&mut self) -> Result<Block, TarError> {
        if self.at.saturating_add(BLOCK as u64) > self.bounds.bytes {
            return Err(TarError::Bytes(self.bounds.bytes));
        }
        let mut block = [0; BLOCK];
        let read = self.source.read_exact(&mut block);
        read.map_err(|error| self.failed(error))?;
        self.at = self.at.saturating_add(BLOCK as u64);
        Ok(block)
    }

    fn failed(&self, source: std::io::Error) -> TarError {
        match source.kind() {
            ErrorKind::UnexpectedEof => TarError::Cut { at: self.at },
            _ => TarError::Source {
                at: self.at,
                source,
            },
        }
    }
}

/// An entry by what is known of its name.
enum Named {
    Entry(Entry),
    /// The folder that was packed, `./`.
    Top,
    /// It has none that can be used.
    Not,
}

fn entry(header: Header, records: Records, size: u64) -> Named {
    let short = |name: &String| name.len() as u64 <= MAX_NAME;
    let Some(name) = records.path.or(header.name).filter(short) else {
        return Named::Not;
    };
    let Some(path) = clean(&name) else {
        let top = name.split('/').all(|part| matches!(part, "" | "."));
        return if top { Named::Top } else { Named::Not };
    };
    let target = records.target.or(header.target).filter(short);
    let kind = match (header.kind, target) {
        // Before ustar there was no kind for folders.
        (b'0' | b'7' | 0, _) if name.ends_with('/') => Kind::Folder,
        (b'0' | b'7' | 0, _) if !records.sparse => Kind::File,
        (b'1', Some(target)) => clean(&target).map_or(Kind::Other, Kind::SameAs),
        (b'2', Some(target)) => Kind::Link(target),
        (b'5', _) => Kind::Folder,
        _ => Kind::Other,
    };
    Named::Entry(Entry {
        path,
        size: if kind == Kind::File { size } else { 0 },
        kind,
        modified: records.modified.or(header.modified),
    })
}

//! The sections of a vmlinux (System V ABI), compressed or not.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memchr::memmem;
use object::LittleEndian;
use object::elf::{
    ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, FileHeader64, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS,
};
use object::read::ReadCache;
use object::read::elf::{CompressionHeader, FileHeader, SectionHeader};

use super::VmlinuxError;
use crate::build_id::{self, BuildId};

/// A vmlinux has some eighty, with relocations.
const MOST_SECTIONS: u32 = 1 << 12;
/// Bytes of a section that is read as a whole; Debian's kernels have up to 5 MiB of
/// abbreviations and strings each.
const MOST_BYTES: u64 = 256 << 20;
/// How many bytes a packed one may make of each. Of a Debian kernel's sections zlib and
/// zstd make up to 5; of zeroes, 1030 and more.
const MOST_RATIO: u64 = 32;
/// Bytes that any packed section may have.
const FEW_BYTES: u64 = 1 << 20;
/// Bytes of `.notes`; there are some hundred.
const MOST_NOTES: u64 = 64 << 10;
/// How `linux_banner` begins.
const BANNER: &[u8] = b"Linux version ";
/// Bytes of a banner; those of distributions have some 250.
const LONGEST_BANNER: usize = 1 << 10;

/// An ELF file with debug information.
pub(super) struct Elf {
    pub(super) path: PathBuf,
    file: File,
    sections: Vec<Section>,
    /// By number of a section, what nm calls symbols in it.
    letters: Vec<u8>,
}

struct Section {
    name: String,
    /// Of its content in the file.
    offset: u64,
    stored: u64,
    /// Bytes when unpacked.
    size: u64,
    packing: Packing,
}

#[derive(Clone, Copy)]
enum Packing {
    None,
    Zlib,
    Zstd,
}

impl Elf {
    /// Opens a file and reads where its sections are.
    pub(super) fn open(path: &Path) -> Result<Elf, VmlinuxError> {
        let failed = |error: &io::Error| VmlinuxError::Read {
            path: path.to_owned(),
            why: error.to_string(),
        };
        // Opening a pipe would wait for whoever writes to it.
        let metadata = std::fs::metadata(path).map_err(|error| failed(&error))?;
        if !metadata.is_file() {
            return Err(VmlinuxError::NotElf {
                path: path.to_owned(),
                why: "not a file".to_owned(),
            });
        }
        let file = File::open(path).map_err(|error| failed(&error))?;
        let (sections, letters) = sections(&file).map_err(|why| VmlinuxError::NotElf {
            path: path.to_owned(),
            why,
        })?;
        let path = path.to_owned();
        Ok(Elf {
            path,
            file,
            sections,
            letters,
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Bytes of a section when unpacked; 0 where there is none.
    pub(super) fn size(&self, name: &str) -> u64 {
        self.find(name).map_or(0, |section| section.size)
    }

    /// A section from its begin to its end, unpacked on the way. Nothing where there
    /// is none.
    ///
    /// # Errors
    /// Also if it claims to be larger than packing makes sections smaller.
    pub(super) fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let Some(section) = self.find(name) else {
            return Ok(Box::new(io::empty()));
        };
        let expected = section.stored.saturating_mul(MOST_RATIO);
        let is_packed = !matches!(section.packing, Packing::None);
        if is_packed && section.size > expected.saturating_add(FEW_BYTES) {
            return Err(io::Error::other(format!(
                "{} bytes packed into {}, more than {MOST_RATIO} into each are not expected",
                section.size, section.stored
            )));
        }
        let stored = Stored {
            file: &self.file,
            at: section.offset,
            left: section.stored,
        };
        let stored = BufReader::with_capacity(256 << 10, stored);
        Ok(match section.packing {
            Packing::None => Box::new(stored),
            Packing::Zlib => Box::new(flate2::bufread::ZlibDecoder::new(stored).take(section.size)),
            Packing::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(stored)?.take(section.size))
            }
        })
    }

    /// A whole section; empty where there is none.
    pub(super) fn whole(&self, section: &'static str) -> Result<Vec<u8>, VmlinuxError> {
        let failed = |why: String| VmlinuxError::Section {
            path: self.path.clone(),
            section,
            why,
        };
        let size = self.size(section);
        if size > MOST_BYTES {
            return Err(failed(format!(
                "{size} bytes, at most {} MiB are expected",
                MOST_BYTES >> 20
            )));
        }
        // Grows with what there is, not with what the header claims.
        let mut bytes = Vec::new();
        let read = self
            .read(section)
            .and_then(|mut all| all.read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 == size => Ok(bytes),
            Ok(_) => Err(failed(format!("{} of {size} bytes", bytes.len()))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    pub(super) fn build_id(&self) -> Option<BuildId> {
        [".notes", ".note.gnu.build-id"].iter().find_map(|name| {
            let mut notes = Vec::new();
            let all = self.read(name).ok()?;
            all.take(MOST_NOTES).read_to_end(&mut notes).ok()?;
            build_id::find(&notes)
        })
    }

    /// `linux_banner`, up to its line feed.
    pub(super) fn banner(&self) -> Option<Vec<u8>> {
        let mut all = self.read(".rodata").ok()?.take(MOST_BYTES);
        let mut window = Vec::new();
        loop {
            let mut more = (&mut all).take(1 << 20);
            let ended = more.read_to_end(&mut window).ok()? == 0;
            let mut hits = memmem::find_iter(&window, BANNER);
            let banner = hits.find_map(|at| {
                let text = window.get(at..)?;
                let text = text.get(..LONGEST_BANNER).unwrap_or(text);
                // A format of the same words has no release.
                let text = text.get(..memchr::memchr(b'\n', text)?)?;
                let is_text = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
                (is_text && !text.contains(&b'%')).then(|| text.to_vec())
            });
            if banner.is_some() || ended {
                return banner;
            }
            window.drain(..window.len().saturating_sub(LONGEST_BANNER));
        }
    }

    /// The symbol table, in no order.
    pub(super) fn symbols(&self) -> Result<Symbols, VmlinuxError> {
        let table = self.whole(".symtab")?;
        let strings = self.whole(".strtab")?;
        // Elf64_Sym: name, info, other, number of its section, value, size.
        let symbol = |bytes: &[u8; 24]| -> Option<(u64, u8, usize)> {
            let [n0, n1, n2, n3, info, _, s0, s1, value @ ..] = *bytes;
            let value = value.first_chunk::<8>()?;
            // Without a type, objects and functions; not those of other files.
            let section = u16::from_le_bytes([s0, s1]);
            if info & 15 > 2 || section == 0 {
                return None;
            }
            let letter = match self.letters.get(usize::from(section)) {
                Some(letter) => *letter,
                None => b'A',
            };
            let is_local = info >> 4 == 0;
            let letter = if is_local {
                letter.to_ascii_lowercase()
            } else {
                letter
            };
            let name = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
            Some((u64::from_le_bytes(*value), letter, name))
        };
        let symbols = table.as_chunks::<24>().0.iter().filter_map(symbol);
        Ok(Symbols {
            all: symbols.collect(),
            strings,
        })
    }

    fn find(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

fn sections(file: &File) -> Result<(Vec<Section>, Vec<u8>), String> {
    let data = &ReadCache::new(file);
    let endian = LittleEndian;
    let said = |error: object::read::Error| error.to_string();
    let header = FileHeader64::<LittleEndian>::parse(data).map_err(said)?;
    if !header.is_little_endian() {
        return Err("big-endian, which is not supported".to_owned());
    }
    let count = header.shnum(endian, data).map_err(said)?;
    if count > MOST_SECTIONS {
        return Err(format!(
            "{count} sections, at most {MOST_SECTIONS} are expected"
        ));
    }
    let table = header.sections(endian, data).map_err(said)?;
    let mut sections = Vec::new();
    let mut letters = Vec::new();
    for section in table.iter() {
        let flags = section.sh_flags(endian);
        letters.push(match () {
            () if flags.contains(SHF_EXECINSTR) => b'T',
            () if !flags.contains(SHF_WRITE) => b'R',
            () if section.sh_type(endian) == SHT_NOBITS => b'B',
            () => b'D',
        });
        if section.sh_type(endian) == SHT_NOBITS {
            continue;
        }
        let (Ok(name), Some((offset, stored))) = (
            table.section_name(endian, section),
            section.file_range(endian),
        ) else {
            continue;
        };
        let packed = section.compression(endian, data).map_err(said)?;
        let (offset, stored, size, packing) = match packed {
            None => (offset, stored, stored, Packing::None),
            Some((header, offset, stored)) => {
                let packing = match header.ch_type(endian) {
                    ELFCOMPRESS_ZLIB => Packing::Zlib,
                    ELFCOMPRESS_ZSTD => Packing::Zstd,
                    other => return Err(format!("compression of unknown type {}", other.0)),
                };
                (offset, stored, header.ch_size(endian), packing)
            }
        };
        sections.push(Section {
            name: String::from_utf8_lossy(name).into_owned(),
            offset,
            stored,
            size,
            packing,
        });
    }
    Ok((sections, letters))
}

/// The symbols of an ELF file.
pub(super) struct Symbols {
    /// Address, letter as of nm, where in `strings` the name begins.
    pub(super) all: Vec<(u64, u8, usize)>,
    /// `.strtab`
    pub(super) strings: Vec<u8>,
}

/// Bytes of a section as they are in the file.
struct Stored<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for Stored<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let buf = buf.get_mut(..most).unwrap_or_default();
        let read = self.file.read_at(buf, self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

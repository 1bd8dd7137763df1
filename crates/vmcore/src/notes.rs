//! ELF notes, as ELF cores and kdumps carry them.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Machine;
use crate::source::Source;

/// Name of the note that holds the kernel's own description of itself.
pub(crate) const VMCOREINFO: &[u8] = b"VMCOREINFO";
/// No VMCOREINFO is longer: it is one page of the kernel, and hypervisors
/// refuse notes of a megabyte.
const MAX_VMCOREINFO: u64 = 1 << 20;
/// Name of the note in which makedumpfile says what it erased.
const ERASEINFO: &[u8] = b"ERASEINFO";
/// Longest text of what was erased that is read, and lines kept of it: there are as
/// many as in the configuration that somebody wrote by hand.
const MAX_ERASEINFO: u64 = 1 << 16;
const MAX_ERASED: usize = 1024;
/// Longest line of it that is kept whole.
const MAX_ERASED_LINE: usize = 1024;
/// Descriptors longer than this are device dumps (`NT_VMCOREDD`), not registers.
const MAX_DESC: u64 = 1 << 16;
/// All descriptors together. Those of a machine with 8,192 CPUs come to 6 MiB; a file
/// with holes can claim as much as it likes.
const MAX_DESCS: u64 = 64 << 20;
/// Notes of a machine with more CPUs than Linux can number.
const MAX_NOTES: usize = 1 << 16;

/// An ELF note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// `CORE`, `QEMU`, `VMCOREINFO`, …, without the terminating NUL.
    pub name: Vec<u8>,
    /// `n_type`; its meaning depends on the name.
    pub kind: u32,
    /// Descriptor; empty where it is longer than 64 KiB (1 MiB for VMCOREINFO).
    pub desc: Vec<u8>,
}

/// `Elf64_Nhdr`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    namesz: U32,
    descsz: U32,
    kind: U32,
}

/// Appends the notes in bytes `offset..offset + len`. Stops at the first that
/// does not fit; device dumps, which may be huge and come first, are skipped
/// without being read.
pub(crate) fn read_notes(source: &Source, offset: u64, len: u64, notes: &mut Vec<Note>) {
    const HEADER: u64 = size_of::<Header>() as u64;
    let Some(end) = offset.checked_add(len).map(|end| end.min(source.len())) else {
        return;
    };
    let mut pos = offset;
    let mut kept: u64 = notes.iter().map(|note| note.desc.len() as u64).sum();
    while notes.len() < MAX_NOTES && pos.checked_add(HEADER).is_some_and(|next| next <= end) {
        let mut header = Header::new_zeroed();
        if source.read_at(pos, header.as_mut_bytes()).is_err() {
            return;
        }
        let namesz = u64::from(header.namesz.get());
        let descsz = u64::from(header.descsz.get());
        let kind = header.kind.get();
        if (namesz, descsz, kind) == (0, 0, 0) {
            return; // the unused rest of a note area
        }
        // Name and descriptor are padded to 4 bytes, in 64-bit cores too.
        let desc_at = pos + HEADER + namesz.next_multiple_of(4);
        if desc_at + descsz > end {
            return;
        }
        let mut name = source.read_prefix(pos + HEADER, namesz.min(32));
        while name.last() == Some(&0) {
            name.pop();
        }
        let limit = if name == VMCOREINFO {
            MAX_VMCOREINFO
        } else {
            MAX_DESC
        };
        let fits = descsz <= limit && kept + descsz <= MAX_DESCS;
        let wanted = if fits { descsz } else { 0 };
        let desc = source.read_prefix(desc_at, wanted);
        kept += desc.len() as u64;
        notes.push(Note { name, kind, desc });
        pos = desc_at + descsz.next_multiple_of(4);
    }
}

/// The text of the VMCOREINFO note.
pub(crate) fn vmcoreinfo_in(notes: &[Note]) -> Option<Vec<u8>> {
    let note = notes
        .iter()
        .find(|note| note.name == VMCOREINFO && !note.desc.is_empty())?;
    text_of(&note.desc)
}

/// The VMCOREINFO text in bytes `offset..offset + len`.
pub(crate) fn read_vmcoreinfo(source: &Source, offset: u64, len: u64) -> Option<Vec<u8>> {
    if offset == 0 || len > MAX_VMCOREINFO {
        return None;
    }
    text_of(&source.read_prefix(offset, len))
}

/// What the ERASEINFO note says was erased, a line each.
pub(crate) fn erased_in(notes: &[Note]) -> Vec<String> {
    let note = notes.iter().find(|note| note.name == ERASEINFO);
    note.map_or_else(Vec::new, |note| erased_lines(&note.desc))
}

/// What bytes `offset..offset + len` say was erased, a line each.
pub(crate) fn read_erased(source: &Source, offset: u64, len: u64) -> Vec<String> {
    if offset == 0 {
        return Vec::new();
    }
    erased_lines(&source.read_prefix(offset, len.min(MAX_ERASEINFO)))
}

fn erased_lines(text: &[u8]) -> Vec<String> {
    let text = text_of(text).unwrap_or_default();
    text.split(|&byte| byte == b'\n')
        .map(|line| {
            let kept = line.get(..MAX_ERASED_LINE).unwrap_or(line);
            let mut text = String::from_utf8_lossy(kept).trim().to_owned();
            if kept.len() < line.len() {
                text.push('…');
            }
            text
        })
        .filter(|line| !line.is_empty())
        .take(MAX_ERASED)
        .collect()
}

/// What to know of a dump of which so many things were erased.
pub(crate) fn erased_warning(erased: &[String]) -> Option<String> {
    (!erased.is_empty()).then(|| {
        format!(
            "makedumpfile was told to erase what {} of its configuration name{}: this memory reads as \
             written over with X, and what it pointed to may seem lost",
            match erased.len() {
                1 => "one line".to_owned(),
                more => format!("{more} lines"),
            },
            if erased.len() == 1 { "s" } else { "" },
        )
    })
}

/// `text` up to its first NUL: writers pad the note to the size of its buffer.
fn text_of(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.split(|&byte| byte == 0).next()?;
    (!text.is_empty()).then(|| text.to_vec())
}

/// The page size VMCOREINFO states, as log2; `None` unless it is a power of two
/// from 4 KiB to 64 KiB.
pub(crate) fn page_shift_in(vmcoreinfo: &[u8]) -> Option<u32> {
    let line = vmcoreinfo
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"PAGESIZE="))?;
    let size: u64 = std::str::from_utf8(line).ok()?.trim().parse().ok()?;
    (size.is_power_of_two() && (1 << 12..=1 << 16).contains(&size)).then(|| size.trailing_zeros())
}

/// The architecture by the size of a CPU's `NT_PRSTATUS` (`struct elf_prstatus`),
/// for writers that name no machine (QEMU on arm64 writes "Unknown").
pub(crate) fn machine_in(notes: &[Note]) -> Option<Machine> {
    const NT_PRSTATUS: u32 = 1;
    let note = notes
        .iter()
        .find(|note| note.name == b"CORE" && note.kind == NT_PRSTATUS)?;
    match note.desc.len() {
        336 => Some(Machine::X86_64),
        392 => Some(Machine::Aarch64),
        _ => None,
    }
}

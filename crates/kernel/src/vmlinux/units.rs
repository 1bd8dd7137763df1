//! The units of `.debug_info` (DWARF 5, 7.5.1), one after another: a kernel has some
//! thousand of them, and most structs are in the first few.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use gimli::{
    Abbreviations, DebugAbbrev, DebugAbbrevOffset, DebugInfo, DwForm, DwTag, EndianSlice,
    LittleEndian, constants as dw,
};
use memchr::memmem;

use super::VmlinuxError;
use super::convert::{Converter, Sections};
use super::elf::Elf;
use crate::btf::Btf;
use crate::kernel::KernelError;
use crate::layouts::Questions;

pub(super) type Slice<'u> = EndianSlice<'u, LittleEndian>;

/// Units; the largest kernels have some ten thousand.
const MOST: u64 = 1 << 18;
/// Bytes of one unit; the largest of a kernel has some MiB.
const MOST_UNIT: u64 = 64 << 20;
/// Bytes of a table of abbreviations, whose memory is some twenty times as large; those
/// of a kernel have some KiB.
const MOST_TABLE: usize = 1 << 20;
/// Attributes of an entry; compilers write some twenty at most.
const MOST_ATTRIBUTES: usize = 128;
/// Attributes for each byte of a unit: those without bytes (`DW_FORM_flag_present`) would
/// cost time that no byte of the file pays for. Most have one or more.
const ATTRIBUTES_A_BYTE: usize = 4;
/// Entries between two looks at whether somebody waits for the end.
const ENTRIES_A_LOOK: u32 = 1 << 16;
/// Bytes of all of them; those of a kernel with everything built in take 3 GiB.
const MOST_BYTES: u64 = 4 << 30;
/// Shorter names may stand beside their type and not in `.debug_str`.
const SHORT: usize = 8;
/// How often each table of abbreviations may be used out of order, on average.
const TABLE_USES: u64 = 8;

/// Says whether the work was ended early from outside.
type GoOn<'a> = &'a dyn Fn() -> Result<(), KernelError>;

/// The types that are asked for, as far as the file has them.
pub(super) struct Found {
    pub(super) types: Btf,
    /// What of them is missing, a sentence each.
    pub(super) warnings: Vec<String>,
}

/// Reads units until all that is asked for is found.
///
/// # Errors
/// [`VmlinuxError`] if a section cannot be read or there is no `struct page`. Units and
/// members that make no sense are left out, and counted in the warnings. Where `cancel`
/// is raised, [`KernelError::Interrupted`].
pub(super) fn types(
    elf: &Elf,
    questions: &Questions,
    cancel: Option<&AtomicBool>,
) -> Result<Found, KernelError> {
    let go_on = || match cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
        true => Err(KernelError::Interrupted),
        false => Ok(()),
    };
    let failed = |section, why: String| VmlinuxError::Section {
        path: elf.path.clone(),
        section,
        why,
    };
    let mut abbreviations = Tables::new(elf.whole(".debug_abbrev")?);
    let sections = Sections {
        strings: elf.whole(".debug_str")?,
        offsets: elf.whole(".debug_str_offsets")?,
    };
    let mut open = Open::new(questions, &sections.strings, &go_on)?;
    let mut converter = Converter::new(&sections);
    let info = ".debug_info";
    let size = elf.size(info);
    if size > MOST_BYTES {
        let most = MOST_BYTES >> 30;
        let why = format!("{size} bytes, at most {most} GiB are expected");
        return Err(failed(info, why).into());
    }
    let input = elf
        .read(info)
        .map_err(|error| failed(info, error.to_string()))?;
    let mut units = Units {
        input,
        left: size,
        bytes: Vec::new(),
    };
    let (mut count, mut broken) = (0, 0);
    while !open.is_empty() && units.next().map_err(|why| failed(info, why))? {
        count += 1;
        if count > MOST {
            let why = format!("more than {MOST} units");
            return Err(failed(info, why).into());
        }
        let tables = &mut abbreviations;
        match unit(&units.bytes, tables, &mut converter, &mut open, &go_on) {
            Some(()) => {}
            None => broken += 1,
        }
        go_on()?;
    }
    let path = elf.path.display();
    let mut warnings = Vec::new();
    if broken > 0 {
        warnings.push(format!(
            "{path}: {broken} of {count} units of DWARF could not be read: members may be missing"
        ));
    }
    let untold = converter.untold();
    if untold > 0 {
        warnings.push(format!(
            "{path}: {untold} types that DWARF refers to are damaged or in other units, where \
             link-time optimisation puts them: members may be missing"
        ));
    }
    let types = converter.finish();
    let types = types.filter(|types| types.size_of("page").is_some());
    match types {
        Some(types) => Ok(Found { types, warnings }),
        None => Err(VmlinuxError::NoTypes {
            path: elf.path.clone(),
            units: count,
            broken,
            untold,
        }
        .into()),
    }
}

/// Takes what is asked for out of a unit; `None` if it makes no sense or was ended.
fn unit(
    bytes: &[u8],
    tables: &mut Tables,
    converter: &mut Converter<'_>,
    open: &mut Open<'_>,
    go_on: GoOn<'_>,
) -> Option<()> {
    let info = DebugInfo::new(bytes, LittleEndian);
    let header = info.units().next().ok()??;
    let abbreviations = tables.at(header.debug_abbrev_offset().0)?;
    let mut unit = converter.unit(header, abbreviations);
    let mut entries = header.entries_raw(abbreviations, None).ok()?;
    let mut attributes = Vec::new();
    let mut left = bytes.len().saturating_mul(ATTRIBUTES_A_BYTE);
    let mut count = 0_u32;
    while !entries.is_empty() {
        count = count.wrapping_add(1);
        if count.is_multiple_of(ENTRIES_A_LOOK) {
            go_on().ok()?;
        }
        let (depth, offset) = (entries.next_depth(), entries.next_offset());
        let Some(entry) = entries.read_abbreviation().ok()? else {
            continue;
        };
        left = left.checked_sub(entry.attributes().len())?;
        // What functions declare for themselves is deeper, and not looked at.
        let looked_at = depth == 0 || (depth == 1 && is_asked_for(entry.tag()));
        let specifications = entry.attributes();
        if !looked_at && !specifications.iter().any(|one| is_block(one.form())) {
            entries.skip_attributes(specifications).ok()?;
            continue;
        }
        entries
            .read_attributes(specifications, &mut attributes)
            .ok()?;
        if !looked_at {
            continue;
        }
        if depth == 0 {
            unit.read_root(&attributes);
        } else if let Some(name) = unit.name_of_definition(&attributes) {
            let is_enum = entry.tag() == dw::DW_TAG_enumeration_type;
            if let Some(members) = open.asked(name, is_enum)
                && unit.add(offset, members)
            {
                open.close(name, is_enum);
            }
        }
    }
    Some(())
}

/// Whether an attribute has a length of 64 bits, or may have: skipping several at once
/// adds them up, and a broken file's overflow.
fn is_block(form: DwForm) -> bool {
    matches!(
        form,
        dw::DW_FORM_block | dw::DW_FORM_exprloc | dw::DW_FORM_indirect
    )
}

fn is_asked_for(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_structure_type
            | dw::DW_TAG_union_type
            | dw::DW_TAG_typedef
            | dw::DW_TAG_enumeration_type
    )
}

/// What is asked for and was not found yet.
struct Open<'q> {
    questions: &'q Questions,
    structs: Vec<&'static str>,
    enums: Vec<&'static str>,
}

impl<'q> Open<'q> {
    /// Without what the file has no name of, for which all of it would be read.
    fn new(
        questions: &'q Questions,
        strings: &[u8],
        go_on: GoOn<'_>,
    ) -> Result<Open<'q>, KernelError> {
        let named = |name: &str| {
            let with_end = format!("{name}\0");
            name.len() < SHORT
                || strings.is_empty()
                || memmem::find(strings, with_end.as_bytes()).is_some()
        };
        let mut open = Open {
            questions,
            structs: Vec::new(),
            enums: Vec::new(),
        };
        for &name in questions.structs.keys() {
            go_on()?;
            if named(name) {
                open.structs.push(name);
            }
        }
        open.enums = questions.enums.to_vec();
        open.enums.retain(|name| named(name));
        Ok(open)
    }

    fn is_empty(&self) -> bool {
        self.structs.is_empty() && self.enums.is_empty()
    }

    /// Members of which the struct must have one; none is as good as any.
    fn asked(&self, name: &[u8], is_enum: bool) -> Option<&'q [&'static str]> {
        let open = if is_enum { &self.enums } else { &self.structs };
        let name = open.iter().find(|open| open.as_bytes() == name)?;
        if is_enum {
            return Some(&[]);
        }
        self.questions.structs.get(name).map(Vec::as_slice)
    }

    fn close(&mut self, name: &[u8], is_enum: bool) {
        let open = if is_enum {
            &mut self.enums
        } else {
            &mut self.structs
        };
        open.retain(|open| open.as_bytes() != name);
    }
}

/// Reads `.debug_info` unit by unit.
struct Units<'e> {
    input: Box<dyn Read + 'e>,
    /// Bytes of the section that are left.
    left: u64,
    /// The unit, its length first.
    bytes: Vec<u8>,
}

impl Units<'_> {
    /// Reads the next unit; false at the end.
    fn next(&mut self) -> Result<bool, String> {
        self.bytes.clear();
        if self.left == 0 {
            return Ok(false);
        }
        self.more(4)?;
        let mut length = self.word(0, 4);
        if length == 0xffff_ffff {
            self.more(8)?;
            length = self.word(4, 8);
        }
        if length == 0 || length > MOST_UNIT {
            return Err(format!(
                "a unit of {length} bytes, up to {} MiB are expected",
                MOST_UNIT >> 20
            ));
        }
        self.more(length)?;
        Ok(true)
    }

    fn more(&mut self, len: u64) -> Result<(), String> {
        if len > self.left {
            return Err("its last unit is cut off".to_owned());
        }
        self.left -= len;
        // Grows with what there is.
        let read = (&mut self.input).take(len).read_to_end(&mut self.bytes);
        match read {
            Ok(read) if read as u64 == len => Ok(()),
            Ok(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn word(&self, at: usize, len: usize) -> u64 {
        let bytes = self.bytes.get(at..at + len).unwrap_or_default();
        let bytes = bytes.iter().rev();
        bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
    }
}

/// `.debug_abbrev`: a table for each unit, in the order of units, or one for many.
struct Tables {
    bytes: Vec<u8>,
    last: Option<(usize, Abbreviations)>,
    /// Bytes of tables that may still be read: a broken file could have one long table
    /// read for each of many short units.
    left: u64,
}

impl Tables {
    fn new(bytes: Vec<u8>) -> Tables {
        let left = bytes.len() as u64 * TABLE_USES;
        Tables {
            bytes,
            last: None,
            left,
        }
    }

    fn at(&mut self, offset: usize) -> Option<&Abbreviations> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != offset) {
            let from = self.bytes.get(offset..)?;
            let most = MOST_TABLE.min(usize::try_from(self.left).unwrap_or(MOST_TABLE));
            let from = from.get(..from.len().min(most))?;
            let length = table_length(from);
            // One without an end was read too.
            let table = from.get(..length.unwrap_or(from.len()))?;
            self.left -= table.len() as u64;
            length?;
            let table = DebugAbbrev::new(table, LittleEndian);
            let table = table.abbreviations(DebugAbbrevOffset(0)).ok()?;
            self.last = Some((offset, table));
        }
        self.last.as_ref().map(|(_, table)| table)
    }
}

/// Bytes of the table of abbreviations (DWARF 5, 7.5.3) at the begin; `None` if it does
/// not end or an entry has more than [`MOST_ATTRIBUTES`].
fn table_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // LEB128: the end of a number has no top bit. Only zero matters.
    let mut number = || {
        let rest = bytes.get(at..)?;
        let len = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        at += len;
        let digits = rest.get(..len)?.iter().take(9).enumerate();
        Some((
            at,
            digits.fold(0, |sum, (place, byte)| {
                sum | u64::from(byte & 0x7f) << (7 * place)
            }),
        ))
    };
    loop {
        if let (end, 0) = number()? {
            return Some(end);
        }
        // Tag, and whether it has children, a byte that is 0 or 1.
        number()?;
        number()?;
        let mut attributes = 0;
        loop {
            let (name, form) = (number()?.1, number()?.1);
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                number()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
            attributes += 1;
            if attributes > MOST_ATTRIBUTES {
                return None;
            }
        }
    }
}

//! Where members lie in this kernel's structures: one table, resolved once from
//! VMCOREINFO and BTF, or DWARF put down as BTF. Another kernel is another alternative
//! in a row of [`rows`], never an `if` elsewhere.

mod page_flags;
mod page_types;
mod rows;

#[cfg(test)]
mod tests;

pub use page_flags::PageFlags;
pub use page_types::{PageType, PageTypes};
pub use rows::{Field, Struct};

use std::collections::BTreeMap;

use crate::btf::Btf;
use crate::vmcoreinfo::Vmcoreinfo;

/// No structure is as large as this (`pglist_data` with 1,024 nodes has some
/// hundred KiB): what VMCOREINFO says beyond it is damage.
const LARGEST: u64 = 1 << 24;

/// A member as resolved for this kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// Bytes; for arrays the whole array.
    pub size: u64,
    /// `(shift, width)` of a bit field within the bytes at `offset`.
    pub bits: Option<(u32, u32)>,
}

/// A member or structure that this kernel's tables do not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("neither VMCOREINFO nor the types of this kernel tell {0}")]
pub struct Unknown(pub &'static str);

/// All places pagehound uses, for one kernel.
#[derive(Clone, Debug)]
pub struct Layouts {
    fields: Vec<Option<Place>>,
    structs: Vec<Option<u64>>,
    /// Bits of `page.flags`.
    pub flags: PageFlags,
    /// The encoding of page types.
    pub types: PageTypes,
    /// Rows in which VMCOREINFO and the types contradict each other.
    pub conflicts: Vec<String>,
}

/// Enumerations of which values are asked for, here and elsewhere.
const ENUMS: [&str; 5] = [
    "pageflags",
    "pagetype",
    "node_stat_item",
    "zone_stat_item",
    "page_ext_flags",
];

/// What may be asked of a kernel's types.
pub(crate) struct Questions {
    /// Structs, unions and typedefs, each with the members of which it must have one
    /// to be the one that is meant; none where its size is all that is asked for.
    pub(crate) structs: BTreeMap<&'static str, Vec<&'static str>>,
    /// Enumerations.
    pub(crate) enums: &'static [&'static str],
}

/// Every path of the table.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    rows::FIELDS.iter().flat_map(|row| row.paths).copied()
}

/// Everything that is asked of a kernel's types.
pub(crate) fn questions() -> Questions {
    let mut structs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths() {
        let mut names = path.split('.');
        if let (Some(name), Some(member)) = (names.next(), names.next()) {
            structs.entry(name).or_default().push(member);
        }
    }
    for row in rows::STRUCTS {
        structs.entry(row.name).or_default();
    }
    Questions {
        structs,
        enums: &ENUMS,
    }
}

/// Members looked at for the whole table; the kernels of the lab take some ten
/// thousand. Broken BTF may nest without end.
const MEMBER_BUDGET: u32 = 1 << 20;

/// Where the types have the member of a row.
fn place(btf: &Btf, row: &rows::FieldRow, budget: &mut u32) -> Option<Place> {
    let mut paths = row.paths.iter();
    let member = paths.find_map(|path| btf.member_within(path, budget))?;
    Some(Place {
        offset: member.offset,
        size: member.size,
        bits: member.bits,
    })
}

impl Layouts {
    /// Resolves every row. VMCOREINFO wins where both speak: it was written by
    /// the running kernel itself; BTF adds sizes and what is not exported.
    pub fn resolve(vmcoreinfo: &Vmcoreinfo, btf: Option<&Btf>) -> Layouts {
        let mut conflicts = Vec::new();
        let mut fields = Vec::with_capacity(rows::FIELDS.len());
        let mut budget = MEMBER_BUDGET;
        for row in rows::FIELDS {
            let from_btf = btf.and_then(|btf| place(btf, row, &mut budget));
            let exported = row
                .keys
                .iter()
                .find_map(|key| vmcoreinfo.offset(key))
                .filter(|&offset| offset < LARGEST);
            fields.push(match (exported, from_btf) {
                (Some(offset), Some(place)) => {
                    if offset != place.offset {
                        conflicts.push(format!(
                            "{}: VMCOREINFO says {offset}, the kernel's types {}",
                            row.name, place.offset
                        ));
                    }
                    Some(Place { offset, ..place })
                }
                (Some(offset), None) => Some(Place {
                    offset,
                    size: row.size,
                    bits: None,
                }),
                (None, place) => place,
            });
        }
        let structs = rows::STRUCTS
            .iter()
            .map(|row| {
                vmcoreinfo
                    .size(row.name)
                    .filter(|&size| size < LARGEST)
                    .or_else(|| btf.and_then(|btf| btf.size_of(row.name)))
            })
            .collect();
        Layouts {
            fields,
            structs,
            flags: PageFlags::resolve(vmcoreinfo, btf),
            types: PageTypes::resolve(vmcoreinfo, btf),
            conflicts,
        }
    }

    /// Places what only the types of modules tell: structures of drivers, and of what
    /// some kernels have built in and others load. Of a structure that is the kernel's
    /// own nothing is taken from a module: one built against other headers has another
    /// idea of it.
    pub(crate) fn add(&mut self, base: &Btf, modules: &[(String, Btf)]) {
        let is_own = |path: &str| {
            let name = path.split('.').next().unwrap_or(path);
            base.size_of(name).is_some()
        };
        let mut budget = MEMBER_BUDGET;
        for (row, field) in rows::FIELDS.iter().zip(&mut self.fields) {
            if field.is_none() && !row.paths.iter().any(|path| is_own(path)) {
                let mut types = modules.iter();
                *field = types.find_map(|(_, btf)| place(btf, row, &mut budget));
            }
        }
        for (row, size) in rows::STRUCTS.iter().zip(&mut self.structs) {
            if size.is_none() && !is_own(row.name) {
                *size = modules.iter().find_map(|(_, btf)| btf.size_of(row.name));
            }
        }
    }

    /// Places a member that no table tells and that was found by what it holds.
    pub(crate) fn put(&mut self, field: Field, offset: u64, size: u64) {
        let bits = None;
        if let Some(place) = self.fields.get_mut(field as usize) {
            *place = Some(Place { offset, size, bits });
        }
    }

    /// Place of a member, if this kernel has it.
    pub fn get(&self, field: Field) -> Option<Place> {
        self.fields.get(field as usize).copied().flatten()
    }

    /// Place of a member that the caller cannot do without.
    pub fn place(&self, field: Field) -> Result<Place, Unknown> {
        self.get(field).ok_or(Unknown(field.name()))
    }

    /// Offset of a member that the caller cannot do without.
    pub fn offset(&self, field: Field) -> Result<u64, Unknown> {
        self.place(field).map(|place| place.offset)
    }

    /// Size of a structure in bytes.
    pub fn size(&self, structure: Struct) -> Result<u64, Unknown> {
        self.structs
            .get(structure as usize)
            .copied()
            .flatten()
            .ok_or(Unknown(structure.name()))
    }

    /// The same table with one member moved: the self-check's way to see that
    /// a wrong offset is noticed.
    #[must_use]
    pub fn with_offset(mut self, field: Field, offset: u64) -> Layouts {
        if let Some(Some(place)) = self.fields.get_mut(field as usize) {
            place.offset = offset;
        }
        self
    }

    /// The same table with one member put down by hand.
    #[cfg(test)]
    pub(crate) fn with_place(mut self, field: Field, place: Place) -> Layouts {
        self.fields[field as usize] = Some(place);
        self
    }

    /// The same table with the size of one structure put down by hand.
    #[cfg(test)]
    pub(crate) fn with_size(mut self, structure: Struct, size: u64) -> Layouts {
        self.structs[structure as usize] = Some(size);
        self
    }
}

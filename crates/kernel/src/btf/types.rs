//! Type records: the 12 bytes all kinds share, and what follows them.

use super::Btf;

pub(super) const INT: u8 = 1;
pub(super) const PTR: u8 = 2;
pub(super) const ARRAY: u8 = 3;
pub(super) const STRUCT: u8 = 4;
pub(super) const UNION: u8 = 5;
pub(super) const ENUM: u8 = 6;
pub(super) const FWD: u8 = 7;
pub(super) const TYPEDEF: u8 = 8;
pub(super) const VOLATILE: u8 = 9;
pub(super) const CONST: u8 = 10;
pub(super) const RESTRICT: u8 = 11;
const FUNC: u8 = 12;
const FUNC_PROTO: u8 = 13;
const VAR: u8 = 14;
pub(super) const DATASEC: u8 = 15;
pub(super) const FLOAT: u8 = 16;
const DECL_TAG: u8 = 17;
pub(super) const TYPE_TAG: u8 = 18;
pub(super) const ENUM64: u8 = 19;

/// Bytes of a record before what its kind adds.
pub(super) const HEAD: usize = 12;
/// Bytes of a member of a struct or union: name, type, offset.
pub(super) const MEMBER: usize = 12;

/// No type of a real kernel is nested deeper; loops in broken BTF end here.
pub(super) const MAX_DEPTH: u32 = 64;

/// The part all kinds share.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) name_off: u32,
    pub(super) kind: u8,
    pub(super) kind_flag: bool,
    pub(super) vlen: u32,
    /// Size in bytes, or the id of another type, as the kind has it.
    pub(super) size_or_type: u32,
}

impl Head {
    pub(super) fn at(records: &[u8], at: usize) -> Option<Head> {
        let info = u32_at(records, at.checked_add(4)?)?;
        Some(Head {
            name_off: u32_at(records, at)?,
            // vlen had 16 bits and kind 5 before 7.1; the bits between were unused.
            kind: ((info >> 24) & 0x7f) as u8,
            kind_flag: info >> 31 != 0,
            vlen: info & 0x00ff_ffff,
            size_or_type: u32_at(records, at.checked_add(8)?)?,
        })
    }
}

/// Bytes that follow the head. `None` for a kind that neither this reader nor
/// the layout section (7.2; per kind u8 info_sz, u8 elem_sz, u16 flags) knows.
pub(super) fn extra_size(head: &Head, layout: &[u8]) -> Option<u64> {
    let vlen = u64::from(head.vlen);
    Some(match head.kind {
        PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => 0,
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION => vlen * MEMBER as u64,
        DATASEC | ENUM64 => vlen * 12,
        ENUM | FUNC_PROTO => vlen * 8,
        kind => {
            let at = usize::from(kind) * 4;
            let (&info, &elem) = (layout.get(at)?, layout.get(at + 1)?);
            u64::from(info) + vlen * u64::from(elem)
        }
    })
}

/// One type: its head and what follows.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    pub(super) id: u32,
    pub(super) head: Head,
    /// From after the head to the type section's end.
    pub(super) rest: &'a [u8],
}

impl Type<'_> {
    pub(super) fn is_composite(&self) -> bool {
        matches!(self.head.kind, STRUCT | UNION)
    }

    /// Type of an element and number of elements.
    pub(super) fn array(&self) -> Option<(u32, u32)> {
        (self.head.kind == ARRAY).then_some(())?;
        Some((u32_at(self.rest, 0)?, u32_at(self.rest, 8)?))
    }

    /// The raw members of a struct or union.
    pub(super) fn members(&self) -> impl Iterator<Item = RawMember> {
        let count = if self.is_composite() {
            self.head.vlen as usize
        } else {
            0
        };
        let kind_flag = self.head.kind_flag;
        self.rest
            .chunks_exact(MEMBER)
            .take(count)
            .filter_map(move |record| {
                let offset = u32_at(record, 8)?;
                Some(RawMember {
                    name_off: u32_at(record, 0)?,
                    type_id: u32_at(record, 4)?,
                    bit_offset: if kind_flag {
                        offset & 0x00ff_ffff
                    } else {
                        offset
                    },
                    bit_size: if kind_flag { offset >> 24 } else { 0 },
                })
            })
    }
}

/// A member as recorded; offsets count bits from the struct's begin.
#[derive(Clone, Copy)]
pub(super) struct RawMember {
    pub(super) name_off: u32,
    pub(super) type_id: u32,
    pub(super) bit_offset: u32,
    /// 0 for members that are no bit-fields.
    pub(super) bit_size: u32,
}

impl Btf {
    /// A type by id; `None` for void and for ids that do not exist.
    pub(super) fn get(&self, id: u32) -> Option<Type<'_>> {
        if let Some(base) = self.base.as_ref().filter(|base| id <= base.last()) {
            return base.get(id);
        }
        let index = id.checked_sub(self.first())? as usize;
        let at = *self.offsets.get(index)? as usize;
        let records = self.blob.get(self.types.clone())?;
        Some(Type {
            id,
            head: Head::at(records, at)?,
            rest: records.get(at + HEAD..)?,
        })
    }

    /// The first id of its own types.
    pub(super) fn first(&self) -> u32 {
        1 + self.base.as_ref().map_or(0, |base| base.last())
    }

    /// The last id.
    pub(super) fn last(&self) -> u32 {
        self.first() - 1 + self.offsets.len() as u32
    }

    /// The type behind typedefs and qualifiers.
    pub(super) fn resolve(&self, mut id: u32) -> Option<Type<'_>> {
        for _ in 0..MAX_DEPTH {
            let found = self.get(id)?;
            match found.head.kind {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => id = found.head.size_or_type,
                _ => return Some(found),
            }
        }
        None
    }

    /// Bytes a value of this type takes.
    pub(super) fn size(&self, id: u32) -> Option<u64> {
        let mut id = id;
        let mut count: u64 = 1;
        for _ in 0..MAX_DEPTH {
            let found = self.resolve(id)?;
            let one = match found.head.kind {
                INT | STRUCT | UNION | ENUM | ENUM64 | FLOAT => found.head.size_or_type.into(),
                PTR => 8,
                ARRAY => {
                    let (element, len) = found.array()?;
                    count = count.checked_mul(len.into())?;
                    id = element;
                    continue;
                }
                _ => return None,
            };
            return count.checked_mul(one);
        }
        None
    }

    /// Whether the string at `offset` is `name`; nothing has the empty name.
    pub(super) fn is_name(&self, offset: u32, name: &str) -> bool {
        let rest = self.strings_from(offset);
        !name.is_empty()
            && rest.get(..name.len()) == Some(name.as_bytes())
            && rest.get(name.len()) == Some(&0)
    }

    /// The string at `offset`, if it is text and not empty.
    pub(super) fn name(&self, offset: u32) -> Option<&str> {
        let rest = self.strings_from(offset);
        let bytes = rest.get(..memchr::memchr(0, rest)?)?;
        std::str::from_utf8(bytes)
            .ok()
            .filter(|name| !name.is_empty())
    }

    fn strings_from(&self, offset: u32) -> &[u8] {
        let offset = offset as usize;
        let before = self.base.as_ref().map_or(0, |base| base.strings.len());
        match (&self.base, offset.checked_sub(before)) {
            (Some(base), None) => base.strings_from(offset as u32),
            (_, own) => {
                let strings = self.blob.get(self.strings.clone()).unwrap_or_default();
                strings.get(own.unwrap_or(offset)..).unwrap_or_default()
            }
        }
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

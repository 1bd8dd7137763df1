//! Types of a DWARF unit (DWARF 5, chapter 5) as records of BTF: those that are asked
//! for, and what lies within them. What is behind pointers is left out.

use std::collections::HashMap;

use gimli::{
    Abbreviations, Attribute, AttributeValue, DebugStrOffsets, DebugStrOffsetsBase,
    DebuggingInformationEntry, DwAt, LittleEndian, Operation, UnitHeader, UnitOffset,
    constants as dw,
};

use super::units::Slice;
use crate::btf::{Btf, Record, Writer, WrittenMember};

/// Types within types; as deep as BTF is read.
const MAX_DEPTH: u32 = 64;
/// Work for the types of a whole file: [`ENTRY_WORK`], bytes and attributes of entries that
/// are read, and members looked at. A broken file may have its entries overlap, each with
/// all that is behind it. A Debian kernel takes 336,000.
const MOST_WORK: u64 = 1 << 26;
/// What an entry costs beside its bytes, in the time of reading so many.
const ENTRY_WORK: usize = 16;
/// Attributes that are kept at a time, of types within types.
const MOST_HELD: usize = 1 << 18;
/// Members of a struct, or values of an enumeration.
const MOST_CHILDREN: usize = 1 << 15;
/// Bytes of a name.
const LONGEST_NAME: usize = 512;

/// The sections that entries refer to.
pub(super) struct Sections {
    /// `.debug_str`
    pub(super) strings: Vec<u8>,
    /// `.debug_str_offsets`
    pub(super) offsets: Vec<u8>,
}

/// Gathers types from units.
pub(super) struct Converter<'s> {
    sections: &'s Sections,
    writer: Writer,
    /// What is left of [`MOST_WORK`].
    left: u64,
    /// Attributes that are kept.
    held: usize,
    /// Members and definitions that were asked for and have no type or place here.
    untold: u32,
}

type Entry<'u> = DebuggingInformationEntry<Slice<'u>>;

/// A unit while types are taken out of it.
pub(super) struct Unit<'c, 's, 'u> {
    converter: &'c mut Converter<'s>,
    header: UnitHeader<Slice<'u>>,
    abbreviations: &'u Abbreviations,
    /// Where in `.debug_str_offsets` its own begin.
    base: DebugStrOffsetsBase<usize>,
    /// What was put down already, by its place in the unit.
    known: HashMap<usize, u32>,
    /// The keys of `known`, in the order they were put down in.
    order: Vec<usize>,
}

impl<'s> Converter<'s> {
    pub(super) fn new(sections: &'s Sections) -> Self {
        Converter {
            sections,
            writer: Writer::default(),
            left: MOST_WORK,
            held: 0,
            untold: 0,
        }
    }

    pub(super) fn unit<'c, 'u>(
        &'c mut self,
        header: UnitHeader<Slice<'u>>,
        abbreviations: &'u Abbreviations,
    ) -> Unit<'c, 's, 'u> {
        Unit {
            converter: self,
            header,
            abbreviations,
            base: DebugStrOffsetsBase(0),
            known: HashMap::new(),
            order: Vec::new(),
        }
    }

    /// Takes so much from the work that is left; `None` if that was all.
    fn spend(&mut self, work: usize) -> Option<()> {
        self.left = self.left.saturating_sub(work as u64);
        (self.left > 0).then_some(())
    }

    /// How many members and definitions could not be told, though they are named: what
    /// they refer to is in another unit, or makes no sense.
    pub(super) fn untold(&self) -> u32 {
        self.untold
    }

    pub(super) fn finish(self) -> Option<Btf> {
        self.writer.finish().ok()
    }
}

impl<'s, 'u> Unit<'_, 's, 'u> {
    /// Reads what the unit's own entry says of the others.
    pub(super) fn read_root(&mut self, attributes: &[Attribute<Slice<'u>>]) {
        for attribute in attributes {
            if let AttributeValue::DebugStrOffsetsBase(base) = attribute.value() {
                self.base = base;
            }
        }
    }

    /// The name of a type that is not only declared.
    pub(super) fn name_of_definition<'a>(
        &self,
        attributes: &[Attribute<Slice<'u>>],
    ) -> Option<&'a [u8]>
    where
        's: 'a,
        'u: 'a,
    {
        let find = |name: DwAt| attributes.iter().find(|found| found.name() == name);
        let declared = find(dw::DW_AT_declaration).is_some();
        self.text(&find(dw::DW_AT_name)?.value())
            .filter(|_| !declared)
    }

    /// Puts down the type at `offset`, if it has one of these members or none is given.
    pub(super) fn add(&mut self, offset: UnitOffset<usize>, members: &[&str]) -> bool {
        let (before, known) = (self.converter.writer.len(), self.order.len());
        let id = self.put(offset, MAX_DEPTH);
        let Converter {
            writer,
            left,
            untold,
            ..
        } = &mut *self.converter;
        *untold += u32::from(id.is_none());
        let mut fits = |id| members.is_empty() || writer.has_member(id, members, left);
        let added = id.is_some_and(&mut fits);
        if !added {
            writer.forget(before);
            for offset in self.order.drain(known..) {
                self.known.remove(&offset);
            }
        }
        added
    }

    /// Puts down the type at `offset`; 0 is void.
    fn put(&mut self, offset: UnitOffset<usize>, depth: u32) -> Option<u32> {
        let depth = depth.checked_sub(1)?;
        if let Some(&known) = self.known.get(&offset.0) {
            return Some(known);
        }
        let held = self.converter.held;
        let id = self.put_new(offset, depth);
        self.converter.held = held;
        id
    }

    fn put_new(&mut self, offset: UnitOffset<usize>, depth: u32) -> Option<u32> {
        let mut children = Vec::new();
        let entry = self.read(offset, &mut children)?;
        if matches!(
            entry.tag(),
            dw::DW_TAG_const_type
                | dw::DW_TAG_volatile_type
                | dw::DW_TAG_restrict_type
                | dw::DW_TAG_atomic_type
        ) {
            return self.type_of(&entry, depth);
        }
        let id = self.converter.writer.reserve()?;
        // Known before what lies in it: a broken struct may have itself in it.
        self.known.insert(offset.0, id);
        self.order.push(offset.0);
        let record = self.record(&entry, &children, depth)?;
        self.converter.writer.fill(id, record)?;
        Some(id)
    }

    fn record(&mut self, entry: &Entry<'u>, children: &[Entry<'u>], depth: u32) -> Option<Record> {
        let name = self.name(entry);
        let size = || u32::try_from(number(entry, dw::DW_AT_byte_size)?).ok();
        let is_declared = entry.has_attr(dw::DW_AT_declaration);
        Some(match entry.tag() {
            dw::DW_TAG_base_type => Record::Int {
                name,
                size: size()?,
            },
            dw::DW_TAG_pointer_type => Record::Pointer,
            dw::DW_TAG_typedef => Record::Typedef {
                name,
                of: self.type_of(entry, depth)?,
            },
            dw::DW_TAG_array_type => return self.array(entry, children, depth),
            tag @ (dw::DW_TAG_structure_type | dw::DW_TAG_union_type) if !is_declared => {
                let members = children
                    .iter()
                    .filter(|child| child.tag() == dw::DW_TAG_member);
                Record::Composite {
                    is_union: tag == dw::DW_TAG_union_type,
                    name,
                    size: size()?,
                    members: members
                        .filter_map(|member| {
                            let told = self.member(member, depth);
                            self.converter.untold += u32::from(told.is_none());
                            told
                        })
                        .collect(),
                }
            }
            dw::DW_TAG_enumeration_type if !is_declared => {
                let values = children.iter().filter_map(|child| {
                    let value = child.attr_value_raw(dw::DW_AT_const_value)?;
                    let value = match value {
                        AttributeValue::Sdata(value) => value,
                        other => other.udata_value()?.cast_signed(),
                    };
                    Some((self.name(child), value))
                });
                Record::Enum {
                    values: values.collect(),
                    name,
                    size: size()?,
                }
            }
            _ => Record::Forward { name },
        })
    }

    fn member(&mut self, member: &Entry<'u>, depth: u32) -> Option<WrittenMember> {
        let of = match self.type_of(member, depth) {
            Some(of) => of,
            // Where it lies is known all the same.
            None => {
                self.converter.untold += 1;
                0
            }
        };
        let bits = number(member, dw::DW_AT_bit_size).unwrap_or(0);
        let bytes = match member.attr_value(dw::DW_AT_data_member_location) {
            None => 0,
            Some(value) => value.udata_value().or_else(|| self.constant(&value))?,
        };
        let at = match number(member, dw::DW_AT_data_bit_offset) {
            Some(at) => at,
            None => bytes.checked_mul(8)?.checked_add(
                // Up to DWARF 3 counted from the highest bit of what it is stored in.
                match number(member, dw::DW_AT_bit_offset) {
                    Some(above) => {
                        let stored = number(member, dw::DW_AT_byte_size)
                            .or_else(|| self.converter.writer.size_of_number(of))?;
                        let above = above.checked_add(bits)?;
                        stored.checked_mul(8)?.checked_sub(above)?
                    }
                    None => 0,
                },
            )?,
        };
        Some(WrittenMember {
            name: self.name(member),
            of,
            at: u32::try_from(at).ok()?,
            bits: u8::try_from(bits).ok()?,
        })
    }

    /// An array has its dimensions as children, the outermost first.
    fn array(&mut self, entry: &Entry<'u>, children: &[Entry<'u>], depth: u32) -> Option<Record> {
        let mut element = self.type_of(entry, depth)?;
        let dimensions = children
            .iter()
            .filter(|child| child.tag() == dw::DW_TAG_subrange_type);
        // One without a bound, at the end of a struct, has no elements.
        let mut counts: Vec<u32> = Vec::new();
        for dimension in dimensions.take(MAX_DEPTH as usize) {
            let last = number(dimension, dw::DW_AT_upper_bound);
            let count = number(dimension, dw::DW_AT_count)
                .or_else(|| last?.checked_add(1))
                .unwrap_or(0);
            counts.push(u32::try_from(count).ok()?);
        }
        let outer = if counts.is_empty() {
            0
        } else {
            counts.remove(0)
        };
        for &count in counts.iter().rev() {
            let inner = self.converter.writer.reserve()?;
            let array = Record::Array { element, count };
            self.converter.writer.fill(inner, array)?;
            element = inner;
        }
        Some(Record::Array {
            element,
            count: outer,
        })
    }

    /// The type an entry refers to; 0 if to none. Of another unit (as link-time
    /// optimisation makes) nothing is known here.
    fn type_of(&mut self, entry: &Entry<'u>, depth: u32) -> Option<u32> {
        match entry.attr_value(dw::DW_AT_type) {
            None => Some(0),
            Some(AttributeValue::UnitRef(offset)) => self.put(offset, depth),
            Some(_) => None,
        }
    }

    /// An entry and those right below it.
    fn read(
        &mut self,
        offset: UnitOffset<usize>,
        children: &mut Vec<Entry<'u>>,
    ) -> Option<Entry<'u>> {
        let mut entries = self
            .header
            .entries_raw(self.abbreviations, Some(offset))
            .ok()?;
        let end = self.header.length_including_self();
        let mut at = offset.0;
        let mut next = |converter: &mut Converter<'s>| {
            // Before it is read: a name alone may be as long as the unit.
            converter.spend(ENTRY_WORK)?;
            let mut entry = Entry::null();
            let depth = entries.next_depth();
            let Ok(is_there) = entries.read_entry(&mut entry) else {
                // As if it had been read to the end.
                converter.spend(end.saturating_sub(at))?;
                return None;
            };
            let read = entries.next_offset().0;
            converter.spend(read.checked_sub(at)? + entry.attrs().len())?;
            at = read;
            Some((is_there.then_some(entry), depth, entries.next_depth() > 0))
        };
        let (entry, _, mut goes_on) = next(self.converter)?;
        let entry = entry?;
        while goes_on {
            let (child, depth, more) = next(self.converter)?;
            if let Some(child) = child.filter(|_| depth == 1) {
                self.converter.held += child.attrs().len();
                if children.len() >= MOST_CHILDREN || self.converter.held > MOST_HELD {
                    return None;
                }
                children.push(child);
            }
            goes_on = more;
        }
        Some(entry)
    }

    /// Before DWARF 4 an offset was an expression: add so many bytes.
    fn constant(&self, value: &AttributeValue<Slice<'u>>) -> Option<u64> {
        let mut operations = value.exprloc_value()?.operations(self.header.encoding());
        match operations.next().ok()?? {
            Operation::PlusConstant { value } => Some(value),
            _ => None,
        }
    }

    fn name(&self, entry: &Entry<'u>) -> String {
        let name = entry.attr_value(dw::DW_AT_name);
        let name = name.and_then(|value| Some(self.text(&value)?.to_vec()));
        String::from_utf8_lossy(&name.unwrap_or_default()).into_owned()
    }

    fn text<'a>(&self, value: &AttributeValue<Slice<'u>>) -> Option<&'a [u8]>
    where
        's: 'a,
        'u: 'a,
    {
        let sections = self.converter.sections;
        let at = match value {
            AttributeValue::String(text) => {
                return Some(text.slice()).filter(|text| text.len() < LONGEST_NAME);
            }
            AttributeValue::DebugStrRef(offset) => offset.0,
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let offsets = DebugStrOffsets::from(Slice::new(&sections.offsets, LittleEndian));
                let format = self.header.format();
                offsets.get_str_offset(format, self.base, *index).ok()?.0
            }
            _ => return None,
        };
        let text = sections.strings.get(at..)?;
        let text = text.get(..LONGEST_NAME).unwrap_or(text);
        text.get(..memchr::memchr(0, text)?)
    }
}

fn number(entry: &Entry<'_>, name: DwAt) -> Option<u64> {
    entry.attr_value(name)?.udata_value()
}

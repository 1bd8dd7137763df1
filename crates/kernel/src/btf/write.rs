//! Types that were read elsewhere, put down as BTF: whoever asks for members, sizes
//! and enumerators need not know where they are from.

use std::collections::HashMap;

use super::types::{ARRAY, ENUM64, FWD, INT, MAX_DEPTH, PTR, STRUCT, TYPEDEF, UNION};
use super::{Btf, BtfError, HEADER, MAGIC};

/// More types than the whole of a kernel has.
const MOST_TYPES: usize = 1 << 19;
/// `vlen` has 24 bits.
const MOST_MEMBERS: usize = (1 << 24) - 1;
/// Bytes that all of them take until they are put down; what is taken of a kernel has
/// some MiB.
const MOST_BYTES: u64 = 64 << 20;
/// The offset of a member has 24 bits where one of them is a bit-field.
const MOST_BITS: u32 = (1 << 24) - 1;

/// A type. Types refer to each other by number; 0 is void.
pub(crate) enum Record {
    /// An integer or a float of so many bytes.
    Int {
        name: String,
        size: u32,
    },
    /// A pointer; to what is not kept.
    Pointer,
    Array {
        element: u32,
        count: u32,
    },
    /// A struct or union.
    Composite {
        is_union: bool,
        name: String,
        size: u32,
        members: Vec<WrittenMember>,
    },
    Enum {
        name: String,
        size: u32,
        values: Vec<(String, i64)>,
    },
    Typedef {
        name: String,
        of: u32,
    },
    /// A struct that is named only, and whatever else has no size.
    Forward {
        name: String,
    },
}

impl Record {
    /// Bytes that it takes, about.
    fn bytes(&self) -> u64 {
        let (name, more) = match self {
            Record::Pointer | Record::Array { .. } => (0, 0),
            Record::Int { name, .. } | Record::Typedef { name, .. } | Record::Forward { name } => {
                (name.len(), 0)
            }
            Record::Composite { name, members, .. } => {
                let of = |member: &WrittenMember| member.name.len() + size_of_val(member);
                (name.len(), members.iter().map(of).sum())
            }
            Record::Enum { name, values, .. } => {
                let of = |value: &(String, i64)| value.0.len() + size_of_val(value);
                (name.len(), values.iter().map(of).sum())
            }
        };
        (size_of::<Record>() + name + more) as u64
    }
}

/// A member; `bits` is 0 for one that is no bit-field.
pub(crate) struct WrittenMember {
    pub(crate) name: String,
    pub(crate) of: u32,
    /// Bits from the struct's begin.
    pub(crate) at: u32,
    pub(crate) bits: u8,
}

/// Types that become one [`Btf`].
#[derive(Default)]
pub(crate) struct Writer {
    /// `None` until it is known what the number stands for.
    records: Vec<Option<Record>>,
    /// What they take.
    bytes: u64,
}

impl Writer {
    /// A number for a type that is told later; `None` if there are too many.
    pub(crate) fn reserve(&mut self) -> Option<u32> {
        (self.records.len() < MOST_TYPES).then(|| {
            self.records.push(None);
            self.records.len() as u32
        })
    }

    /// Tells the type that a number from [`reserve`](Self::reserve) stands for, once;
    /// `None` if all together become too large.
    pub(crate) fn fill(&mut self, id: u32, record: Record) -> Option<()> {
        let slot = self.records.get_mut((id as usize).checked_sub(1)?)?;
        let bytes = self.bytes + record.bytes();
        if bytes > MOST_BYTES {
            return None;
        }
        self.bytes = bytes;
        *slot = Some(record);
        Some(())
    }

    /// How many there are, to [`forget`](Self::forget) what comes after.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Forgets the types from `len` on.
    pub(crate) fn forget(&mut self, len: usize) {
        let forgotten = self.records.drain(len.min(self.records.len())..);
        self.bytes -= forgotten
            .flatten()
            .map(|record| record.bytes())
            .sum::<u64>();
    }

    /// Whether a struct has a member of one of these names, also within anonymous ones.
    /// Each member that is looked at is taken from `budget`.
    pub(crate) fn has_member(&self, id: u32, names: &[&str], budget: &mut u64) -> bool {
        self.has_member_within(id, names, MAX_DEPTH, budget)
    }

    fn has_member_within(&self, id: u32, names: &[&str], depth: u32, budget: &mut u64) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        let record = (id as usize).checked_sub(1);
        match record.and_then(|index| self.records.get(index)) {
            Some(Some(Record::Composite { members, .. })) => members.iter().any(|member| {
                *budget = budget.saturating_sub(1);
                if member.name.is_empty() {
                    *budget > 0 && self.has_member_within(member.of, names, depth, budget)
                } else {
                    names.contains(&member.name.as_str())
                }
            }),
            Some(Some(Record::Typedef { of, .. })) => {
                self.has_member_within(*of, names, depth, budget)
            }
            _ => false,
        }
    }

    /// Bytes of an integer or enumeration.
    pub(crate) fn size_of_number(&self, mut id: u32) -> Option<u64> {
        for _ in 0..MAX_DEPTH {
            match self.records.get((id as usize).checked_sub(1)?)? {
                Some(Record::Int { size, .. } | Record::Enum { size, .. }) => {
                    return Some((*size).into());
                }
                Some(Record::Typedef { of, .. }) => id = *of,
                _ => return None,
            }
        }
        None
    }

    /// All types as BTF.
    ///
    /// # Errors
    /// As [`Btf::parse`]; not to be expected.
    pub(crate) fn finish(self) -> Result<Btf, BtfError> {
        let mut out = Blob {
            types: Vec::new(),
            strings: vec![0],
            by_string: HashMap::new(),
        };
        for record in self.records {
            out.record(&record.unwrap_or(Record::Forward {
                name: String::new(),
            }));
        }
        Btf::parse(out.bytes())
    }
}

struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    by_string: HashMap<String, u32>,
}

impl Blob {
    fn record(&mut self, record: &Record) {
        match record {
            Record::Int { name, size } => {
                self.head(name, INT, 0, false, *size);
                // Encoding, and the number of bits.
                self.word(u8::try_from(size.saturating_mul(8)).unwrap_or(0).into());
            }
            Record::Pointer => self.head("", PTR, 0, false, 0),
            Record::Array { element, count } => {
                self.head("", ARRAY, 0, false, 0);
                // The type of an index is not kept.
                self.words([*element, 0, *count]);
            }
            Record::Composite {
                is_union,
                name,
                size,
                members,
            } => {
                let kind = if *is_union { UNION } else { STRUCT };
                let flag = members.iter().any(|member| member.bits != 0);
                // With the flag, offsets have 24 bits: members beyond 2 MiB are left out.
                let limit = if flag { MOST_BITS } else { u32::MAX };
                let members = members.iter().filter(|member| member.at <= limit);
                let count = members.clone().count().min(MOST_MEMBERS);
                self.head(name, kind, count, flag, *size);
                for member in members.take(count) {
                    let name = self.string(&member.name);
                    let at = member.at | u32::from(member.bits) << 24;
                    self.words([name, member.of, at]);
                }
            }
            Record::Enum { name, size, values } => {
                let count = values.len().min(MOST_MEMBERS);
                self.head(name, ENUM64, count, true, *size);
                for (name, value) in values.iter().take(count) {
                    let name = self.string(name);
                    let value = value.cast_unsigned();
                    self.words([name, value as u32, (value >> 32) as u32]);
                }
            }
            Record::Typedef { name, of } => self.head(name, TYPEDEF, 0, false, *of),
            Record::Forward { name } => self.head(name, FWD, 0, false, 0),
        }
    }

    fn head(&mut self, name: &str, kind: u8, vlen: usize, flag: bool, size_or_type: u32) {
        let name = self.string(name);
        let info = u32::from(flag) << 31 | u32::from(kind) << 24 | vlen as u32;
        self.words([name, info, size_or_type]);
    }

    fn words(&mut self, words: [u32; 3]) {
        for word in words {
            self.word(word);
        }
    }

    fn word(&mut self, word: u32) {
        self.types.extend(word.to_le_bytes());
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&at) = self.by_string.get(text) {
            return at;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.by_string.insert(text.to_owned(), at);
        at
    }

    fn bytes(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut blob = Vec::with_capacity(HEADER + self.types.len() + self.strings.len());
        blob.extend(MAGIC.to_le_bytes());
        blob.extend([1, 0]);
        for word in [HEADER as u32, 0, types, types, strings] {
            blob.extend(word.to_le_bytes());
        }
        blob.extend(self.types);
        blob.extend(self.strings);
        blob
    }
}

#[cfg(test)]
mod tests {
    use super::{Btf, Record, Writer, WrittenMember};

    fn with_members(bits: u8) -> Btf {
        let mut writer = Writer::default();
        let of = writer.reserve().unwrap();
        let name = String::from("int");
        writer.fill(of, Record::Int { name, size: 4 });
        let id = writer.reserve().unwrap();
        let member = |name: &str, at: u32, bits| WrittenMember {
            name: name.to_owned(),
            of,
            at,
            bits,
        };
        let mib = 8 << 20;
        let members = vec![
            member("field", 32, bits),
            member("last", 2 * mib - 32, 0),
            member("beyond", 2 * mib + 64, 0),
            member("field_beyond", 3 * mib, bits),
        ];
        let composite = Record::Composite {
            is_union: false,
            name: String::from("large"),
            size: 4 << 20,
            members,
        };
        writer.fill(id, composite);
        // What comes after is read from where the members end.
        let after = writer.reserve().unwrap();
        let name = String::from("after");
        writer.fill(after, Record::Int { name, size: 2 });
        writer.finish().unwrap()
    }

    /// Beside bit-fields an offset has 24 bits: none is better than a wrong one.
    #[test]
    fn members_beyond_what_bit_fields_allow_are_left_out() {
        let at = |types: &Btf, name: &str| {
            let member = types.member(&format!("large.{name}"));
            member.map(|member| (member.offset, member.bits))
        };
        let types = with_members(3);
        assert_eq!(at(&types, "field"), Some((4, Some((0, 3)))));
        assert_eq!(at(&types, "last"), Some(((2 << 20) - 4, None)));
        assert_eq!(at(&types, "beyond"), None);
        assert_eq!(at(&types, "field_beyond"), None);
        assert_eq!(types.size_of("large"), Some(4 << 20));
        assert_eq!(types.type_count(), 3);
        let types = with_members(0);
        assert_eq!(at(&types, "beyond"), Some(((2 << 20) + 8, None)));
        assert_eq!(at(&types, "field_beyond"), Some((3 << 20, None)));
    }
}

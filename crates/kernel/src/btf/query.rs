//! What is asked of BTF: sizes, members, arrays, enumerators.

use std::ops::Range;

use super::Btf;
use super::types::{
    DATASEC, ENUM, ENUM64, FLOAT, INT, MAX_DEPTH, RawMember, STRUCT, TYPEDEF, Type, UNION, u32_at,
};

/// Members looked at for one path, anonymous ones included. The largest structs
/// have some hundreds; broken BTF may nest without end.
const MEMBER_BUDGET: u32 = 1 << 20;

/// `struct btf_var_secinfo`: type, offset, size.
const SECTION_VARIABLE: usize = 12;

/// Where a member lies in a struct, and what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Member {
    /// Bytes from the begin of the struct the path began with.
    pub offset: u64,
    /// Bytes the member takes; for a bit-field the bytes it lies in.
    pub size: u64,
    /// For a bit-field: its first bit, counted from `offset` (below 8, little-endian),
    /// and its number of bits.
    pub bits: Option<(u32, u32)>,
}

impl Btf {
    /// Size in bytes of a struct, union, enum, typedef, integer or float, looked
    /// for in this order: `size_of("net_device")`, `size_of("unsigned long")`.
    pub fn size_of(&self, name: &str) -> Option<u64> {
        const ORDER: [&[u8]; 4] = [&[STRUCT, UNION], &[ENUM, ENUM64], &[TYPEDEF], &[INT, FLOAT]];
        ORDER
            .iter()
            .find_map(|kinds| self.named(name, kinds).find_map(|t| self.size(t.id)))
    }

    /// A member by its path: `member("net_device.adj_list.upper")`.
    ///
    /// The path begins with the name of a struct, union or typedef of one.
    /// Anonymous structs and unions are looked through; an array on the way means
    /// its first element; pointers are not followed. If several structs have the
    /// name, the first that has the path counts.
    pub fn member(&self, path: &str) -> Option<Member> {
        self.member_within(path, &mut MEMBER_BUDGET.clone())
    }

    /// The same for one of many paths, which together look at no more members than
    /// `budget` has.
    pub(crate) fn member_within(&self, path: &str, budget: &mut u32) -> Option<Member> {
        let (name, rest) = path.split_once('.')?;
        self.named(name, &[STRUCT, UNION])
            .chain(self.named(name, &[TYPEDEF]))
            .find_map(|t| self.descend(t, rest, budget))
    }

    /// The value of an enumerator: `enumerator("zone_stat_item", "NR_FREE_PAGES")`.
    /// The enum may be named by a typedef. Unsigned values above `i64::MAX` come out
    /// negative.
    pub fn enumerator(&self, enum_name: &str, name: &str) -> Option<i64> {
        self.named(enum_name, &[ENUM, ENUM64])
            .chain(self.named(enum_name, &[TYPEDEF]))
            .find_map(|t| self.enumerator_of(t, name))
    }

    /// The variables of a section, each with its bytes from the section's begin, by
    /// ascending begin. Kernels have those of `.data..percpu` (since pahole 1.18), also
    /// where kallsyms has functions only.
    pub fn variables(&self, section: &str) -> Vec<(Range<u64>, &str)> {
        let Some(section) = self.section(section) else {
            return Vec::new();
        };
        let records = section.rest.chunks_exact(SECTION_VARIABLE);
        let records = records.take(section.head.vlen as usize);
        let variable = |record| {
            let at = u64::from(u32_at(record, 4)?);
            let size = u64::from(u32_at(record, 8)?);
            Some((at..at + size, self.type_name(u32_at(record, 0)?)))
        };
        let mut all: Vec<_> = records.filter_map(variable).collect();
        all.sort_by_key(|(bytes, _)| bytes.start);
        all
    }

    /// Size in bytes of a section, up to the end of its last variable.
    pub fn section_size(&self, section: &str) -> Option<u64> {
        let section = self.section(section)?;
        let records = section.rest.chunks_exact(SECTION_VARIABLE);
        let records = records.take(section.head.vlen as usize);
        let end = |record| Some(u64::from(u32_at(record, 4)?) + u64::from(u32_at(record, 8)?));
        records.filter_map(end).max()
    }

    fn section(&self, name: &str) -> Option<Type<'_>> {
        let is_it = |t: &Type<'_>| t.head.kind == DATASEC && self.is_name(t.head.name_off, name);
        self.types().find(is_it)
    }

    fn types(&self) -> impl Iterator<Item = Type<'_>> {
        (self.first()..=self.last()).filter_map(|id| self.get(id))
    }

    /// Types with this name and one of these kinds, by id.
    fn named(&self, name: &str, kinds: &[u8]) -> impl Iterator<Item = Type<'_>> {
        let index = self.by_name.get_or_init(|| self.index_names());
        let hash = fnv1a(name.as_bytes());
        let from = index.partition_point(|&(h, _)| h < hash);
        let same_hash = index
            .iter()
            .skip(from)
            .take_while(move |&&(h, _)| h == hash);
        same_hash.filter_map(move |&(_, id)| {
            let found = self.get(id)?;
            let fits = kinds.contains(&found.head.kind) && self.is_name(found.head.name_off, name);
            fits.then_some(found)
        })
    }

    fn index_names(&self) -> Vec<(u32, u32)> {
        const ASKED_FOR: [u8; 7] = [INT, STRUCT, UNION, ENUM, TYPEDEF, FLOAT, ENUM64];
        let mut index: Vec<(u32, u32)> = self
            .types()
            .filter(|t| ASKED_FOR.contains(&t.head.kind))
            .filter_map(|t| Some((fnv1a(self.name(t.head.name_off)?.as_bytes()), t.id)))
            .collect();
        index.sort_unstable();
        index.shrink_to_fit();
        index
    }

    fn descend(&self, start: Type<'_>, path: &str, budget: &mut u32) -> Option<Member> {
        let mut inside = self.composite(start.id)?;
        let mut bits: u64 = 0;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let (at, raw) = self.find_member(inside, name, MAX_DEPTH, budget)?;
            bits = bits.checked_add(at)?;
            if names.peek().is_none() {
                return self.finish(bits, raw);
            }
            inside = self.composite(raw.type_id)?;
        }
        None
    }

    /// The struct or union behind typedefs, qualifiers and array dimensions.
    fn composite(&self, mut id: u32) -> Option<Type<'_>> {
        for _ in 0..MAX_DEPTH {
            let found = self.resolve(id)?;
            match found.array() {
                Some((element, _)) => id = element,
                None => return Some(found).filter(Type::is_composite),
            }
        }
        None
    }

    /// A member and its offset in bits, also through anonymous members.
    fn find_member(
        &self,
        inside: Type<'_>,
        name: &str,
        depth: u32,
        budget: &mut u32,
    ) -> Option<(u64, RawMember)> {
        let depth = depth.checked_sub(1)?;
        for raw in inside.members() {
            *budget = budget.checked_sub(1)?;
            if self.is_name(raw.name_off, name) {
                return Some((raw.bit_offset.into(), raw));
            }
            if raw.name_off != 0 {
                continue;
            }
            let Some(nested) = self.resolve(raw.type_id).filter(Type::is_composite) else {
                continue;
            };
            if let Some((at, found)) = self.find_member(nested, name, depth, budget) {
                return Some((at.checked_add(raw.bit_offset.into())?, found));
            }
        }
        None
    }

    fn finish(&self, mut bit_offset: u64, raw: RawMember) -> Option<Member> {
        let mut bit_size = raw.bit_size;
        let resolved = self.resolve(raw.type_id)?;
        // Before kind_flag (5.0) a bit-field was an integer type of its own, with
        // its bits in the word that follows: bits 0-7 size, 16-23 offset.
        if bit_size == 0 && resolved.head.kind == INT {
            let encoding = u32_at(resolved.rest, 0)?;
            let bits = encoding & 0xff;
            if bits != 0 && u64::from(bits) != u64::from(resolved.head.size_or_type) * 8 {
                bit_size = bits;
                bit_offset = bit_offset.checked_add(((encoding >> 16) & 0xff).into())?;
            }
        }
        let offset = bit_offset / 8;
        let first = (bit_offset % 8) as u32;
        if bit_size == 0 {
            let size = self.size(raw.type_id)?;
            return Some(Member {
                offset,
                size,
                bits: None,
            });
        }
        let size = u64::from((first + bit_size).div_ceil(8));
        Some(Member {
            offset,
            size,
            bits: Some((first, bit_size)),
        })
    }

    fn enumerator_of(&self, t: Type<'_>, name: &str) -> Option<i64> {
        let t = self.resolve(t.id)?;
        self.values(t)
            .find(|&(name_off, _)| self.is_name(name_off, name))
            .map(|(_, value)| value)
    }

    /// Name offset and value of each enumerator; nothing for other types.
    fn values<'a>(&self, t: Type<'a>) -> impl Iterator<Item = (u32, i64)> + use<'a> {
        let (record, wide) = match t.head.kind {
            ENUM => (8, false),
            ENUM64 => (12, true),
            _ => (8, false),
        };
        let count = if matches!(t.head.kind, ENUM | ENUM64) {
            t.head.vlen as usize
        } else {
            0
        };
        let unsigned = self.marks_signed_enums && !t.head.kind_flag;
        t.rest
            .chunks_exact(record)
            .take(count)
            .filter_map(move |value| {
                let low = u32_at(value, 4)?;
                let number = if wide {
                    let high = u32_at(value, 8)?;
                    (u64::from(high) << 32 | u64::from(low)).cast_signed()
                } else if unsigned {
                    low.into()
                } else {
                    low.cast_signed().into()
                };
                Some((u32_at(value, 0)?, number))
            })
    }
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, &b| {
        (hash ^ u32::from(b)).wrapping_mul(0x0100_0193)
    })
}

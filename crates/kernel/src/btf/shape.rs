//! What a struct points to: for walks that follow a driver's own types.

use super::Btf;
use super::types::{ARRAY, FWD, INT, MAX_DEPTH, PTR, STRUCT, Type, UNION};

/// Pointers told of one struct; the largest have some hundreds.
const MOST_POINTERS: usize = 1 << 12;
/// Elements of an array that are told.
const MOST_ELEMENTS: u32 = 256;

/// What a pointer points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A struct or union, by its id.
    Struct(u32),
    /// Pointers to such, one or an array of them.
    Pointers(u32),
    /// Bytes: `void`, or integers.
    Bytes,
}

/// A pointer within a struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PointerAt {
    /// Bytes from the begin of the struct.
    pub(crate) offset: u64,
    /// Offset of the member's name.
    name: u32,
    /// What it points to.
    pub(crate) target: Target,
}

/// What is found, and how many members more are looked at.
struct Walk<'b> {
    found: Vec<PointerAt>,
    budget: &'b mut u32,
}

impl Btf {
    /// Ids of the structs that are a module's own.
    pub(crate) fn own_structs(&self) -> impl Iterator<Item = u32> {
        (self.first()..=self.last()).filter(|&id| {
            let found = self.get(id);
            found.is_some_and(|found| found.head.kind == STRUCT && found.head.vlen > 0)
        })
    }

    /// Whether a type is a module's own, and not the kernel's.
    pub(crate) fn is_own(&self, id: u32) -> bool {
        id >= self.first()
    }

    /// The name of a type; empty for one without.
    pub(crate) fn type_name(&self, id: u32) -> &str {
        let found = self.get(id);
        found
            .and_then(|found| self.name(found.head.name_off))
            .unwrap_or_default()
    }

    /// Bytes a value of the type takes.
    pub(crate) fn type_size(&self, id: u32) -> Option<u64> {
        self.size(id)
    }

    /// The name of the member that holds a pointer.
    pub(crate) fn pointer_name(&self, pointer: &PointerAt) -> &str {
        self.name(pointer.name).unwrap_or_default()
    }

    /// All pointers in a struct, those of structs and arrays in it too, by offset; looks
    /// at no more members than `budget` has.
    pub(crate) fn pointers(&self, id: u32, budget: &mut u32) -> Vec<PointerAt> {
        let mut walk = Walk {
            found: Vec::new(),
            budget,
        };
        self.pointers_in(id, 0, 0, MAX_DEPTH, &mut walk);
        walk.found.sort_by_key(|pointer| pointer.offset);
        walk.found
    }

    fn pointers_in(&self, id: u32, base: u64, name: u32, depth: u32, walk: &mut Walk<'_>) {
        let (Some(depth), Some(this)) = (depth.checked_sub(1), self.resolve(id)) else {
            return;
        };
        // Broken BTF may nest without end.
        *walk.budget = walk.budget.saturating_sub(1);
        if *walk.budget == 0 || walk.found.len() >= MOST_POINTERS {
            return;
        }
        match this.head.kind {
            PTR => walk.found.extend(self.target(this).map(|target| PointerAt {
                offset: base,
                name,
                target,
            })),
            STRUCT | UNION => {
                for member in this.members() {
                    let whole = member.bit_size == 0 && member.bit_offset % 8 == 0;
                    if whole {
                        let at = base.saturating_add(u64::from(member.bit_offset / 8));
                        let named = if member.name_off == 0 {
                            name
                        } else {
                            member.name_off
                        };
                        self.pointers_in(member.type_id, at, named, depth, walk);
                    }
                }
            }
            ARRAY => {
                let Some((element, count)) = this.array() else {
                    return;
                };
                let size = self.size(element).unwrap_or(0);
                for index in 0..u64::from(count.min(MOST_ELEMENTS)) {
                    let at = base.saturating_add(index.saturating_mul(size));
                    self.pointers_in(element, at, name, depth, walk);
                    // An array without pointers is looked at once.
                    if walk.found.last().is_none_or(|last| last.offset < at) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    fn target(&self, pointer: Type<'_>) -> Option<Target> {
        let to = pointer.head.size_or_type;
        if to == 0 {
            return Some(Target::Bytes);
        }
        // Behind qualifiers there may be nothing.
        let Some(to) = self.resolve(to) else {
            return Some(Target::Bytes);
        };
        match to.head.kind {
            STRUCT | UNION | FWD => Some(Target::Struct(to.id)),
            INT => Some(Target::Bytes),
            PTR => {
                let behind = self.resolve(to.head.size_or_type)?;
                matches!(behind.head.kind, STRUCT | UNION).then_some(Target::Pointers(behind.id))
            }
            _ => None,
        }
    }
}

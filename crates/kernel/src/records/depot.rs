//! The stack depot (lib/stackdepot.c): stacks kept once, each known by a handle.

use pagehound_vmcore::VirtAddr;

use crate::kernel::Kernel;
use crate::layouts::{Field, Place};
use crate::virt::VirtualRead;

/// log2 of what offsets within a pool count in (`DEPOT_STACK_ALIGN`).
const ALIGN: u32 = 4;
/// Most frames a stack can have (the largest `CONFIG_STACKDEPOT_MAX_FRAMES`).
const MOST_FRAMES: u64 = 256;

/// Where the stacks lie, and how a handle is made.
pub(super) struct Depot {
    /// Arrays of pointers to pools that are tried: the variable itself, then what
    /// it points to, should it be a pointer.
    arrays: Vec<VirtAddr>,
    pool: Place,
    /// What the first pool is called.
    first: u64,
    offset: Place,
    /// The bit that a handle must have, before 6.9.
    valid: Option<Place>,
}

impl Depot {
    /// `None` where it is not built in.
    pub(super) fn find(kernel: &Kernel<'_>) -> Option<Depot> {
        // Called slabs before 6.3 (961c949b012f).
        let pools = ["stack_pools", "stack_slabs"]
            .iter()
            .find_map(|name| kernel.address(name))?;
        let layouts = &kernel.layouts;
        let (pool, first) = match layouts.get(Field::DepotPoolPlusOne) {
            Some(pool) => (pool, 1),
            None => (layouts.get(Field::DepotPool)?, 0),
        };
        let inner = kernel.memory.ptr(pools).ok();
        Some(Depot {
            arrays: [Some(pools), inner].into_iter().flatten().collect(),
            pool,
            first,
            offset: layouts.get(Field::DepotOffset)?,
            valid: layouts.get(Field::DepotValid),
        })
    }

    /// The return addresses of a stack.
    pub(super) fn stack(&self, kernel: &Kernel<'_>, handle: u32) -> Option<Vec<VirtAddr>> {
        if handle == 0 || self.valid.is_some_and(|valid| part(handle, valid) == 0) {
            return None;
        }
        let pool = part(handle, self.pool).checked_sub(self.first)?;
        let offset = part(handle, self.offset) << ALIGN;
        self.arrays.iter().find_map(|array| {
            let pool = kernel.memory.ptr(array.add(pool * 8)).ok()?;
            let record = pool.add(offset);
            self.is_of(kernel, record, handle)
                .then(|| frames(kernel, record))
                .flatten()
        })
    }

    /// A record says its own handle, but for bits that are its user's.
    fn is_of(&self, kernel: &Kernel<'_>, record: VirtAddr, handle: u32) -> bool {
        let own = kernel.field(record, Field::StackHandle);
        let own = own.ok().and_then(|own| u32::try_from(own).ok());
        own.is_some_and(|own| {
            [self.pool, self.offset]
                .iter()
                .all(|&place| part(own, place) == part(handle, place))
        })
    }
}

/// A bit field of a handle.
fn part(handle: u32, place: Place) -> u64 {
    let (first, width) = place.bits.unwrap_or((0, 32));
    let first = place.offset.saturating_mul(8) + u64::from(first);
    let value = u64::from(handle).checked_shr(u32::try_from(first).unwrap_or(u32::MAX));
    let mask = 1_u64.checked_shl(width).map_or(u64::MAX, |end| end - 1);
    value.unwrap_or(0) & mask
}

fn frames(kernel: &Kernel<'_>, record: VirtAddr) -> Option<Vec<VirtAddr>> {
    let count = kernel.field(record, Field::StackSize).ok()?;
    if count == 0 || count > MOST_FRAMES {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(count * 8).ok()?];
    let entries = kernel.member(record, Field::StackEntries).ok()?;
    kernel.memory.read(entries, &mut bytes).ok()?;
    let words = bytes.as_chunks::<8>().0.iter();
    let addresses = words.map(|&word| u64::from_le_bytes(word));
    Some(addresses.map(VirtAddr).collect())
}

//! page_owner (mm/page_owner.c): for every page who allocated it last, if the
//! kernel was booted with `page_owner=on`.

use pagehound_vmcore::VirtAddr;

use super::client;
use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::text::printable;
use crate::virt::VirtualRead;

/// The last allocation of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Whether the page is still allocated.
    pub allocated: bool,
    /// log2 of the pages of the block that was asked for.
    pub order: u32,
    /// `GFP_*` bits it was asked for with.
    pub gfp: u32,
    /// Handle of its stack, for [`Records::stack`](super::Records::stack).
    pub stack: u32,
    /// The thread's id (5.11 and later).
    pub pid: Option<u32>,
    /// The process's id.
    pub tgid: Option<u32>,
    /// The thread's name; safe to print.
    pub comm: Option<String>,
    /// Nanoseconds of the kernel's own clock (5.11 and later).
    pub ts_nsec: Option<u64>,
}

/// Bits of `page_ext.flags`: since 5.4 (37389167a281) the first says that there is
/// a record, the next that the page is still allocated.
const OWNER: u32 = 0;
const ALLOCATED: u32 = 1;

/// Highest order a record can have: more than any allocator's.
const MOST_ORDER: u64 = 20;

/// Where page_owner keeps its records.
pub(super) struct PageOwner {
    /// Bytes from the start of a frame's record.
    offset: u64,
    owner: u64,
    allocated: u64,
}

impl PageOwner {
    /// `None` where it is not built in or not on.
    pub(super) fn find(kernel: &Kernel<'_>) -> Option<PageOwner> {
        let size = kernel.layouts.size(Struct::PageOwner).ok()?;
        // The flags come first: a client without a place has the offset 0.
        let offset = client(kernel, "page_owner_ops", size).filter(|&offset| offset >= 8)?;
        // The enumeration names no variable, so that most kernels' types do not
        // have it.
        let bit = |name, usual| {
            let types = kernel.types.as_deref();
            let value = types.and_then(|types| types.enumerator("page_ext_flags", name));
            value.map_or(Some(1_u64 << usual), |bit| {
                1_u64.checked_shl(u32::try_from(bit).ok()?)
            })
        };
        Some(PageOwner {
            offset,
            owner: bit("PAGE_EXT_OWNER", OWNER)?,
            allocated: bit("PAGE_EXT_OWNER_ALLOCATED", ALLOCATED)?,
        })
    }

    /// The allocation that the record of a frame at `record` tells.
    pub(super) fn read(&self, kernel: &Kernel<'_>, record: VirtAddr) -> Option<Allocation> {
        let flags = kernel.field(record, Field::PageExtFlags).ok()?;
        if flags & self.owner == 0 {
            return None;
        }
        let at = record.add(self.offset);
        let word = |field| kernel.field(at, field).ok();
        let id = |field| word(field).and_then(|id| u32::try_from(id).ok());
        let stack = u32::try_from(word(Field::OwnerHandle)?).ok()?;
        let order = word(Field::OwnerOrder).filter(|&order| order <= MOST_ORDER)?;
        Some(Allocation {
            allocated: flags & self.allocated != 0,
            order: u32::try_from(order).ok()?,
            gfp: u32::try_from(word(Field::OwnerGfp)?).ok()?,
            stack,
            pid: id(Field::OwnerPid),
            tgid: id(Field::OwnerTgid),
            comm: comm(kernel, at),
            ts_nsec: word(Field::OwnerTime),
        })
    }
}

/// The name at its place, which has a zero at the end unless it is full.
fn comm(kernel: &Kernel<'_>, owner: VirtAddr) -> Option<String> {
    let place = kernel.layouts.get(Field::OwnerComm)?;
    let mut bytes = [0; 64];
    let bytes = bytes.get_mut(..usize::try_from(place.size).ok()?)?;
    let at = owner.add(place.offset);
    kernel.memory.read(at, bytes).ok()?;
    let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    Some(printable(name)).filter(|name| !name.is_empty())
}

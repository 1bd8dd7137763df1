//! Bits of `page.flags`.

use crate::btf::Btf;
use crate::vmcoreinfo::Vmcoreinfo;

/// Masks of the flags that tell classes apart; 0 where this kernel has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "named after enum pageflags")]
pub struct PageFlags {
    pub locked: u64,
    pub lru: u64,
    /// 0 from 6.10 on, where slab is a page type (46df8e73a4a3).
    pub slab: u64,
    pub reserved: u64,
    pub private: u64,
    pub head: u64,
    pub swapcache: u64,
    pub swapbacked: u64,
    pub hwpoison: u64,
}

impl PageFlags {
    pub(super) fn resolve(vmcoreinfo: &Vmcoreinfo, btf: Option<&Btf>) -> PageFlags {
        let number = |name: &str| -> Option<i64> {
            vmcoreinfo
                .number(name)
                .or_else(|| btf.and_then(|btf| btf.enumerator("pageflags", name)))
        };
        let mask = |name: &str| {
            number(name)
                .filter(|bit| (0..64).contains(bit))
                .map_or(0, |bit| 1u64 << bit)
        };
        let private = mask("PG_private");
        // Never exported; in every release PG_reserved comes right before
        // PG_private (include/linux/page-flags.h, 3.10 to 7.3).
        let reserved = match btf.and_then(|btf| btf.enumerator("pageflags", "PG_reserved")) {
            Some(bit) if (0..64).contains(&bit) => 1 << bit,
            _ => private >> 1,
        };
        let head = vmcoreinfo
            .number("PG_head_mask")
            .map_or_else(|| mask("PG_head"), |mask| mask as u64);
        PageFlags {
            // The first of the enumeration in every release; never exported.
            locked: 1,
            lru: mask("PG_lru"),
            slab: mask("PG_slab"),
            reserved,
            private,
            head,
            swapcache: mask("PG_swapcache"),
            swapbacked: mask("PG_swapbacked"),
            hwpoison: mask("PG_hwpoison"),
        }
    }
}

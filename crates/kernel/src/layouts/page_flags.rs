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
        let swapcache = mask("PG_swapcache");
        let head = match vmcoreinfo.number("PG_head_mask") {
            Some(mask) => mask as u64,
            // Not exported before "kexec: save PG_head_mask in VMCOREINFO" (not in 3.13,
            // in 3.19): there private_2 and writeback come between private and head, and
            // swapcache behind them all (include/linux/page-flags.h of 3.10).
            None => match mask("PG_head") {
                0 if swapcache > private => private << 3,
                mask => mask,
            },
        };
        // Not exported up to 4.14, where there is no BTF either: there swapcache,
        // mappedtodisk, reclaim and swapbacked follow one another, and head the last
        // three since swapcache is another name of owner_priv_1 (6326fec1122c, 4.10).
        let swapbacked = match mask("PG_swapbacked") {
            0 if swapcache > private => swapcache << 3,
            0 if swapcache != 0 && head.is_power_of_two() => head << 3,
            mask => mask,
        };
        PageFlags {
            // The first of the enumeration in every release; never exported.
            locked: 1,
            lru: mask("PG_lru"),
            slab: mask("PG_slab"),
            reserved,
            private,
            head,
            swapcache,
            swapbacked,
            hwpoison: mask("PG_hwpoison"),
        }
    }
}

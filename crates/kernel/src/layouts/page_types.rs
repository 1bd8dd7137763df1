//! How `page._mapcount` says what a page is used for.

use crate::btf::Btf;
use crate::vmcoreinfo::Vmcoreinfo;

/// A use that is marked in `_mapcount` (`page_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named after enum pagetype")]
pub enum PageType {
    Buddy,
    Offline,
    Table,
    Hugetlb,
    Slab,
    LargeKmalloc,
    Unaccepted,
    Zsmalloc,
    Netpp,
}

/// One kernel's encoding of page types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageTypes {
    scheme: Scheme,
    types: Vec<(PageType, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    /// Up to 4.17: the whole value.
    Value,
    /// 4.18 (6e292b9be7f4) to 6.11: a cleared bit below a base.
    ClearedBit { base: u32 },
    /// 6.12 (4ffca5a96678) on: the top byte.
    TopByte,
}

impl PageTypes {
    /// Whether this kernel marks a use so.
    pub(crate) fn has(&self, page_type: PageType) -> bool {
        self.types.iter().any(|&(known, _)| known == page_type)
    }

    pub(super) fn resolve(vmcoreinfo: &Vmcoreinfo, btf: Option<&Btf>) -> PageTypes {
        let exported = |name: &str| {
            vmcoreinfo
                .number(&format!("PAGE_{name}_MAPCOUNT_VALUE"))
                .map(|value| value as i32 as u32)
        };
        let buddy = exported("BUDDY").unwrap_or(!0x80);
        let scheme = match buddy {
            // -128
            0xffff_ff80 => Scheme::Value,
            // 0xf0 in the top byte, nothing below
            0xf000_0000 => Scheme::TopByte,
            // ~0x40000000: the base moved to the sign bit in 6.11.
            0xbfff_ffff => Scheme::ClearedBit { base: 0x8000_0000 },
            _ => Scheme::ClearedBit { base: 0xf000_0000 },
        };
        let code = |value: u32| match scheme {
            Scheme::Value => value,
            Scheme::ClearedBit { .. } => !value,
            Scheme::TopByte => value >> 24,
        };
        let mut types = vec![(PageType::Buddy, code(buddy))];
        let mut add = |kind, value: Option<u32>| {
            if let Some(value) = value {
                types.push((kind, value));
            }
        };
        let named = |name: &str| {
            btf.and_then(|btf| {
                btf.enumerator("pagetype", &format!("PGTY_{name}"))
                    .or_else(|| btf.enumerator("pagetype", &format!("PG_{name}")))
            })
            .map(|value| value as u32)
        };
        let of = |key: &str, name: &str| exported(key).map(code).or_else(|| named(name));
        add(PageType::Offline, of("OFFLINE", "offline"));
        add(PageType::Hugetlb, of("HUGETLB", "hugetlb"));
        add(PageType::Slab, of("SLAB", "slab"));
        add(PageType::Unaccepted, of("UNACCEPTED", "unaccepted"));
        add(PageType::LargeKmalloc, named("large_kmalloc"));
        add(PageType::Zsmalloc, named("zsmalloc"));
        add(PageType::Netpp, named("netpp"));
        // PG_table was a #define up to 6.10: 0x400 while kmemcg was a type of
        // its own (0x200), 0x200 once memcg_data replaced that (18b2db3b0385, 5.11).
        // A kernel without CONFIG_MEMCG has no such member; that page tables are
        // counted by node came with the same release (f0c0c115fb81).
        let table = named("table").or(match scheme {
            Scheme::ClearedBit { base: 0xf000_0000 } => btf.map(|btf| {
                let by_node = btf.enumerator("node_stat_item", "NR_PAGETABLE");
                if btf.member("page.memcg_data").is_some() || by_node.is_some() {
                    0x200
                } else {
                    0x400
                }
            }),
            _ => None,
        });
        add(PageType::Table, table);
        PageTypes { scheme, types }
    }

    /// The type in a `_mapcount` word, if it holds one rather than a count.
    pub fn of(&self, mapcount: u32) -> Option<PageType> {
        match self.scheme {
            Scheme::Value => self.find(|code| code == mapcount),
            Scheme::ClearedBit { base } => {
                // Several may be set (kmemcg and table, up to 5.10): test bits.
                self.find(|code| mapcount & (base | code) == base)
            }
            Scheme::TopByte => {
                // 0x80 to 0xef is room for counts that overflow.
                let top = mapcount >> 24;
                (0xf0..0xff)
                    .contains(&top)
                    .then(|| self.find(|code| code == top))
                    .flatten()
            }
        }
    }

    fn find(&self, test: impl Fn(u32) -> bool) -> Option<PageType> {
        self.types
            .iter()
            .find(|&&(_, code)| test(code))
            .map(|&(kind, _)| kind)
    }
}

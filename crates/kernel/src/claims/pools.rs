//! Pages whose `struct page` names their pool: page_pools and zsmalloc.

use std::collections::HashMap;

use pagehound_vmcore::VirtAddr;

use super::{Search, ZSMALLOC};
use crate::layouts::{Field, PageType};
use crate::pagemap::Class;
use crate::symbolizer::Symbolizer;
use crate::text::printable;
use crate::virt::VirtualRead;

/// Bits of `page.mapping` that say what it is, and those of a page that its driver
/// can move: of include/linux/page-flags.h in every release that has them.
const MAPPING_FLAGS: u64 = 3;
const MOVABLE: u64 = 2;
/// `PP_ALLOC_CACHE_SIZE`: pages a page_pool keeps beside its ring.
const ALLOC_CACHE: u64 = 128;

impl Search<'_> {
    /// Pages of page_pools.
    pub(super) fn page_pools(&mut self) {
        let pages = self.pages;
        let mut structs = pages.memmap.struct_pages(self.kernel);
        let mut owners: HashMap<u64, u32> = HashMap::new();
        for head in pages.map.heads(Class::PagePool) {
            let Some(bytes) = structs.get(head) else {
                continue;
            };
            // pp_magic and pp lie where lru lies, in every release.
            let [_, pool] = pages.decoder.words(bytes).lru();
            let pool = VirtAddr(pool);
            let owner = match owners.get(&pool.0) {
                Some(owner) => *owner,
                None => {
                    let (name, most) = self.page_pool(pool);
                    let owner = self.owner("page_pool", name, most);
                    owners.insert(pool.0, owner);
                    owner
                }
            };
            self.below("page_pool", pool, |search| search.frame(owner, head));
        }
    }

    /// Pages of zsmalloc's pools. Where page types do not tell them, they are those
    /// raw pages that can be moved (`PAGE_MAPPING_MOVABLE`, 4.8) and name a pool.
    pub(super) fn zsmalloc(&mut self) {
        let pages = self.pages;
        let mut structs = pages.memmap.struct_pages(self.kernel);
        let mut owners: HashMap<u64, Option<u32>> = HashMap::new();
        let marked = self.kernel.layouts.types.has(PageType::Zsmalloc);
        let symbols = self.kernel.symbolizer();
        let raw = pages.map.heads(Class::Raw);
        let raw = raw.filter(|&head| !marked && !pages.map.is_compound(head));
        for head in pages.map.heads(Class::Zsmalloc).chain(raw) {
            let Some(bytes) = structs.get(head) else {
                continue;
            };
            let words = pages.decoder.words(bytes);
            let typed = pages.map.class(head) == Class::Zsmalloc;
            if !typed && words.mapping() & MAPPING_FLAGS != MOVABLE {
                continue;
            }
            let zspage = VirtAddr(words.private());
            let mapping = VirtAddr(words.mapping() & !MAPPING_FLAGS);
            let layouts = &self.kernel.layouts;
            let named = layouts.get(Field::ZsPoolName).is_some();
            let pool = match layouts.get(Field::ZspagePool) {
                Some(_) => self.kernel.pointer(zspage, Field::ZspagePool),
                None if named => self.kernel.pointer(mapping, Field::AddressSpacePrivate),
                // Without its types it is known by the operations its pages have.
                None => Ok(mapping),
            };
            let Ok(pool) = pool else { continue };
            let owner = match owners.get(&pool.0) {
                Some(owner) => *owner,
                None => {
                    let name = if named {
                        self.zs_pool(pool)
                    } else {
                        self.moved_by(pool, &symbols)
                    };
                    let owner = name.map(|name| self.owner(ZSMALLOC, name, None));
                    owners.insert(pool.0, owner);
                    owner
                }
            };
            if let Some(owner) = owner {
                self.below("zs_pool", pool, |search| {
                    search.below("zspage", zspage, |search| search.frame(owner, head));
                });
            }
        }
    }

    /// The operations of pages that a driver can move: their own since 6.0
    /// (68f2736a8583), before those of an address space.
    fn moved_by(&self, mapping: VirtAddr, symbols: &Symbolizer<'_>) -> Option<String> {
        let own = symbols.module(mapping);
        let of_space = || {
            let operations = self.kernel.pointer(mapping, Field::AddressSpaceOps).ok()?;
            symbols.module(operations)
        };
        let module = own.or_else(of_space)?;
        (module.name == "zsmalloc").then(|| "pool without a name".to_owned())
    }

    /// The name of a pool: of its device, or `zswap` and a number.
    fn zs_pool(&self, pool: VirtAddr) -> Option<String> {
        let kernel = self.kernel;
        let name = kernel.pointer(pool, Field::ZsPoolName).ok()?;
        let name = printable(&kernel.memory.cstr(name, 64).ok()?);
        (!name.is_empty()).then_some(name)
    }

    /// What a page_pool is for, and the pages it may have: as many in use as its
    /// ring has room for, as many waiting in the ring, and those in its cache.
    fn page_pool(&self, pool: VirtAddr) -> (String, Option<u64>) {
        let kernel = self.kernel;
        let netdev = kernel.pointer(pool, Field::PoolNetdev).ok();
        let netdev = netdev.filter(|device| device.0 != 0);
        let interface = netdev.and_then(|device| {
            let name = kernel.member(device, Field::NetDevName).ok()?;
            Some(printable(&kernel.memory.cstr(name, 16).ok()?))
        });
        let device = kernel.pointer(pool, Field::PoolDev).ok();
        let device = device.filter(|device| device.0 != 0);
        let device = device.and_then(|device| kernel.device_name(device));
        let name = match (interface, device) {
            (Some(interface), Some(device)) => format!("{interface} ({device})"),
            (Some(name), None) | (None, Some(name)) => name,
            (None, None) => format!("at {pool}"),
        };
        let order = kernel.field(pool, Field::PoolOrder).unwrap_or(0).min(20);
        let slots = kernel.field(pool, Field::PoolSize).ok();
        // The ring's room where the settings say nothing (page_pool_init()).
        let slots = slots.map(|slots| if slots == 0 { 1024 } else { slots });
        let most = slots.map(|slots| (2 * slots + ALLOC_CACHE) << order);
        (name, most)
    }
}

//! Pages whose `struct page` names their pool: page_pools and zsmalloc.

use std::collections::HashMap;

use pagehound_vmcore::VirtAddr;

use super::{Kind, Search};
use crate::layouts::{Field, PageType};
use crate::pagemap::Class;
use crate::symbolizer::Symbolizer;
use crate::text::printable;
use crate::virt::VirtualRead;

/// Bits of `page.mapping` that say what it is, and those of a page that its driver
/// can move: of include/linux/page-flags.h in every release that has them.
const MAPPING_FLAGS: u64 = 3;
const MOVABLE: u64 = 2;
/// `page_pool_init()` refuses rings beyond this, or has smaller ones (net/core/page_pool.c
/// since 4.18).
const MOST_SLOTS: u64 = 1 << 15;
/// `PP_ALLOC_CACHE_SIZE` of include/net/page_pool/types.h, the same since 4.18.
const CACHE_SLOTS: u64 = 128;
/// `MAX_ORDER` of any kernel is less.
const LARGEST_ORDER: u64 = 20;

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
                    let (name, most) = (self.page_pool(pool), self.most_of(pool));
                    let owner = self.owner(Kind::PagePool, name, most);
                    owners.insert(pool.0, owner);
                    owner
                }
            };
            self.below("page_pool", pool, |search| search.frame(owner, head));
        }
    }

    /// Pages of zsmalloc's pools. Where page types do not tell them, they are those
    /// raw pages whose driver can move them (`PAGE_MAPPING_MOVABLE`, 4.8) and is
    /// zsmalloc.
    pub(super) fn zsmalloc(&mut self) {
        let pages = self.pages;
        let layouts = &self.kernel.layouts;
        let marked = layouts.types.has(PageType::Zsmalloc);
        let symbols = self.kernel.symbolizer();
        let mut moved: HashMap<u64, bool> = HashMap::new();
        let mut owners: HashMap<u64, u32> = HashMap::new();
        let mut structs = pages.memmap.struct_pages(self.kernel);
        let class = if marked { Class::Zsmalloc } else { Class::Raw };
        // Its types or its module: without either nothing is its own.
        let named = layouts.get(Field::ZsPoolName).is_some();
        if !named
            && !symbols
                .modules()
                .iter()
                .any(|module| module.name == "zsmalloc")
        {
            return;
        }
        for head in pages.map.heads(class) {
            let Some(bytes) = structs.get(head) else {
                continue;
            };
            let words = pages.decoder.words(bytes);
            let mapping = VirtAddr(words.mapping() & !MAPPING_FLAGS);
            if !marked {
                let movable = words.mapping() & MAPPING_FLAGS == MOVABLE;
                let own = movable
                    && *moved
                        .entry(mapping.0)
                        .or_insert_with(|| self.is_zsmalloc(mapping, &symbols));
                if !own {
                    continue;
                }
            }
            let zspage = VirtAddr(words.private());
            let pool = match layouts.get(Field::ZspagePool) {
                Some(_) => self.kernel.pointer(zspage, Field::ZspagePool),
                // Operations of its own lead to no pool.
                None if symbols.module(mapping).is_some() => Ok(mapping),
                None => self.kernel.pointer(mapping, Field::AddressSpacePrivate),
            };
            let Ok(pool) = pool else { continue };
            let owner = match owners.get(&pool.0) {
                Some(owner) => *owner,
                None => {
                    let name = self.zs_pool(pool).unwrap_or_else(|| format!("at {pool}"));
                    let owner = self.owner(Kind::Zsmalloc, name, None);
                    owners.insert(pool.0, owner);
                    owner
                }
            };
            self.below("zs_pool", pool, |search| {
                search.below("zspage", zspage, |search| search.frame(owner, head));
            });
        }
    }

    /// Whether pages are moved by zsmalloc: by operations of their own since 6.0
    /// (68f2736a8583), before by those of an address space.
    fn is_zsmalloc(&self, mapping: VirtAddr, symbols: &Symbolizer<'_>) -> bool {
        let is_own = |at: VirtAddr| {
            let module = symbols.module(at).is_some_and(|own| own.name == "zsmalloc");
            let name = symbols.symbolize(at);
            module || name.is_some_and(|name| name.starts_with("zsmalloc_"))
        };
        let operations = self.kernel.pointer(mapping, Field::AddressSpaceOps);
        is_own(mapping) || operations.is_ok_and(is_own)
    }

    /// The name of a pool: of its device, or `zswap` and a number. It is the first member
    /// in every release, which a kernel without types of modules does not tell.
    fn zs_pool(&self, pool: VirtAddr) -> Option<String> {
        let kernel = self.kernel;
        let place = kernel.layouts.get(Field::ZsPoolName);
        let name = pool.add(place.map_or(0, |place| place.offset));
        let name = kernel.memory.cstr(kernel.memory.ptr(name).ok()?, 64).ok()?;
        let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        is_name.then(|| printable(&name))
    }

    /// Most pages a pool may have that are in no socket's queue. It keeps as many as its
    /// ring and its cache have slots. What is out is with the device: drivers make the
    /// ring as large as the device's own (`pp_params.pool_size = DESC_NUM` in
    /// Documentation/networking/page_pool.rst, which all but a few follow), so that is
    /// as many again. An estimate: a driver may take several pages for a descriptor.
    fn most_of(&self, pool: VirtAddr) -> Option<u64> {
        let kernel = self.kernel;
        let slots = kernel.field(pool, Field::PoolRingSize).ok()?;
        let order = kernel.field(pool, Field::PoolOrder).ok()?;
        let is_sane = (1..=MOST_SLOTS).contains(&slots) && order <= LARGEST_ORDER;
        is_sane.then(|| (2 * slots + CACHE_SLOTS) << order)
    }

    /// What a page_pool is for.
    fn page_pool(&self, pool: VirtAddr) -> String {
        let kernel = self.kernel;
        let some = |field| kernel.pointer(pool, field).ok().filter(|at| at.0 != 0);
        let interface = some(Field::PoolNetdev).and_then(|device| {
            let name = kernel.member(device, Field::NetDevName).ok()?;
            Some(printable(&kernel.memory.cstr(name, 16).ok()?))
        });
        let device = some(Field::PoolDev).and_then(|device| kernel.device_name(device));
        match (interface, device) {
            (Some(interface), Some(device)) => format!("{interface} ({device})"),
            (Some(name), None) | (None, Some(name)) => name,
            (None, None) => format!("at {pool}"),
        }
    }
}

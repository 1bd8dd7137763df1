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
                    let name = self.page_pool(pool);
                    let owner = self.owner("page_pool", name, None);
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
                None if named => self.kernel.pointer(mapping, Field::AddressSpacePrivate),
                None => Ok(mapping),
            };
            let Ok(pool) = pool else { continue };
            let owner = match owners.get(&pool.0) {
                Some(owner) => *owner,
                None => {
                    let name = self.zs_pool(pool).unwrap_or_else(|| format!("at {pool}"));
                    let owner = self.owner(ZSMALLOC, name, None);
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

    /// The name of a pool: of its device, or `zswap` and a number.
    fn zs_pool(&self, pool: VirtAddr) -> Option<String> {
        let kernel = self.kernel;
        let name = kernel.pointer(pool, Field::ZsPoolName).ok()?;
        let name = printable(&kernel.memory.cstr(name, 64).ok()?);
        (!name.is_empty()).then_some(name)
    }

    /// What a page_pool is for. Its settings bound what waits in it, not what is in
    /// use.
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

//! Pages whose `struct page` names their pool: page_pools and zsmalloc.

use std::collections::HashMap;

use pagehound_vmcore::VirtAddr;

use super::Search;
use crate::layouts::Field;
use crate::pagemap::Class;
use crate::text::printable;
use crate::virt::VirtualRead;

/// `PP_ALLOC_CACHE_SIZE`: pages a page_pool keeps beside its ring.
const ALLOC_CACHE: u64 = 128;

impl Search<'_> {
    /// Pages of page_pools and of zsmalloc's pools.
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
        let mut owners: HashMap<u64, u32> = HashMap::new();
        for head in pages.map.heads(Class::Zsmalloc) {
            let Some(bytes) = structs.get(head) else {
                continue;
            };
            let zspage = VirtAddr(pages.decoder.words(bytes).private());
            let Ok(pool) = self.kernel.pointer(zspage, Field::ZspagePool) else {
                continue;
            };
            let owner = match owners.get(&pool.0) {
                Some(owner) => *owner,
                None => {
                    let name = self.zs_pool(pool);
                    let owner = self.owner("zsmalloc", name, None);
                    owners.insert(pool.0, owner);
                    owner
                }
            };
            self.below("zs_pool", pool, |search| {
                search.below("zspage", zspage, |search| search.frame(owner, head));
            });
        }
    }

    fn zs_pool(&self, pool: VirtAddr) -> String {
        let kernel = self.kernel;
        let name = kernel.pointer(pool, Field::ZsPoolName).ok();
        let name = name.and_then(|name| kernel.memory.cstr(name, 64).ok());
        printable(&name.unwrap_or_default())
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

//! Slabs (`mm/slub.c`, `include/linux/slub_def.h`), and the page cache of one file,
//! whose pages a radix tree names (`include/linux/radix-tree.h`, `lib/radix-tree.c`).

use std::collections::BTreeMap;

use super::addresses::{PAGE, page};
use super::build::Build;
use super::memmap::StructPage;
use super::processes::TASK_SIZE;

/// Caches by name: bytes of an object, order of a slab.
const CACHES: [(&str, u64, u32); 10] = [
    ("kmem_cache", 512, 0),
    ("kmalloc-64", 64, 0),
    ("kmalloc-96", 96, 0),
    ("kmalloc-2048", 2048, 3),
    ("anon_vma", 80, 0),
    ("ext4_inode_cache", 1072, 2),
    ("mm_struct", 2112, 3),
    ("radix_tree_node", 576, 2),
    ("task_struct", TASK_SIZE, 3),
    ("signal_cache", 1024, 2),
];

/// `RADIX_TREE_MAP_SHIFT` is 6.
const SLOTS: u64 = 64;

#[derive(Default)]
pub(super) struct Caches {
    by_name: BTreeMap<&'static str, Cache>,
}

struct Cache {
    /// Of its `kmem_cache`.
    address: u64,
    size: u64,
    order: u32,
    /// First frames of its slabs, and how many objects the last one has given away.
    slabs: Vec<u64>,
    used: u64,
}

impl Cache {
    fn per_slab(&self) -> u64 {
        (PAGE << self.order) / self.size
    }
}

impl Build {
    /// An object of a cache, all zero; its address.
    pub(super) fn object(&mut self, name: &'static str) -> u64 {
        if !self.caches.by_name.contains_key(name) {
            self.create_cache(name);
        }
        let cache = self.cache(name);
        let order = cache.order;
        if cache.slabs.is_empty() || cache.used == cache.per_slab() {
            let slab = match order {
                0 => self.single(),
                _ => self.block(order),
            };
            let cache = self.cache(name);
            cache.slabs.push(slab);
            cache.used = 0;
        }
        let cache = self.cache(name);
        let slab = *cache.slabs.last().expect("one at least");
        cache.used += 1;
        let offset = (cache.used - 1) * cache.size;
        self.era.direct(slab) + offset
    }

    fn cache(&mut self, name: &str) -> &mut Cache {
        let cache = self.caches.by_name.get_mut(name);
        cache.expect("a cache that was created")
    }

    /// Creates a cache, of which the first is that of the caches themselves.
    fn create_cache(&mut self, name: &'static str) {
        let of_name = CACHES.iter().find(|(known, _, _)| *known == name);
        let &(_, size, order) = of_name.expect("a cache of the table");
        let cache = Cache {
            address: 0,
            size,
            order,
            slabs: Vec::new(),
            used: 0,
        };
        self.caches.by_name.insert(name, cache);
        let address = self.object("kmem_cache");
        self.cache(name).address = address;
        let text = self.string(name);
        // struct kmem_cache: size, object_size; three pairs of an order and a number of
        // objects (oo, max, min), refcount, inuse, align, name.
        let pair = (u64::from(order) << 16) + (PAGE << order) / size;
        self.write_u32(address + 24, size as u32);
        self.write_u32(address + 28, size as u32);
        for at in [40, 48, 56] {
            self.write_u64(address + at, pair);
        }
        self.write_u32(address + 68, 1);
        self.write_u32(address + 80, size as u32);
        self.write_u32(address + 84, 8);
        self.write_u64(address + 96, text);
    }

    /// Sets the pages of all slabs, threads the free objects of the last ones and
    /// lists the caches; gives the frames.
    pub(super) fn finish_slabs(&mut self) -> Vec<u64> {
        let mut frames = Vec::new();
        let caches = std::mem::take(&mut self.caches.by_name);
        let links: Vec<u64> = caches.values().map(|cache| cache.address + 104).collect();
        self.write_list(self.variables.address("slab_caches"), &links);
        for cache in caches.values() {
            let all = cache.per_slab();
            for (index, &slab) in cache.slabs.iter().enumerate() {
                frames.extend(slab..slab + (1 << cache.order));
                let is_last = index + 1 == cache.slabs.len();
                let used = if is_last { cache.used } else { all };
                let object = |number: u64| match number {
                    number if number < all => self.era.direct(slab) + number * cache.size,
                    _ => 0,
                };
                for number in used..all {
                    self.write_u64(object(number), object(number + 1));
                }
                let (used, freelist) = (used as u16, object(used));
                let head = StructPage::slab(slab, cache.address, freelist, used, all as u16);
                if cache.order == 0 {
                    self.set_page(slab, head);
                    continue;
                }
                self.set_page(slab, head.head());
                for pfn in slab + 1..slab + (1 << cache.order) {
                    self.set_page(pfn, StructPage::tail(pfn, slab, cache.order));
                }
            }
        }
        frames
    }

    /// The first `count` pages of a file on a disk.
    pub(super) fn cache_file(&mut self, count: u64) -> Vec<u64> {
        self.fill_tree(count, 2, StructPage::file)
    }

    /// The same of a file in memory, whose pages are on a list for anonymous ones.
    pub(super) fn keep_file(&mut self, count: u64) -> Vec<u64> {
        self.shmem += count;
        self.fill_tree(count, 0, StructPage::shmem)
    }

    /// The pages of a file, by a tree of two levels.
    fn fill_tree(
        &mut self,
        count: u64,
        lru: usize,
        page_of: impl Fn(u64, u64, u64) -> StructPage,
    ) -> Vec<u64> {
        assert!(count <= SLOTS * SLOTS, "two levels");
        let inode = self.object("ext4_inode_cache");
        // i_data, and i_mapping, which points to it.
        let mapping = inode + 368;
        self.write_u64(inode + 48, mapping);
        let root = self.object("radix_tree_node");
        self.write_u64(mapping, inode);
        self.write_u64(mapping + 16, root | 1);
        self.write_u64(mapping + 88, count);
        self.start_node(root, [6, 0, count.div_ceil(SLOTS)], [0, mapping + 8]);
        let mut leaf = root;
        let mut frames = Vec::new();
        for index in 0..count {
            let slot = index % SLOTS;
            if slot == 0 {
                leaf = self.object("radix_tree_node");
                let used = (count - index).min(SLOTS);
                self.start_node(leaf, [0, index / SLOTS, used], [root, mapping + 8]);
                // Inner nodes are told by their lowest bit.
                self.write_u64(root + self.era.tree_slots + index / SLOTS * 8, leaf | 1);
            }
            let pfn = self.single();
            self.set_user_page(pfn, page_of(pfn, mapping, index), lru);
            self.write_u64(leaf + self.era.tree_slots + slot * 8, page(pfn));
            frames.push(pfn);
        }
        frames
    }

    /// shift, offset and count of a node; its parent and its tree.
    fn start_node(&mut self, node: u64, [shift, offset, count]: [u64; 3], up: [u64; 2]) {
        self.write(node, &[shift as u8, offset as u8, count as u8, 0]);
        self.write_u64(node + 8, up[0]);
        self.write_u64(node + 16, up[1]);
        if self.era.tree_slots > 24 {
            // An empty private_list points to itself.
            self.write_u64(node + 24, node + 24);
            self.write_u64(node + 32, node + 24);
        }
    }
}

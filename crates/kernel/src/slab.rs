//! Slab caches and which of their objects are free (SLUB).
//!
//! A freed object keeps what it held: a freed `sk_buff` still has its
//! `frags[]`. Whoever looks for references must know free objects from live
//! ones, so the freelists are walked.

use std::collections::HashMap;

use pagehound_vmcore::{Pfn, PhysAddr, VirtAddr};

use crate::kernel::{Kernel, KernelError};
use crate::layouts::Field;
use crate::memmap::MemMap;
use crate::pagemap::PageMap;
use crate::virt::VirtualRead;
use crate::zones::Node;

/// One slab cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Address of its `kmem_cache`.
    pub addr: VirtAddr,
    /// Name; bytes of the dump, escape before printing.
    pub name: Vec<u8>,
    /// Bytes from one object to the next.
    pub size: u32,
    /// Where in a free object the pointer to the next one lies.
    free_offset: u32,
    /// Key of hardened freelists, 0 without CONFIG_SLAB_FREELIST_HARDENED.
    random: u64,
    /// The slabs CPUs allocate from, by the address of their `struct page`, with
    /// the first free object the CPU has of it; ascending.
    cpu_freelists: Vec<(VirtAddr, VirtAddr)>,
    /// Free objects in sheaves, which their slabs count as used.
    sheaved: Vec<VirtAddr>,
    /// The sheaves, full, partly full and empty.
    pub(crate) sheaves: Vec<VirtAddr>,
    /// Objects a sheaf has room for, at most [`LARGEST_SHEAF`].
    pub(crate) sheaf_capacity: u64,
}

/// One slab: a unit of pages cut into objects.
#[derive(Clone, Debug)]
pub struct Slab {
    /// Index of its cache in [`SlabIndex::caches`].
    pub cache: u32,
    /// Objects it is cut into.
    pub objects: u32,
    /// A bit an object, set where the object is free.
    free: Box<[u64]>,
}

impl Slab {
    /// Whether object `index` is free.
    pub fn is_free(&self, index: u32) -> bool {
        self.free
            .get((index / 64) as usize)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Marks object `index` free; `false` if there is no such object.
    fn set_free(&mut self, index: u64) -> bool {
        match self.free.get_mut((index / 64) as usize) {
            Some(word) if index < u64::from(self.objects) => {
                *word |= 1 << (index % 64);
                true
            }
            _ => false,
        }
    }

    /// How many objects are free.
    pub fn free_count(&self) -> u32 {
        self.free.iter().map(|word| word.count_ones()).sum()
    }
}

/// All caches, and the slabs by their first frame.
#[derive(Clone, Debug, Default)]
pub struct SlabIndex {
    /// Caches in the kernel's order.
    pub caches: Vec<Cache>,
    by_addr: HashMap<u64, u32>,
    slabs: HashMap<u64, Slab>,
    /// Slabs whose freelist could not be followed to its end, or that cannot
    /// have as many objects as they say.
    pub broken: u64,
    /// Free objects in sheaves, and slabs of CPUs, that are none of their cache's.
    pub astray: u64,
}

/// What `struct page` (or `struct slab`) says of one slab.
#[derive(Clone, Copy, Debug)]
pub struct SlabHead {
    /// First frame.
    pub pfn: Pfn,
    /// Address of the `struct page`.
    pub page: VirtAddr,
    /// `slab_cache`.
    pub cache: VirtAddr,
    /// First free object, 0 if none (or the CPU took the list).
    pub freelist: VirtAddr,
    /// Objects in the slab.
    pub objects: u32,
    /// Pages as a power of two.
    pub order: u32,
}

impl Kernel<'_> {
    /// Reads all caches; their slabs are added by [`SlabIndex::add`].
    pub fn slab_caches(&self) -> Result<SlabIndex, KernelError> {
        let head = self.symbol("slab_caches")?;
        let entries = match self.list_of(head, Field::CacheList, MOST_CACHES) {
            Ok(entries) => entries,
            Err((_, error)) => return Err(error),
        };
        let mut index = SlabIndex::default();
        let nodes = self.nodes().unwrap_or_default();
        for addr in entries {
            let cache = self.slab_cache(addr, &nodes)?;
            index.by_addr.insert(addr.0, index.caches.len() as u32);
            index.caches.push(cache);
        }
        Ok(index)
    }

    fn slab_cache(&self, addr: VirtAddr, nodes: &[Node]) -> Result<Cache, KernelError> {
        let random = match self.layouts.get(Field::CacheRandom) {
            Some(_) => self.field(addr, Field::CacheRandom)?,
            None => 0,
        };
        let has = |field| self.layouts.get(field).is_some();
        let mut cpu_freelists = Vec::new();
        // Whoever has neither keeps free objects where nobody would look.
        if has(Field::CacheCpuSlab) || !has(Field::CacheSheaves) {
            for area in self.percpu_areas(self.pointer(addr, Field::CacheCpuSlab)?) {
                let slab = self.pointer(area, Field::CpuSlabPage)?;
                let freelist = self.pointer(area, Field::CpuSlabFreelist)?;
                if slab.0 != 0 && freelist.0 != 0 {
                    cpu_freelists.push((slab, freelist));
                }
            }
        }
        cpu_freelists.sort_unstable();
        let mut sheaved = Vec::new();
        let mut sheaves = Vec::new();
        let mut sheaf_capacity = 0;
        if has(Field::CacheSheaves) {
            sheaves = self.sheaves(addr, nodes)?;
            sheaf_capacity = self
                .field(addr, Field::CacheSheafCapacity)?
                .min(LARGEST_SHEAF);
            for &sheaf in &sheaves {
                self.read_sheaf(sheaf, addr, sheaf_capacity, &mut sheaved)?;
            }
        }
        let name = self.pointer(addr, Field::CacheName)?;
        Ok(Cache {
            addr,
            name: self.memory.cstr(name, 256).unwrap_or_default(),
            size: self.field(addr, Field::CacheSize)? as u32,
            free_offset: self.field(addr, Field::CacheFreeOffset)? as u32,
            random,
            cpu_freelists,
            sheaved,
            sheaves,
            sheaf_capacity,
        })
    }

    /// The areas of a per-CPU pointer, one a possible CPU; none of null.
    fn percpu_areas(&self, pointer: VirtAddr) -> impl Iterator<Item = VirtAddr> {
        let cpus = match pointer.0 {
            0 => 0,
            _ => self.percpu_offsets.len(),
        };
        (0..cpus).filter_map(move |cpu| self.percpu(pointer, cpu))
    }

    /// All sheaves of a cache.
    fn sheaves(&self, cache: VirtAddr, nodes: &[Node]) -> Result<Vec<VirtAddr>, KernelError> {
        let mut sheaves = Vec::new();
        for area in self.percpu_areas(self.pointer(cache, Field::CacheSheaves)?) {
            for field in [Field::SheafMain, Field::SheafSpare, Field::SheafRcuFree] {
                sheaves.push(self.pointer(area, field)?);
            }
        }
        for node in nodes {
            let barn = if let Some(place) = self.layouts.get(Field::CachePerNode) {
                // An array with a pair of pointers a node (since 7.0).
                let pair = cache.add(place.offset + 16 * u64::from(node.id));
                self.pointer(pair, Field::PerNodeBarn)?
            } else {
                let array = self.member(cache, Field::CacheNodes)?;
                let of_node = self.memory.ptr(array.add(8 * u64::from(node.id)))?;
                match of_node.0 {
                    0 => of_node,
                    _ => self.pointer(of_node, Field::CacheNodeBarn)?,
                }
            };
            if barn.0 != 0 {
                for list in [Field::BarnFull, Field::BarnEmpty] {
                    let head = self.member(barn, list)?;
                    let all = self.list_of(head, Field::SheafBarnList, MOST_SHEAVES);
                    sheaves.extend(all.map_err(|(_, error)| error)?);
                }
            }
        }
        sheaves.retain(|sheaf| sheaf.0 != 0);
        Ok(sheaves)
    }

    fn read_sheaf(
        &self,
        sheaf: VirtAddr,
        cache: VirtAddr,
        capacity: u64,
        out: &mut Vec<VirtAddr>,
    ) -> Result<(), KernelError> {
        let size = self.field(sheaf, Field::SheafSize)?;
        let owner = self.pointer(sheaf, Field::SheafCache)?;
        // One made while the kernel boots has no room and no owner.
        if size == 0 {
            return Ok(());
        }
        if owner != cache || size > capacity {
            return Err(KernelError::Broken {
                what: "slab_sheaf",
                at: sheaf,
                why: format!(
                    "{size} objects of cache {owner}, in a sheaf for {capacity} of {cache}"
                ),
            });
        }
        let objects = self.member(sheaf, Field::SheafObjects)?;
        for index in 0..size {
            out.push(self.memory.ptr(objects.add(index * 8))?);
        }
        Ok(())
    }
}

/// More caches than any kernel has, one for each memory cgroup included (up to
/// 5.8).
const MOST_CACHES: usize = 1 << 18;

/// A sheaf is a slab object itself, and so at most 8 KiB with its header.
const LARGEST_SHEAF: u64 = 1024;

/// More sheaves than a barn ever has (MAX_FULL_SHEAVES and MAX_EMPTY_SHEAVES
/// are 10).
const MOST_SHEAVES: usize = 64;

impl SlabIndex {
    /// The slab whose first frame is `pfn`.
    pub fn slab(&self, pfn: Pfn) -> Option<&Slab> {
        self.slabs.get(&pfn.0)
    }

    /// The cache of a slab.
    pub fn cache(&self, slab: &Slab) -> Option<&Cache> {
        self.caches.get(slab.cache as usize)
    }

    /// Whether the object at a physical address of a slab page is free.
    pub fn is_free_at(&self, map: &PageMap, at: PhysAddr, page_shift: u32) -> bool {
        let head = map.head(at.pfn(page_shift));
        let Some(slab) = self.slab(head) else {
            return false;
        };
        let size = self.cache(slab).map_or(8, |cache| cache.size.max(8));
        let object = (at.0 - head.addr(page_shift).0) / u64::from(size);
        u32::try_from(object).is_ok_and(|object| slab.is_free(object))
    }

    /// All slabs with their first frames, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Pfn, &Slab)> {
        self.slabs.iter().map(|(&head, slab)| (Pfn(head), slab))
    }

    /// How many slabs are known.
    pub fn len(&self) -> usize {
        self.slabs.len()
    }

    /// Whether no slab is known.
    pub fn is_empty(&self) -> bool {
        self.slabs.is_empty()
    }

    /// Marks the objects that lie free in sheaves and in caches of sk_buffs, and sees that the slabs CPUs
    /// allocate from are slabs of their caches; call after all are added.
    pub(crate) fn add_free_elsewhere(
        &mut self,
        kernel: &Kernel<'_>,
        map: &PageMap,
        memmap: &MemMap,
    ) {
        let shift = kernel.page_shift();
        for object in kernel.spare_sk_buffs() {
            self.set_free(kernel, map, object);
        }
        for (number, cache) in (0u32..).zip(&self.caches) {
            for &(page, _) in &cache.cpu_freelists {
                let slab = memmap.pfn(page).and_then(|pfn| self.slabs.get(&pfn.0));
                self.astray += u64::from(slab.is_none_or(|slab| slab.cache != number));
            }
            for &object in &cache.sheaved {
                let slab = kernel.memory.space.direct.phys(object).and_then(|at| {
                    let head = map.head(at.pfn(shift));
                    Some((self.slabs.get_mut(&head.0)?, at.0 - head.addr(shift).0))
                });
                let known = slab.filter(|(slab, _)| slab.cache == number);
                let marked = known.is_some_and(|(slab, offset)| {
                    slab.set_free(offset / u64::from(cache.size.max(8)))
                });
                self.astray += u64::from(!marked);
            }
        }
    }

    /// Marks the live object at `object` free, if there is one.
    fn set_free(&mut self, kernel: &Kernel<'_>, map: &PageMap, object: VirtAddr) {
        let shift = kernel.page_shift();
        let Some(phys) = kernel.memory.space.direct.phys(object) else {
            return;
        };
        let head = map.head(phys.pfn(shift));
        if let Some(slab) = self.slabs.get_mut(&head.0)
            && let Some(cache) = self.caches.get(slab.cache as usize)
        {
            let offset = phys.0 - head.addr(shift).0;
            slab.set_free(offset / u64::from(cache.size.max(8)));
        }
    }

    /// Adds a slab and walks its freelists. `false` if it belongs to no known
    /// cache.
    pub fn add(&mut self, kernel: &Kernel<'_>, head: SlabHead) -> bool {
        let Some(&number) = self.by_addr.get(&head.cache.0) else {
            return false;
        };
        let Some(cache) = self.caches.get(number as usize) else {
            return false;
        };
        let bytes = kernel.page_size() << head.order.min(20);
        let most = bytes / u64::from(cache.size.max(8));
        let objects = u64::from(head.objects).min(most) as u32;
        let mut slab = Slab {
            cache: number,
            objects,
            free: vec![0; objects.div_ceil(64) as usize].into_boxed_slice(),
        };
        let Some(base) = kernel
            .memory
            .space
            .direct
            .virt(head.pfn.addr(kernel.page_shift()))
        else {
            return false;
        };
        // More objects than there is room for: of a wrong size, or no slab.
        let mut whole = u64::from(head.objects) <= most;
        whole &= cache.walk(kernel, base, bytes, head.freelist, &mut slab);
        for freelist in cache.cpu_freelists_of(head.page) {
            whole &= cache.walk(kernel, base, bytes, freelist, &mut slab);
        }
        self.broken += u64::from(!whole);
        self.slabs.insert(head.pfn.0, slab);
        true
    }
}

impl Cache {
    /// The first free objects that CPUs have of the slab whose `struct page` is
    /// at `page`: of a sound slab one at most.
    fn cpu_freelists_of(&self, page: VirtAddr) -> impl Iterator<Item = VirtAddr> {
        let from = self.cpu_freelists.partition_point(|&(of, _)| of < page);
        let rest = self.cpu_freelists.get(from..).unwrap_or_default();
        let own = rest.iter().take_while(move |&&(of, _)| of == page);
        own.map(|&(_, freelist)| freelist)
    }

    /// Marks the objects on one freelist; `false` if it leaves the slab, runs
    /// in a circle or cannot be read.
    fn walk(
        &self,
        kernel: &Kernel<'_>,
        base: VirtAddr,
        bytes: u64,
        first: VirtAddr,
        slab: &mut Slab,
    ) -> bool {
        let inside = |at: u64| at.wrapping_sub(base.0) < bytes;
        let mut object = first.0;
        for _ in 0..=slab.objects {
            if object == 0 {
                return true;
            }
            if !inside(object) {
                return false;
            }
            let index = (object - base.0) / u64::from(self.size.max(8));
            if !slab.set_free(index) {
                return false;
            }
            let at = VirtAddr(object).add(u64::from(self.free_offset));
            let Ok(stored) = kernel.memory.u64(at) else {
                return false;
            };
            // Hardened since 4.14 (2482ddec670f); the address is byte-swapped
            // since 5.7 (1ad53d9fa3f6). Only the right form stays in the slab.
            let swapped = stored ^ self.random ^ at.0.swap_bytes();
            let plain = stored ^ self.random ^ at.0;
            let fits = |next: u64| next == 0 || inside(next);
            object = if self.random == 0 {
                stored
            } else if fits(swapped) {
                swapped
            } else if fits(plain) {
                plain
            } else {
                return false;
            };
        }
        object == 0
    }
}

//! Slab caches and which of their objects are free (SLUB).
//!
//! A freed object keeps what it held: a freed `sk_buff` still has its
//! `frags[]`. Whoever looks for references must know free objects from live
//! ones, so the freelists are walked.

mod objects;
mod slabs;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use pagehound_vmcore::{Pfn, VirtAddr};

use crate::kernel::{Kernel, KernelError};
use crate::layouts::Field;
use crate::memmap::MemMap;
use crate::pagemap::PageMap;
use crate::virt::VirtualRead;
use crate::zones::Node;

pub use objects::ObjectAt;
pub use slabs::Slab;
use slabs::{Draft, Slabs};

/// One slab cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Address of its `kmem_cache`.
    pub addr: VirtAddr,
    /// Name; bytes of the dump, escape before printing.
    pub name: Vec<u8>,
    /// Caches of the same shape that were merged with it: their objects lie in its
    /// slabs.
    pub aliases: u32,
    /// Bytes from one object to the next, at least [`SMALLEST_OBJECT`].
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

/// All caches, and the slabs by their first frame.
#[derive(Clone, Debug, Default)]
pub struct SlabIndex {
    /// Caches in the kernel's order.
    pub caches: Vec<Cache>,
    by_addr: HashMap<u64, u32>,
    slabs: Slabs,
    /// Slabs whose freelist could not be followed to its end, or that cannot
    /// have as many objects as they say.
    pub broken: u64,
    /// Free objects in sheaves, and slabs of CPUs, that are none of their cache's.
    pub astray: u64,
}

/// What `struct page` (or `struct slab`) says of one slab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabHead {
    /// First frame.
    pub(crate) pfn: Pfn,
    /// Address of the `struct page`.
    pub(crate) page: VirtAddr,
    /// `slab_cache`.
    pub(crate) cache: VirtAddr,
    /// First free object, 0 if none (or the CPU took the list).
    pub(crate) freelist: VirtAddr,
    /// Objects in the slab.
    pub(crate) objects: u32,
    /// Pages as a power of two.
    pub(crate) order: u32,
}

impl Kernel<'_> {
    /// Reads all caches; their slabs are added by [`SlabIndex::add_all`].
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
            aliases: self.aliases(addr),
            size: (self.field(addr, Field::CacheSize)? as u32).max(SMALLEST_OBJECT),
            free_offset: self.field(addr, Field::CacheFreeOffset)? as u32,
            random,
            cpu_freelists,
            sheaved,
            sheaves,
            sheaf_capacity,
        })
    }

    /// Users of a cache besides the one it was made for.
    fn aliases(&self, cache: VirtAddr) -> u32 {
        // More than a kernel has caches is damage.
        let users = self.field(cache, Field::CacheUsers).unwrap_or(1);
        u32::try_from(users.saturating_sub(1))
            .ok()
            .filter(|&others| (others as usize) < MOST_CACHES)
            .unwrap_or(0)
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

/// A free object has room for a pointer.
const SMALLEST_OBJECT: u32 = 8;

/// A sheaf is a slab object itself, and so at most 8 KiB with its header.
const LARGEST_SHEAF: u64 = 1024;

/// More sheaves than a barn ever has (MAX_FULL_SHEAVES and MAX_EMPTY_SHEAVES
/// are 10).
const MOST_SHEAVES: usize = 64;

impl SlabIndex {
    /// The slab whose first frame is `pfn`.
    pub fn slab(&self, pfn: Pfn) -> Option<Slab<'_>> {
        self.slabs.get(pfn)
    }

    /// The cache of a slab.
    pub fn cache(&self, slab: Slab<'_>) -> Option<&Cache> {
        self.caches.get(slab.cache as usize)
    }

    /// All slabs by ascending first frame.
    pub fn iter(&self) -> impl Iterator<Item = (Pfn, Slab<'_>)> {
        self.slabs.iter()
    }

    /// How many objects all slabs have, free ones too.
    pub fn objects(&self) -> u64 {
        self.slabs.objects()
    }

    /// How many slabs are known.
    pub fn len(&self) -> usize {
        self.slabs.len()
    }

    /// Whether no slab is known.
    pub fn is_empty(&self) -> bool {
        self.slabs.len() == 0
    }

    /// Marks the objects that lie free in sheaves and in caches of sk_buffs, and
    /// sees that the slabs CPUs allocate from are slabs of their caches; call
    /// after all are added.
    pub(crate) fn add_free_elsewhere(
        &mut self,
        kernel: &Kernel<'_>,
        map: &PageMap,
        memmap: &MemMap,
    ) {
        let shift = kernel.page_shift();
        let space = &kernel.memory.space;
        let known = |object| self.object_at(map, space.direct.phys(object)?, shift);
        let mut free: Vec<ObjectAt> = kernel
            .spare_sk_buffs()
            .into_iter()
            .filter_map(known)
            .collect();
        let mut astray = 0;
        for (number, cache) in (0u32..).zip(&self.caches) {
            let is_own = |pfn: Pfn| self.slab(pfn).is_some_and(|slab| slab.cache == number);
            for &(page, _) in &cache.cpu_freelists {
                astray += u64::from(!memmap.pfn(page).is_some_and(is_own));
            }
            for &object in &cache.sheaved {
                match known(object).filter(|at| is_own(at.head)) {
                    Some(at) => free.push(at),
                    None => astray += 1,
                }
            }
        }
        self.astray += astray;
        for at in free {
            self.slabs.mark(at.number);
        }
    }

    /// Adds the slabs of a map, given by ascending frame, and walks their
    /// freelists; returns how many belong to no known cache. To be called once.
    pub(crate) fn add_all(
        &mut self,
        kernel: &Kernel<'_>,
        map: &PageMap,
        heads: impl IntoIterator<Item = SlabHead>,
    ) -> usize {
        let mut draft = Draft::default();
        let mut strangers = 0;
        for head in heads {
            strangers += usize::from(!self.add(kernel, head, &mut draft));
        }
        self.slabs.seal(map.end());
        strangers
    }

    /// Adds a slab. `false` if it belongs to no known cache.
    fn add(&mut self, kernel: &Kernel<'_>, head: SlabHead, slab: &mut Draft) -> bool {
        let Some(&number) = self.by_addr.get(&head.cache.0) else {
            return false;
        };
        let Some(cache) = self.caches.get(number as usize) else {
            return false;
        };
        let bytes = kernel.page_size() << head.order.min(20);
        let most = cache.index(bytes);
        let fits = u16::try_from(head.objects).is_ok();
        let is_cut = u64::from(head.objects) == most && most > 0 && fits;
        slab.begin(if is_cut { head.objects } else { 1 });
        let start = head.pfn.addr(kernel.page_shift());
        let Some(base) = kernel.memory.space.direct.virt(start) else {
            return false;
        };
        // More objects than there is room for: of a wrong size, or no slab.
        let mut whole = u64::from(head.objects) <= most;
        let of_cpus = cache.cpu_freelists_of(head.page);
        for freelist in std::iter::once(head.freelist).chain(of_cpus) {
            whole &= match is_cut {
                true => cache.walk(kernel, base, bytes, freelist, slab),
                // KFENCE leaves it empty.
                false => freelist.0 == 0,
            };
        }
        self.broken += u64::from(!whole);
        self.slabs.push(head.pfn, number, is_cut, slab);
        true
    }
}

impl Cache {
    /// Whether it has objects of one size and of every sort: those of kmalloc().
    pub fn is_of_sizes(&self) -> bool {
        let name = self.name.strip_prefix(b"dma-").unwrap_or(&self.name);
        name.starts_with(b"kmalloc-")
    }

    /// Whole objects before an offset into a slab, in bytes.
    fn index(&self, offset: u64) -> u64 {
        offset / u64::from(self.size)
    }

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
        slab: &mut Draft,
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
            if !slab.set_free(self.index(object - base.0)) {
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

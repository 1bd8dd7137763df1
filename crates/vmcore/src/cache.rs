//! Pages kept for random access.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Fault, Pfn, PhysAddr, PhysicalMemory};

/// Shards, a power of two: threads seldom wait for each other.
const SHARDS: usize = 16;

/// A bounded cache of pages over a [`PhysicalMemory`], for random access from
/// several threads. Pages that memory can lend ([`PhysicalMemory::page_slice`])
/// are lent, not cached. The pages used longest ago go first, roughly: a second
/// chance for each page used since the clock's hand last passed it.
pub struct PageCache<'m> {
    memory: &'m dyn PhysicalMemory,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    /// Frame to its place in `slots`.
    places: HashMap<u64, usize, BuildHasherDefault<FrameHasher>>,
    slots: Vec<Slot>,
    capacity: usize,
    hand: usize,
}

/// Spreads frame numbers. A dump made to collide only slows itself down, by at
/// most a shard's capacity.
#[derive(Default)]
struct FrameHasher(u64);

impl Hasher for FrameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The table looks at the lowest and the highest bits; the product's
        // middle ones are the best mixed.
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}

struct Slot {
    pfn: u64,
    page: Arc<[u8]>,
    used: bool,
}

/// A page's bytes, lent by memory or shared with the cache.
pub struct PageRef<'m>(Bytes<'m>);

enum Bytes<'m> {
    Lent(&'m [u8]),
    Shared(Arc<[u8]>),
}

impl Deref for PageRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Lent(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }
}

impl<'m> PageCache<'m> {
    /// A cache of at most `capacity` pages, rounded up to a multiple of 16.
    pub fn new(memory: &'m dyn PhysicalMemory, capacity: usize) -> Self {
        let capacity = capacity.div_ceil(SHARDS).max(1);
        let shard = || {
            Mutex::new(Shard {
                capacity,
                ..Shard::default()
            })
        };
        Self {
            memory,
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }
    }

    /// The memory behind the cache.
    pub fn memory(&self) -> &'m dyn PhysicalMemory {
        self.memory
    }

    /// The bytes of `pfn`. A fault is not remembered: the next call tries again.
    pub fn page(&self, pfn: Pfn) -> Result<PageRef<'m>, Fault> {
        match self
            .shard(pfn)
            .and_then(|mut shard| shard.get(pfn).cloned())
        {
            Some(page) => Ok(PageRef(Bytes::Shared(page))),
            None => self.load(pfn),
        }
    }

    /// Gets a page from memory, and keeps it unless it is lent.
    fn load(&self, pfn: Pfn) -> Result<PageRef<'m>, Fault> {
        if let Some(bytes) = self.memory.page_slice(pfn) {
            return Ok(PageRef(Bytes::Lent(bytes)));
        }
        // Two threads may decompress the same page; neither holds up the other.
        let mut page: Arc<[u8]> = std::iter::repeat_n(0, self.memory.page_size()).collect();
        if let Some(bytes) = Arc::get_mut(&mut page) {
            self.memory.read_page(pfn, bytes)?;
        }
        if let Some(mut shard) = self.shard(pfn) {
            shard.put(pfn, Arc::clone(&page));
        }
        Ok(PageRef(Bytes::Shared(page)))
    }

    /// Fills `buf` with physical memory from `addr` on, across pages: all of it,
    /// or the fault of the first page that cannot be had.
    pub fn read(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let shift = self.memory.page_shift();
        let page_size = self.memory.page_size();
        let mut addr = addr.0;
        let mut rest = buf;
        while !rest.is_empty() {
            let at = PhysAddr(addr);
            let start = (addr % page_size as u64) as usize;
            let (part, tail) = rest.split_at_mut(rest.len().min(page_size - start));
            let pfn = at.pfn(shift);
            // Copying under the lock is cheaper than sharing the page.
            let copied = self
                .shard(pfn)
                .is_some_and(|mut shard| shard.copy(pfn, start, part));
            if !copied {
                let page = self
                    .page(pfn)
                    .map_err(|fault| Fault { addr: at, ..fault })?;
                if let Some(bytes) = page.get(start..start + part.len()) {
                    part.copy_from_slice(bytes);
                }
            }
            addr = addr.wrapping_add(part.len() as u64);
            rest = tail;
        }
        Ok(())
    }

    /// Forgets every page: of memory that changes, what is read from now on is no
    /// older than now.
    pub fn forget(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            *shard = Shard {
                capacity: shard.capacity,
                ..Shard::default()
            };
        }
    }

    fn shard(&self, pfn: Pfn) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(pfn.0 as usize % SHARDS)?;
        // A shard is consistent between any two of its statements.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// The page, if it is here; marks it as used.
    fn get(&mut self, pfn: Pfn) -> Option<&Arc<[u8]>> {
        let slot = self.slots.get_mut(*self.places.get(&pfn.0)?)?;
        slot.used = true;
        Some(&slot.page)
    }

    /// Copies bytes `start..` of the page into `to`, if the page is here.
    fn copy(&mut self, pfn: Pfn, start: usize, to: &mut [u8]) -> bool {
        let from = self
            .get(pfn)
            .and_then(|page| page.get(start..start + to.len()));
        from.map(|from| to.copy_from_slice(from)).is_some()
    }

    fn put(&mut self, pfn: Pfn, page: Arc<[u8]>) {
        let slot = Slot {
            pfn: pfn.0,
            page,
            used: false,
        };
        let place = if self.slots.len() < self.capacity {
            self.slots.len()
        } else {
            self.victim()
        };
        match self.places.entry(pfn.0) {
            Entry::Occupied(_) => return, // another thread was faster
            Entry::Vacant(entry) => entry.insert(place),
        };
        match self.slots.get_mut(place) {
            Some(old) => {
                self.places.remove(&old.pfn);
                *old = slot;
            }
            None => self.slots.push(slot),
        }
    }

    /// The next slot that was not used since the hand last passed it.
    fn victim(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            match self.slots.get_mut(place) {
                Some(slot) if slot.used => slot.used = false,
                _ => return place,
            }
        }
    }
}

//! Pages kept for random access.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    places: HashMap<u64, usize>,
    slots: Vec<Slot>,
    capacity: usize,
    hand: usize,
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
        if let Some(page) = self.shard(pfn).and_then(|mut shard| shard.get(pfn)) {
            return Ok(PageRef(Bytes::Shared(page)));
        }
        if let Some(bytes) = self.memory.page_slice(pfn) {
            return Ok(PageRef(Bytes::Lent(bytes)));
        }
        // Two threads may decompress the same page; neither holds up the other.
        let mut page: Arc<[u8]> = std::iter::repeat_n(0, self.memory.page_size()).collect();
        if let Some(bytes) = Arc::get_mut(&mut page) {
            self.memory.read_page(pfn, bytes)?;
        }
        if let Some(mut shard) = self.shard(pfn) {
            shard.put(pfn, &page);
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
            let page = self
                .page(at.pfn(shift))
                .map_err(|fault| Fault { addr: at, ..fault })?;
            if let Some(bytes) = page.get(start..start + part.len()) {
                part.copy_from_slice(bytes);
            }
            addr = addr.wrapping_add(part.len() as u64);
            rest = tail;
        }
        Ok(())
    }

    fn shard(&self, pfn: Pfn) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(pfn.0 as usize % SHARDS)?;
        // A shard is consistent between any two of its statements.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn get(&mut self, pfn: Pfn) -> Option<Arc<[u8]>> {
        let slot = self.slots.get_mut(*self.places.get(&pfn.0)?)?;
        slot.used = true;
        Some(Arc::clone(&slot.page))
    }

    fn put(&mut self, pfn: Pfn, page: &Arc<[u8]>) {
        let slot = Slot {
            pfn: pfn.0,
            page: Arc::clone(page),
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

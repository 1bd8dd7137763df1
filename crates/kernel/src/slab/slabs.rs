//! All slabs: a row each, and a bit for each object of any of them.

use pagehound_vmcore::Pfn;

use crate::frame_index::FrameIndex;

/// One slab: a unit of pages cut into objects.
#[derive(Clone, Copy, Debug)]
pub struct Slab<'a> {
    /// Index of its cache in [`SlabIndex::caches`](super::SlabIndex::caches).
    pub cache: u32,
    /// Objects it is cut into.
    pub objects: u32,
    /// Whether it has as many objects as its cache has room for. If not, they
    /// may lie anywhere in it, and it counts as one object: a page of KFENCE
    /// (`kfence_guarded_alloc`), or a damaged slab.
    pub(super) is_cut: bool,
    /// Number of its first object among those of all slabs.
    pub first: u64,
    /// A bit an object of all slabs, set where the object is free.
    free: &'a [u64],
}

impl Slab<'_> {
    /// Whether object `index` is free.
    pub fn is_free(&self, index: u32) -> bool {
        let number = self.first + u64::from(index);
        let word = self.free.get((number / 64) as usize);
        index < self.objects && word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// How many objects are free.
    pub fn free_count(&self) -> u32 {
        let free = (0..self.objects).filter(|&index| self.is_free(index));
        free.count() as u32
    }
}

/// A slab while it is read: which of its objects are free.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) objects: u32,
    free: Vec<u64>,
}

impl Draft {
    /// Begins with another slab, of which nothing is free.
    pub(super) fn begin(&mut self, objects: u32) {
        self.objects = objects;
        self.free.clear();
        self.free.resize(objects.div_ceil(64) as usize, 0);
    }

    /// Marks object `index` free; `false` if there is no such object.
    pub(super) fn set_free(&mut self, index: u64) -> bool {
        match self.free.get_mut((index / 64) as usize) {
            Some(word) if index < u64::from(self.objects) => {
                *word |= 1 << (index % 64);
                true
            }
            _ => false,
        }
    }

    fn free(&self) -> impl Iterator<Item = u64> + '_ {
        let is_free = |&index: &u64| {
            let word = self.free.get((index / 64) as usize);
            word.is_some_and(|word| word >> (index % 64) & 1 == 1)
        };
        (0..u64::from(self.objects)).filter(is_free)
    }
}

/// What is kept of a slab.
#[derive(Clone, Copy, Debug)]
struct Row {
    head: Pfn,
    /// Number of its first object.
    first: u64,
    cache: u32,
    /// Objects, of a slab at most 2^16 - 1.
    objects: u16,
    is_cut: bool,
}

/// All slabs, by first frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Slabs {
    heads: FrameIndex,
    rows: Vec<Row>,
    free: Vec<u64>,
    objects: u64,
}

impl Slabs {
    /// Adds a slab, which must lie behind those before it; [`seal`](Self::seal)
    /// makes it known.
    pub(super) fn push(&mut self, head: Pfn, cache: u32, is_cut: bool, draft: &Draft) {
        let first = self.objects;
        self.objects += u64::from(draft.objects);
        self.free.resize(self.objects.div_ceil(64) as usize, 0);
        self.rows.push(Row {
            head,
            first,
            cache,
            objects: draft.objects as u16,
            is_cut,
        });
        for index in draft.free() {
            self.mark(first + index);
        }
    }

    /// Call after all are pushed; frames end before `end`.
    pub(super) fn seal(&mut self, end: Pfn) {
        self.rows.shrink_to_fit();
        self.free.shrink_to_fit();
        self.heads = FrameIndex::of(end, self.rows.iter().map(|row| row.head));
    }

    /// Marks the object with this number free.
    pub(super) fn mark(&mut self, object: u64) {
        if let Some(word) = self.free.get_mut((object / 64) as usize) {
            *word |= 1 << (object % 64);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Objects of all slabs.
    pub(super) fn objects(&self) -> u64 {
        self.objects
    }

    pub(super) fn get(&self, head: Pfn) -> Option<Slab<'_>> {
        let row = self.rows.get(self.heads.number(head)?)?;
        Some(self.slab(row))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Pfn, Slab<'_>)> {
        self.rows.iter().map(|row| (row.head, self.slab(row)))
    }

    /// The slab that has the object with this number.
    pub(super) fn with_object(&self, number: u64) -> Option<(Pfn, Slab<'_>)> {
        let after = self.rows.partition_point(|row| row.first <= number);
        let row = self.rows.get(after.checked_sub(1)?)?;
        let has = number - row.first < u64::from(row.objects);
        has.then(|| (row.head, self.slab(row)))
    }

    fn slab(&self, row: &Row) -> Slab<'_> {
        Slab {
            cache: row.cache,
            objects: u32::from(row.objects),
            is_cut: row.is_cut,
            first: row.first,
            free: &self.free,
        }
    }
}

//! Live slab objects that the census cannot reach.

use std::collections::BTreeMap;

use pagehound_kernel::{Class, Kernel, ObjectAt, Pages, StructPages, Symbolizer};
use pagehound_model::HeapLoss;
use pagehound_vmcore::VirtAddr;

use crate::census::{Census, Naming};

/// Objects of a cache that are read for what they point to.
const READ: usize = 4096;
/// Things pointed to that are told.
const TOLD: usize = 4;
/// Fewer objects, and a smaller part of those in use, are what the search for
/// references does not see: encoded pointers, hardware.
const FEWEST: u64 = 64;
const SMALLEST_PART: u64 = 10;
/// Of caches of sizes, whose objects are of every sort: there are always some.
const SMALLEST_PART_OF_SIZES: u64 = 2;

/// Objects of one cache.
#[derive(Default)]
struct Tally {
    live: u64,
    unreached: u64,
    /// Numbers of some of those: every so manieth.
    some: Vec<u64>,
    step: u64,
}

impl Tally {
    fn unreached(&mut self, number: u64) {
        if self.some.len() == READ {
            let mut keep = false;
            self.some.retain(|_| {
                keep = !keep;
                keep
            });
            self.step *= 2;
        }
        if self.unreached.is_multiple_of(self.step.max(1)) {
            self.some.push(number);
        }
        self.step = self.step.max(1);
        self.unreached += 1;
    }
}

/// Caches of which many live objects are reached by nothing.
pub(super) fn lost(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    symbols: &Symbolizer<'_>,
) -> Vec<HeapLoss> {
    let slabs = &pages.slabs;
    let mut caches: BTreeMap<u32, Tally> = BTreeMap::new();
    for (_, slab) in slabs.iter() {
        let tally = caches.entry(slab.cache).or_default();
        for index in (0..slab.objects).filter(|&index| !slab.is_free(index)) {
            let number = slab.first + u64::from(index);
            tally.live += 1;
            if census.is_object_reached(number) == Some(false) {
                tally.unreached(number);
            }
        }
    }
    let naming = Naming::new(kernel, pages);
    let mut all = Vec::new();
    for (cache, tally) in caches {
        let Some(cache) = slabs.caches.get(cache as usize) else {
            continue;
        };
        let part = match cache.is_of_sizes() {
            true => SMALLEST_PART_OF_SIZES,
            false => SMALLEST_PART,
        };
        let count = tally.unreached;
        if count < FEWEST || count.saturating_mul(part) < tally.live {
            continue;
        }
        let mut points: BTreeMap<String, u64> = BTreeMap::new();
        let mut of_files = 0;
        let mut structs = pages.memmap.struct_pages(kernel);
        for &number in &tally.some {
            let Some(object) = slabs.object(&pages.map, number, kernel.page_shift()) else {
                continue;
            };
            let mut bytes = vec![0; object.size as usize];
            if kernel.memory.cache.read(object.start, &mut bytes).is_err() {
                continue;
            }
            of_files += usize::from(is_of_file(pages, &naming, &mut structs, &object, &bytes));
            let words = bytes.as_chunks::<8>().0.iter();
            let words = words.map(|word| VirtAddr(u64::from_le_bytes(*word)));
            let mut named: Vec<String> = words
                .filter(|word| word.0 >> 63 == 1)
                .filter_map(|word| symbols.symbolize(word))
                .collect();
            named.sort();
            named.dedup();
            for name in named {
                *points.entry(name).or_default() += 1;
            }
        }
        if of_files * 2 > tally.some.len() {
            continue;
        }
        all.push(HeapLoss {
            kind: "slab".into(),
            name: String::from_utf8_lossy(&cache.name).into_owned(),
            count,
            of: tally.live,
            bytes: count.saturating_mul(cache.size.into()),
            points_to: most(points),
        });
    }
    all
}

/// Whether a page of a file has an object for its file system (`page->private`), as
/// it has buffer heads: the object names a page that names it. The census does not
/// go by what `struct page`s of files say.
fn is_of_file(
    pages: &Pages,
    naming: &Naming,
    structs: &mut StructPages<'_>,
    object: &ObjectAt,
    bytes: &[u8],
) -> bool {
    let mut is = false;
    naming.names(bytes, |_, _, named| {
        if pages.map.class(named) == Class::File
            && let Some(bytes) = structs.get(pages.map.head(named))
        {
            // The first of a ring of them, which is one page's.
            let private = pages.decoder.words(bytes).private();
            let own = pages.slabs.slab(object.head).map(|slab| slab.cache);
            let there = naming.page(private).map(|pfn| pages.map.head(pfn));
            let there = there.and_then(|head| pages.slabs.slab(head));
            is |= own.is_some() && there.map(|slab| slab.cache) == own;
        }
    });
    is
}

/// The most frequent of names.
fn most(names: BTreeMap<String, u64>) -> Vec<String> {
    let mut names: Vec<(String, u64)> = names.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    names.into_iter().take(TOLD).map(|(name, _)| name).collect()
}

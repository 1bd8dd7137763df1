//! Slab objects and vmalloc areas that nothing reaches. Counters show them, so they
//! are not unaccounted; but nobody can free them any more.

use std::collections::{BTreeMap, HashMap};

use pagehound_kernel::{Class, Kernel, ObjectAt, Pages, StructPages, Symbolizer};
use pagehound_model::HeapLoss;
use pagehound_scan::{Pass, words_in_ranges};
use pagehound_vmcore::{PhysAddr, VirtAddr};

use crate::census::{Bits, Census, Naming};

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

/// The part of memory, one of so many, below which vmalloc areas are not looked for.
const WORTH_IT: u64 = 50;

/// What nothing reaches, the largest first.
pub(crate) fn lost(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    pass: &Pass<'_>,
) -> Vec<HeapLoss> {
    let symbols = kernel.symbolizer();
    let mut all = objects(kernel, pages, census, &symbols);
    all.extend(areas(kernel, pages, census, pass, &symbols));
    all.sort_by_key(|loss| std::cmp::Reverse(loss.bytes));
    all
}

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

fn objects(
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

/// Areas of the same caller.
#[derive(Default)]
struct Areas {
    all: u64,
    lost: u64,
    pages: u64,
}

/// vmalloc areas whose addresses no word has, nor those of what describes them, but
/// for that itself.
fn areas(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    pass: &Pass<'_>,
    symbols: &Symbolizer<'_>,
) -> Vec<HeapLoss> {
    let areas = &pages.areas;
    let of_all = areas.iter().filter_map(|area| area.vm.as_ref());
    let of_all = of_all
        .filter(|vm| vm.is_allocated())
        .fold(0u64, |sum, vm| sum.saturating_add(vm.nr_pages));
    if of_all.saturating_mul(WORTH_IT) < pages.map.end().0 {
        return Vec::new();
    }
    let (Some(first), Some(last)) = (areas.first(), areas.last()) else {
        return Vec::new();
    };
    let shift = kernel.page_shift();
    let named: Bits<u64> = Bits::new(areas.len() as u64);
    let space = first.start.0..last.end.0;
    // Where the areas are described: words there are the area's own.
    let mut own: Vec<(u64, u64)> = areas
        .iter()
        .flat_map(|area| [Some(area.at), area.vm.as_ref().map(|vm| vm.at)])
        .flatten()
        .filter_map(|at| kernel.phys(at).ok())
        .filter_map(|phys| {
            let object = pages.slabs.object_at(&pages.map, phys, shift)?;
            Some((object.start.0, object.start.0 + object.size))
        })
        .collect();
    own.sort_unstable();
    let is_own = |at: PhysAddr| {
        let after = own.partition_point(|&(start, _)| start <= at.0);
        let before = after.checked_sub(1).and_then(|index| own.get(index));
        before.is_some_and(|&(_, end)| at.0 < end)
    };
    let descriptions: HashMap<u64, u64> = (0u64..)
        .zip(areas)
        .filter_map(|(number, area)| Some((area.vm.as_ref()?.at.0, number)))
        .collect();
    let direct = kernel.memory.space.direct.virt.clone();
    pass.fold(
        |pfn| census.is_referrer(pages, pfn),
        || (),
        |(), pfn, page| {
            let class = pages.map.class(pfn);
            let start = pfn.addr(shift).0;
            let stale = pages.stale.within(&(start..start + page.len() as u64));
            let counts = |index: usize| {
                let at = PhysAddr(start + index as u64 * 8);
                let free =
                    class == Class::Slab && pages.slabs.unused_at(&pages.map, at, shift).is_some();
                !free && !is_own(at) && !stale.iter().any(|(range, _)| range.contains(&at.0))
            };
            words_in_ranges(page, &[space.clone(), direct.clone()], |index, word| {
                let number = if space.contains(&word) {
                    let after = areas.partition_point(|area| area.start.0 <= word);
                    let Some(number) = after.checked_sub(1) else {
                        return;
                    };
                    let inside = areas.get(number).is_some_and(|area| word < area.end.0);
                    // What lies in an area itself does not hold it.
                    let from = pages.vmalloc_address(pfn);
                    let itself = from.is_some_and(|from| {
                        areas
                            .get(number)
                            .is_some_and(|area| (area.start..area.end).contains(&from))
                    });
                    if !inside || itself {
                        return;
                    }
                    number as u64
                } else {
                    match descriptions.get(&word) {
                        Some(number) => *number,
                        None => return,
                    }
                };
                if !named.get(number) && counts(index) {
                    named.set(number);
                }
            });
        },
    );
    let mut callers: BTreeMap<String, Areas> = BTreeMap::new();
    for (number, area) in (0u64..).zip(areas) {
        let Some(vm) = area.vm.as_ref().filter(|vm| vm.is_allocated()) else {
            continue;
        };
        let caller = symbols
            .symbolize(vm.caller)
            .unwrap_or_else(|| format!("caller {:#x}", vm.caller));
        let sum = callers.entry(caller).or_default();
        sum.all += 1;
        if !named.get(number) {
            sum.lost += 1;
            sum.pages = sum.pages.saturating_add(vm.nr_pages);
        }
    }
    callers
        .into_iter()
        .filter(|(_, sum)| sum.lost > 0)
        .map(|(name, sum)| HeapLoss {
            kind: "vmalloc".into(),
            name,
            count: sum.lost,
            of: sum.all,
            bytes: sum.pages.saturating_mul(1 << shift),
            points_to: Vec::new(),
        })
        .collect()
}

//! vmalloc areas whose addresses no word has, nor those of what describes them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use pagehound_kernel::{Class, Kernel, Pages, Symbolizer, VmapArea};
use pagehound_model::HeapLoss;
use pagehound_scan::{End, Pass, words_in_ranges};
use pagehound_vmcore::{Pfn, PhysAddr, VirtAddr};

use crate::census::{Bars, Bits, Census};

/// Areas are not looked for below this part of memory, one of so many, unless they
/// have as many pages as [`MANY`] (1 GiB of 4 KiB each): it takes another pass.
const WORTH_IT: u64 = 50;
const MANY: u64 = 1 << 18;

/// Areas of the same caller.
#[derive(Default)]
struct Sum {
    all: u64,
    lost: u64,
    pages: u64,
}

/// Areas that nothing names, by who asked for them.
pub(super) fn lost(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    pass: &Pass<'_>,
    symbols: &Symbolizer<'_>,
) -> Vec<HeapLoss> {
    if !is_worth_it(pages) {
        return Vec::new();
    }
    let Some(named) = named(kernel, pages, census, pass) else {
        return Vec::new();
    };
    let mut callers: BTreeMap<String, Sum> = BTreeMap::new();
    for (number, area) in (0u64..).zip(&pages.areas) {
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
            bytes: sum.pages.saturating_mul(kernel.page_size()),
            points_to: Vec::new(),
        })
        .collect()
}

fn is_worth_it(pages: &Pages) -> bool {
    let areas = pages.areas.iter().filter_map(|area| area.vm.as_ref());
    let of_all = areas
        .filter(|vm| vm.is_allocated())
        .fold(0u64, |sum, vm| sum.saturating_add(vm.nr_pages));
    let memory = pages.map.end().0 - pages.map.count(Class::Hole);
    of_all >= MANY || of_all.saturating_mul(WORTH_IT) >= memory
}

/// A bit an area, set where a word names it; `None` where the search was ended early.
fn named(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    pass: &Pass<'_>,
) -> Option<Bits<u64>> {
    let areas = Areas::of(kernel, pages);
    let named: Bits<u64> = Bits::new(pages.areas.len() as u64);
    // The array of a large area's pages is an area too, which no other word has.
    for vm in pages.areas.iter().filter_map(|area| area.vm.as_ref()) {
        if let Some((number, _)) = areas.at(vm.pages.0) {
            named.set(number);
        }
    }
    let shift = kernel.page_shift();
    let ranges = [areas.space.clone(), kernel.memory.space.direct.virt.clone()];
    let outcome = pass.fold(
        |pfn| census.is_referrer(pages, pfn),
        || (),
        |(), pfn, page| {
            let start = pfn.addr(shift).0;
            let bars = Bars::of(pages, pfn, shift);
            words_in_ranges(page, &ranges, |index, word| {
                let Some(number) = areas.named_by(word, pfn) else {
                    return;
                };
                let at = PhysAddr(start + index as u64 * 8);
                if !named.get(number) && !bars.bar(at) && !areas.is_description(at) {
                    named.set(number);
                }
            });
        },
    );
    let tally = outcome.tally;
    (tally.end == End::Complete && tally.unreadable == 0).then_some(named)
}

/// All areas, and where the kernel describes them: words there hold none.
struct Areas<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    /// From the first to the last.
    space: Range<u64>,
    /// Numbers of areas by the address of their `vm_struct`.
    structs: HashMap<u64, u64>,
    /// Objects that describe areas, by ascending address.
    objects: Vec<Range<u64>>,
    /// Caches that have `vmap_area`s.
    caches: HashSet<u32>,
}

impl<'a> Areas<'a> {
    fn of(kernel: &'a Kernel<'a>, pages: &'a Pages) -> Self {
        let areas = &pages.areas;
        let shift = kernel.page_shift();
        let object = |at: VirtAddr| {
            let phys = kernel.phys(at).ok()?;
            pages.slabs.object_at(&pages.map, phys, shift)
        };
        let vms = areas.iter().filter_map(|area| area.vm.as_ref());
        let described = areas.iter().map(|area| area.at);
        let mut objects: Vec<Range<u64>> = described
            .clone()
            .chain(vms.map(|vm| vm.at))
            .filter_map(object)
            .map(|object| object.start.0..object.start.0 + object.size)
            .collect();
        objects.sort_unstable_by_key(|object| object.start);
        let caches = described.filter_map(object);
        let caches = caches.filter_map(|object| Some(pages.slabs.slab(object.head)?.cache));
        let start = areas.first().map_or(0, |area| area.start.0);
        Areas {
            kernel,
            pages,
            space: start..areas.last().map_or(start, |area| area.end.0),
            structs: (0u64..)
                .zip(areas)
                .filter_map(|(number, area)| Some((area.vm.as_ref()?.at.0, number)))
                .collect(),
            caches: caches.collect(),
            objects,
        }
    }

    /// The area with an address in it, and its number.
    fn at(&self, address: u64) -> Option<(u64, &VmapArea)> {
        let areas = &self.pages.areas;
        let after = areas.partition_point(|area| area.start.0 <= address);
        let number = after.checked_sub(1)?;
        let area = areas.get(number).filter(|area| address < area.end.0)?;
        Some((number as u64, area))
    }

    /// Number of the area that a word in frame `from` names; what lies in an area
    /// itself does not.
    fn named_by(&self, word: u64, from: Pfn) -> Option<u64> {
        if !self.space.contains(&word) {
            return self.structs.get(&word).copied();
        }
        let (number, area) = self.at(word)?;
        let from = self.pages.vmalloc_address(from);
        let is_inside = from.is_some_and(|from| (area.start..area.end).contains(&from));
        (!is_inside).then_some(number)
    }

    /// Whether a word is in a slab object that describes areas.
    fn is_description(&self, at: PhysAddr) -> bool {
        let (map, shift) = (&self.pages.map, self.kernel.page_shift());
        if map.class(at.pfn(shift)) != Class::Slab {
            return false;
        }
        let after = self.objects.partition_point(|object| object.start <= at.0);
        let before = after.checked_sub(1);
        let described = before.and_then(|index| self.objects.get(index));
        described.is_some_and(|object| object.contains(&at.0)) || self.is_spare(at)
    }

    /// Whether a word is in a `vmap_area` of the space between areas, or in one kept
    /// for the next (`vmap_node.pool`, 72210662c5a2, 6.9), which have what they last
    /// described. Caches are merged, so it must look like one too.
    fn is_spare(&self, at: PhysAddr) -> bool {
        let (slabs, shift) = (&self.pages.slabs, self.kernel.page_shift());
        let Some(object) = slabs.object_at(&self.pages.map, at, shift) else {
            return false;
        };
        let slab = slabs.slab(object.head);
        if !slab.is_some_and(|slab| self.caches.contains(&slab.cache)) {
            return false;
        }
        // va_start and va_end are the first members.
        let mut bytes = [0; 16];
        let read = self.kernel.memory.cache.read(object.start, &mut bytes);
        let (words, _) = bytes.as_chunks::<8>();
        let [start, end] =
            [0, 1].map(|index| words.get(index).map_or(0, |word| u64::from_le_bytes(*word)));
        let is_whole = |address: u64| address.is_multiple_of(self.kernel.page_size());
        read.is_ok()
            && start < end
            && is_whole(start)
            && is_whole(end)
            && self.space.contains(&start)
    }
}

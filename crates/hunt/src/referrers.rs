//! Every word in memory that names one unit, whether it counts or not: what
//! `why` shows.

use std::sync::atomic::AtomicBool;

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_scan::{Pass, Progress, words_in_ranges};
use pagehound_vmcore::{Pfn, PhysAddr};

use crate::census::{Census, Fate};

/// A word that names a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Referrer {
    /// Where the word lies.
    pub at: PhysAddr,
    /// The word.
    pub word: u64,
    /// The page of the unit it names.
    pub names: Pfn,
    /// Class of the page it lies in.
    pub class: Class,
    /// Why it does not count as a reference, if it does not.
    pub barred: Option<&'static str>,
}

/// All words that name a unit, and how much was searched.
#[derive(Clone, Debug, Default)]
pub struct Referrers {
    /// Those that count, by physical address, at most 4,096.
    pub counting: Vec<Referrer>,
    /// Those that do not, by physical address, at most 4,096.
    pub barred: Vec<Referrer>,
    /// All words that count, kept or not.
    pub counting_words: u64,
    /// All words that do not count, kept or not.
    pub barred_words: u64,
    /// Bytes searched.
    pub bytes: u64,
}

/// Referrers of a kind that are kept.
const LIMIT: usize = 4096;

/// Searches all present pages for words that name the unit of `pfn`.
pub fn referrers(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    pfn: Pfn,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Referrers {
    let unit = pages.map.unit(pfn);
    let shift = kernel.page_shift();
    let direct = &kernel.memory.space.direct;
    let start = direct.virt(unit.start.addr(shift)).map_or(0, |virt| virt.0);
    let size = if start == 0 { 0 } else { unit.len() << shift };
    let page_structs = pages.memmap.page(unit.start).0..pages.memmap.page(unit.end).0;
    let ranges = [start..start + size, page_structs];
    let pass = Pass {
        progress,
        cancel,
        ..Pass::new(kernel.dump.memory.as_ref())
    };
    let outcome = pass.fold(
        |_| true,
        Referrers::default,
        |state: &mut Referrers, at_pfn, page| {
            words_in_ranges(page, &ranges, |index, word| {
                let at = PhysAddr(at_pfn.addr(shift).0 + index as u64 * 8);
                let names = if word.wrapping_sub(start) < size {
                    Pfn(unit.start.0 + ((word - start) >> shift))
                } else {
                    Pfn(unit.start.0 + (word - ranges[1].start) / pages.memmap.page_size.max(1))
                };
                let class = pages.map.class(at_pfn);
                let orphaned = class.is_unaccounted()
                    && census.fate(pages, pages.map.head(at_pfn)) != Fate::Held;
                state.add(Referrer {
                    at,
                    word,
                    names,
                    class,
                    barred: if orphaned && !unit.contains(at_pfn) {
                        Some("in a page that nothing in use points to either")
                    } else {
                        barred(pages, class, at, shift, unit.contains(at_pfn))
                    },
                });
            });
        },
    );
    let mut all = Referrers {
        bytes: outcome.tally.bytes,
        ..Referrers::default()
    };
    for state in outcome.states {
        all.counting_words += state.counting_words;
        all.barred_words += state.barred_words;
        all.counting.extend(state.counting);
        all.barred.extend(state.barred);
    }
    for list in [&mut all.counting, &mut all.barred] {
        list.sort_by_key(|referrer| referrer.at);
        list.truncate(LIMIT);
    }
    all
}

impl Referrers {
    fn add(&mut self, referrer: Referrer) {
        let (list, words) = if referrer.barred.is_some() {
            (&mut self.barred, &mut self.barred_words)
        } else {
            (&mut self.counting, &mut self.counting_words)
        };
        *words += 1;
        if list.len() < LIMIT {
            list.push(referrer);
        }
    }
}

/// Why a word in a page of `class` does not count. Whether it does is for the
/// census to say (rule 2); here is only what to call the reason.
fn barred(
    pages: &Pages,
    class: Class,
    at: PhysAddr,
    shift: u32,
    own: bool,
) -> Option<&'static str> {
    if own {
        return Some("in the page itself");
    }
    if class == Class::Slab
        && let Some(reason) = pages.slabs.unused_at(&pages.map, at, shift)
    {
        return Some(reason);
    }
    if pages.claims.is_data(pages.map.head(at.pfn(shift))) {
        return Some("in data that somebody keeps");
    }
    if let Some(reason) = pages.stale.reason(at) {
        return Some(reason);
    }
    if class.is_root() || class.is_read_when_held() {
        return None;
    }
    Some(match class {
        Class::Free | Class::FreePcp => "in free memory",
        Class::Anon | Class::File | Class::Shmem | Class::Hugetlb | Class::Detached => {
            "in memory of processes and files"
        }
        Class::MemMap => "in the memory map",
        Class::CrashKernel => "in the crash kernel's memory",
        Class::Zsmalloc => "in swap data",
        _ => "in memory out of use",
    })
}

//! The page size, which no file under /proc states.

use pagehound_procfs::{Meminfo, Zone};

/// Page sizes of Linux, in KiB.
const SIZES_KB: [u64; 6] = [4, 8, 16, 32, 64, 256];

/// Fields that count whole pages.
const PAGE_FIELDS: [&str; 12] = [
    "MemTotal",
    "MemFree",
    "Cached",
    "Active",
    "Inactive",
    "AnonPages",
    "Mapped",
    "Shmem",
    "SReclaimable",
    "SUnreclaim",
    "PageTables",
    "Buffers",
];

/// The page size, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize {
    /// In KiB, one of [`SIZES_KB`].
    pub(super) kb: u64,
    pub(super) source: &'static str,
}

/// The page size, by the best evidence there is.
///
/// Managed pages over all zones are totalram_pages, so exact equality with MemTotal
/// proves it. Next, counters of pages of 16 or 64 KiB are multiples of it; of 4-KiB
/// pages a dozen counters are so by chance once in 4^12 cases.
pub(super) fn page_size(info: &Meminfo<'_>, zones: &[Zone<'_>], mem_total_kb: u64) -> PageSize {
    let managed = managed_pages(zones).unwrap_or(0);
    if let Some(kb) = SIZES_KB
        .into_iter()
        .find(|&kb| managed != 0 && managed.checked_mul(kb) == Some(mem_total_kb))
    {
        return PageSize {
            kb,
            source: "managed pages of zoneinfo are MemTotal",
        };
    }
    let counters = PAGE_FIELDS
        .iter()
        .filter_map(|name| info.kb(name))
        .filter(|&kb| kb != 0);
    let common = counters
        .clone()
        .fold(0, |bits, kb| bits | kb)
        .trailing_zeros();
    if counters.count() < 6 || common < 2 {
        return PageSize {
            kb: 4,
            source: "assumed",
        };
    }
    PageSize {
        kb: match common {
            6.. => 64,
            4..6 => 16,
            _ => 4,
        },
        source: "the page counters of meminfo are multiples of it",
    }
}

/// Whether zones are those of the machine that meminfo shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belonging {
    /// They are, or the kernel does not print what would tell (before 3.9).
    Same,
    /// They are, and meminfo shows so many kB more, all of them free: memory that the
    /// hypervisor has promised, but not plugged in.
    Unplugged(u64),
    /// They are of another machine, or meminfo shows a container's limit.
    Foreign,
}

/// Compares the zones with MemTotal, or else with what is in use. Balloons and
/// allocations move between two reads, so an eighth is allowed.
pub(super) fn belonging(
    zones: &[Zone<'_>],
    page: PageSize,
    mem_total_kb: u64,
    mem_free_kb: u64,
) -> Belonging {
    let Some(managed) = managed_pages(zones) else {
        return Belonging::Same;
    };
    let free = zones
        .iter()
        .map(|zone| zone.free)
        .fold(0, u64::saturating_add);
    let kb = |pages: u64| pages.saturating_mul(page.kb);
    let close = |a: u64, b: u64| a.abs_diff(b) <= b / 8;
    if close(kb(managed), mem_total_kb) {
        Belonging::Same
    } else if kb(managed) < mem_total_kb
        && mem_free_kb < mem_total_kb
        && close(kb(managed.saturating_sub(free)), mem_total_kb - mem_free_kb)
    {
        Belonging::Unplugged(mem_total_kb - kb(managed))
    } else {
        Belonging::Foreign
    }
}

/// Pages of all zones that the allocator manages; `None` before 3.9.
pub(super) fn managed_pages(zones: &[Zone<'_>]) -> Option<u64> {
    zones
        .iter()
        .try_fold(0u64, |sum, zone| Some(sum.saturating_add(zone.managed?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagehound_procfs::{meminfo, zoneinfo};

    fn counters(step: u64) -> String {
        PAGE_FIELDS
            .iter()
            .zip([371, 84, 59, 7, 21, 30, 4, 9, 77, 13, 2, 1])
            .map(|(name, pages)| format!("{name}: {} kB\n", pages * step))
            .collect()
    }

    fn of_counters(text: &str) -> PageSize {
        page_size(&meminfo(text.as_bytes()).unwrap(), &[], 0)
    }

    #[test]
    fn counters_betray_the_page_size() {
        for kb in [4, 16, 64] {
            assert_eq!(of_counters(&counters(kb)).kb, kb);
        }
    }

    #[test]
    fn too_little_to_tell_is_said() {
        for text in ["MemTotal: 6400 kB\nMemFree: 640 kB\n", &counters(1)] {
            let size = of_counters(text);
            assert_eq!((size.kb, size.source), (4, "assumed"));
        }
    }

    const ZONES: &[u8] = b"Node 0, zone DMA\n pages free 900\n managed 1000\n\
        Node 0, zone Normal\n pages free 4100\n managed 9000\n";

    #[test]
    fn zones_decide_where_they_can() {
        let zones = zoneinfo(ZONES).unwrap();
        let text = counters(4);
        let info = meminfo(text.as_bytes()).unwrap();
        for (total, kb) in [(40_000, 4), (640_000, 64), (640_004, 4)] {
            assert_eq!(page_size(&info, &zones, total).kb, kb);
        }
    }

    #[test]
    fn zones_of_the_same_machine_are_recognised() {
        let zones = zoneinfo(ZONES).unwrap();
        let page = PageSize { kb: 4, source: "" };
        let check = |total, free| belonging(&zones, page, total, free);
        assert_eq!(check(40_000, 1), Belonging::Same);
        // A balloon moved.
        assert_eq!(check(39_000, 1), Belonging::Same);
        // 20,000 kB in use either way, 60,000 kB more that are all free.
        assert_eq!(check(100_000, 80_000), Belonging::Unplugged(60_000));
        assert_eq!(check(100_000, 1_000), Belonging::Foreign);
        assert_eq!(check(8_000, 4_000), Belonging::Foreign);
        let old = zoneinfo(b"Node 0, zone DMA\n present 1000\n").unwrap();
        assert_eq!(belonging(&old, page, 99_999_999, 0), Belonging::Same);
    }
}

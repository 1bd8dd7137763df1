//! How much of the memory is in the dump, and what of the answer that leaves
//! open.

use pagehound_kernel::{Class, Kernel, PageMap, Pages};
use pagehound_model::Coverage;
use pagehound_vmcore::{Dump, PageState, Pfn};

use crate::attribution::Attribution;
use crate::census::Census;
use crate::fingerprint::{Fingerprints, Key};
use crate::units::Units;

/// Frames the kernel has a memory map for, by what the dump has of them.
///
/// The container's own counts are of other frames: it lists memory of the
/// firmware and of devices that the kernel does not manage, and does not list
/// the holes that the kernel has a map of.
pub(super) fn by_frame(dump: &Dump, map: &PageMap) -> Coverage {
    let mut coverage = Coverage::default();
    for pfn in (0..map.end().0).map(Pfn) {
        // Boot memory that a dump does not cover is the firmware's.
        let firmware = || {
            matches!(
                map.class(pfn),
                Class::Hole | Class::Reserved | Class::CrashKernel
            )
        };
        let count = match dump.memory.state(pfn) {
            PageState::Present => &mut coverage.present,
            // Of an image without its zeroes nobody knows what was no memory.
            PageState::Excluded if dump.info.gaps_are_zeroes_or_no_memory && firmware() => {
                &mut coverage.outside
            }
            PageState::Excluded => &mut coverage.excluded,
            PageState::Unreadable => &mut coverage.unreadable,
            PageState::Absent if firmware() => &mut coverage.outside,
            PageState::Absent => &mut coverage.absent,
        };
        *count += 1;
    }
    coverage
}

/// The same, knowing that so many of the pages that are listed cannot be read.
pub(super) fn with_broken(mut coverage: Coverage, broken: u64) -> Coverage {
    let broken = broken.min(coverage.present);
    coverage.present -= broken;
    coverage.unreadable += broken;
    coverage
}

/// The container's own counts, as far as there are frames: all that can be told
/// without going through these.
pub(super) fn of_container(dump: &Dump, map: &PageMap) -> Coverage {
    let counted = dump.memory.coverage();
    let mut left = map.end().0;
    let mut at_most = |count: u64| {
        let count = count.min(left);
        left -= count;
        count
    };
    Coverage {
        present: at_most(counted.present),
        excluded: at_most(counted.excluded),
        unreadable: at_most(counted.unreadable),
        absent: at_most(counted.absent),
        outside: left,
    }
}

/// Unaccounted pages whose content could not be read although the dump level
/// left it in.
pub(super) fn unread(
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    prints: &Fingerprints,
) -> u64 {
    let memory = kernel.dump.memory.as_ref();
    units
        .heads()
        .filter(|&head| pages.map.class(head).is_unaccounted())
        .filter(|&head| prints.key(head) == Key::Absent)
        .flat_map(|head| {
            let unit = pages.map.unit(head);
            unit.start.0..unit.end.0
        })
        .filter(|&pfn| memory.state(Pfn(pfn)) != PageState::Excluded)
        .count() as u64
}

/// What [`Report::complete`](pagehound_model::Report::complete) says.
pub(super) fn is_complete(
    pages: &Pages,
    census: &Census,
    attribution: &Attribution,
    unread: u64,
) -> bool {
    let searched = census.missing == 0 && !census.cancelled && !census.heap_too_large;
    let mapped = !pages.damaged && pages.slabs.broken == 0 && pages.warnings.is_empty();
    searched && mapped && unread == 0 && attribution.warnings.is_empty()
}

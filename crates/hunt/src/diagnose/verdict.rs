//! The one word, and what limits it.

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_model::{Finding, State, Verdict, thousands};

use crate::census::Census;

/// Pages a GiB that may be without a reference for reasons nobody has planted:
/// what healthy kernels have been seen to have, and then some. Fewer orphans
/// than that, alike in nothing, are no leak.
const STRAY_PER_GIB: u64 = 32;

/// Orphans that make no leak by their number alone.
pub(super) fn stray(kernel: &Kernel<'_>, pages: &Pages) -> u64 {
    let frames = pages.map.end().0 - pages.map.count(Class::Hole);
    let gib = (frames * kernel.page_size()).div_ceil(1 << 30);
    STRAY_PER_GIB * gib.max(1)
}

/// The verdict, and a sentence for each thing that limits it.
pub(super) fn verdict(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    findings: &[Finding],
) -> (Verdict, Vec<String>) {
    let mut reasons = Vec::new();
    if census.missing > 0 {
        reasons.push(format!(
            "{} pages that could hold references are not in the dump: what looks lost may be held from there",
            thousands(census.missing)
        ));
    }
    if census.heap_too_large {
        reasons.push(
            "there is too much slab memory to follow it object by object: pages that only lost \
             objects point to count as held"
                .into(),
        );
    }
    if census.cancelled {
        reasons.push(format!(
            "ended early, with {} MiB searched for references: those in the rest are unknown",
            thousands(census.roots_bytes >> 20)
        ));
    }
    let control = census.control;
    if control.checked == 0 {
        reasons.push(
            "no page known to be held could be checked, so the search itself is unproved".into(),
        );
    } else if control.missed * 1000 > control.checked {
        reasons.push(format!(
            "the search missed {} of {} pages known to be held: it does not see all references",
            thousands(control.missed),
            thousands(control.checked)
        ));
    }
    if pages.slabs.is_empty() {
        reasons.push(
            "free slab objects count as references, so pages lost after use may seem held".into(),
        );
    } else if pages.slabs.broken > 0 {
        reasons.push(format!(
            "{} of {} slabs have a freelist that cannot be followed",
            thousands(pages.slabs.broken),
            thousands(pages.slabs.len() as u64)
        ));
    }
    let any = |state| findings.iter().any(|finding| finding.verdict == state);
    // Suspects are either the company of something lost, or orphans without proof.
    let orphans = findings.iter().any(|finding| {
        finding.verdict == State::Suspect
            && finding.confidence == pagehound_model::Confidence::Possible
    });
    let verdict = if census.cancelled {
        Verdict::Incomplete
    } else if any(State::Lost) {
        Verdict::Lost
    } else if control.missed * 2 > control.checked {
        // The search does not find what is there.
        Verdict::Incomplete
    } else if orphans {
        Verdict::Suspect
    } else if census.missing > stray(kernel, pages)
        || census.missing_block.is_some()
        || kernel.dump.info.contradiction.is_some()
    {
        Verdict::Incomplete
    } else {
        Verdict::None
    };
    (verdict, reasons)
}

//! Two looks at a host that runs, and what they agree on.
//!
//! A page that somebody has can be without a reference in one look: its last one
//! moves from memory that was not read yet to memory that was. That is over in the
//! time a pointer takes, for pages in flight; whoever has a page for long has its
//! address in one place. So a page is taken for lost only if two looks find no
//! reference to it and its `struct page` is the same, and that of a page in use, at the
//! end of the first look and at the end of the second: whoever takes, frees or passes
//! on a page writes to it. A page that is freed and taken again may look as before; it
//! would have to be on its way in both looks besides.

use std::hash::{DefaultHasher, Hasher};

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::{Evidence, Finding, Reach, State, thousands};
use pagehound_vmcore::Pfn;

use super::look::Look;
use crate::census::Bits;
use crate::units::Units;

/// What is known of the time between the first look and the second.
pub(super) struct Motion {
    /// From the begin of the first look to the end of the second.
    pub(super) seconds: u64,
    /// Pages that nothing referred to in the second look, and that are not lost.
    pub(super) dropped: u64,
}

impl Motion {
    /// Says beside what is lost that it was so twice.
    pub(super) fn explain(&self, findings: &mut [Finding]) {
        for finding in findings {
            let lost = matches!(finding.reach, Reach::Unreferenced | Reach::LostObjects);
            if lost && finding.verdict != State::Unknown {
                finding.evidence.push(Evidence {
                    kind: Evidence::MOTION.into(),
                    checked: finding.pages,
                    matched: finding.pages,
                    text: format!(
                        "so in both of two looks within {} s, at whose ends the struct pages are the same",
                        self.seconds
                    ),
                });
            }
        }
    }

    /// What was seen in one look only.
    pub(super) fn note(&self) -> Option<String> {
        (self.dropped > 0).then(|| {
            format!(
                "{} pages that nothing referred to at one moment were referred to or changed at another: \
                 in motion, or lost since; look again",
                thousands(self.dropped)
            )
        })
    }
}

/// Units that nothing referred to in the first look.
pub(super) struct Suspects {
    units: Units,
    /// Of each, what its length and its `struct page` make, by its number.
    digests: Vec<u32>,
}

impl Suspects {
    /// What a look found nothing to refer to, as it is now; `None` if there is nothing.
    pub(super) fn of(kernel: &Kernel<'_>, look: &Look) -> Option<Suspects> {
        let lost = look.units.heads();
        let lost = lost.filter(|&head| look.census.is_lost(&look.pages, head));
        let units = Units::numbered(look.pages.map.end(), lost);
        if units.len() == 0 {
            return None;
        }
        let digests = digests(kernel, &look.pages, units.heads());
        Some(Suspects { units, digests })
    }

    /// Makes units of another look that were not suspects, or are not what they were,
    /// ones that move; tells how many pages they have.
    pub(super) fn take_back(&self, kernel: &Kernel<'_>, look: &Look) -> u64 {
        let (pages, census) = (&look.pages, &look.census);
        let lost = || {
            look.units
                .heads()
                .filter(|&head| census.is_lost(pages, head))
        };
        let digests = digests(kernel, pages, lost());
        let mut moved = 0;
        for (head, digest) in lost().zip(digests) {
            let before = self.units.number(head);
            let before = before.and_then(|number| self.digests.get(number));
            if digest == UNREAD || before != Some(&digest) {
                census.set_moving(head);
                moved += pages.map.unit(head).len();
            }
        }
        moved
    }
}

/// Of each unit what its length and its first `struct page` make, [`UNREAD`] where that
/// cannot be read, or is of a page that somebody has freed or put to use since the map
/// was made.
fn digests(kernel: &Kernel<'_>, pages: &Pages, heads: impl Iterator<Item = Pfn>) -> Vec<u32> {
    kernel.forget();
    let mut structs = pages.memmap.struct_pages(kernel);
    heads
        .map(|head| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(pages.map.unit(head).len());
            match structs.get(head) {
                Some(page) if pages.is_still_censused(head, page) => hasher.write(page),
                _ => return UNREAD,
            }
            (hasher.finish() as u32).max(UNREAD + 1)
        })
        .collect()
}

/// What no `struct page` makes.
const UNREAD: u32 = 0;

impl Look {
    /// Units of the control group that the search missed.
    pub(super) fn missed_of_control(&self) -> Bits {
        let missed = Bits::new(self.pages.map.end());
        self.census.each_of_control(&self.pages, |unit, is_missed| {
            if is_missed {
                missed.set(unit.start);
            }
        });
        missed
    }

    /// Judges the control group as what is lost is judged: the search missed what it
    /// missed in both looks.
    pub(super) fn forgive(&mut self, missed_before: &Bits) {
        let mut missed = 0;
        self.census.each_of_control(&self.pages, |unit, is_missed| {
            if is_missed && missed_before.get(unit.start) {
                missed += unit.len();
            }
        });
        self.census.control.missed = missed;
    }
}

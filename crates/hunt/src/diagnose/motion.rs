//! Looks at a host that runs, and what they agree on.
//!
//! A page that somebody has can be without a reference in one look: its last one
//! moves from memory that was not read yet to memory that was, or lies in an object
//! that is younger than the look's map. Pages that circulate, as those of a receive
//! ring do, move all the time, and not all of them are written to in their `struct
//! page` when they do: a page_pool hands its pages on as they are. But what circulates
//! is filled anew. So a page is taken for lost only if each of two looks or more
//! finds no reference to it, no owner's own structures lead to it, it holds the same
//! bytes in all of them, and its `struct page` is the same at the end of each, and that
//! of a page in use. Where a look still clears many of those that the looks before it
//! found, others of their sort are left: then there is another, up to [`MOST_LOOKS`].

use std::hash::{DefaultHasher, Hasher};

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::{Evidence, Finding, Reach, State, thousands};
use pagehound_vmcore::Pfn;

use super::look::Look;
use crate::census::Bits;
use crate::units::Units;

/// Looks at most: with each, of pages that move at least six in ten go that the looks
/// before it had not told.
const MOST_LOOKS: u32 = 4;

/// What is known of the time between the first look and the last.
pub(super) struct Motion {
    /// Looks that agree.
    pub(super) looks: u32,
    /// From the begin of the first look to the end of the last.
    pub(super) seconds: u64,
    /// Pages that nothing referred to in the last look, and that are not lost.
    pub(super) dropped: u64,
    /// Pages that the looks before the last found lost, and the last did not.
    pub(super) cleared: u64,
    /// Pages that are lost by all looks.
    pub(super) left: u64,
}

impl Motion {
    /// Whether many of those that are left may be of the sort that was cleared.
    pub(super) fn is_unsettled(&self) -> bool {
        self.cleared.saturating_mul(FEW) > self.left
    }

    /// Whether another look is worth its time.
    pub(super) fn asks_for_more(&self) -> bool {
        self.is_unsettled() && self.left > 0 && self.looks < MOST_LOOKS
    }

    /// Says beside what is lost how often it was so.
    pub(super) fn explain(&self, findings: &mut [Finding]) {
        for finding in findings {
            let lost = matches!(finding.reach, Reach::Unreferenced | Reach::LostObjects);
            if lost && finding.verdict != State::Unknown {
                finding.evidence.push(Evidence {
                    kind: Evidence::MOTION.into(),
                    checked: finding.pages,
                    matched: finding.pages,
                    text: format!(
                        "so in each of {} looks within {} s, with the same bytes and the same struct pages",
                        self.looks, self.seconds
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

    /// Why nothing may be called lost, where that is so.
    pub(super) fn doubt(&self) -> Option<String> {
        (self.left > 0 && self.is_unsettled() && self.looks > 1).then(|| {
            format!(
                "pages move faster than they can be looked at: the last of {} looks cleared {} more; \
                 look again when there is less traffic",
                self.looks,
                thousands(self.cleared)
            )
        })
    }
}

/// One in so many of what is left may have been cleared by the last look.
const FEW: u64 = 100;

/// Units that nothing referred to in all looks so far.
pub(super) struct Suspects {
    units: Units,
    /// Pages they have.
    pages: u64,
    /// Of each unit, what its length, its bytes and its `struct page` make, by its number.
    digests: Vec<u32>,
}

impl Suspects {
    /// What a look found nothing to refer to and no owner to have, as it is now; `None`
    /// if there is nothing. What has an owner becomes a unit that moves.
    pub(super) fn of(kernel: &Kernel<'_>, look: &Look) -> Option<Suspects> {
        for head in lost(look).filter(|&head| is_claimed(&look.pages, head)) {
            look.census.set_moving(head);
        }
        let units = Units::numbered(look.pages.map.end(), lost(look));
        if units.len() == 0 {
            return None;
        }
        let pages = units.heads().map(|head| look.pages.map.unit(head).len());
        Some(Suspects {
            pages: pages.sum(),
            digests: digests(kernel, look, units.heads()),
            units,
        })
    }

    /// Pages of all of them.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// Makes units of another look that were not suspects, are not what they were, or
    /// have an owner, ones that move. Returns how many pages they have, and how many
    /// those have that stay lost.
    pub(super) fn take_back(&self, kernel: &Kernel<'_>, look: &Look) -> (u64, u64) {
        let (pages, census) = (&look.pages, &look.census);
        let digests = digests(kernel, look, lost(look));
        let (mut moved, mut left) = (0, 0);
        for (head, digest) in lost(look).zip(digests) {
            let before = self.units.number(head);
            let before = before.and_then(|number| self.digests.get(number));
            let len = pages.map.unit(head).len();
            if digest == UNREAD || before != Some(&digest) || is_claimed(pages, head) {
                census.set_moving(head);
                moved += len;
            } else {
                left += len;
            }
        }
        (moved, left)
    }
}

/// What a look found nothing to refer to.
fn lost(look: &Look) -> impl Iterator<Item = Pfn> {
    let heads = look.units.heads();
    heads.filter(|&head| look.census.is_lost(&look.pages, head))
}

/// Whether an owner's own structures lead to a unit, which then was on its way when it was
/// looked for.
fn is_claimed(pages: &Pages, head: Pfn) -> bool {
    let owner = pages.claims.owner(head);
    owner.is_some_and(|owner| !owner.kind.is_by_mark())
}

/// Of each unit what its length, its bytes when the look read them, and its first `struct
/// page` make, [`UNREAD`] where that cannot be read, or is of a page that somebody has
/// freed or put to use since the map was made.
fn digests(kernel: &Kernel<'_>, look: &Look, heads: impl Iterator<Item = Pfn>) -> Vec<u32> {
    kernel.forget();
    let pages = &look.pages;
    let mut structs = pages.memmap.struct_pages(kernel);
    heads
        .map(|head| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(pages.map.unit(head).len());
            hasher.write_u32(look.prints.sum(head));
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
    /// Units of the control group that the search missed, of those it missed before.
    pub(super) fn missed_of_control(&self, before: Option<&Bits>) -> Bits {
        let missed = Bits::new(self.pages.map.end());
        self.census.each_of_control(&self.pages, |unit, is_missed| {
            if is_missed && before.is_none_or(|before| before.get(unit.start)) {
                missed.set(unit.start);
            }
        });
        missed
    }

    /// Judges the control group as what is lost is judged: the search missed what it
    /// missed in all looks, which are these units.
    pub(super) fn forgive(&mut self, missed_in_all: &Bits) {
        let mut missed = 0;
        self.census.each_of_control(&self.pages, |unit, is_missed| {
            if is_missed && missed_in_all.get(unit.start) {
                missed += unit.len();
            }
        });
        self.census.control.missed = missed;
    }
}

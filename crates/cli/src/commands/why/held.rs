//! Who has the page, and how that is known.

use super::Why;
use crate::render::number::{count, thousands};
use crate::render::page::Page;
use pagehound_hunt::census::{Fate, Via};
use pagehound_hunt::holders::Holders;
use pagehound_kernel::{Claimant, Claims, Class};
use pagehound_vmcore::{Pfn, PhysAddr};
use std::io;

/// Links of a chain of references that are told one by one.
const LINKS: u64 = 8;

impl Why<'_> {
    /// Who has the unit that begins with `head`.
    pub(super) fn held_by(&self, class: Class, head: Pfn, page: &mut Page) -> io::Result<()> {
        let owner = self.pages().claims.owner(head);
        if !class.is_unaccounted() {
            return owner.map_or(Ok(()), |owner| self.owned(owner, head, page));
        }
        match self.diagnosis.census.fate(self.pages(), head) {
            Fate::Orphan => return page.item("Held by", "nothing in use points to it"),
            Fate::InTransit => {
                return page.item(
                    "Held by",
                    "nothing yet or any more: it was being allocated or freed",
                );
            }
            Fate::Held => {}
        }
        match owner {
            Some(owner) => self.owned(owner, head, page),
            None => self.chain(head, page),
        }
    }

    /// How the census came to hold a unit that no structure is known to own.
    fn chain(&self, head: Pfn, page: &mut Page) -> io::Result<()> {
        let census = &self.diagnosis.census;
        let mut holders = self.holders.borrow_mut();
        let holder = holders.of(head);
        page.item("Held by", &holder.to_string())?;
        let mut at = head;
        let mut links = 0;
        let mut left_out = 0;
        // A chain longer than there are units runs in a circle.
        while links < self.pages().map.end().0 {
            let Some(via) = census.via(at) else { break };
            let (text, next) = link(via);
            links += 1;
            let next = next.filter(|&from| from != at);
            // The last says who has the first.
            if links > LINKS && next.is_some() {
                left_out += 1;
            } else {
                if left_out > 0 {
                    page.item("", &format!("and so on, {}", count(left_out, "page")))?;
                }
                page.item("", &format!("{:#x} is named by {text}", at.0))?;
            }
            if let Via::Root(addr) = via {
                self.climb(&holders, addr, page)?;
            }
            match next {
                Some(from) => at = from,
                None => break,
            }
        }
        Ok(())
    }

    /// From the object that a word lies in up to what has a name.
    fn climb(&self, holders: &Holders<'_>, from: PhysAddr, page: &mut Page) -> io::Result<()> {
        let shift = self.kernel.page_shift();
        let path = self.diagnosis.climb.path(self.pages(), shift, from);
        let mut below = from;
        for at in path {
            let (object, above) = (holders.at(below), holders.at(at));
            page.item(
                "",
                &format!(
                    "that object of {} is named by the word at physical {:x}, in {above}",
                    object.name, at.0
                ),
            )?;
            below = at;
        }
        Ok(())
    }

    /// Whose the unit that begins with `head` is, and the structures on the way.
    fn owned(&self, owner: &Claimant, head: Pfn, page: &mut Page) -> io::Result<()> {
        let most = owner.most.map_or(String::new(), |most| {
            format!(" of at most {}", thousands(most))
        });
        let pages = count(owner.pages, "page");
        page.item("Held by", &format!("{owner}, which has {pages}{most}"))?;
        let holders = self.holders.borrow();
        for step in Claims::steps(self.kernel, self.pages(), head) {
            let holder = self.kernel.phys(step.at).map(|at| holders.at(at));
            let cache = holder.ok().filter(|holder| {
                // A cache of one sort of objects says what the step says.
                holder.kind == "slab" && !step.what.starts_with(&holder.name)
            });
            let cache = cache.map_or(String::new(), |cache| format!(" in {}", cache.name));
            page.item(
                "",
                &format!("\u{2190} {}{cache} at {:x}", step.what, step.at.0),
            )?;
        }
        Ok(())
    }
}

/// What a reference is in words, and the page whose it is.
fn link(via: Via) -> (String, Option<Pfn>) {
    match via {
        Via::Root(addr) => (format!("the word at physical {:x}", addr.0), None),
        Via::Mapped => ("an entry of a page table".to_owned(), None),
        Via::Content(from) => (format!("a word in page {:#x}", from.0), Some(from)),
        Via::PageStruct(from) => (format!("the struct page of page {:#x}", from.0), Some(from)),
        Via::Split(from) => (
            format!(
                "page {:#x}, the begin of the block it was split off",
                from.0
            ),
            Some(from),
        ),
        Via::Hardware(from) => (
            format!("the hardware table in page {:#x}", from.0),
            Some(from),
        ),
        Via::Dropped => (
            "nobody: the kernel let go of it on purpose".to_owned(),
            None,
        ),
    }
}

//! Who has the page, and how that is known.

use super::Why;
use super::elsewhere::{Claim, Elsewhere};
use super::facts::Link;
use crate::render::number::{count, thousands};
use pagehound_hunt::census::{Fate, Via};
use pagehound_hunt::holders::Holders;
use pagehound_kernel::{Claimant, Claims, Class};
use pagehound_vmcore::{Pfn, PhysAddr};

/// Links of a chain of references that are told one by one.
const LINKS: u64 = 8;

impl Why<'_> {
    /// Who has the unit that begins with `head`.
    pub(super) fn held_by(
        &self,
        class: Class,
        head: Pfn,
        elsewhere: &mut Elsewhere<'_>,
    ) -> Vec<Link> {
        let owner = self.pages().claims.owner(head);
        if !class.is_unaccounted() {
            return owner.map_or(Vec::new(), |owner| self.owned(owner, head, elsewhere));
        }
        match (self.diagnosis.census.fate(self.pages(), head), owner) {
            // What shows it are the searches for words that name it.
            (Fate::Orphan, _) => vec![Link::new("nothing in use points to it")],
            (Fate::InTransit, _) => vec![Link::new(
                "nothing yet or any more: it was being allocated or freed",
            )],
            (Fate::Held, Some(owner)) => self.owned(owner, head, elsewhere),
            (Fate::Held, None) => self.chain(head, elsewhere),
        }
    }

    /// How the census came to hold a unit that no structure is known to own.
    fn chain(&self, head: Pfn, elsewhere: &mut Elsewhere<'_>) -> Vec<Link> {
        let census = &self.diagnosis.census;
        let mut holders = self.holders.borrow_mut();
        let mut told = vec![Link::new(holders.of(head).to_string())];
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
                    let text = format!("and so on, {}", count(left_out, "page"));
                    told.push(Link::new(text));
                }
                self.shown(via, at, elsewhere);
                told.push(Link {
                    text: format!("{:#x} is named by {text}", at.0),
                    names: Some(at.0),
                    ..place(via, &holders)
                });
            }
            if let Via::Root(addr) = via {
                self.climb(&holders, addr, elsewhere, &mut told);
            }
            match next {
                Some(from) => at = from,
                None => break,
            }
        }
        told
    }

    /// Where else the reference to the unit that begins with `head` can be seen.
    fn shown(&self, via: Via, head: Pfn, elsewhere: &mut Elsewhere<'_>) {
        let unit = self.pages().map.unit(head);
        match via {
            Via::Root(at) => {
                elsewhere.word(Claim::HeldBy, at);
                elsewhere.place(Claim::HeldBy, at);
            }
            Via::Mapped => {
                let mapped = &self.pages().mapped;
                let mapped = mapped.iter().find(|(pfn, _)| unit.contains(*pfn));
                // Below are addresses of processes, each with tables of its own.
                let kernel = mapped.filter(|(_, virt)| virt.0 >> 63 == 1);
                let pfn = mapped.map_or(head, |&(pfn, _)| pfn);
                elsewhere.mapping(pfn, kernel.map(|&(_, virt)| virt));
            }
            Via::Content(from) => elsewhere.words_in(from, unit),
            Via::PageStruct(from) => elsewhere.struct_of(from),
            Via::Split(from) => elsewhere.begin(from),
            // Of a group that lies in such tables as a whole, which is not noted.
            Via::Hardware(from) => elsewhere.table(Some(from).filter(|&from| from != head), head),
            Via::Dropped => {}
        }
    }

    /// From the object that a word lies in up to what has a name.
    fn climb(
        &self,
        holders: &Holders<'_>,
        from: PhysAddr,
        elsewhere: &mut Elsewhere<'_>,
        told: &mut Vec<Link>,
    ) {
        let shift = self.kernel.page_shift();
        let path = self.diagnosis.climb.path(self.pages(), shift, from);
        let mut below = from;
        for at in path {
            let (object, above) = (holders.at(below), holders.at(at));
            elsewhere.word(Claim::HeldBy, at);
            elsewhere.place(Claim::HeldBy, at);
            told.push(Link {
                text: format!(
                    "that object of {} is named by the word at physical {:x}, in {above}",
                    object.name, at.0
                ),
                word_at: Some(format!("{:x}", at.0)),
                lies_in: Some(above.to_string()),
                ..Link::default()
            });
            below = at;
        }
    }

    /// Whose the unit that begins with `head` is, and the structures on the way.
    fn owned(&self, owner: &Claimant, head: Pfn, elsewhere: &mut Elsewhere<'_>) -> Vec<Link> {
        let most = owner.most.map_or(String::new(), |most| {
            format!(" of at most {}", thousands(most))
        });
        let pages = count(owner.pages, "page");
        let mut told = vec![Link::new(format!("{owner}, which has {pages}{most}"))];
        let holders = self.holders.borrow();
        for step in Claims::steps(self.kernel, self.pages(), head) {
            let holder = self.kernel.phys(step.at).map(|at| holders.at(at));
            let slab = holder.ok().filter(|holder| holder.kind == "slab");
            if slab.is_some() {
                elsewhere.object(Claim::HeldBy, step.at);
            }
            // A cache of one sort of objects says what the step says.
            let cache = slab.as_ref();
            let cache = cache.filter(|holder| !step.what.starts_with(&holder.name));
            let cache = cache.map_or(String::new(), |cache| format!(" in {}", cache.name));
            told.push(Link {
                text: format!("\u{2190} {}{cache} at {:x}", step.what, step.at.0),
                object_at: Some(format!("{:x}", step.at.0)),
                lies_in: slab.map(|slab| slab.to_string()),
                ..Link::default()
            });
        }
        told
    }
}

/// Where a reference lies.
fn place(via: Via, holders: &Holders<'_>) -> Link {
    let (_, from) = link(via);
    let word = match via {
        Via::Root(at) => Some(at),
        _ => None,
    };
    Link {
        from: from.map(|from| from.0),
        word_at: word.map(|at| format!("{:x}", at.0)),
        lies_in: word.map(|at| holders.at(at).to_string()),
        ..Link::default()
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

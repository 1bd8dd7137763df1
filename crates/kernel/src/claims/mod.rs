//! Pages that structures of the kernel say are theirs: buffers of pipes, sockets,
//! rings, pools. The census tells that something refers to a page; here is who
//! owns it, and how many pages it may have.
//!
//! Each sort of owner has a file, which walks its structures from where the kernel
//! itself finds them: open files, network devices, per-CPU variables. What a
//! kernel's tables do not tell, or a dump does not have, is passed over: such pages
//! then have no owner here.

mod balloons;
mod files;
mod frags;
mod iommu;
mod kind;
mod kvm;
mod pipes;
mod pools;
mod rings;
mod skb;
mod sockets;
mod trace;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use pagehound_vmcore::{Pfn, VirtAddr};

use crate::kernel::Kernel;
use crate::pagemap::{Class, Pages};
pub use kind::Kind;

/// An owner of pages. Strings are safe to print.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimant {
    /// What it is.
    pub kind: Kind,
    /// Which one it is: process, device, connection.
    pub name: String,
    /// The process that has it open, if one has.
    pub pid: Option<u32>,
    /// The loaded module whose it is: a driver.
    pub module: Option<String>,
    /// Most pages it may have by its own settings, where these bound it.
    pub most: Option<u64>,
    /// Pages it has.
    pub pages: u64,
}

impl std::fmt::Display for Claimant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)?;
        match self.pid {
            Some(pid) => write!(f, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

/// A structure on the way from an owner to its page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What it is: the structure's name, and what tells it from others. Safe to
    /// print.
    pub what: String,
    /// Where it lies.
    pub at: VirtAddr,
}

/// Who owns which unit.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    claimants: Vec<Claimant>,
    /// By the first frame of the unit.
    units: HashMap<u64, u32>,
    /// A walk through tables was ended before it was through.
    tables_cut_short: bool,
}

impl Claims {
    /// Looks through all owners that are known of.
    pub fn of(kernel: &Kernel<'_>, pages: &Pages) -> Claims {
        let mut search = Search::new(kernel, pages);
        search.all();
        search.claims
    }

    /// The owner of the unit that begins with `head`.
    pub fn owner(&self, head: Pfn) -> Option<&Claimant> {
        self.claimants.get(self.number(head)?)
    }

    /// The place of that owner among all [`owners`](Self::owners).
    pub fn number(&self, head: Pfn) -> Option<usize> {
        self.units.get(&head.0).map(|&number| number as usize)
    }

    /// Whether the unit that begins with `head` holds data, in which a word is no
    /// reference.
    pub fn is_data(&self, head: Pfn) -> bool {
        self.owner(head).is_some_and(|owner| owner.kind.is_data())
    }

    /// First frames of the units that are tables which hardware walks: what a walk of
    /// their entries came to, and so is in use.
    pub fn tables(&self) -> impl Iterator<Item = Pfn> {
        let is_table = |number: u32| {
            let owner = self.claimants.get(number as usize);
            owner.is_some_and(|owner| owner.kind.is_table())
        };
        let tables = self
            .units
            .iter()
            .filter(move |&(_, &number)| is_table(number));
        tables.map(|(&head, _)| Pfn(head))
    }

    /// Whether tables that hardware walks led to more than there can be, so that some
    /// may be missing. Of other owners, which hold nothing, just as many may be.
    pub fn are_tables_cut_short(&self) -> bool {
        self.tables_cut_short
    }

    /// Takes a unit from its owner: nothing refers to it any more.
    pub fn release(&mut self, head: Pfn, pages: u64) {
        let number = self.units.remove(&head.0);
        let owner = number.and_then(|number| self.claimants.get_mut(number as usize));
        if let Some(owner) = owner {
            owner.pages = owner.pages.saturating_sub(pages);
        }
    }

    /// Units that have an owner, and its place among all [`owners`](Self::owners).
    pub fn units(&self) -> impl Iterator<Item = (Pfn, usize)> {
        let units = self.units.iter();
        units.map(|(&head, &number)| (Pfn(head), number as usize))
    }

    /// Units that have an owner.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether no unit has an owner.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// All owners.
    pub fn owners(&self) -> &[Claimant] {
        &self.claimants
    }

    /// The structures that lead to the unit that begins with `head`, from the page
    /// to its owner.
    pub fn steps(kernel: &Kernel<'_>, pages: &Pages, head: Pfn) -> Vec<Step> {
        let mut search = Search::new(kernel, pages);
        search.wanted = Some(head);
        search.all();
        search.found.into_iter().rev().collect()
    }
}

/// Structures followed for each frame of the machine, and besides: more than own all
/// of its memory. A list that was damaged leads anywhere.
const STEPS_A_FRAME: u64 = 4;
const SPARE_STEPS: u64 = 1 << 20;

/// Pages that no machine has: what may have more has no bound.
const NO_BOUND: u64 = 1 << 40;

fn budget(pages: &Pages) -> u64 {
    SPARE_STEPS.saturating_add(pages.map.end().0.saturating_mul(STEPS_A_FRAME))
}

/// The walk through all owners.
struct Search<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    claims: Claims,
    /// The structures on the way to where the walk is.
    trail: Vec<Step>,
    /// Whose way is asked for, and the way.
    wanted: Option<Pfn>,
    found: Vec<Step>,
    left: u64,
}

impl<'a> Search<'a> {
    fn new(kernel: &'a Kernel<'a>, pages: &'a Pages) -> Search<'a> {
        Search {
            kernel,
            pages,
            claims: Claims::default(),
            trail: Vec::new(),
            wanted: None,
            found: Vec::new(),
            left: budget(pages),
        }
    }

    /// Walks everything; first what holds what it comes to. Each walk has a budget of
    /// its own, so that a list without an end in one costs the others nothing.
    fn all(&mut self) {
        let tables: [fn(&mut Self); 2] = [Self::iommu_tables, Self::virtual_machines];
        for walk in tables {
            self.left = budget(self.pages);
            walk(self);
            self.claims.tables_cut_short |= self.left == 0;
        }
        let others: [fn(&mut Self); 7] = [
            Self::open_files,
            Self::page_frags,
            Self::traces,
            Self::page_pools,
            Self::zsmalloc,
            Self::receive_rings,
            Self::balloons,
        ];
        for walk in others {
            self.left = budget(self.pages);
            walk(self);
        }
    }

    /// A new owner, whose pages are added next.
    fn owner(&mut self, kind: Kind, name: String, most: Option<u64>) -> u32 {
        let most = most.filter(|&most| most < NO_BOUND);
        let number = self.claims.claimants.len() as u32;
        self.claims.claimants.push(Claimant {
            kind,
            name,
            pid: None,
            module: None,
            most,
            pages: 0,
        });
        number
    }

    /// Whether anything more is looked at; counts a step.
    fn step(&mut self) -> bool {
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Walks what lies below a structure.
    fn below(&mut self, what: &str, at: VirtAddr, walk: impl FnOnce(&mut Self)) {
        if !self.step() {
            return;
        }
        // Only the way to one page is ever read.
        if self.wanted.is_some() {
            let what = what.to_owned();
            self.trail.push(Step { what, at });
            walk(self);
            self.trail.pop();
        } else {
            walk(self);
        }
    }

    /// Gives the unit of a frame to an owner, if nobody has it yet.
    fn frame(&mut self, owner: u32, pfn: Pfn) {
        let map = &self.pages.map;
        let ours =
            |class: Class| class.is_censused() || matches!(class, Class::Zsmalloc | Class::Offline);
        if pfn >= map.end() || !ours(map.class(pfn)) {
            return;
        }
        let unit = map.unit(pfn);
        if self.wanted == Some(unit.start) && self.found.is_empty() {
            self.found.clone_from(&self.trail);
        }
        if self.claims.units.contains_key(&unit.start.0) {
            return;
        }
        self.claims.units.insert(unit.start.0, owner);
        if let Some(claimant) = self.claims.claimants.get_mut(owner as usize) {
            claimant.pages += unit.len();
        }
    }

    /// The same by the address of a `struct page`, in which flags may be set at
    /// the bottom.
    fn page(&mut self, owner: u32, page: VirtAddr) {
        if let Some(pfn) = self.pages.memmap.pfn(page) {
            self.frame(owner, pfn);
        }
    }

    /// The same for all frames of `size` bytes of memory from `start` on.
    fn memory(&mut self, owner: u32, start: VirtAddr, size: u64) {
        let shift = self.kernel.page_shift();
        let pages = size.div_ceil(1 << shift).max(1);
        for page in 0..pages {
            if !self.step() {
                return;
            }
            match self.kernel.phys(start.add(page << shift)) {
                Ok(phys) => self.frame(owner, phys.pfn(shift)),
                Err(_) => return,
            }
        }
    }
}

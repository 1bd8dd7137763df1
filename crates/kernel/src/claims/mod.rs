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

/// An owner of pages. Strings are safe to print.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimant {
    /// What it is, for example `pipe`.
    pub kind: &'static str,
    /// Which one it is: process, device, connection.
    pub name: String,
    /// The process that has it open, if one has.
    pub pid: Option<u32>,
    /// Most pages it may have by its own settings, where these bound it.
    pub most: Option<u64>,
    /// Pages it has.
    pub pages: u64,
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
}

/// Kinds whose pages hold data: words that a user wrote, that came by the network, or
/// that were written down for later. They refer to nothing, whatever they are. Not
/// among them is what may have been spliced into a pipe, or hold the head of an
/// `sk_buff` with its fragments.
const DATA: &[&str] = &[
    BPF_RING,
    IO_URING,
    PACKET_RING,
    PERF_BUFFER,
    TRACE_BUFFER,
    ZSMALLOC,
];

/// Kinds whose pages are tables that hardware walks, found by the walk from what is in
/// use: the entries on the way are references, although they are no addresses.
const TABLES: &[&str] = &[IOMMU_TABLES, KVM_TABLES];

const IOMMU_TABLES: &str = "IOMMU tables";
const KVM_TABLES: &str = "KVM tables";
const BPF_RING: &str = "bpf ring buffer";
const IO_URING: &str = "io_uring";
const PACKET_RING: &str = "packet ring";
const PERF_BUFFER: &str = "perf buffer";
const TRACE_BUFFER: &str = "trace buffer";
const ZSMALLOC: &str = "zsmalloc";

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
        self.owner(head)
            .is_some_and(|owner| DATA.contains(&owner.kind))
    }

    /// First frames of the units that are tables which hardware walks: what a walk of
    /// their entries came to, and so is in use.
    pub fn tables(&self) -> impl Iterator<Item = Pfn> {
        let is_table = |number: u32| {
            let owner = self.claimants.get(number as usize);
            owner.is_some_and(|owner| TABLES.contains(&owner.kind))
        };
        let tables = self
            .units
            .iter()
            .filter(move |&(_, &number)| is_table(number));
        tables.map(|(&head, _)| Pfn(head))
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
            left: SPARE_STEPS.saturating_add(pages.map.end().0.saturating_mul(STEPS_A_FRAME)),
        }
    }

    fn all(&mut self) {
        self.open_files();
        self.page_frags();
        self.traces();
        self.page_pools();
        self.zsmalloc();
        self.receive_rings();
        self.balloons();
        self.iommu_tables();
    }

    /// A new owner, whose pages are added next.
    fn owner(&mut self, kind: &'static str, name: String, most: Option<u64>) -> u32 {
        let number = self.claims.claimants.len() as u32;
        self.claims.claimants.push(Claimant {
            kind,
            name,
            pid: None,
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

//! Rule 6, second half: tables that hardware walks (IOMMU, EPT, stage 2).
//!
//! Their entries hold frame numbers and no addresses, so what they name looks
//! orphaned. A page that holds nothing but entries with frames of this machine
//! is taken for such a table once it is itself held; tables it names are held
//! with it. Data it names is not held by that alone: a driver that loses a
//! page may well forget to unmap it. When such tables name at least a fifth of
//! a group, the group as a whole lives in hardware.

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_vmcore::Pfn;

use super::objects::Strict;
use super::{Census, Fate, Naming, Via};

/// Part of a group that tables must name, as one in so many.
pub(crate) const NAMED_PART: usize = 5;

/// The unaccounted frames a page names if it is a table of hardware: nine in
/// ten of its words that are not zero are entries, and all share their lowest
/// bits, as permissions do.
pub(super) fn table(page: &[u8], naming: &Naming, pages: &Pages) -> Vec<Pfn> {
    let mut used = 0usize;
    let mut entries = 0usize;
    let mut first = None;
    let mut named = Vec::new();
    for word in page.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        if word == 0 {
            continue;
        }
        used += 1;
        let Some(pfn) = naming.frame_entry(word) else {
            // Not a table: leave early, since most pages are not.
            if used > 16 && entries * 2 < used {
                return Vec::new();
            }
            continue;
        };
        let permissions = word & 0x7;
        if *first.get_or_insert(permissions) == permissions {
            entries += 1;
            if pages.map.class(pfn).is_unaccounted() {
                named.push(pfn);
            }
        }
    }
    if entries * 10 >= used * 9 {
        named
    } else {
        Vec::new()
    }
}

impl Census {
    /// Follows tables from those that were reached; `found` are frames that
    /// reached tables name, with the table.
    pub(super) fn hardware_tables(
        &mut self,
        kernel: &Kernel<'_>,
        pages: &Pages,
        naming: &Naming,
        mut found: Vec<(Pfn, Pfn)>,
    ) {
        let memory = kernel.dump.memory.as_ref();
        let mut page = vec![0; memory.page_size()];
        while let Some((pfn, from)) = found.pop() {
            let head = pages.map.head(pfn);
            if self.fate(pages, head) != Fate::Orphan || !self.in_hardware.set(head) {
                continue;
            }
            if pages.map.class(head) != Class::Raw || memory.read_page(pfn, &mut page).is_err() {
                continue;
            }
            self.bytes_read += page.len() as u64;
            let below = table(&page, naming, pages);
            if !below.is_empty() {
                self.held.set(head);
                self.via.note(head, Via::Hardware(from));
                found.extend(below.into_iter().map(|next| (next, head)));
            }
        }
    }

    /// Holds the tables that hardware walks for an owner who is in use (IOMMUs, virtual
    /// machines): a walk of their entries found them, which need not look like tables.
    /// In newer kernels (the lab's 6.12) no list has the objects that name those of a
    /// virtual machine, only `page->private` of the tables.
    pub(super) fn owned_tables(&mut self, pages: &Pages, strict: Option<&Strict>) {
        for head in pages.claims.tables() {
            if !self.held.get(head) {
                self.hold_in_hardware(head);
            }
            if let Some(strict) = strict {
                strict.unit(pages, head);
            }
        }
    }

    /// Whether a table of hardware names this unit.
    pub(crate) fn is_in_hardware(&self, head: Pfn) -> bool {
        self.in_hardware.get(head)
    }

    /// Holds a unit whose group lives in hardware.
    pub(crate) fn hold_in_hardware(&mut self, head: Pfn) {
        self.held.set(head);
        self.via.note(head, Via::Hardware(head));
    }

    /// Holds a unit that the kernel let go of on purpose.
    pub(crate) fn hold_dropped(&mut self, head: Pfn) {
        self.held.set(head);
        self.via.note(head, Via::Dropped);
    }
}

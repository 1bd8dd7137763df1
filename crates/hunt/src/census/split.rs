//! Rule 8: blocks split after allocation. `alloc_pages_exact`, `split_page`
//! and CMA give every frame a reference count of one, and the owner keeps one
//! pointer, to the first.

use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_vmcore::Pfn;

use super::{Census, Fate, Via};

/// Largest block the page allocator gives (order 10).
const MAX_RUN: u64 = 1024;

impl Census {
    pub(super) fn split_blocks(&mut self, _kernel: &Kernel<'_>, pages: &Pages) {
        let single = |pfn: Pfn| {
            pages.map.class(pfn) == Class::Raw
                && !pages.map.is_tail(pfn)
                && !pages.map.is_tail(Pfn(pfn.0 + 1))
                && !pages.map.is_compound(pfn)
        };
        let mut found = Vec::new();
        let mut pfn = Pfn(0);
        while pfn < pages.map.end() {
            let head = pfn;
            pfn = Pfn(pfn.0 + 1);
            if !single(head) || !self.held.get(head) {
                continue;
            }
            let mut end = pfn;
            while end.0 - head.0 < MAX_RUN
                && single(end)
                && self.fate(pages, end) == Fate::Orphan
            {
                end = Pfn(end.0 + 1);
            }
            let length = end.0 - head.0;
            if length > 1 && head.0 % length.next_power_of_two() == 0 {
                found.push((head, end));
            }
            pfn = end;
        }
        for (head, end) in found {
            for pfn in head.0 + 1..end.0 {
                self.held.set(Pfn(pfn));
                self.via.insert(pfn, Via::Split(head));
            }
        }
    }
}

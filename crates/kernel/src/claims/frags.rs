//! Pages that are handed out piece by piece: what is not given out yet.

use pagehound_vmcore::VirtAddr;

use super::{Kind, Search};
use crate::layouts::Field;
use crate::text::printable;

impl Search<'_> {
    /// The page fragments of CPUs and of processes.
    pub(super) fn page_frags(&mut self) {
        let kernel = self.kernel;
        for (variable, field) in [
            ("netdev_alloc_cache", Field::FragCacheVa),
            ("napi_alloc_cache", Field::NapiFragVa),
            ("napi_alloc_cache", Field::NapiSmallVa),
        ] {
            let Some(variable_at) = kernel.address(variable) else {
                continue;
            };
            for cpu in 0..kernel.percpu_offsets.len() {
                let Some(cache) = kernel.percpu(variable_at, cpu) else {
                    continue;
                };
                let Ok(start) = kernel.pointer(cache, field) else {
                    break;
                };
                // Since 6.13 (0c3ce2f50261) the page's order is in the low bits.
                let start = VirtAddr(start.0 & !(kernel.page_size() - 1));
                if start.0 == 0 {
                    continue;
                }
                let owner = self.owner(
                    Kind::PageFragments,
                    format!("{variable} of CPU {cpu}"),
                    None,
                );
                self.below(variable, cache, |search| search.memory(owner, start, 1));
            }
        }
        let pages = self.pages;
        for task in &pages.tasks {
            let Ok(page) = kernel.pointer(task.addr, Field::TaskFragPage) else {
                continue;
            };
            if page.0 == 0 {
                continue;
            }
            let owner = self.owner(Kind::PageFragments, printable(&task.comm), None);
            if let Some(claimant) = self.claims.claimants.get_mut(owner as usize) {
                claimant.pid = Some(task.pid);
            }
            self.below("task_struct.task_frag", task.addr, |search| {
                search.page(owner, page);
            });
        }
    }
}

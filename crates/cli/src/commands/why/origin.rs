//! Who allocated the page, where the kernel keeps records of that.

use super::Why;
use crate::render;
use crate::render::page::Page;
use pagehound_hunt::Allocators;
use pagehound_kernel::{Allocation, Site};
use std::io;

impl Why<'_> {
    /// Who allocated the page, where the kernel keeps records of that.
    pub(super) fn allocated_by(&self, page: &mut Page) -> io::Result<()> {
        let allocators = Allocators::of(self.kernel, self.pages());
        let Some(recorded) = allocators.recorded(self.pfn) else {
            return Ok(());
        };
        if let Some((owner, stack)) = &recorded.owner {
            page.item("Origin", &owner_line(owner))?;
            for symbol in stack {
                page.indented(symbol)?;
            }
        }
        if let Some(site) = &recorded.site {
            let module = site.module.as_ref();
            let module = module.map_or(String::new(), |module| format!(" [{module}]"));
            let Site {
                function,
                file,
                line,
                ..
            } = site;
            page.item(
                "Origin",
                &format!("allocated at {file}:{line}, {function}{module}"),
            )?;
        }
        if recorded.owner.is_none() && recorded.site.is_none() {
            page.item(
                "Origin",
                "the kernel has no record of this page's allocation",
            )?;
        }
        Ok(())
    }
}

/// What page_owner knows of an allocation besides the stack.
fn owner_line(owner: &Allocation) -> String {
    let mut parts = Vec::new();
    let name = owner.comm.as_ref();
    let name = name.map_or(String::new(), |name| format!(" ({})", render::escape(name)));
    match (owner.pid, owner.tgid) {
        (Some(pid), Some(tgid)) if pid != tgid => {
            parts.push(format!("allocated by thread {pid} of process {tgid}{name}"));
        }
        (Some(pid), _) => parts.push(format!("allocated by process {pid}{name}")),
        (None, _) => parts.push("allocated".to_owned()),
    }
    if let Some(time) = owner.ts_nsec {
        let (seconds, micros) = (time / 1_000_000_000, time / 1000 % 1_000_000);
        parts.push(format!("at {seconds}.{micros:06} s"));
    }
    parts.push(format!("order {}, gfp {:#x}", owner.order, owner.gfp));
    if !owner.allocated {
        parts.push("free since".to_owned());
    }
    parts.join(", ")
}

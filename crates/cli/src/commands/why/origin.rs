//! Who allocated the page, where the kernel keeps records of that.

use super::Why;
use super::facts::Origin;
use crate::render;
use pagehound_hunt::Allocators;
use pagehound_kernel::{Allocation, Site};

impl Why<'_> {
    /// Who allocated the page, where the kernel keeps records of that.
    pub(super) fn origin(&self) -> Vec<Origin> {
        let allocators = Allocators::of(self.kernel, self.pages());
        let Some(recorded) = allocators.recorded(self.pfn) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        if let Some((owner, stack)) = recorded.owner {
            all.push(Origin {
                text: owner_line(&owner),
                stack,
            });
        }
        if let Some(site) = &recorded.site {
            all.push(Origin {
                text: site_line(site),
                stack: Vec::new(),
            });
        }
        if all.is_empty() {
            all.push(Origin {
                text: "the kernel has no record of this page's allocation".to_owned(),
                stack: Vec::new(),
            });
        }
        all
    }
}

fn site_line(site: &Site) -> String {
    let module = site.module.as_ref();
    let module = module.map_or(String::new(), |module| format!(" [{module}]"));
    let Site {
        function,
        file,
        line,
        ..
    } = site;
    format!("allocated at {file}:{line}, {function}{module}")
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

//! Rule 10: pages that are known to be held, put through the same pass. A
//! wrong base, missing slab or smear shows as pages of this group that
//! nothing names.

use pagehound_kernel::{Class, Pages};
use pagehound_model::Control;
use pagehound_vmcore::Pfn;

use super::Census;

impl Census {
    /// File and shared memory pages must be named by an xarray, pages of
    /// vmalloc areas by the area's array of pages.
    pub(super) fn check_control(&self, pages: &Pages) -> Control {
        let mut control = Control::default();
        let mut pfn = Pfn(0);
        while pfn < pages.map.end() {
            let class = pages.map.class(pfn);
            if !matches!(class, Class::File | Class::Shmem | Class::Vmalloc) {
                pfn = Pfn(pfn.0 + 1);
                continue;
            }
            let unit = pages.map.unit(pfn);
            let frames = (unit.start.0..unit.end.0).map(Pfn);
            control.checked += unit.len();
            if !frames.clone().any(|frame| self.named.get(frame)) {
                control.missed += unit.len();
            }
            pfn = unit.end;
        }
        control
    }
}

//! Rule 10: pages that are known to be held, put through the same pass. A
//! wrong base, missing slab or smear shows as pages of this group that
//! nothing names.

use pagehound_kernel::{Class, Pages};
use pagehound_model::Control;
use pagehound_vmcore::{Pfn, PfnRange};

use super::Census;

impl Census {
    /// File and shared memory pages must be named by an xarray, pages of
    /// vmalloc areas by the area's array of pages.
    pub(super) fn check_control(&self, pages: &Pages) -> Control {
        let mut control = Control::default();
        self.each_of_control(pages, |unit, is_missed| {
            control.checked += unit.len();
            control.missed += if is_missed { unit.len() } else { 0 };
        });
        control
    }

    /// Tells of each unit of the control group whether the pass missed it.
    pub(crate) fn each_of_control(&self, pages: &Pages, mut tell: impl FnMut(PfnRange, bool)) {
        let mut pfn = Pfn(0);
        while pfn < pages.map.end() {
            let class = pages.map.class(pfn);
            if !matches!(class, Class::File | Class::Shmem | Class::Vmalloc) {
                pfn = Pfn(pfn.0 + 1);
                continue;
            }
            let unit = pages.map.unit(pfn);
            let mut frames = (unit.start.0..unit.end.0).map(Pfn);
            tell(unit, !frames.any(|frame| self.named.get(frame)));
            pfn = unit.end;
        }
    }
}

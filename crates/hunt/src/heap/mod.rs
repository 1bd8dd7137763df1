//! Slab objects and vmalloc areas that nothing reaches. Counters show them, so they
//! are not unaccounted; but nobody can free them any more.

mod areas;
mod objects;

use pagehound_kernel::{Kernel, Pages};
use pagehound_model::HeapLoss;
use pagehound_scan::Pass;

use crate::census::Census;

/// What nothing reaches, the largest first.
pub(crate) fn lost(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    pass: &Pass<'_>,
) -> Vec<HeapLoss> {
    let symbols = kernel.symbolizer();
    let mut all = objects::lost(kernel, pages, census, &symbols);
    all.extend(areas::lost(kernel, pages, census, pass, &symbols));
    all.sort_by_key(|loss| std::cmp::Reverse(loss.bytes));
    all
}

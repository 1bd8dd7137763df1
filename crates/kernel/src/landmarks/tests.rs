//! The search on the repository's own dump, whose kallsyms knows where the
//! variables are.

use pagehound_testdata::demo;

use super::*;
use crate::kernel::Options;

#[test]
fn variables_are_found_where_kallsyms_has_them() {
    let dump = pagehound_vmcore::open(&demo()).unwrap();
    let kernel = Kernel::open(&dump, Options::default()).unwrap();
    // It had no need to search, and the search asks kallsyms nothing.
    assert_eq!(kernel.landmarks.address("init_task"), None);
    let symbols = kernel.symbols.as_ref().unwrap();
    let landmarks = Landmarks::find(&kernel);
    for name in ["init_task", "iomem_resource", "node_data", "slab_caches"] {
        assert_eq!(landmarks.address(name), symbols.address(name), "{name}");
        assert!(landmarks.address(name).is_some(), "{name}");
    }
    // A kernel with NUMA has no node of its own.
    assert_eq!(landmarks.address("contig_page_data"), None);
    assert_eq!(symbols.address("contig_page_data"), None);
    let told = symbols.address("__per_cpu_offset").unwrap();
    assert!(!landmarks.percpu_offsets.is_empty());
    for (index, &offset) in (0..).zip(&landmarks.percpu_offsets) {
        assert_eq!(kernel.memory.u64(told.add(index * 8)).unwrap(), offset);
    }
    assert_eq!(landmarks.percpu_offsets, kernel.percpu_offsets);
}

//! BTF: parsing, finding it in memory, and all that the table of members asks of it.

use pagehound_kernel::layouts::Layouts;
use pagehound_kernel::{Btf, Vmcoreinfo};
use pagehound_vmcore::VirtAddr;

use crate::memory::Virtual;

const BASE: u64 = 0xffff_ffff_8200_0000;

pub(crate) fn run(data: &[u8]) {
    let memory = Virtual {
        base: BASE,
        bytes: data,
    };
    let _ = Btf::search(&memory, VirtAddr(BASE), memory.end());
    let found = Btf::find_in_kernel(&memory, VirtAddr(BASE), memory.end());
    let btf = match (Btf::parse(data.to_vec()), found) {
        (Ok(btf), Ok(found)) => {
            assert_eq!(btf.type_count(), found.type_count());
            btf
        }
        (Err(_), Err(_)) => return,
        (parsed, found) => panic!("parsed {parsed:?}, found {found:?}"),
    };
    // A record has 12 bytes at least.
    assert!(btf.type_count() <= data.len() / 12);
    for section in [".data..percpu", ".bss"] {
        let end = btf.section_size(section);
        for (bytes, _) in btf.variables(section) {
            assert!(Some(bytes.end) <= end, "{bytes:?} of {end:?}");
        }
    }
    let _ = btf.enumerator("zone_stat_item", "NR_FREE_PAGES");
    let _ = (btf.size_of("page"), btf.size_of("long unsigned int"));
    let vmcoreinfo = Vmcoreinfo::parse(b"OSRELEASE=6.1.0\n").expect("a text");
    let _ = Layouts::resolve(&vmcoreinfo, Some(&btf));
}

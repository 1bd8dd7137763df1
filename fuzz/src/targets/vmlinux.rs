//! A file with debug information: its names, the types by DWARF put down as BTF, its
//! symbols, and what the table of members asks of them.

use pagehound_kernel::layouts::Layouts;
use pagehound_kernel::{Vmcoreinfo, Vmlinux};
use pagehound_vmcore::VirtAddr;

use super::containers::MemoryFile;

/// Where the kernel's `_stext` is.
const STEXT: u64 = 0xffff_ffff_8120_0000;

pub(crate) fn run(data: &[u8]) {
    let file = MemoryFile::of(data);
    let vmlinux = match Vmlinux::open(&file.path()) {
        Ok(vmlinux) => vmlinux,
        Err(error) => return one_line(&error.to_string()),
    };
    let _ = vmlinux.build_id();
    if let Some(banner) = vmlinux.banner() {
        let banner = String::from_utf8(banner).expect("ASCII");
        assert!(banner.starts_with("Linux version "), "{banner}");
        one_line(&banner);
    }
    match vmlinux.symbols(VirtAddr(STEXT)) {
        Ok(symbols) => {
            let first = symbols.address("_stext");
            assert!(first.is_none_or(|first| first.0 <= STEXT), "{first:?}");
            let _ = symbols.lookup(VirtAddr(STEXT + 8));
        }
        Err(why) => one_line(&why),
    }
    let (types, warnings) = match vmlinux.types("6.1.0", None) {
        Ok(told) => told,
        Err(error) => return one_line(&error.to_string()),
    };
    warnings.iter().for_each(|warning| one_line(warning));
    assert!(types.size_of("page").is_some());
    let vmcoreinfo = Vmcoreinfo::parse(b"OSRELEASE=6.1.0\n").expect("a text");
    let _ = Layouts::resolve(&vmcoreinfo, Some(&types));
    let _ = types.enumerator("zone_stat_item", "NR_FREE_PAGES");
}

fn one_line(text: &str) {
    assert!(!text.contains('\n'), "{text}");
}

//! `/proc/vmallocinfo`: one line an area of the vmalloc range (mm/vmalloc.c, `s_show`,
//! later `vmalloc_info_show`). Readable by root only.
//!
//! `0x<start>-0x<end> <size> [caller [module]] [pages=n] [phys=addr] [flags] [Nnode=pages ...]`
//!
//! The addresses tell nothing: they are hashed since 5.2 (4.15 prints
//! `(____ptrval____)` early in boot), and zero under kptr_restrict.

use crate::line::{Line, ParseError, Rows, decimal, hex};

/// What the kernel says about an area, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AreaFlags(u16);

impl AreaFlags {
    /// Mapped device memory: no pages of RAM.
    pub const IOREMAP: AreaFlags = AreaFlags(1);
    /// Sparse area (6.9 and later).
    pub const SPARSE: AreaFlags = AreaFlags(1 << 1);
    /// From `vmalloc()` and its like. Percpu chunks say so too, but have no `pages=`.
    pub const VMALLOC: AreaFlags = AreaFlags(1 << 2);
    /// Pages that belong to somebody else, mapped here.
    pub const VMAP: AreaFlags = AreaFlags(1 << 3);
    /// May be mapped by user space.
    pub const USER: AreaFlags = AreaFlags(1 << 4);
    /// Mapping of DMA memory (5.4 and later).
    pub const DMA_COHERENT: AreaFlags = AreaFlags(1 << 5);
    /// The array of page pointers is itself from `vmalloc()`.
    pub const VPAGES: AreaFlags = AreaFlags(1 << 6);
    /// From `vm_map_ram()`: pages that belong to somebody else.
    pub const VM_MAP_RAM: AreaFlags = AreaFlags(1 << 7);
    /// Freed, but its address range not flushed yet.
    pub const UNPURGED: AreaFlags = AreaFlags(1 << 8);

    /// Whether all of `flags` are set.
    pub fn contains(self, flags: AreaFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The flag a word of the line stands for.
    fn of(word: &str) -> Option<AreaFlags> {
        Some(match word {
            "ioremap" => AreaFlags::IOREMAP,
            "sparse" => AreaFlags::SPARSE,
            "vmalloc" => AreaFlags::VMALLOC,
            "vmap" => AreaFlags::VMAP,
            "user" => AreaFlags::USER,
            "dma-coherent" => AreaFlags::DMA_COHERENT,
            "vpages" => AreaFlags::VPAGES,
            "vm_map_ram" => AreaFlags::VM_MAP_RAM,
            "unpurged" => AreaFlags::UNPURGED,
            _ => return None,
        })
    }
}

/// One area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area<'a> {
    /// Start and end (exclusive) as printed, usually hashed; `None` where the kernel
    /// printed no number.
    pub range: Option<(u64, u64)>,
    /// Bytes of address space, guard page included.
    pub size: u64,
    /// Who asked for it: `function+0x1/0x2 [module]`, a bare address, or empty.
    pub caller: &'a str,
    /// Pages of RAM that belong to the area; `None` for ioremap, vmap, percpu chunks.
    pub pages: Option<u64>,
    /// Physical address of device memory.
    pub phys: Option<u64>,
    /// What kind of area it is.
    pub flags: AreaFlags,
    /// The rest of the line from the first `N0=` on.
    nodes: &'a str,
}

impl<'a> Area<'a> {
    /// NUMA node and pages on it, for nodes that have any.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, u64)> + 'a {
        self.nodes.split_ascii_whitespace().filter_map(node_pages)
    }

    /// The caller's function: without offset, module and the compiler's suffixes
    /// (`.isra.0`); `None` where it is not a name.
    pub fn function(&self) -> Option<&'a str> {
        let end = self
            .caller
            .find(['+', '.', ' '])
            .unwrap_or(self.caller.len());
        self.caller
            .get(..end)
            .filter(|name| !name.is_empty() && !name.starts_with("0x"))
    }
}

/// The areas of a vmallocinfo, in the order of the file.
pub fn vmallocinfo(text: &[u8]) -> Rows<'_, Area<'_>> {
    Rows::new("vmallocinfo", text, |line| area(line).map(Some))
}

fn area<'a>(line: &Line<'a>) -> Result<Area<'a>, ParseError> {
    let shape = || line.error("expected `0xstart-0xend size ...`");
    let text = line.as_str()?.trim_ascii_start();
    let (range, rest) = text.split_once(' ').ok_or_else(shape)?;
    let (start, end) = range.split_once('-').ok_or_else(shape)?;
    if !(start.starts_with("0x") && end.starts_with("0x")) {
        return Err(shape());
    }
    let rest = rest.trim_ascii_start();
    let (size, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut area = Area {
        range: hex(start).zip(hex(end)),
        size: decimal(size).ok_or_else(shape)?,
        caller: "",
        pages: None,
        phys: None,
        flags: AreaFlags::default(),
        nodes: "",
    };
    // The caller may have blanks (`f+0x1/0x2 [module]`): it ends where a word of the
    // grammar begins. A word unknown here is a flag of a later kernel.
    let rest = rest.trim_ascii();
    let mut caller_end = None;
    let mut offset = 0;
    for word in rest.split(' ') {
        let known = if word.is_empty() {
            false
        } else if let Some(count) = word.strip_prefix("pages=") {
            let count =
                decimal(count).ok_or_else(|| line.error("expected a number in `pages=`"))?;
            area.pages = Some(count);
            true
        } else if let Some(address) = word.strip_prefix("phys=") {
            let address = hex(address).ok_or_else(|| line.error("expected hex in `phys=`"))?;
            area.phys = Some(address);
            true
        } else if let Some(flag) = AreaFlags::of(word) {
            area.flags.0 |= flag.0;
            true
        } else if node_pages(word).is_some() {
            if area.nodes.is_empty() {
                area.nodes = rest.get(offset..).unwrap_or_default();
            }
            true
        } else {
            false
        };
        if known {
            caller_end.get_or_insert(offset);
        }
        offset += word.len() + 1;
    }
    area.caller = rest
        .get(..caller_end.unwrap_or(rest.len()))
        .unwrap_or_default()
        .trim_ascii_end();
    Ok(area)
}

/// Reads `N<node>=<pages>`.
fn node_pages(word: &str) -> Option<(u32, u64)> {
    let (node, pages) = word.strip_prefix('N')?.split_once('=')?;
    Some((decimal(node)?.try_into().ok()?, decimal(pages)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Area<'_> {
        let mut rows = vmallocinfo(text.as_bytes());
        let row = rows.next().unwrap().unwrap();
        assert!(rows.next().is_none());
        row
    }

    #[test]
    fn a_vmalloc_area_with_nodes_and_page_array() {
        let area = one(
            "0xffffc90000b15000-0xffffc90000b1a000   20480 kernel_clone+0x9b/0x3f0 pages=4 vmalloc vpages N0=3 N1=1\n",
        );
        assert_eq!(
            area.range,
            Some((0xffff_c900_00b1_5000, 0xffff_c900_00b1_a000))
        );
        assert_eq!((area.size, area.pages), (20480, Some(4)));
        assert_eq!(area.caller, "kernel_clone+0x9b/0x3f0");
        assert_eq!(area.function(), Some("kernel_clone"));
        assert!(area.flags.contains(AreaFlags::VMALLOC));
        assert!(area.flags.contains(AreaFlags::VPAGES));
        assert!(!area.flags.contains(AreaFlags::VMAP));
        assert_eq!(area.nodes().collect::<Vec<_>>(), [(0, 3), (1, 1)]);
    }

    #[test]
    fn device_memory_of_a_module() {
        let area = one(
            "0x0000000049f633c5-0x0000000069e2a822    8192 map_capability+0x104/0x170 [virtio_pci] phys=0x00000000fe000000 ioremap",
        );
        assert_eq!(area.caller, "map_capability+0x104/0x170 [virtio_pci]");
        assert_eq!(area.function(), Some("map_capability"));
        assert_eq!((area.pages, area.phys), (None, Some(0xfe00_0000)));
        assert!(area.flags.contains(AreaFlags::IOREMAP));
        // Up to 4.12 the address had no 0x in front.
        let old = one(
            "0xffffc90000000000-0xffffc90000002000    8192 hpet_enable+0x38/0x2f1 phys=fed00000 ioremap",
        );
        assert_eq!(old.phys, Some(0xfed0_0000));
    }

    #[test]
    fn lines_without_a_caller_or_a_number_for_the_address() {
        assert!(
            one("0x01-0x02 8192 vm_map_ram")
                .flags
                .contains(AreaFlags::VM_MAP_RAM)
        );
        let unpurged = one("0x01-0x02   12288 unpurged vm_area");
        assert!(unpurged.flags.contains(AreaFlags::UNPURGED));
        assert_eq!((unpurged.caller, unpurged.function()), ("", None));
        let hidden = one("0x(____ptrval____)-0x(____ptrval____)    8192 add.isra.0+0x1/0x2 vmap");
        assert_eq!((hidden.range, hidden.function()), (None, Some("add")));
        assert_eq!(one("0x0-0x0 4096").caller, "");
    }

    #[test]
    fn a_bare_address_is_a_caller_but_no_function() {
        let area = one("0x0-0x0    8192 0xffffffffc044a5ca pages=1 vmalloc N0=1");
        assert_eq!((area.caller, area.function()), ("0xffffffffc044a5ca", None));
    }

    #[test]
    fn a_flag_of_a_later_kernel_does_no_harm() {
        let area = one("0x0-0x0    8192 f+0x1/0x2 pages=1 vmalloc newflag N0=1");
        assert_eq!((area.caller, area.pages), ("f+0x1/0x2", Some(1)));
        assert_eq!(area.nodes().count(), 1);
    }

    #[test]
    fn other_lines_are_errors() {
        for bad in [
            "hello",
            "0x0 8192 vmap",
            "0x0-0x0",
            "0x0-0x0 x vmap",
            "1-2 8192 vmap",
            "0x0-0x0 8192 f pages=-1",
            "0x0-0x0 8192 f pages=",
            "0x0-0x0 8192 f phys=zz",
        ] {
            assert!(
                vmallocinfo(bad.as_bytes()).next().unwrap().is_err(),
                "{bad}"
            );
        }
    }
}

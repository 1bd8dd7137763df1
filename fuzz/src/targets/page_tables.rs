//! Page tables of both architectures: finding the direct map, walking, translating.

use std::ops::ControlFlow;

use pagehound_kernel::{AddressSpace, Geometry, Met, Vmcoreinfo};
use pagehound_testdata::Frames;
use pagehound_vmcore::{Machine, PageCache, PhysAddr, PhysicalMemory, VirtAddr};

use crate::input::Input;
use crate::memory::dump_of;

/// Frames of the machine. Entries find a table with few bits, if they find one.
const FRAMES: u64 = 32;
/// Leaves of which the translation is held against the walk.
const LEAVES: usize = 64;

/// Shapes of tables: the architecture, what VMCOREINFO says, log2 of the page size.
/// The root lies in frame 1, which the kernel maps at the address that it has in the
/// image.
pub(crate) const SHAPES: [(Machine, &str, u32); 6] = [
    (
        Machine::X86_64,
        "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff80001000\nNUMBER(phys_base)=0\n\
         SYMBOL(_stext)=ffffffff81000000\n",
        12,
    ),
    (
        Machine::X86_64,
        "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff80001000\nNUMBER(phys_base)=0\n\
         SYMBOL(_stext)=ffffffff81000000\nNUMBER(pgtable_l5_enabled)=1\n\
         NUMBER(sme_mask)=140737488355328\n",
        12,
    ),
    (
        Machine::Aarch64,
        "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffff800008001000\nNUMBER(VA_BITS)=48\n\
         NUMBER(kimage_voffset)=0xffff800008000000\nSYMBOL(_stext)=ffff800008010000\n",
        12,
    ),
    (
        Machine::Aarch64,
        "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffc008001000\nNUMBER(VA_BITS)=39\n\
         NUMBER(kimage_voffset)=0xffffffc008000000\nSYMBOL(_stext)=ffffffc008010000\n",
        12,
    ),
    (
        Machine::Aarch64,
        "PAGESIZE=16384\nSYMBOL(swapper_pg_dir)=ffffc00008004000\nNUMBER(VA_BITS)=47\n\
         NUMBER(kimage_voffset)=0xffffc00008000000\nSYMBOL(_stext)=ffffc00008010000\n",
        14,
    ),
    (
        Machine::Aarch64,
        "PAGESIZE=65536\nSYMBOL(swapper_pg_dir)=ffff800008010000\nNUMBER(VA_BITS)=52\n\
         NUMBER(TCR_EL1_T1SZ)=12\nNUMBER(kimage_voffset)=0xffff800008000000\n\
         SYMBOL(_stext)=ffff800008010000\n",
        16,
    ),
];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(shape) = input.u8() else {
        return;
    };
    let (machine, text, shift) = SHAPES[usize::from(shape) % SHAPES.len()];
    let mut memory = Frames::new(shift);
    memory.frame(1);
    let mut entries = Vec::new();
    while let (Some(frame), Some(index), Some(entry)) = (input.u8(), input.u16(), input.u64()) {
        let pfn = u64::from(frame) % FRAMES;
        let word = u64::from(index) % (1 << (shift - 3));
        memory.write((pfn << shift) + word * 8, entry);
        entries.push(entry);
    }
    let info = Vmcoreinfo::parse(format!("OSRELEASE=6.1.0\n{text}").as_bytes()).expect("a text");
    let cache = PageCache::new(&memory, 8);
    let Ok(space) =
        AddressSpace::discover(&cache, memory.end_pfn(), &dump_of(Some(machine)), &info)
    else {
        return;
    };
    assert!(space.direct.virt.start <= space.direct.virt.end);
    for &entry in &entries {
        // The frames of the largest leaf that one entry of the lowest levels has.
        assert!(space.geometry.user_leaf(entry).count() <= 1 << (shift - 3));
        let _ = space.translate(&cache, VirtAddr(entry));
        let phys = space.direct.phys(VirtAddr(entry));
        let back = phys.map(|phys| space.direct.virt(phys));
        assert!(back.is_none_or(|back| back == Some(VirtAddr(entry))));
    }
    for range in [(1 << 63, u64::MAX), (0, u64::MAX >> 1)] {
        walk(&space.geometry, &cache, space.root, range);
    }
}

/// What a walk meets is what each address translates to.
fn walk(geometry: &Geometry, cache: &PageCache<'_>, root: PhysAddr, range: (u64, u64)) {
    let mut leaves = Vec::new();
    let mut tables = 0u64;
    let bounds = (VirtAddr(range.0), VirtAddr(range.1));
    let walk = geometry.walk(cache, root, bounds, &mut |_| true, &mut |met| {
        match met {
            Met::Table(_) => tables += 1,
            Met::Leaf(leaf) if leaves.len() < LEAVES => leaves.push(leaf),
            Met::Leaf(_) => {}
        }
        ControlFlow::Continue(())
    });
    assert!(!walk.broke_off);
    let entries = (1u64 << geometry.page_shift) / 8;
    let levels = geometry.levels.len() as u64;
    // Tables that are there are met once at each level; of others, as often as named.
    assert!(tables <= FRAMES * levels * (1 + entries), "{tables}");
    for leaf in leaves {
        let phys = geometry.translate(cache, root, leaf.virt);
        assert_eq!(phys, Ok(Some(leaf.phys)), "{leaf:?}");
        let last = leaf.size - 1;
        let phys = geometry.translate(cache, root, leaf.virt.add(last));
        assert_eq!(phys, Ok(Some(PhysAddr(leaf.phys.0 + last))), "{leaf:?}");
    }
}

//! The kernel's page tables (`arch/x86/kernel/head_64.S`, `arch/x86/mm/init_64.c`;
//! Intel SDM volume 3A, 4.5), and what they map from the start: the direct map, the
//! image and the memory map with its sections (`mm/sparse.c`, `mm/sparse-vmemmap.c`).

use super::addresses::{PAGE, VMEMMAP};
use super::build::{Build, FRAMES};
use super::memmap::STRUCT_PAGE;
use super::variables::{CPUS, IMAGE, SECTION_ROOTS, UNIT};

/// `_KERNPG_TABLE`, `_PAGE_TABLE`.
pub(super) const KERNEL_TABLE: u64 = 0x063;
pub(super) const USER_TABLE: u64 = 0x067;
/// `__PAGE_KERNEL`, `__PAGE_KERNEL_LARGE`: not executable, global.
pub(super) const KERNEL_PAGE: u64 = 1 << 63 | 0x163;
const KERNEL_LARGE: u64 = 1 << 63 | 0x1e3;
/// `__PAGE_KERNEL_LARGE_EXEC`.
const IMAGE_LARGE: u64 = 0x1e3;
/// A private page of a process that it wrote to.
pub(super) const USER_PAGE: u64 = 1 << 63 | 0x867;

/// Reach of an entry of the second level.
const LARGE: u64 = 2 << 20;
/// Frames of a section (`SECTION_SIZE_BITS` is 27).
const SECTION: u64 = 1 << (27 - 12);
/// Where a leaf goes and what it says.
pub(super) struct Leaf {
    pub(super) virt: u64,
    /// Physical address and flags.
    pub(super) entry: u64,
    /// 1 for a page, 2 for a large one.
    pub(super) level: u32,
    /// Flags of the tables on the way.
    pub(super) table: u64,
}

/// What the tables lead to.
#[derive(Default)]
pub(super) struct Tables {
    /// First frame of the memory map.
    pub(super) memmap: u64,
    /// Address of the array of roots of `mem_section`.
    pub(super) sections: u64,
}

impl Build {
    /// Maps all memory, the image and the memory map.
    pub(super) fn map_memory(&mut self) {
        let [top, third, image, fixmap, last] = [
            self.era.root,
            "level3_kernel_pgt",
            "level2_kernel_pgt",
            "level2_fixmap_pgt",
            "level1_fixmap_pgt",
        ]
        .map(|name| self.variables.address(name));
        for (table, index, next) in [
            (top, 511, third),
            (third, 510, image),
            (third, 511, fixmap),
            (fixmap, 506, last),
        ] {
            self.write_u64(table + index * 8, self.era.phys(next) | KERNEL_TABLE);
        }
        let size = IMAGE.end - IMAGE.start;
        self.map_large(IMAGE.start, self.era.phys(IMAGE.start), size, IMAGE_LARGE);
        self.map_large(self.era.direct_map, 0, FRAMES * PAGE, KERNEL_LARGE);
        let size = FRAMES * STRUCT_PAGE;
        self.tables.memmap = self.at_boot(size / PAGE, LARGE / PAGE);
        self.map_large(VMEMMAP, self.tables.memmap * PAGE, size, KERNEL_LARGE);
    }

    fn map_large(&mut self, virt: u64, phys: u64, size: u64, flags: u64) {
        let root = self.kernel_root();
        for offset in (0..size).step_by(LARGE as usize) {
            let leaf = Leaf {
                virt: virt + offset,
                entry: (phys + offset) | flags,
                level: 2,
                table: KERNEL_TABLE,
            };
            self.map(root, &leaf, |build, _| build.at_boot(1, 1));
        }
    }

    /// Frame of the kernel's own root.
    pub(super) fn kernel_root(&self) -> u64 {
        self.era.phys(self.variables.address(self.era.root)) / PAGE
    }

    /// Puts a leaf into the tables below `root`, which take a frame from `new` where
    /// one of a level is missing.
    pub(super) fn map(
        &mut self,
        root: u64,
        leaf: &Leaf,
        mut new: impl FnMut(&mut Build, u32) -> u64,
    ) {
        let mut table = root;
        for level in (leaf.level..=4).rev() {
            let index = leaf.virt >> (12 + 9 * (level - 1)) & 511;
            let at = table * PAGE + index * 8;
            if level == leaf.level {
                self.image.write_u64(at, leaf.entry);
                return;
            }
            table = match self.read_u64(at) {
                0 => {
                    let next = new(self, level - 1);
                    self.image.write_u64(at, (next * PAGE) | leaf.table);
                    next
                }
                entry => (entry & 0x000f_ffff_ffff_f000) / PAGE,
            };
        }
    }

    /// `mem_section`: an array of roots, in which each entry has the map of frame 0
    /// and that it is present (1), has a map (2), is online (4, since 4.13) and came at
    /// boot (8).
    pub(super) fn place_sections(&mut self) {
        let root = self.era.direct(self.at_boot(1, 1));
        let blocks = self.era.direct(self.at_boot(1, 1));
        let mut roots = self.variables.address("mem_section");
        if self.era.allocated_sections {
            let array = self.era.direct(self.at_boot(SECTION_ROOTS * 8 / PAGE, 1));
            self.write_u64(roots, array);
            roots = array;
        }
        self.tables.sections = roots;
        self.write_u64(roots, root);
        for number in 0..FRAMES / SECTION {
            let section = root + number * self.era.section;
            assert!(section < root + PAGE, "one root only");
            self.write_u64(section, VMEMMAP | self.era.section_flags);
            // pageblock_flags: four bits for each 512 frames. Since 5.3 behind a bitmap
            // of parts that are there (f1eca35a0dc7).
            self.write_u64(section + 8, blocks + number * 64);
            self.write_u64(blocks + number * 64, u64::MAX);
        }
    }

    /// The first chunk of per-CPU memory, a unit for each of two CPUs
    /// (`pcpu_embed_first_chunk()`); addresses of per-CPU variables begin at 0.
    pub(super) fn place_percpu(&mut self) {
        let offsets = self.variables.address("__per_cpu_offset");
        for cpu in 0..CPUS {
            let unit = self.era.direct(self.at_boot(UNIT / PAGE, 32));
            self.write_u64(offsets + cpu * 8, unit);
            // irq_stack_union and this_cpu_off would be at its begin.
            self.write_u64(unit + 0x1000, unit);
        }
        let number = self.variables.address("nr_cpu_ids");
        self.write_u32(number, CPUS as u32);
    }

    /// Address of what lies at an offset of a CPU's unit.
    pub(super) fn percpu(&mut self, offset: u64, cpu: u64) -> u64 {
        let at = self.era.phys(self.variables.address("__per_cpu_offset")) + cpu * 8;
        self.read_u64(at) + offset
    }
}

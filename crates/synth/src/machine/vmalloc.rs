//! Memory of `vmalloc()` and of modules (`mm/vmalloc.c`, `include/linux/vmalloc.h`).

use super::addresses::{KERNEL_MAP, PAGE, VMALLOC, page};
use super::build::Build;
use super::tables::{KERNEL_PAGE, KERNEL_TABLE, Leaf};

#[derive(Default)]
pub(super) struct Areas {
    /// `vmap_area`s by the address they are for.
    all: Vec<(u64, u64)>,
    /// Pages given away of each range, guard pages too.
    used: [u64; 2],
    /// Frames of all areas.
    pub(super) frames: Vec<u64>,
}

/// Ranges that `vmalloc()` takes from.
#[derive(Clone, Copy)]
pub(super) enum From {
    Vmalloc,
    Modules,
}

impl Build {
    /// An area of so many pages: its address, and their frames. `caller` is told to
    /// have asked for it.
    pub(super) fn vmalloc(&mut self, from: From, pages: u64, caller: u64) -> (u64, Vec<u64>) {
        let start = [VMALLOC, KERNEL_MAP + self.era.image_size][from as usize];
        let used = &mut self.areas.used[from as usize];
        let address = start + *used * PAGE;
        *used += pages + 1;
        let frames: Vec<u64> = (0..pages).map(|_| self.single()).collect();
        self.areas.frames.extend(&frames);
        let root = self.kernel_root();
        let array = self.object("kmalloc-64");
        assert!(pages <= 8, "the array of pages has 64 bytes");
        for (index, &pfn) in (0..).zip(&frames) {
            self.write_u64(array + index * 8, page(pfn));
            let leaf = Leaf {
                virt: address + index * PAGE,
                entry: (pfn * PAGE) | KERNEL_PAGE,
                level: 1,
                table: KERNEL_TABLE,
            };
            self.map(root, &leaf, |build, _| build.single());
        }
        let size = (pages + 1) * PAGE;
        let vm = self.object("kmalloc-64");
        self.write_u64(vm + 8, address);
        self.write_u64(vm + 16, size);
        // VM_ALLOC
        self.write_u64(vm + 24, 2);
        self.write_u64(vm + 32, array);
        self.write_u32(vm + 40, pages as u32);
        self.write_u64(vm + 56, caller);
        let area = self.object("kmalloc-96");
        self.write_u64(area, address);
        self.write_u64(area + 8, address + size);
        if let Some(flags) = self.era.area_flags {
            // VM_VM_AREA
            self.write_u64(area + flags, 4);
        }
        self.write_u64(area + self.era.area_vm, vm);
        self.areas.all.push((address, area));
        (address, frames)
    }

    /// Lists the areas by address.
    pub(super) fn list_areas(&mut self) {
        self.areas.all.sort_unstable();
        let all = self.areas.all.iter();
        let links: Vec<u64> = all.map(|&(_, area)| area + self.era.area_list).collect();
        self.write_list(self.variables.address("vmap_area_list"), &links);
    }
}

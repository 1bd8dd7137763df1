//! Processes: page tables (`arch/x86/mm/pgtable.c`), anonymous memory and stacks.

use super::addresses::{PAGE, direct, phys};
use super::build::Build;
use super::memmap::StructPage;
use super::tables::{Leaf, USER_PAGE, USER_TABLE};
use super::variables::IMAGE;
use super::vmalloc::From;

/// Where a program's heap and stack lie.
const HEAP: u64 = 0x5555_5575_7000;
const STACK: u64 = 0x7fff_ffff_e000;

impl Build {
    /// Three processes. Up to 4.17 nothing marks pages of their tables; roots are on
    /// `pgd_list`, the others only higher tables name, by physical address.
    pub(super) fn run_processes(&mut self) {
        let copy_process = IMAGE.start + 0x7_2340;
        self.variables.add('t', "copy_process", copy_process);
        let mut roots = Vec::new();
        for number in 0..3 {
            let (stack, _) = self.vmalloc(From::Vmalloc, 4, copy_process);
            let mm = self.object("mm_struct");
            let anon_vma = self.object("anon_vma");
            let root = self.single();
            self.copy_kernel_half(root);
            // mm->pgd
            self.write_u64(mm + 80, direct(root));
            // init_task's list would lead to the process; its stack is what counts.
            let tasks = self.variables.address("init_task") + 0x400;
            self.write_u64(tasks + 16 * number, stack);
            self.write_u64(tasks + 16 * number + 8, mm);
            for (from, pages) in [(HEAP, 200), (STACK - 20 * PAGE, 20)] {
                for index in 0..pages {
                    let pfn = self.single();
                    let page = StructPage::anon(pfn, anon_vma, from / PAGE + index);
                    self.set_user_page(pfn, page, usize::from(index % 3 == 0));
                    let leaf = Leaf {
                        virt: from + index * PAGE,
                        entry: (pfn * PAGE) | USER_PAGE,
                        level: 1,
                        table: USER_TABLE,
                    };
                    self.map(root, &leaf, |build| {
                        build.user_tables += 1;
                        build.single()
                    });
                }
            }
            roots.push(root);
        }
        self.write_page_list(self.variables.address("pgd_list"), &roots);
    }

    /// `pgd_ctor()`: what the kernel maps, every process does.
    fn copy_kernel_half(&mut self, root: u64) {
        let kernel = phys(self.variables.address("init_top_pgt")) / PAGE;
        let half = self.image.present_page(kernel)[2048..].to_vec();
        self.image.present_page(root)[2048..].copy_from_slice(&half);
    }
}

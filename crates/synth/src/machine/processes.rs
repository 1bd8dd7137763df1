//! Processes: page tables (`arch/x86/mm/pgtable.c`), anonymous memory and stacks.

use super::addresses::PAGE;
use super::build::Build;
use super::memmap::StructPage;
use super::tables::{Leaf, USER_PAGE, USER_TABLE};
use super::variables::IMAGE;
use super::vmalloc::From;

/// Where a program's heap and stack lie.
const HEAP: u64 = 0x5555_5575_7000;
const STACK: u64 = 0x7fff_ffff_e000;

/// `struct task_struct`: its members depend on the configuration.
pub(super) const TASK: [(&str, u64); 8] = [
    ("stack", 8),
    ("tasks", 0x350),
    ("mm", 0x3a0),
    ("pid", 0x418),
    ("thread_node", 0x470),
    ("thread_group", 0x480),
    ("signal", 0x5c8),
    ("comm", 0xa90),
];
pub(super) const TASK_SIZE: u64 = 2944;
/// `thread_head` of `struct signal_struct`, and `pgd` of `struct mm_struct`.
pub(super) const THREAD_HEAD: u64 = 16;
pub(super) const PGD: u64 = 80;

/// The processes, by number and name.
pub(super) const PROCESSES: [(u32, &str); 3] = [(1, "systemd"), (812, "sshd"), (2044, "bash")];

impl Build {
    /// Three processes; the frames of their memory. Up to 4.17 nothing marks pages of
    /// their tables; roots are on `pgd_list`, the others only higher tables name, by
    /// physical address.
    pub(super) fn run_processes(&mut self) -> Vec<u64> {
        let copy_process = IMAGE.start + 0x7_2340;
        self.variables.add('t', "copy_process", copy_process);
        let idle = self.variables.address("init_task");
        let [stack, signal] =
            ["init_thread_union", "init_signals"].map(|name| self.variables.address(name));
        self.write_task(idle, 0, "swapper/0", [stack, 0, signal]);
        let mut anon = Vec::new();
        let mut roots = Vec::new();
        let mut tasks = Vec::new();
        for (pid, comm) in PROCESSES {
            let stack = if self.era.mapped_stacks {
                self.vmalloc(From::Vmalloc, 4, copy_process).0
            } else {
                let pages = self.block(1);
                self.era.direct(pages)
            };
            let task = self.object("task_struct");
            let signal = self.object("signal_cache");
            let mm = self.object("mm_struct");
            let anon_vma = self.object("anon_vma");
            let root = self.single();
            self.copy_kernel_half(root);
            self.write_task(task, pid, comm, [stack, mm, signal]);
            self.write_u64(mm + PGD, self.era.direct(root));
            tasks.push(task + place("tasks"));
            for (from, pages) in [(HEAP, 200), (STACK - 20 * PAGE, 20)] {
                for index in 0..pages {
                    let pfn = self.single();
                    let page = StructPage::anon(pfn, anon_vma, from / PAGE + index);
                    self.set_user_page(pfn, page, usize::from(index % 3 == 0));
                    anon.push(pfn);
                    let leaf = Leaf {
                        virt: from + index * PAGE,
                        entry: (pfn * PAGE) | USER_PAGE,
                        level: 1,
                        table: USER_TABLE,
                    };
                    self.map(root, &leaf, |build, level| {
                        build.user_tables += 1;
                        let pfn = build.single();
                        if level == 1 {
                            build.set_page(pfn, StructPage::table(pfn));
                        }
                        pfn
                    });
                }
            }
            roots.push(root);
        }
        self.write_list(idle + place("tasks"), &tasks);
        self.write_page_list(self.variables.address("pgd_list"), &roots);
        anon
    }

    /// The members of a task that is alone in its group.
    fn write_task(&mut self, task: u64, pid: u32, comm: &str, [stack, mm, signal]: [u64; 3]) {
        for (name, word) in [("stack", stack), ("mm", mm), ("signal", signal)] {
            self.write_u64(task + place(name), word);
        }
        self.write_u32(task + place("pid"), pid);
        self.write(task + place("comm"), comm.as_bytes());
        self.write_list(signal + THREAD_HEAD, &[task + place("thread_node")]);
        self.write_list(task + place("thread_group"), &[]);
    }

    /// `pgd_ctor()`: what the kernel maps, every process does.
    fn copy_kernel_half(&mut self, root: u64) {
        let kernel = self.kernel_root();
        let half = self.image.present_page(kernel)[2048..].to_vec();
        self.image.present_page(root)[2048..].copy_from_slice(&half);
    }
}

fn place(member: &str) -> u64 {
    let found = TASK.iter().find(|(name, _)| *name == member);
    found.expect("a member of the table").1
}

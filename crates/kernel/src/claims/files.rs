//! Open files, and what of them owns pages.

use std::collections::{HashMap, HashSet};

use pagehound_vmcore::VirtAddr;

use super::Search;
use crate::layouts::Field;
use crate::tasks::Task;
use crate::text::printable;
use crate::virt::VirtualRead;

/// More descriptors than a process may have (`sysctl_nr_open_max`).
const MOST_DESCRIPTORS: u64 = 1 << 30;

/// What is behind a file, told by the function that ends it: functions have
/// symbols on every kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Pipe,
    Socket,
    Perf,
    IoUring,
    BpfMap,
    Machine,
    Processor,
}

impl Sort {
    fn of(release: &str) -> Option<Sort> {
        Some(match release {
            "pipe_release" => Sort::Pipe,
            "sock_close" => Sort::Socket,
            "perf_release" => Sort::Perf,
            "io_uring_release" => Sort::IoUring,
            "bpf_map_release" => Sort::BpfMap,
            "kvm_vm_release" => Sort::Machine,
            "kvm_vcpu_release" => Sort::Processor,
            _ => return None,
        })
    }

    fn is_of_machine(self) -> bool {
        matches!(self, Sort::Machine | Sort::Processor)
    }
}

impl Search<'_> {
    /// Files that owners of pages are behind, by the processes that have them open:
    /// each once, with the first of them.
    pub(super) fn open_files(&mut self) {
        self.files(|sort| !sort.is_of_machine());
    }

    /// The same for virtual machines, which hold what they have.
    pub(super) fn virtual_machines(&mut self) {
        self.files(Sort::is_of_machine);
    }

    fn files(&mut self, wanted: impl Fn(Sort) -> bool) {
        let kernel = self.kernel;
        let symbols = kernel.symbolizer();
        let mut sorts: HashMap<u64, Option<Sort>> = HashMap::new();
        let mut sort_of = |file: VirtAddr| -> Option<Sort> {
            let ops = kernel.pointer(file, Field::FileOps).ok()?;
            *sorts.entry(ops.0).or_insert_with(|| {
                let release = kernel.pointer(ops, Field::FopsRelease).ok()?;
                let name = symbols.symbolize(release)?;
                Sort::of(name.split('+').next()?)
            })
        };
        let mut tables = HashSet::new();
        let mut seen = HashSet::new();
        let pages = self.pages;
        for task in &pages.tasks {
            let Ok(files) = kernel.pointer(task.addr, Field::TaskFiles) else {
                continue;
            };
            // Threads have one table together.
            if files.0 == 0 || !tables.insert(files) {
                continue;
            }
            for (number, file) in self.descriptors(files) {
                if !seen.insert(file) {
                    continue;
                }
                if let Some(sort) = sort_of(file).filter(|&sort| wanted(sort)) {
                    self.open_file(task, number, file, sort);
                }
            }
        }
    }

    /// The open descriptors of a table, each with its file.
    fn descriptors(&mut self, files: VirtAddr) -> Vec<(u64, VirtAddr)> {
        let kernel = self.kernel;
        let table = || {
            let table = kernel.pointer(files, Field::FilesFdt)?;
            let count = kernel.field(table, Field::FdtableMax)?;
            let array = kernel.pointer(table, Field::FdtableFd)?;
            Ok::<_, crate::kernel::KernelError>((array, count))
        };
        let Ok((array, count)) = table() else {
            return Vec::new();
        };
        let mut open = Vec::new();
        let mut at = 0;
        // As many as are readable: a wrong count costs no more than there is memory.
        while at < count.min(MOST_DESCRIPTORS) && self.left > 0 {
            let mut slots = [0; 512];
            let want = (count - at).min(64) as usize * 8;
            let Some(slots) = slots.get_mut(..want) else {
                break;
            };
            if kernel.memory.read(array.add(at * 8), slots).is_err() {
                break;
            }
            for (number, slot) in (at..).zip(slots.as_chunks::<8>().0) {
                let file = u64::from_le_bytes(*slot);
                if file != 0 {
                    open.push((number, VirtAddr(file)));
                }
            }
            self.left = self.left.saturating_sub(64);
            at += 64;
        }
        open
    }

    fn open_file(&mut self, task: &Task, number: u64, file: VirtAddr, sort: Sort) {
        let Ok(private) = self.kernel.pointer(file, Field::FilePrivate) else {
            return;
        };
        let name = printable(&task.comm);
        let known = self.claims.owners().len();
        let steps = [
            (
                format!("task_struct of {name} (pid {})", task.pid),
                task.addr,
            ),
            (format!("file, descriptor {number}"), file),
        ];
        let [(process, at), (descriptor, file)] = steps;
        self.below(&process, at, |search| {
            search.below(&descriptor, file, |search| match sort {
                Sort::Pipe => search.pipe(private, &name),
                Sort::Socket => search.socket(private, &name),
                Sort::Perf => search.perf_event(private, &name),
                Sort::IoUring => search.io_uring(private, &name),
                Sort::BpfMap => search.bpf_map(private),
                Sort::Machine => search.virtual_machine(private, &name),
                Sort::Processor => search.virtual_processor(private, &name),
            });
        });
        for claimant in self.claims.claimants.iter_mut().skip(known) {
            claimant.pid = Some(task.pid);
        }
    }
}

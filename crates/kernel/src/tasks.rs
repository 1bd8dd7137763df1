//! Tasks: their stacks and address spaces.

use pagehound_vmcore::VirtAddr;

use crate::kernel::{Kernel, KernelError};
use crate::layouts::Field;
use crate::virt::VirtualRead;

/// A thread.
#[derive(Clone, Debug)]
pub struct Task {
    /// Address of its `task_struct`.
    pub addr: VirtAddr,
    /// Thread id.
    pub pid: u32,
    /// Command name; bytes of the dump, escape before printing.
    pub comm: Vec<u8>,
    /// Lowest address of its kernel stack.
    pub stack: VirtAddr,
    /// Its `mm_struct`, null for kernel threads.
    pub mm: VirtAddr,
}

impl Kernel<'_> {
    /// All threads, and the idle threads of the CPUs where their variable is
    /// known. A list that breaks gives those before the break.
    pub fn tasks(&self) -> Result<Vec<Task>, KernelError> {
        let init = self.symbol("init_task")?;
        let mut leaders = vec![init];
        let head = self.member(init, Field::TaskTasks)?;
        match self.list(head, Field::TaskTasks) {
            Ok(entries) => leaders.extend(entries),
            Err((entries, error)) if entries.is_empty() => return Err(error),
            Err((entries, _)) => leaders.extend(entries),
        }
        // Idle threads are on no list; smpboot keeps them by CPU.
        if let Some(idle) = self.address("idle_threads") {
            let idles = (0..self.percpu_offsets.len())
                .filter_map(|cpu| self.percpu(idle, cpu))
                .filter_map(|at| self.memory.ptr(at).ok())
                .filter(|task| task.0 >> 63 == 1);
            leaders.extend(idles);
        }
        let mut tasks = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for leader in leaders {
            // A thread of a group that was walked already.
            if seen.contains(&leader) {
                continue;
            }
            for thread in self.threads(leader) {
                if seen.insert(thread)
                    && let Ok(task) = self.task(thread)
                {
                    tasks.push(task);
                }
            }
        }
        Ok(tasks)
    }

    fn threads(&self, leader: VirtAddr) -> Vec<VirtAddr> {
        let threads = self
            .pointer(leader, Field::TaskSignal)
            .and_then(|signal| self.member(signal, Field::SignalThreadHead))
            .map(|head| match self.list(head, Field::TaskThreadNode) {
                Ok(threads) | Err((threads, _)) => threads,
            });
        let mut all = threads.unwrap_or_default();
        all.push(leader);
        all
    }

    fn task(&self, addr: VirtAddr) -> Result<Task, KernelError> {
        let comm = self.member(addr, Field::TaskComm)?;
        Ok(Task {
            addr,
            pid: self.field(addr, Field::TaskPid)? as u32,
            comm: self.memory.cstr(comm, 16).unwrap_or_default(),
            stack: self.pointer(addr, Field::TaskStack)?,
            mm: self.pointer(addr, Field::TaskMm)?,
        })
    }
}

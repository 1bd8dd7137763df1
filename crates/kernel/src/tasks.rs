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
    /// known; and what broke on the way: a list that breaks gives those before
    /// the break, a thread that cannot be read is left out.
    ///
    /// # Errors
    /// Where not even the first task's list can be read.
    pub fn tasks(&self) -> Result<(Vec<Task>, Vec<KernelError>), KernelError> {
        let mut breaks = Vec::new();
        let init = self.symbol("init_task")?;
        let mut leaders = vec![init];
        let head = self.member(init, Field::TaskTasks)?;
        match self.list(head, Field::TaskTasks) {
            Ok(entries) => leaders.extend(entries),
            Err((entries, error)) if entries.is_empty() => return Err(error),
            Err((entries, error)) => {
                leaders.extend(entries);
                breaks.push(error);
            }
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
            let (threads, broken) = self.threads(leader);
            breaks.extend(broken);
            for thread in threads {
                if seen.insert(thread) {
                    match self.task(thread) {
                        Ok(task) => tasks.push(task),
                        Err(error) => breaks.push(error),
                    }
                }
            }
        }
        Ok((tasks, breaks))
    }

    /// The threads of a leader's group, itself among them, up to where their
    /// list breaks.
    fn threads(&self, leader: VirtAddr) -> (Vec<VirtAddr>, Option<KernelError>) {
        let by_group = self.layouts.get(Field::TaskThreadNode).is_none();
        let (head, link) = if by_group {
            // The leader is the head.
            let link = Field::TaskThreadGroup;
            (self.member(leader, link), link)
        } else {
            let signal = self.pointer(leader, Field::TaskSignal);
            let head = signal.and_then(|signal| self.member(signal, Field::SignalThreadHead));
            (head, Field::TaskThreadNode)
        };
        let list = head.map_err(|error| (Vec::new(), error));
        let (mut all, broken) = match list.and_then(|head| self.list(head, link)) {
            Ok(threads) => (threads, None),
            Err((threads, error)) => (threads, Some(error)),
        };
        all.push(leader);
        (all, broken)
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

//! A process that looks at a host's memory, and that the host can do without: it gives
//! way to all others, is the first to go where memory runs out, and ends with whoever
//! began it.
//!
//! Neither the idle class of the scheduler nor that of I/O has a safe wrapper; the
//! lowest priority is the most that is asked for. Reading memory does no I/O.

use std::fs;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, nice, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

/// The lowest priority there is.
const LOWEST: i32 = 19;

/// What the allocator and each thread may take beside what is accounted for.
const SLACK: u64 = 64 << 20;
const OF_A_THREAD: u64 = 2 << 20;

/// Makes this process give way, and ends it when its parent does. `memory` is what it
/// may take for itself, in bytes, with so many `threads`; a request for more fails,
/// which ends it. It leaves no core dump, which would have the kernel's memory in it.
///
/// What cannot be had is left: the process is a worse neighbour then, and no more.
/// Returns whether the process with the id `parent` is still its parent.
pub fn give_way(parent: u32, memory: u64, threads: usize) -> bool {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = nice(LOWEST);
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    // Private memory that can be written counts as data since 4.7: setrlimit(2).
    let most = memory
        .saturating_add(SLACK)
        .saturating_add(OF_A_THREAD * threads as u64);
    let at_most = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    let _ = setrlimit(Resource::Data, at_most(most));
    let _ = setrlimit(Resource::Core, at_most(0));
    // Where a program takes dumps (core_pattern), that limit of 0 does not keep them.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // It may have ended before it was asked for a signal.
    getppid().is_some_and(|pid| u32::try_from(pid.as_raw_nonzero().get()) == Ok(parent))
}

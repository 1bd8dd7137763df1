//! Crash dumps as bytes: every container becomes a [`PhysicalMemory`].
//!
//! Nothing here knows what a kernel is. A page of the dumped machine is
//! *present*, *excluded*, *absent* or *unreadable* ([`PageState`]), and these
//! four never blur into a page of zeroes.

mod addr;
mod dump;
mod memory;

pub use addr::{Pfn, PfnRange, PhysAddr, VirtAddr};
pub use dump::{Dump, DumpInfo, Format, LoadSegment, Machine, Utsname};
pub use memory::{Coverage, Fault, FaultReason, PageState, PhysicalMemory};

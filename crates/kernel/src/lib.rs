//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod virt;
mod vmcoreinfo;

pub use virt::{VirtFault, VirtualRead};
pub use vmcoreinfo::{FoundVmcoreinfo, Vmcoreinfo, VmcoreinfoError, find_in_memory};

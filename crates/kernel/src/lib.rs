//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod btf;
mod virt;
mod vmcoreinfo;

pub use btf::{Btf, BtfError, Member};
pub use virt::{VirtFault, VirtualRead};
pub use vmcoreinfo::{FoundVmcoreinfo, Vmcoreinfo, VmcoreinfoError, find_in_memory};

//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod btf;
mod kallsyms;
mod sweep;
mod virt;
mod vmcoreinfo;

pub use btf::{Btf, BtfError, Member};
pub use kallsyms::{Encoding, Kallsyms, KallsymsError, Symbol};
pub use virt::{VirtFault, VirtualRead};
pub use vmcoreinfo::{FoundVmcoreinfo, Vmcoreinfo, VmcoreinfoError, find_in_memory};

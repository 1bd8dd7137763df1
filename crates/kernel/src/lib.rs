//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod btf;
mod counters;
mod kallsyms;
mod kernel;
pub mod layouts;
mod memmap;
mod pagemap;
mod slab;
mod sweep;
mod tasks;
mod translate;
mod virt;
mod vmalloc;
mod vmcoreinfo;
mod zones;

pub use btf::{Btf, BtfError, Member};
pub use kallsyms::{Encoding, Kallsyms, KallsymsError, Symbol};
pub use kernel::{Kernel, KernelError, Options};
pub use memmap::MemMap;
pub use pagemap::{Class, Decoder, PageMap, PageWords, Pages};
pub use slab::{Cache, Slab, SlabIndex};
pub use tasks::Task;
pub use translate::{AddressSpace, Geometry, KernelMemory, Linear, Mapping, SpaceError, TablePage};
pub use virt::{VirtFault, VirtualRead};
pub use vmalloc::{VmStruct, VmapArea, area_at};
pub use vmcoreinfo::{FoundVmcoreinfo, Vmcoreinfo, VmcoreinfoError, find_in_memory};
pub use zones::{Node, Zone};

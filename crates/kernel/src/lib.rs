//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod btf;
mod counters;
mod host;
mod kallsyms;
mod kernel;
mod landmarks;
pub mod layouts;
mod memmap;
mod modules;
mod net;
mod open;
mod pagemap;
mod printk;
mod slab;
mod stale;
mod sweep;
mod symbolizer;
mod tasks;
#[cfg(test)]
mod testing;
mod text;
mod translate;
mod virt;
mod vmalloc;
mod vmcoreinfo;
mod zones;

pub use btf::{Btf, BtfError, Member};
pub use host::HostInfo;
pub use kallsyms::{Encoding, Kallsyms, KallsymsError, Symbol};
pub use kernel::{Kernel, KernelError, Options};
pub use memmap::{MemMap, StructPages};
pub use modules::Module;
pub use net::{NetDevice, NetStats};
pub use open::open;
pub use pagemap::{Class, Decoder, MAX_PLAIN_ORDER, Making, PageMap, PageWords, Pages, Sampler};
pub use printk::{Caller, Log, LogDevice, LogRecord};
pub use slab::{Cache, ObjectAt, Slab, SlabIndex};
pub use stale::Stale;
pub use symbolizer::Symbolizer;
pub use tasks::Task;
pub use text::printable;
pub use translate::{AddressSpace, Geometry, KernelMemory, Linear, Mapping, SpaceError, TablePage};
pub use virt::{VirtFault, VirtualRead};
pub use vmalloc::{VmStruct, VmapArea, area_at};
pub use vmcoreinfo::{FoundVmcoreinfo, Vmcoreinfo, VmcoreinfoError, find_in_memory};
pub use zones::{Node, Zone};

//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod btf;
mod build_id;
mod cgroups;
mod claims;
mod counters;
mod frame_index;
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
mod records;
mod slab;
mod stale;
mod sweep;
mod symbolizer;
mod tasks;
#[cfg(test)]
mod testing;
mod text;
mod translate;
mod types;
mod variables;
mod virt;
mod vmalloc;
mod vmcoreinfo;
mod vmlinux;
mod zones;

pub use btf::{Btf, BtfError, Member};
pub use build_id::BuildId;
pub use cgroups::{Charges, Memcg};
pub use claims::{Claimant, Claims, Kind, Step};
pub use frame_index::FrameIndex;
pub use host::HostInfo;
pub use kallsyms::{Encoding, Kallsyms, KallsymsError, Symbol};
pub use kernel::{Kernel, KernelError, Options};
pub use memmap::{MemMap, StructPages};
pub use modules::Module;
pub use net::{NetDevice, NetStats};
pub use open::{open, open_file, open_parts};
pub use pagemap::{Class, Decoder, MAX_PLAIN_ORDER, Making, PageMap, PageWords, Pages, Sampler};
pub use printk::{Caller, Log, LogDevice, LogRecord, LogSource};
pub use records::{Allocation, Records, Site};
pub use slab::{Cache, ObjectAt, Slab, SlabIndex};
pub use stale::Stale;
pub use symbolizer::Symbolizer;
pub use tasks::Task;
pub use text::{is_printable, printable};
pub use translate::{
    AddressSpace, Geometry, KernelMemory, Linear, Mapping, Met, SpaceError, TablePage, Walk,
};
pub use variables::Variables;
pub use virt::{VirtFault, VirtualRead};
pub use vmalloc::{VmStruct, VmapArea, area_at};
pub use vmcoreinfo::{FoundVmcoreinfo, Searched, Vmcoreinfo, VmcoreinfoError, find_in_memory};
pub use vmlinux::{Vmlinux, VmlinuxError};
pub use zones::{Node, Zone};

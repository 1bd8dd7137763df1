//! Parsers of the text the kernel prints under `/proc` and `/sys`, debugfs included.
//!
//! Input is always a byte slice, so one parser serves the live host, a saved file
//! and a file inside an archive. What is returned borrows from that slice. What lies
//! in folders is read from a [`Tree`], which any of these can be.
//!
//! The text may come from anybody: no parser panics, none allocates more than a
//! small multiple of its input, and an iterator ends after the first error, which
//! names the file, the line and its content.
//!
//! Counts of pages are never turned into bytes here, because the page size is not
//! in these files; kB, as the kernel prints it, is 1,024 bytes.

mod allocinfo;
mod buddyinfo;
mod cpulist;
mod dmabuf;
mod hugepages;
mod iomem;
mod ip_link;
mod klog;
mod kmsg;
mod kstat;
mod line;
mod lockdown;
mod machine_memory;
mod meminfo;
mod module_builds;
mod modules;
mod mountinfo;
mod netdevs;
mod nodes;
mod page_owner;
mod processes;
mod recorder;
mod sections;
mod slabinfo;
mod sockstat;
mod sysvipc;
mod trace_rings;
mod tree;
mod uname;
mod version;
mod vmallocinfo;
mod vmcoreinfo;
mod vmstat;
mod zoneinfo;
mod zram;

pub use allocinfo::{AllocSite, allocinfo};
pub use buddyinfo::{FreeBlocks, buddyinfo};
pub use cpulist::cpulist_count;
pub use dmabuf::{DmaBufs, read_dmabufs};
pub use hugepages::{HugepagePool, pool_page_size, read_hugepages, read_hugepages_in};
pub use iomem::{Resource, addresses_hidden, iomem};
pub use ip_link::ip_link;
pub use klog::{FirstChunk, first_chunk, kernel_image_kb};
pub use kmsg::{KmsgRecord, kmsg};
pub use kstat::kstat;
pub use line::{ParseError, Rows};
pub use lockdown::lockdown;
pub use machine_memory::{MachineMemory, read_machine_memory};
pub use meminfo::{Field, Meminfo, Unit, looks_like_meminfo, meminfo};
pub use module_builds::{ModuleBuild, read_module_builds};
pub use modules::{Module, ModuleState, modules};
pub use mountinfo::{Mount, mountinfo};
pub use netdevs::{NetDevice, read_netdevs};
pub use nodes::{NodeText, read_nodes};
pub use page_owner::{OwnedPages, OwnerRows, page_owner};
pub use processes::{Owned, OwnedKind, Processes, parse_all as parse_processes, read_processes};
pub use recorder::{Recorded, Recorder};
pub use sections::{Section, looks_like_sections, sections};
pub use slabinfo::{SlabCache, slabinfo};
pub use sockstat::{SocketMemory, sockstat};
pub use sysvipc::{ShmSegment, sysvipc_shm};
pub use trace_rings::{TraceRings, read_trace_rings};
pub use tree::{Root, Text, Tree, Unread, open_regular, read_line, read_number, read_some};
pub use uname::{Uname, uname};
pub use version::{Version, version};
pub use vmallocinfo::{Area, AreaFlags, vmallocinfo};
pub use vmcoreinfo::vmcoreinfo_place;
pub use vmstat::{Counter, vmstat, vmstat_value};
pub use zoneinfo::{Zone, zoneinfo};
pub use zram::{ZramDevice, read_zram};

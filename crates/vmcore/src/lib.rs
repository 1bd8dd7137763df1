//! Crash dumps as bytes: every container becomes a [`PhysicalMemory`].
//!
//! Nothing here knows what a kernel is. A page of the dumped machine is
//! *present*, *excluded*, *absent* or *unreadable* ([`PageState`]), and these
//! four never blur into a page of zeroes.

mod addr;
mod cache;
mod codec;
mod detect;
mod dump;
mod elf;
mod error;
mod intervals;
mod kdump;
mod lime;
mod mac;
mod memory;
mod missing;
mod notes;
mod open;
mod ranges;
mod raw;
mod repage;
mod shell;
mod source;

pub use addr::{Pfn, PfnRange, PhysAddr, VirtAddr};
pub use cache::{PageCache, PageRef};
pub use codec::{Codec, decompress};
pub use detect::{HEAD, worth_reading};
pub use dump::{Dump, DumpInfo, Format, LoadSegment, Machine, Utsname};
pub use elf::{ElfHeaders, elf_headers};
pub use error::{Advice, OpenError};
pub use mac::{Mac, NoMac, hex};
pub use memory::{Coverage, Fault, FaultReason, PageState, PhysicalMemory};
pub use notes::Note;
pub use open::{OpenOptions, open};
pub use shell::{shell_path, shell_word};

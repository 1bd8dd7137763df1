//! Mapping a file: the crate's only `unsafe`.
//!
//! # Contract
//!
//! The mapping is private and read-only, it lives as long as the [`Mmap`] that
//! hands out its slices, and it is never longer than the file was at open.
//! Nobody in this crate relies on bytes staying the same between two reads:
//! every length taken from the mapping is copied out and checked before use,
//! so a file rewritten under us gives wrong pages, never a bad memory access
//! of ours. A file *shortened* while mapped ends the process with SIGBUS, as it
//! does for every program that maps files; dumps are not edited in place.
#![allow(
    unsafe_code,
    reason = "memmap2 cannot promise that nobody writes the file"
)]

use std::fs::File;

use memmap2::{Mmap, MmapOptions};

/// Maps the first `len` bytes of `file`; `None` where the file cannot be mapped
/// (`/proc/kcore`, some network and FUSE file systems), which is no error.
pub(super) fn map_file(file: &File, len: u64) -> Option<Mmap> {
    let len = usize::try_from(len).ok().filter(|&len| len > 0)?;
    // SAFETY: see the contract above.
    unsafe { MmapOptions::new().len(len).map(file) }.ok()
}

//! Opening a dump in pages of its kernel.

use std::ops::ControlFlow;
use std::path::Path;

use pagehound_vmcore::{Dump, OpenError, OpenOptions};

use crate::vmcoreinfo::find_in_memory;

/// Opens the dump at `path` with the kernel's pages for frames.
///
/// A container may have larger blocks than the kernel has pages (QEMU's have 64
/// KiB for any arm64 guest) and no VMCOREINFO note that says so; then it is in
/// the copy in memory.
///
/// # Errors
///
/// See [`pagehound_vmcore::open`].
pub fn open(path: &Path) -> Result<Dump, OpenError> {
    open_with(path, OpenOptions::default())
}

/// [`open`] with these options, of which the page size is found if it is not given.
///
/// # Errors
///
/// See [`open`].
pub fn open_with(path: &Path, options: OpenOptions) -> Result<Dump, OpenError> {
    let dump = options.open(path)?;
    let shift = dump.memory.page_shift();
    if dump.info.vmcoreinfo.is_some() || shift <= SMALLEST {
        return Ok(dump);
    }
    let found = find_in_memory(dump.memory.as_ref(), &|_| ControlFlow::Break(()));
    let page_size = found.iter().find_map(|found| found.info.page_size());
    let kernels = page_size
        .filter(|size| size.is_power_of_two())
        .map(u64::trailing_zeros);
    if kernels.is_none_or(|kernels| kernels >= shift) {
        return Ok(dump);
    }
    let options = OpenOptions {
        page_shift: kernels,
        ..options
    };
    options.open(path)
}

/// log2 of the smallest page of any kernel.
const SMALLEST: u32 = 12;

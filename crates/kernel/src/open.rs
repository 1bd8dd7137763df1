//! Opening a dump in pages of its kernel.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pagehound_vmcore::{Dump, OpenError, OpenOptions};

use crate::vmcoreinfo::{Searched, find_in_memory};

/// Opens the dump at `path` with the kernel's pages for frames.
///
/// A container may have other blocks than the kernel has pages (QEMU's have 64
/// KiB for any arm64 guest; images of memory have none) and no VMCOREINFO note
/// that says so; then it is in the copy in memory. That copy is also how raw
/// memory is told from any other file.
///
/// # Errors
///
/// See [`pagehound_vmcore::open`].
pub fn open(path: &Path) -> Result<Dump, OpenError> {
    let go_on = |_, _| ControlFlow::Continue(());
    open_parts(&[path.to_owned()], OpenOptions::default(), &go_on)
}

/// [`open`] with these options, of which the page size is found if it is not given,
/// of a dump in one or several files: see [`OpenOptions::open_parts`]. `searched` is
/// told how far the search for it is, and may end it: then nothing is found.
///
/// # Errors
///
/// See there.
pub fn open_parts(
    paths: &[PathBuf],
    options: OpenOptions,
    searched: &Searched<'_>,
) -> Result<Dump, OpenError> {
    opened(options, searched, |options| options.open_parts(paths))
}

/// The same of an open file, which errors call `name`.
///
/// # Errors
///
/// See [`open`].
pub fn open_file(
    file: &File,
    name: &Path,
    options: OpenOptions,
    searched: &Searched<'_>,
) -> Result<Dump, OpenError> {
    let again = || file.try_clone();
    opened(options, searched, |options| match again() {
        Ok(file) => options.open_file(file, name),
        Err(error) => Err(io_error(error, name)),
    })
}

fn io_error(error: io::Error, name: &Path) -> OpenError {
    OpenError::Io {
        path: name.to_owned(),
        error,
    }
}

/// The same, with what raw memory would have had.
fn searched_in_vain(error: OpenError) -> OpenError {
    match error {
        OpenError::NoSignature { path, what, advice } => OpenError::NoSignature {
            path,
            what: format!("{what}, and no kernel's VMCOREINFO in it"),
            advice,
        },
        other => other,
    }
}

fn opened(
    options: OpenOptions,
    searched: &Searched<'_>,
    open: impl Fn(OpenOptions) -> Result<Dump, OpenError>,
) -> Result<Dump, OpenError> {
    let mut options = options;
    let mut unknown = None;
    let dump = match open(options) {
        Err(error @ OpenError::NoSignature { .. }) => {
            options.raw = true;
            unknown = Some(error);
            open(options)?
        }
        other => other?,
    };
    if dump.info.vmcoreinfo.is_some() || options.page_shift.is_some() {
        return Ok(dump);
    }
    let found = find_in_memory(&*dump.memory, searched, &|_| ControlFlow::Break(()));
    if let Some(error) = unknown.filter(|_| found.is_empty()) {
        return Err(searched_in_vain(error));
    }
    let page_size = found.iter().find_map(|found| found.info.page_size());
    let kernels = page_size
        .filter(|size| size.is_power_of_two())
        .map(u64::trailing_zeros);
    if kernels.is_none_or(|kernels| kernels == dump.memory.page_shift()) {
        return Ok(dump);
    }
    options.page_shift = kernels;
    open(options)
}

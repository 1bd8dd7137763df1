//! The program that holds kernel memory from the guest's user space.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::kernel::Kernel;
use super::{cache, process};

const COMPILE_LIMIT: Duration = Duration::from_secs(120);

/// Compiles `lab/guest/holder.c` into the kernel's cache folder, statically:
/// the guest has no libraries.
pub(super) fn build(kernel: &Kernel) -> Result<PathBuf> {
    let program = kernel.dir.join("holder");
    process::run(
        Command::new("gcc-12")
            .args(["-O2", "-static", "-s", "-o"])
            .arg(&program)
            .arg(cache::sources().join("guest/holder.c")),
        &kernel.dir.join("holder.log"),
        COMPILE_LIMIT,
    )
    .context("the guest's holder did not build: it needs gcc-12 and libc6-dev")?;
    Ok(program)
}

//! The program that holds kernel memory from the guest's user space.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::apt::Apt;
use super::packages::Unpacked;
use super::target::Target;
use super::{cache, process};

const COMPILE_LIMIT: Duration = Duration::from_secs(120);
/// What a C program is linked with, and the kernel's interface to it.
const LIBRARIES: [&str; 2] = ["libc6-dev", "linux-libc-dev"];

/// Compiles `lab/guest/holder.c` with the kernel's compiler and the C library
/// of its suite, statically: the guest has no libraries.
pub(super) fn build(target: &Target, unpacked: &Unpacked) -> Result<PathBuf> {
    let suite = target.kernel.suite();
    let arch = target.arch.debian();
    let dir = cache::root()?.join(format!("libc/{suite}-{arch}"));
    let root = dir.join("root");
    let complete = dir.join("unpacked");
    if !complete.exists() {
        Apt::open(suite, arch)?.unpack(&LIBRARIES.map(str::to_owned), &root)?;
        fs::write(&complete, []).context("cannot mark the C library as unpacked")?;
    }
    let program = unpacked.dir.join("holder");
    process::run(
        unpacked
            .tools
            .compiler()?
            .arg(format!("--sysroot={}", root.display()))
            .args(["-O2", "-Wall", "-static", "-s", "-o"])
            .arg(&program)
            .arg(cache::sources().join("guest/holder.c")),
        &unpacked.dir.join("holder.log"),
        COMPILE_LIMIT,
    )
    .context("the guest's holder did not build")?;
    Ok(program)
}

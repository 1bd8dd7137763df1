//! The programs that use kernel memory from the guest's user space.

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

/// Their names, in the guest's `/bin` and with `.c` in `lab/guest`.
pub(super) const NAMES: [&str; 2] = ["holder", "load"];

/// The C library of the kernel's suite, with what is compiled against it.
pub(super) fn c_library(target: &Target) -> Result<PathBuf> {
    let suite = target.kernel.suite();
    let arch = target.arch.debian();
    let dir = cache::root()?.join(format!("libc/{suite}-{arch}"));
    let root = dir.join("root");
    let complete = dir.join("unpacked");
    if !complete.exists() {
        Apt::open(suite, arch)?.unpack(&LIBRARIES.map(str::to_owned), &root)?;
        fs::write(&complete, []).context("cannot mark the C library as unpacked")?;
    }
    Ok(root)
}

/// Compiles them with the kernel's compiler and the C library of its suite,
/// statically: the guest has no libraries. They are in the order of [`NAMES`].
pub(super) fn build(target: &Target, unpacked: &Unpacked) -> Result<Vec<PathBuf>> {
    let root = c_library(target)?;
    NAMES
        .iter()
        .map(|name| {
            let program = unpacked.dir.join(name);
            process::run(
                unpacked
                    .tools
                    .compiler()?
                    .arg(format!("--sysroot={}", root.display()))
                    .args(["-O2", "-Wall", "-static", "-s", "-o"])
                    .arg(&program)
                    .arg(cache::sources().join(format!("guest/{name}.c"))),
                &unpacked.dir.join(format!("{name}.log")),
                COMPILE_LIMIT,
            )
            .with_context(|| format!("the guest's {name} did not build"))?;
            Ok(program)
        })
        .collect()
}

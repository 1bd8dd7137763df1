//! The pagehound that runs in a guest: static, for guests have no libraries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::kernel::Kernel;
use super::{holder, process};
use crate::ci;

const NAME: &str = "pagehound";
const STRIP_LIMIT: Duration = Duration::from_secs(60);

/// Builds it, as CI builds the release, and puts it without its symbols into `dir`.
/// For a guest of another architecture than this host's it is linked with the compiler
/// and the C library of the guest's suite.
pub(super) fn build(kernel: &Kernel, dir: &Path) -> Result<PathBuf> {
    let arch = kernel.target.arch;
    let (built, strip) = match arch.is_host() {
        true => (ci::static_binary(NAME)?, PathBuf::from("strip")),
        false => {
            let program = |name| kernel.tools.program(&kernel.target, name);
            (cross(kernel, program("ar"))?, program("strip"))
        }
    };
    let program = dir.join(NAME);
    process::run(
        Command::new(strip).arg("-o").arg(&program).arg(&built),
        &dir.join("strip.log"),
        STRIP_LIMIT,
    )?;
    Ok(program)
}

fn cross(kernel: &Kernel, archiver: PathBuf) -> Result<PathBuf> {
    let triple = kernel.target.arch.triple();
    let library = holder::c_library(&kernel.target)?;
    let linker = kernel.tools.write_linker(&library, &kernel.dir)?;
    // As cargo and the cc crate spell a target in variables.
    let spelled = triple.replace('-', "_");
    let variables = [
        format!("CARGO_TARGET_{}_LINKER", spelled.to_uppercase()),
        format!("CC_{spelled}"),
        format!("AR_{spelled}"),
    ];
    let values = [linker.clone(), linker, archiver];
    let tools: Vec<(&str, PathBuf)> = variables.iter().map(String::as_str).zip(values).collect();
    ci::static_binary_for(NAME, triple, &tools)
        .with_context(|| format!("where Rust has no library for it: rustup target add {triple}"))
}

//! The pagehound that runs in a guest: static, for guests have no libraries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::process;
use super::target::Arch;
use crate::ci;

const STRIP_LIMIT: Duration = Duration::from_secs(60);

/// Builds it, as CI builds the release, and puts it without its symbols into `dir`.
pub(super) fn build(arch: Arch, dir: &Path) -> Result<PathBuf> {
    ensure!(
        arch.is_host(),
        "pagehound is built for this host's architecture only: no guest of another can run it"
    );
    let built = ci::static_binary("pagehound")?;
    let program = dir.join("pagehound");
    process::run(
        Command::new("strip").arg("-o").arg(&program).arg(&built),
        &dir.join("strip.log"),
        STRIP_LIMIT,
    )?;
    Ok(program)
}

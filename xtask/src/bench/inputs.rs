//! What the searches are timed on: a guest of the lab in each format, kept in
//! the user's cache folder because making them takes minutes.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::lab;

/// How the memory lies in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    Elf,
    Zlib,
    Lzo,
    Snappy,
    Zstd,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf => "ELF",
            Self::Zlib => "zlib",
            Self::Lzo => "LZO",
            Self::Snappy => "Snappy",
            Self::Zstd => "Zstandard",
        })
    }
}

/// The dump of the guest in `format`, made when it is not there; `xtask` is this
/// program built with optimization.
pub(super) fn dump(format: Format, xtask: &Path) -> Result<PathBuf> {
    let folder = lab::cache::folder("bench/guest")?;
    let elf = folder.join("busy.elf");
    if !elf.exists() {
        println!("making {}: some minutes", elf.display());
        let made = lab::busy_guest(&folder.join("making"))?;
        fs::rename(&made, &elf)?;
        fs::remove_dir_all(folder.join("making"))?;
    }
    let with = match format {
        Format::Elf => return Ok(elf),
        Format::Zlib => "zlib",
        Format::Lzo => "lzo",
        Format::Snappy => "snappy",
        Format::Zstd => "zstd",
    };
    let name = format!("busy-{with}.kdump");
    let path = folder.join(&name);
    if !path.exists() {
        println!("making {}", path.display());
        // One that breaks off must not be taken for a whole one.
        let part = folder.join(format!("{name}.part"));
        let mut command = if format == Format::Lzo {
            // There is no crate that compresses so.
            let mut command = Command::new("makedumpfile");
            command.args(["--message-level", "4", "-f", "-l", "-d", "0"]);
            command.args([&dump(Format::Zlib, xtask)?, &part]);
            command
        } else {
            // In a process of its own: the memory it maps would count as that
            // of every command started later.
            let mut command = Command::new(xtask);
            command.arg("pack").args([&elf, &part]).arg(with);
            command
        };
        let status = command
            .status()
            .with_context(|| format!("{command:?}: is it installed?"))?;
        ensure!(status.success(), "{command:?}: {status}");
        fs::rename(&part, &path)?;
    }
    Ok(path)
}

/// The guest's memory as a Zstandard kdump of so many GiB, its pages again and
/// again; `without` a frame if there is one.
pub(super) fn scaled(gib: u64, without: Option<u64>, xtask: &Path) -> Result<PathBuf> {
    let elf = dump(Format::Elf, xtask)?;
    let hole = without.map_or(String::new(), |pfn| format!("-without-{pfn}"));
    let name = format!("busy-{gib}{hole}-zstd.kdump");
    let path = lab::cache::folder("bench/guest")?.join(&name);
    if !path.exists() {
        println!("making {}", path.display());
        let part = path.with_extension("part");
        let mut command = Command::new(xtask);
        command.arg("pack").args([&elf, &part]).arg("zstd");
        command.args(["--gib", &gib.to_string()]);
        if let Some(pfn) = without {
            command.args(["--without", &pfn.to_string()]);
        }
        let status = command.status()?;
        ensure!(status.success(), "{command:?}: {status}");
        fs::rename(&part, &path)?;
    }
    Ok(path)
}

/// A machine of 1 TiB: that of `base`, a dump with its truth beside it, grown.
pub(super) fn large(base: &Path, xtask: &Path) -> Result<PathBuf> {
    let path = lab::cache::folder("bench/large")?.join("1t.kdump");
    if !path.exists() {
        println!("making {}: some minutes", path.display());
        let part = path.with_extension("part");
        let mut command = Command::new(xtask);
        command.arg("grow").args([base, &part]);
        let status = command.status()?;
        ensure!(status.success(), "{command:?}: {status}");
        fs::rename(&part, &path)?;
    }
    Ok(path)
}

/// The kernel of the guest with its debuginfo, for crash and drgn.
///
/// # Errors
/// When the mirror does not have it any more.
pub(crate) fn vmlinux(release: &str) -> Result<PathBuf> {
    let folder = lab::cache::folder("bench/vmlinux")?;
    let name = format!("vmlinux-{release}");
    let path = folder.join(&name);
    if !path.exists() {
        lab::debuginfo(release, &folder)?;
    }
    ensure!(path.exists(), "the package holds no {name}");
    Ok(path)
}

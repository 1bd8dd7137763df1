//! The kernel to boot, with the planting module built for it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::modules::{Module, Modules};
use super::programs::Programs;
use super::target::Target;
use super::tools::Tools;
use super::{cache, holder, packages, process};

const MAKE_LIMIT: Duration = Duration::from_secs(300);

/// Modules the guest loads. `qemu_fw_cfg` is what hands the hypervisor the
/// address of VMCOREINFO.
const STOCK_MODULES: [&str; 3] = ["qemu_fw_cfg", "bonding", "e1000"];
/// Modules for the folder that a crashing guest shares with the host.
const SHARE_MODULES: [&str; 3] = ["virtio_pci", "9pnet_virtio", "9p"];

/// A kernel that is ready to boot.
pub(super) struct Kernel {
    pub(super) target: Target,
    /// As `uname -r` prints it.
    pub(super) release: String,
    /// The boot image.
    pub(super) image: PathBuf,
    /// The planting module.
    pub(super) module: PathBuf,
    modules: Modules,
    /// What runs in the guest.
    pub(super) programs: Programs,
    /// Programs of `lab/guest`, compiled.
    pub(super) holders: Vec<PathBuf>,
    /// The compiler it was made with.
    pub(super) tools: Tools,
    /// Cache folder of this kernel's version.
    pub(super) dir: PathBuf,
}

impl Kernel {
    /// Fetches the newest kernel and builds the module; quick when cached.
    pub(super) fn prepare(target: &Target) -> Result<Self> {
        let unpacked = packages::newest(target)?;
        let module = build_module(target, &unpacked)?;
        Ok(Self {
            target: target.clone(),
            image: image(&unpacked)?,
            module,
            modules: Modules::of(&unpacked.root, &unpacked.release)?,
            programs: Programs::prepare(target)?,
            holders: holder::build(target, &unpacked)?,
            tools: unpacked.tools,
            dir: unpacked.dir,
            release: unpacked.release,
        })
    }

    /// Stock modules that every guest loads, then `more`, in order.
    pub(super) fn load(&self, more: &[&str]) -> Result<Vec<Module>> {
        self.modules.load(&[&STOCK_MODULES, more].concat())
    }

    /// Modules for a folder shared with the host, in order.
    pub(super) fn share(&self) -> Result<Vec<Module>> {
        self.modules.load(&SHARE_MODULES)
    }
}

/// Signed or not, in `boot` or, since 7.x, beside the modules.
fn image(unpacked: &packages::Unpacked) -> Result<PathBuf> {
    let release = &unpacked.release;
    [
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
        format!("usr/lib/modules/{release}/vmlinuz.unsigned"),
    ]
    .iter()
    .map(|path| unpacked.root.join(path))
    .find(|path| path.exists())
    .with_context(|| format!("the packages of {release} hold no vmlinuz"))
}

fn build_module(target: &Target, unpacked: &packages::Unpacked) -> Result<PathBuf> {
    let dir = unpacked.dir.join("module");
    cache::create(&dir)?;
    copy_sources(&cache::sources().join("module"), &dir)?;
    let headers = unpacked
        .root
        .join(format!("usr/src/linux-headers-{}", unpacked.release));
    let mut mapping = dir.clone().into_os_string();
    mapping.push("=.");
    let mut flags = OsString::from("KCFLAGS=-ffile-prefix-map=");
    flags.push(&mapping);
    let mut folder = OsString::from("M=");
    folder.push(&dir);
    process::run(
        unpacked
            .tools
            .command("make")?
            .arg("-C")
            .arg(&headers)
            .arg(folder)
            .arg(flags)
            .arg(format!("CROSS_COMPILE={}", target.arch.tool_prefix()))
            .args(&unpacked.make)
            .arg("modules"),
        &unpacked.dir.join("module.log"),
        MAKE_LIMIT,
    )
    .context("the module did not build")?;
    Ok(dir.join("pagelab.ko"))
}

fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", from.display()))?
            .path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        cache::write_if_changed(&to.join(name), &content)?;
    }
    Ok(())
}

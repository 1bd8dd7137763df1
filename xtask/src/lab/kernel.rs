//! The kernel to boot, with the planting module built for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{cache, packages, process};

const MAKE_LIMIT: Duration = Duration::from_secs(300);

/// Modules the guest loads, in order. `qemu_fw_cfg` is what hands the
/// hypervisor the address of VMCOREINFO; `bonding` needs `tls`.
const STOCK_MODULES: [(&str, &str); 4] = [
    ("qemu_fw_cfg", "kernel/drivers/firmware/qemu_fw_cfg.ko"),
    ("tls", "kernel/net/tls/tls.ko"),
    ("bonding", "kernel/drivers/net/bonding/bonding.ko"),
    ("e1000", "kernel/drivers/net/ethernet/intel/e1000/e1000.ko"),
];

/// A kernel that is ready to boot.
pub(super) struct Kernel {
    /// As `uname -r` prints it.
    pub(super) release: String,
    /// The boot image.
    pub(super) image: PathBuf,
    /// The planting module.
    pub(super) module: PathBuf,
    /// Where `depmod` files its modules: `lib/modules/RELEASE` of the packages.
    pub(super) modules: PathBuf,
    /// Stock modules by name, in loading order.
    pub(super) stock: Vec<(String, PathBuf)>,
    /// A statically linked busybox.
    pub(super) busybox: PathBuf,
    /// Cache folder of this kernel's version.
    pub(super) dir: PathBuf,
}

impl Kernel {
    /// Fetches the newest kernel and builds the module; quick when cached.
    pub(super) fn prepare() -> Result<Self> {
        let unpacked = packages::newest()?;
        let module = build_module(&unpacked)?;
        let modules = unpacked.root.join("lib/modules").join(&unpacked.release);
        let stock = STOCK_MODULES
            .iter()
            .map(|(name, path)| ((*name).to_owned(), modules.join(path)))
            .collect();
        let image = unpacked
            .root
            .join(format!("boot/vmlinuz-{}", unpacked.release));
        if !image.exists() {
            bail!(
                "the package of {} has no {}",
                unpacked.release,
                image.display()
            );
        }
        Ok(Self {
            image,
            module,
            modules,
            stock,
            busybox: unpacked.root.join("bin/busybox"),
            dir: unpacked.dir,
            release: unpacked.release,
        })
    }
}

fn build_module(unpacked: &packages::Unpacked) -> Result<PathBuf> {
    let dir = unpacked.dir.join("module");
    cache::create(&dir)?;
    copy_sources(&cache::sources().join("module"), &dir)?;
    let headers = unpacked
        .root
        .join(format!("usr/src/linux-headers-{}", unpacked.release));
    let mut mapping = dir.clone().into_os_string();
    mapping.push("=.");
    let mut flags = std::ffi::OsString::from("KCFLAGS=-ffile-prefix-map=");
    flags.push(&mapping);
    let mut folder = std::ffi::OsString::from("M=");
    folder.push(&dir);
    process::run(
        Command::new("make")
            .arg("-C")
            .arg(&headers)
            .arg(folder)
            .arg(flags)
            .arg("modules"),
        &unpacked.dir.join("module.log"),
        MAKE_LIMIT,
    )
    .context("the module did not build: it needs make and gcc-12")?;
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

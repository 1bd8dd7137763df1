//! A kernel's own modules: found by name, in the order in which they load.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A module's name and content.
pub(super) type Module = (String, Vec<u8>);

/// The modules that a kernel's packages hold.
pub(super) struct Modules {
    /// By the name in the kernel, with `_` and never `-`.
    files: HashMap<String, PathBuf>,
    /// Text of `modules.builtin`.
    builtin: String,
}

impl Modules {
    /// Looks through `lib/modules` or `usr/lib/modules` of an unpacked kernel.
    pub(super) fn of(root: &Path, release: &str) -> Result<Self> {
        let dirs = ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir).join(release));
        let dir = dirs
            .iter()
            .find(|dir| dir.join("kernel").is_dir())
            .with_context(|| format!("the packages of {release} hold no modules"))?;
        let mut files = HashMap::new();
        collect(&dir.join("kernel"), &mut files)?;
        let builtin = dir.join("modules.builtin");
        let builtin = fs::read_to_string(&builtin)
            .with_context(|| format!("cannot read {}", builtin.display()))?;
        Ok(Self { files, builtin })
    }

    /// `names` and what they depend on, each after what it needs and once.
    ///
    /// # Errors
    /// When the kernel has one of them neither as a module nor built in.
    pub(super) fn load(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut loaded = Vec::new();
        for name in names {
            self.add(name, &mut loaded)?;
        }
        Ok(loaded)
    }

    fn add(&self, name: &str, loaded: &mut Vec<Module>) -> Result<()> {
        if loaded.iter().any(|(other, _)| other == name) || self.is_builtin(name) {
            return Ok(());
        }
        let path = self.files.get(name).with_context(|| {
            format!("this kernel has no {name}: a stock one of Debian's does (--flavour generic)")
        })?;
        let content = decompressed(path)?;
        for needed in depends(&content) {
            self.add(&needed, loaded)?;
        }
        loaded.push((name.to_owned(), content));
        Ok(())
    }

    fn is_builtin(&self, name: &str) -> bool {
        self.builtin
            .lines()
            .filter_map(|line| line.rsplit('/').next()?.strip_suffix(".ko"))
            .any(|builtin| builtin.replace('-', "_") == name)
    }
}

fn collect(dir: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        if entry
            .file_type()
            .context("cannot tell a file's type")?
            .is_dir()
        {
            collect(&entry.path(), files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(name.replace('-', "_"), entry.path());
        }
    }
    Ok(())
}

/// A module's ELF file, which packages may hold compressed.
fn decompressed(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let output = Command::new(program)
        .arg("-dc")
        .arg(path)
        .output()
        .with_context(|| format!("cannot start {program}: is it installed?"))?;
    ensure!(
        output.status.success(),
        "{program} cannot read {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// The list in the section `.modinfo`, made of `key=value` strings that each
/// end with a zero.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module.get(start + KEY.len()..).unwrap_or_default();
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(value.get(..end).unwrap_or_default())
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_from_modinfo_with_underscores() {
        let module = b"\x7fELF..\0license=GPL\0depends=virtio-ring,virtio\0name=x\0";
        assert_eq!(depends(module), ["virtio_ring", "virtio"]);
        assert!(depends(b"\0license=GPL\0depends=\0name=x\0").is_empty());
        assert!(depends(b"no such key").is_empty());
    }
}

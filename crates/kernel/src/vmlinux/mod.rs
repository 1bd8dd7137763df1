//! The vmlinux a dump's kernel was started from: its debug information tells the types
//! of kernels that have no BTF.

mod convert;
mod elf;
mod error;
mod package;
mod units;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use memchr::memmem;

use crate::btf::Btf;
use crate::build_id;
use crate::kallsyms::Kallsyms;
use crate::kernel::IMAGE_LIMIT;
use crate::layouts;
use crate::sweep::sweep;
use crate::translate::KernelMemory;
use crate::vmcoreinfo::Vmcoreinfo;
use elf::Elf;

pub use error::VmlinuxError;
pub(crate) use package::debug_package;

/// What tells whether a vmlinux is that of a kernel.
pub(crate) struct Wanted<'k, 'm> {
    pub(crate) memory: &'k KernelMemory<'m>,
    pub(crate) vmcoreinfo: &'k Vmcoreinfo,
    pub(crate) symbols: Option<&'k Kallsyms>,
}

impl Wanted<'_, '_> {
    /// The types in `path`, if it is the vmlinux of this kernel.
    ///
    /// # Errors
    /// [`VmlinuxError`] if it is that of another one, has no debug information, or
    /// cannot be read.
    pub(crate) fn types(&self, path: &Path) -> Result<Btf, VmlinuxError> {
        let elf = Elf::open(path)?;
        self.check(&elf)?;
        let missing = [".debug_info", ".debug_abbrev"];
        if let Some(section) = missing.into_iter().find(|section| !elf.has(section)) {
            return Err(VmlinuxError::Stripped {
                path: path.to_owned(),
                section,
                package: debug_package(self.release()),
            });
        }
        if elf.has(".gnu_debugaltlink") {
            let path = path.to_owned();
            return Err(VmlinuxError::Dwz { path });
        }
        units::types(&elf, &layouts::questions())
    }

    /// Where packages put the vmlinux with debug information of this kernel below
    /// `root`, which is `/usr/lib/debug`.
    pub(crate) fn candidates(&self, root: &Path) -> Vec<PathBuf> {
        let release = self.release();
        let id = self.build_id();
        let by_id = id.as_ref().and_then(|id| {
            let (folder, name) = id.split_at_checked(2)?;
            Some(
                root.join(".build-id")
                    .join(folder)
                    .join(format!("{name}.debug")),
            )
        });
        let mut paths: Vec<PathBuf> = by_id.into_iter().collect();
        // A release comes from the dump: it must not lead elsewhere.
        if !release.contains('/') && !release.starts_with('.') {
            paths.push(root.join(format!("boot/vmlinux-{release}")));
            paths.push(root.join(format!("lib/modules/{release}/vmlinux")));
        }
        paths.retain(|path| path.is_file());
        paths
    }

    fn release(&self) -> &str {
        self.vmcoreinfo.osrelease()
    }

    /// By VMCOREINFO (5.9 and later), else by the notes in the image where symbols
    /// bound them: an image has other notes too, those of its vDSOs.
    fn build_id(&self) -> Option<String> {
        if let Some(id) = self.vmcoreinfo.build_id() {
            return Some(id.to_owned());
        }
        let address = |name| self.symbols?.address(name);
        let (start, end) = (address("__start_notes")?, address("__stop_notes")?);
        let end = end.min(start.add(64 << 10));
        build_id::in_memory(self.memory, start, end)
    }

    fn check(&self, elf: &Elf) -> Result<(), VmlinuxError> {
        let own = elf.build_id();
        let other = |is: String, wanted: String| {
            Err(VmlinuxError::OtherKernel {
                path: elf.path.clone(),
                is,
                release: self.release().to_owned(),
                wanted,
            })
        };
        if let (Some(own), Some(wanted)) = (&own, self.build_id()) {
            if *own == wanted {
                return Ok(());
            }
            return other(
                format!("its build id is {own}"),
                format!("whose build id is {wanted}"),
            );
        }
        // A note or a text that the image holds is its own.
        if own
            .as_ref()
            .is_some_and(|own| self.image_has(&build_id::note(own)))
        {
            return Ok(());
        }
        let Some(banner) = elf.banner() else {
            let path = elf.path.clone();
            let release = self.release().to_owned();
            return match own {
                Some(own) => other(
                    format!("its build id is {own}"),
                    "whose memory has another or none".to_owned(),
                ),
                None => Err(VmlinuxError::Nameless { path, release }),
            };
        };
        if self.image_has(&banner) {
            return Ok(());
        }
        other(
            format!("it is `{}`", String::from_utf8_lossy(&banner)),
            "whose memory has another build id and banner".to_owned(),
        )
    }

    /// Whether some bytes are in the kernel's image, as far as it can be read.
    fn image_has(&self, bytes: &[u8]) -> bool {
        let Some(start) = self.vmcoreinfo.symbol("_stext") else {
            return false;
        };
        let overlap = bytes.len() as u64;
        let look = |window: &crate::sweep::Window| memmem::find(&window.bytes, bytes).map(|_| ());
        let end = start.add(IMAGE_LIMIT);
        !bytes.is_empty() && sweep(self.memory, start, end, overlap, look).0.is_some()
    }
}

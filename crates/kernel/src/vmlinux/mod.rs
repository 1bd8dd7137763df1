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
use std::sync::atomic::AtomicBool;

use memchr::memmem;
use pagehound_vmcore::VirtAddr;

use crate::btf::Btf;
use crate::build_id::{self, BuildId};
use crate::kallsyms::Kallsyms;
use crate::kernel::{IMAGE_LIMIT, KernelError};
use crate::layouts;
use crate::sweep::sweep;
use crate::translate::KernelMemory;
use crate::vmcoreinfo::Vmcoreinfo;
use elf::{Elf, Symbols};

pub use error::VmlinuxError;
pub(crate) use package::debug_package;

/// Bytes of a symbol's name (KSYM_NAME_LEN).
const LONGEST_SYMBOL: usize = 512;

/// What tells whether a vmlinux is that of a kernel.
pub(crate) struct Wanted<'k, 'm> {
    pub(crate) memory: &'k KernelMemory<'m>,
    pub(crate) vmcoreinfo: &'k Vmcoreinfo,
    pub(crate) symbols: Option<&'k Kallsyms>,
    /// Raised to end early.
    pub(crate) cancel: Option<&'k AtomicBool>,
}

/// A vmlinux by itself, whichever kernel's it is.
pub struct Vmlinux {
    elf: Elf,
}

/// What a vmlinux tells.
pub(crate) struct Told {
    pub(crate) types: Btf,
    /// Its symbols, where the kernel's own tables of them could not be had.
    pub(crate) symbols: Option<Kallsyms>,
    /// What of it could not be had, a sentence each.
    pub(crate) warnings: Vec<String>,
}

impl Wanted<'_, '_> {
    /// What `path` tells, if it is the vmlinux of this kernel.
    ///
    /// # Errors
    /// [`VmlinuxError`] if it is that of another one, has no debug information, or
    /// cannot be read; [`KernelError::Interrupted`].
    pub(crate) fn read(&self, path: &Path) -> Result<Told, KernelError> {
        let vmlinux = self.open(path)?;
        let (types, mut warnings) = vmlinux.types(self.release(), self.cancel)?;
        let symbols = self.missing_symbols(&vmlinux, &mut warnings);
        Ok(Told {
            types,
            symbols,
            warnings,
        })
    }

    /// The symbols of `path`, the vmlinux of this kernel, where the kernel's own tables
    /// of them could not be had; `warnings` gets why there are none.
    ///
    /// # Errors
    /// [`VmlinuxError`] if it is that of another one, or cannot be read.
    pub(crate) fn read_symbols(
        &self,
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Kallsyms>, VmlinuxError> {
        let vmlinux = self.open(path)?;
        Ok(self.missing_symbols(&vmlinux, warnings))
    }

    fn open(&self, path: &Path) -> Result<Vmlinux, VmlinuxError> {
        let vmlinux = Vmlinux::open(path)?;
        self.check(&vmlinux)?;
        Ok(vmlinux)
    }

    fn missing_symbols(&self, vmlinux: &Vmlinux, warnings: &mut Vec<String>) -> Option<Kallsyms> {
        if self.symbols.is_some() {
            return None;
        }
        let symbols = match self.vmcoreinfo.symbol("_stext") {
            Some(stext) => vmlinux.symbols(stext),
            None => Err("VMCOREINFO has no SYMBOL(_stext)".to_owned()),
        };
        match symbols {
            Ok(symbols) => Some(symbols),
            Err(why) => {
                warnings.push(why);
                None
            }
        }
    }

    /// Where packages put the vmlinux with debug information of this kernel below
    /// `root`, which is `/usr/lib/debug`.
    pub(crate) fn candidates(&self, root: &Path) -> Vec<PathBuf> {
        let mut paths = places(root, self.release(), self.build_id());
        paths.retain(|path| path.is_file());
        paths
    }

    fn release(&self) -> &str {
        self.vmcoreinfo.osrelease()
    }

    /// By VMCOREINFO (5.9 and later), else by the notes in the image where symbols
    /// bound them: an image has other notes too, those of its vDSOs.
    fn build_id(&self) -> Option<BuildId> {
        if let Some(id) = self.vmcoreinfo.build_id() {
            return Some(id);
        }
        let address = |name| self.symbols?.address(name);
        let (start, end) = (address("__start_notes")?, address("__stop_notes")?);
        let end = end.min(start.add(64 << 10));
        build_id::in_memory(self.memory, start, end)
    }

    fn check(&self, vmlinux: &Vmlinux) -> Result<(), VmlinuxError> {
        let elf = &vmlinux.elf;
        let own = vmlinux.build_id();
        let other = |is: String, wanted: String| {
            Err(VmlinuxError::OtherKernel {
                path: elf.path.clone(),
                is,
                release: self.release().to_owned(),
                wanted,
            })
        };
        if let (Some(own), Some(wanted)) = (own, self.build_id()) {
            if own == wanted {
                return Ok(());
            }
            return other(
                format!("its build id is {own}"),
                format!("whose build id is {wanted}"),
            );
        }
        // A note or a text that the image holds is its own.
        if own.is_some_and(|own| self.image_has(&own.note())) {
            return Ok(());
        }
        let Some(banner) = vmlinux.banner() else {
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

impl Vmlinux {
    /// Opens a file and reads where its sections are.
    ///
    /// # Errors
    /// [`VmlinuxError`] if it cannot be read or is no ELF file.
    pub fn open(path: &Path) -> Result<Vmlinux, VmlinuxError> {
        let elf = Elf::open(path)?;
        Ok(Vmlinux { elf })
    }

    /// Its build id.
    pub fn build_id(&self) -> Option<BuildId> {
        self.elf.build_id()
    }

    /// `linux_banner`, up to its line feed.
    pub fn banner(&self) -> Option<Vec<u8>> {
        self.elf.banner()
    }

    /// The types that the table of [layouts] asks for, and what of them could not be had,
    /// a sentence each. `release` names the package to install where it has none;
    /// `cancel` is raised to end early.
    ///
    /// # Errors
    /// [`VmlinuxError`] if it has no debug information of a kernel, or that cannot be
    /// read; [`KernelError::Interrupted`].
    pub fn types(
        &self,
        release: &str,
        cancel: Option<&AtomicBool>,
    ) -> Result<(Btf, Vec<String>), KernelError> {
        let path = || self.elf.path.clone();
        let mut missing = [".debug_info", ".debug_abbrev"].into_iter();
        if let Some(section) = missing.find(|section| !self.elf.has(section)) {
            let package = debug_package(release);
            return Err(VmlinuxError::Stripped {
                path: path(),
                section,
                package,
            }
            .into());
        }
        if self.elf.has(".gnu_debugaltlink") {
            return Err(VmlinuxError::Dwz { path: path() }.into());
        }
        let found = units::types(&self.elf, &layouts::questions(), cancel)?;
        Ok((found.types, found.warnings))
    }

    /// Its symbols, where a kernel has them whose `_stext` is at `own`: it may lie
    /// elsewhere than it was linked for. What is no kernel address (per-CPU variables on
    /// x86_64 up to 6.14, absolute symbols) does not move.
    ///
    /// # Errors
    /// A sentence, if it has no symbols or they cannot be read.
    pub fn symbols(&self, own: VirtAddr) -> Result<Kallsyms, String> {
        let Symbols { mut all, strings } = self.elf.symbols().map_err(|why| why.to_string())?;
        let name = |at: usize| {
            let name = strings.get(at..)?;
            let name = name.get(..LONGEST_SYMBOL).unwrap_or(name);
            name.get(..memchr::memchr(0, name)?)
        };
        let stext = all.iter().find(|(_, _, at)| name(*at) == Some(b"_stext"));
        let Some((stext, ..)) = stext else {
            let path = self.elf.path.display();
            return Err(format!("{path}: its .symtab has no symbol _stext"));
        };
        let moved = own.0.wrapping_sub(*stext);
        all.sort_by_key(|(address, _, _)| *address);
        let symbols = all.iter().filter_map(|&(address, letter, at)| {
            // Marks that arm64's compilers leave begin with a dollar.
            let name = name(at).filter(|name| !name.starts_with(b"$"))?;
            let address = match address >> 63 {
                1 => address.wrapping_add(moved),
                _ => address,
            };
            Some((address, letter, name))
        });
        Ok(Kallsyms::of_vmlinux(&symbols.collect::<Vec<_>>()))
    }
}

/// Where packages put the vmlinux of a release or build id below `/usr/lib/debug`. Both
/// come from the dump and must not lead elsewhere: an id is digits, and a release that
/// is no plain name has no place.
fn places(root: &Path, release: &str, id: Option<BuildId>) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(id) = id.map(|id| id.to_string())
        && let Some((folder, name)) = id.split_at_checked(2)
    {
        places.push(root.join(format!(".build-id/{folder}/{name}.debug")));
    }
    if !release.contains('/') && !release.starts_with('.') {
        places.push(root.join(format!("boot/vmlinux-{release}")));
        places.push(root.join(format!("lib/modules/{release}/vmlinux")));
    }
    places
}

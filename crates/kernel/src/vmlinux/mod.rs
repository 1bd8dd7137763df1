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
use crate::build_id::{self, BuildId};
use crate::kallsyms::Kallsyms;
use crate::kernel::IMAGE_LIMIT;
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
    /// cannot be read.
    pub(crate) fn read(&self, path: &Path) -> Result<Told, VmlinuxError> {
        let elf = self.open(path)?;
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
        let found = units::types(&elf, &layouts::questions())?;
        let mut warnings = found.warnings;
        let symbols = self.missing_symbols(&elf, &mut warnings);
        Ok(Told {
            types: found.types,
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
        let elf = self.open(path)?;
        Ok(self.missing_symbols(&elf, warnings))
    }

    fn open(&self, path: &Path) -> Result<Elf, VmlinuxError> {
        let elf = Elf::open(path)?;
        self.check(&elf)?;
        Ok(elf)
    }

    fn missing_symbols(&self, elf: &Elf, warnings: &mut Vec<String>) -> Option<Kallsyms> {
        if self.symbols.is_some() {
            return None;
        }
        match self.symbols_of(elf) {
            Ok(symbols) => Some(symbols),
            Err(why) => {
                warnings.push(why);
                None
            }
        }
    }

    /// The symbols of the file, where this kernel has them: it may lie elsewhere than
    /// it was linked for. What is no kernel address (per-CPU variables on x86_64 up to
    /// 6.14, absolute symbols) does not move.
    fn symbols_of(&self, elf: &Elf) -> Result<Kallsyms, String> {
        let Symbols { mut all, strings } = elf.symbols().map_err(|why| why.to_string())?;
        let name = |at: usize| {
            let name = strings.get(at..)?;
            let name = name.get(..LONGEST_SYMBOL).unwrap_or(name);
            name.get(..memchr::memchr(0, name)?)
        };
        let stext = all.iter().find(|(_, _, at)| name(*at) == Some(b"_stext"));
        let Some((stext, ..)) = stext else {
            let path = elf.path.display();
            return Err(format!("{path}: its .symtab has no symbol _stext"));
        };
        let Some(own) = self.vmcoreinfo.symbol("_stext") else {
            return Err("VMCOREINFO has no SYMBOL(_stext)".to_owned());
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

//! What can be wrong with a vmlinux.

use std::path::PathBuf;

use super::debug_package;

/// Why a vmlinux cannot tell the types of the dump's kernel.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VmlinuxError {
    /// The file cannot be read.
    #[error("{path}: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// It is no ELF file of 64 bits, little-endian, or a broken one.
    #[error("{path}: {why}; the ELF file vmlinux is wanted, not the compressed vmlinuz")]
    NotElf {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// It belongs to another kernel than the dump.
    #[error(
        "{path}: {is}, but the dump needs that of {release}, {wanted}; install {}",
        debug_package(.release)
    )]
    OtherKernel {
        /// The file.
        path: PathBuf,
        /// What names it: a build id or a banner.
        is: String,
        /// What the dump's kernel calls itself.
        release: String,
        /// What would fit.
        wanted: String,
    },
    /// Nothing in it names the kernel it is of.
    #[error(
        "{path}: has neither a build id nor the text `Linux version`, so that nothing shows it \
         to be the vmlinux of {release}; give one as it was linked"
    )]
    Nameless {
        /// The file.
        path: PathBuf,
        /// What the dump's kernel calls itself.
        release: String,
    },
    /// It was stripped.
    #[error("{path}: has no section {section}: it is stripped; install {package}")]
    Stripped {
        /// The file.
        path: PathBuf,
        /// What is missing.
        section: &'static str,
        /// The package that has the one that is not.
        package: String,
    },
    /// Its types are in another file, where dwz put them.
    #[error(
        "{path}: dwz moved types of it to another file (.gnu_debugaltlink), which is not \
         supported; give a vmlinux as it was linked"
    )]
    Dwz {
        /// The file.
        path: PathBuf,
    },
    /// A section that cannot be read.
    #[error("{path}: section {section}: {why}; the file is damaged")]
    Section {
        /// The file.
        path: PathBuf,
        /// Its name.
        section: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Its types are not those of a kernel.
    #[error(
        "{path}: none of its {units} units of DWARF has struct page ({broken} could not be read; \
         {untold} types are damaged or in other units): it is damaged or no kernel's; give the vmlinux of the dump's kernel"
    )]
    NoTypes {
        /// The file.
        path: PathBuf,
        /// Units that were looked at.
        units: u64,
        /// Units that make no sense.
        broken: u64,
        /// What is named in the others and refers to what makes no sense, or is in
        /// other units, where link-time optimisation puts it.
        untold: u32,
    },
}

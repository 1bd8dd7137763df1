//! What hosts differ by.

use serde::Serialize;
use std::fmt;

/// Something a host has or has not, and that may be why it leaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Trait {
    /// What it is.
    pub kind: TraitKind,
    /// Of what: the driver, the module; empty for the kernel.
    pub name: String,
    /// Which, where having it at all is not what counts.
    pub value: String,
}

/// The kinds of traits, those nearest to a leak first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraitKind {
    /// A network device with this driver.
    Driver,
    /// One whose firmware is `value`.
    Firmware,
    /// The kernel release.
    Kernel,
    /// Which build of it.
    KernelBuild,
    /// The processor's architecture.
    Arch,
    /// Bytes of a page.
    PageSize,
    /// A module whose `version` is `value`.
    ModuleVersion,
    /// A module whose `srcversion` is `value`.
    ModuleSource,
    /// A module loaded with the taints `value`: not of the kernel's own tree.
    ModuleTaints,
    /// The module is loaded.
    Module,
}

impl Trait {
    pub(crate) fn new(kind: TraitKind, name: &str, value: &str) -> Self {
        Trait {
            kind,
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }
}

impl fmt::Display for Trait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trait { kind, name, value } = self;
        match kind {
            TraitKind::Driver => write!(f, "driver {name}"),
            TraitKind::Firmware => write!(f, "firmware {value} of {name}"),
            TraitKind::Kernel => write!(f, "kernel {value}"),
            TraitKind::KernelBuild => write!(f, "kernel build {value}"),
            TraitKind::Arch => write!(f, "architecture {value}"),
            TraitKind::PageSize => write!(f, "pages of {value} bytes"),
            TraitKind::ModuleVersion => write!(f, "module {name} version {value}"),
            TraitKind::ModuleSource => write!(f, "module {name} srcversion {value}"),
            TraitKind::ModuleTaints => write!(f, "module {name} tainted {value}"),
            TraitKind::Module => write!(f, "module {name}"),
        }
    }
}

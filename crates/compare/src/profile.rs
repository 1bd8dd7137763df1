//! What a report tells of its host's traits, and what it leaves open.

use crate::traits::{Trait, TraitKind};
use pagehound_model::{Module, Report};
use std::collections::{BTreeMap, BTreeSet};

/// Modules and devices of a report that are looked at: as many modules as are read out
/// of a dump.
pub(crate) const MOST: usize = 4096;

/// The traits of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    has: BTreeSet<Trait>,
    tells: Tells,
}

/// What a report would tell if it were so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tells {
    /// Drivers of its devices, and whether the firmware of all of them is known.
    drivers: BTreeMap<String, bool>,
    /// Whether all devices were looked at.
    all_devices: bool,
    /// Whether modules are told, and all were looked at.
    modules: bool,
    /// Whether builds of modules are told; counters of a host may name them only.
    builds: bool,
    /// What of the kernel is told.
    kernel: BTreeSet<TraitKind>,
}

impl Profile {
    /// Of the host of `report`.
    pub(crate) fn of(report: &Report) -> Self {
        let mut profile = Profile {
            has: BTreeSet::new(),
            tells: Tells {
                all_devices: report.netdevs.len() <= MOST,
                modules: (1..=MOST).contains(&report.modules.len()),
                builds: report.modules.iter().any(has_build),
                ..Tells::default()
            },
        };
        let Profile { has, tells } = &mut profile;
        let mut add = |kind, name: &str, value: &str| {
            has.insert(Trait::new(kind, name, value));
        };
        for device in report.netdevs.iter().take(MOST) {
            let Some(driver) = &device.driver else {
                continue;
            };
            add(TraitKind::Driver, driver, "");
            if let Some(firmware) = &device.firmware {
                add(TraitKind::Firmware, driver, firmware);
            }
            let known = tells.drivers.entry(driver.clone()).or_insert(true);
            *known &= device.firmware.is_some();
        }
        for module in report.modules.iter().take(MOST) {
            add(TraitKind::Module, &module.name, "");
            let builds = [
                (TraitKind::ModuleVersion, module.version.as_deref()),
                (TraitKind::ModuleSource, module.srcversion.as_deref()),
                (TraitKind::ModuleTaints, Some(module.taints.as_str())),
            ];
            for (kind, value) in builds {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    add(kind, &module.name, value);
                }
            }
        }
        let target = &report.target;
        let build = target.build.as_deref().unwrap_or_default();
        let page_size = target.page_size.to_string();
        for (kind, value) in [
            (TraitKind::Kernel, known(&target.kernel)),
            (TraitKind::KernelBuild, known(build)),
            (TraitKind::Arch, known(&target.arch)),
            (TraitKind::PageSize, Some(page_size.as_str())),
        ] {
            if let Some(value) = value {
                add(kind, "", value);
                tells.kernel.insert(kind);
            }
        }
        profile
    }

    /// All it is known to have, and what it tells of the rest.
    pub(crate) fn into_parts(self) -> (BTreeSet<Trait>, Tells) {
        (self.has, self.tells)
    }

    /// Whether it has `wanted`; `None` where the report does not tell.
    pub(crate) fn state(&self, wanted: &Trait) -> Option<bool> {
        if self.has.contains(wanted) {
            return Some(true);
        }
        let module = Trait::new(TraitKind::Module, &wanted.name, "");
        let lacks = self.tells.lacks(wanted, || self.has.contains(&module));
        lacks.then_some(false)
    }
}

impl Tells {
    /// Whether a host that is not known to have `wanted` has it not. `loaded` says
    /// whether the module of its name is loaded.
    pub(crate) fn lacks(&self, wanted: &Trait, loaded: impl FnOnce() -> bool) -> bool {
        match wanted.kind {
            TraitKind::Driver => self.tells_drivers(),
            TraitKind::Firmware => match self.drivers.get(&wanted.name) {
                Some(known) => *known && self.all_devices,
                None => self.tells_drivers(),
            },
            TraitKind::Module | TraitKind::ModuleTaints => self.modules,
            TraitKind::ModuleVersion | TraitKind::ModuleSource => {
                self.modules && (self.builds || !loaded())
            }
            TraitKind::Kernel | TraitKind::KernelBuild | TraitKind::Arch | TraitKind::PageSize => {
                self.kernel.contains(&wanted.kind)
            }
        }
    }

    /// Modules do not tell: a driver may be built in, or have another name than its
    /// module (`thunder-nicvf` is in `nicvf`).
    fn tells_drivers(&self) -> bool {
        self.all_devices && !self.drivers.is_empty()
    }
}

/// Whether it is told which build of the module this is.
pub(crate) fn has_build(module: &Module) -> bool {
    module.version.is_some() || module.srcversion.is_some() || module.build_id.is_some()
}

/// The value, unless the report has none.
pub(crate) fn known(value: &str) -> Option<&str> {
    Some(value).filter(|value| !matches!(*value, "" | "unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, module, report};

    fn state(report: &Report, kind: TraitKind, name: &str, value: &str) -> Option<bool> {
        Profile::of(report).state(&Trait::new(kind, name, value))
    }

    #[test]
    fn what_a_report_does_not_tell_is_not_denied() {
        let mut host = report();
        host.netdevs = vec![
            device("em1", "ice", None),
            device("em2", "igb", Some("1.63")),
        ];
        host.modules = vec![module("ice", None)];
        host.target.build = None;
        assert_eq!(state(&host, TraitKind::Driver, "ice", ""), Some(true));
        assert_eq!(state(&host, TraitKind::Driver, "i40e", ""), Some(false));
        assert_eq!(state(&host, TraitKind::Firmware, "ice", "1.5.2"), None);
        assert_eq!(state(&host, TraitKind::Firmware, "igb", "1.63"), Some(true));
        assert_eq!(
            state(&host, TraitKind::Firmware, "igb", "1.70"),
            Some(false)
        );
        assert_eq!(state(&host, TraitKind::Firmware, "i40e", "1"), Some(false));
        assert_eq!(state(&host, TraitKind::ModuleVersion, "ice", "1.0"), None);
        assert_eq!(state(&host, TraitKind::Module, "igb", ""), Some(false));
        assert_eq!(state(&host, TraitKind::KernelBuild, "", "#1"), None);
        host.modules[0].build_id = Some("ab".into());
        let version = state(&host, TraitKind::ModuleVersion, "ice", "1.0");
        assert_eq!(version, Some(false));
    }

    #[test]
    fn modules_beyond_those_looked_at_are_not_denied() {
        let mut host = report();
        let names = (0..=MOST).map(|number| format!("m{number}"));
        host.modules = names.map(|name| module(&name, None)).collect();
        assert_eq!(state(&host, TraitKind::Module, "m1", ""), Some(true));
        assert_eq!(state(&host, TraitKind::Module, "m4096", ""), None);
        host.modules.pop();
        assert_eq!(state(&host, TraitKind::Module, "m4096", ""), Some(false));
    }

    #[test]
    fn of_a_report_without_devices_and_modules_nothing_is_known() {
        let mut host = report();
        host.netdevs.clear();
        host.modules.clear();
        host.target.kernel = "unknown".into();
        for kind in [TraitKind::Driver, TraitKind::Firmware, TraitKind::Module] {
            assert_eq!(state(&host, kind, "ice", ""), None, "{kind:?}");
        }
        assert_eq!(state(&host, TraitKind::Kernel, "", "6.1"), None);
        host.modules = vec![module("virtio_net", None)];
        for driver in ["e1000", "virtio_net", "thunder-nicvf"] {
            assert_eq!(state(&host, TraitKind::Driver, driver, ""), None);
            assert_eq!(state(&host, TraitKind::Firmware, driver, "1"), None);
        }
    }
}

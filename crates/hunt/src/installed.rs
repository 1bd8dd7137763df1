//! What a machine has installed, as far as the leaks on record ask for it: its kernel and
//! its loaded modules.

use std::collections::BTreeSet;

use pagehound_kernel::{Kernel, Log};
use pagehound_model::Report;
use pagehound_procfs as procfs;

use crate::attribution::Attribution;
use crate::host::HostFiles;
use crate::known::banner;

/// Kernel and modules of a machine.
#[derive(Clone, Debug, Default)]
pub struct Installed {
    /// `uname -r`.
    pub release: String,
    /// `/proc/version`, or `uname -v`.
    pub banner: String,
    /// Loaded modules, as `/proc/modules` names them.
    pub modules: Vec<String>,
    /// `modules` are the drivers of network devices instead: the modules cannot be read.
    pub by_drivers: bool,
}

impl Installed {
    /// By a dump.
    pub fn of_kernel(kernel: &Kernel<'_>) -> Installed {
        let log = kernel.log().unwrap_or_else(|error| Log {
            problem: Some(error.to_string()),
            ..Log::default()
        });
        let modules = kernel.modules().unwrap_or_default();
        let devices = || Attribution::new(&[], &log).netdevs();
        Installed {
            release: kernel.vmcoreinfo.osrelease().to_owned(),
            banner: banner(kernel, &log),
            ..Installed::named(
                modules.into_iter().map(|module| module.name).collect(),
                || devices().into_iter().filter_map(|device| device.driver),
            )
        }
    }

    /// By a report.
    pub fn of_report(report: &Report) -> Installed {
        let modules = report.modules.iter().map(|module| module.name.clone());
        let drivers = || {
            let devices = report.netdevs.iter();
            devices.filter_map(|device| device.driver.clone())
        };
        Installed {
            release: report.target.kernel.clone(),
            banner: report.target.build.clone().unwrap_or_default(),
            ..Installed::named(modules.collect(), drivers)
        }
    }

    /// By a host's files, where they tell both kernel and modules; broken lines are left
    /// out.
    pub fn of_host(files: &HostFiles) -> Option<Installed> {
        let version = files.version.as_deref()?;
        let modules = procfs::modules(files.modules.as_deref()?).flatten();
        Some(Installed {
            release: procfs::version(version).ok()?.release.to_owned(),
            banner: String::from_utf8_lossy(version).into_owned(),
            modules: modules.map(|module| module.name.to_owned()).collect(),
            by_drivers: false,
        })
    }

    /// These modules; where there are none, those that bear the names of drivers.
    fn named<D: Iterator<Item = String>>(
        modules: Vec<String>,
        drivers: impl FnOnce() -> D,
    ) -> Installed {
        if !modules.is_empty() {
            return Installed {
                modules,
                ..Installed::default()
            };
        }
        let drivers: BTreeSet<String> = drivers().map(|name| name.replace('-', "_")).collect();
        Installed {
            modules: drivers.into_iter().collect(),
            by_drivers: true,
            ..Installed::default()
        }
    }
}

//! What two machines differ by, the most telling first.

use super::modules;
use super::result::{Difference, NamedBy, Shared, Telling};
use crate::profile::{Profile, known};
use crate::traits::{Trait, TraitKind};
use pagehound_model::{NetDevice, Report};
use std::collections::{BTreeMap, BTreeSet};

/// By name of the driver or module.
type Blamed = BTreeMap<String, NamedBy>;

/// Differences of the machines, and the blamed drivers that are on both.
pub(super) fn of(
    a: &Report,
    b: &Report,
    blamed: &Blamed,
    notes: &mut Vec<String>,
) -> (Vec<Difference>, Vec<Shared>) {
    let mut all = drivers(a, b, notes);
    all.extend(firmware(a, b));
    all.extend(kernel(a, b));
    let drivers: BTreeSet<String> = all
        .iter()
        .filter(|of| of.kind == TraitKind::Driver)
        .map(|of| of.name.clone())
        .collect();
    let modules = modules::differences(a, b, |name| blamed.contains_key(name));
    // A driver that only one has brings its module along.
    all.extend(
        modules
            .into_iter()
            .filter(|of| of.telling == Telling::Build || !drivers.contains(&of.name)),
    );
    for difference in &mut all {
        if let Some(by) = blamed.get(&difference.name) {
            difference.telling = Telling::Named;
            difference.named_by = Some(by.clone());
        }
    }
    // Of what losses name, first what the other host has not at all.
    all.sort_by(|one, other| {
        let lacks = |of: &Difference| of.a.is_some() && of.b.is_some();
        let key = |of: &Difference| {
            (
                of.telling,
                of.telling == Telling::Named && lacks(of),
                of.kind,
            )
        };
        key(one)
            .cmp(&key(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    (all, shared(a, b, blamed))
}

/// Devices by driver.
fn devices(report: &Report) -> BTreeMap<&str, Vec<&NetDevice>> {
    let mut devices: BTreeMap<&str, Vec<&NetDevice>> = BTreeMap::new();
    for device in &report.netdevs {
        if let Some(driver) = &device.driver {
            devices.entry(driver).or_default().push(device);
        }
    }
    devices
}

fn drivers(a: &Report, b: &Report, notes: &mut Vec<String>) -> Vec<Difference> {
    let (in_a, in_b) = (devices(a), devices(b));
    let (of_a, of_b) = (Profile::of(a), Profile::of(b));
    let names: BTreeSet<&str> = in_a.keys().chain(in_b.keys()).copied().collect();
    let mut found = Vec::new();
    let mut untold = BTreeSet::new();
    for name in names {
        let driver = Trait::new(TraitKind::Driver, name, "");
        for (side, profile) in [("A", &of_a), ("B", &of_b)] {
            if profile.state(&driver).is_none() {
                untold.insert(side);
            }
        }
        let differs = of_a.state(&driver).zip(of_b.state(&driver));
        if differs.is_some_and(|(a, b)| a != b) {
            found.push(Difference {
                telling: Telling::Device,
                kind: TraitKind::Driver,
                name: name.to_owned(),
                a: in_a.get(name).map(|devices| interfaces(devices)),
                b: in_b.get(name).map(|devices| interfaces(devices)),
                named_by: None,
            });
        }
    }
    // Where a report tells neither devices nor modules it is said once, for both.
    for side in untold {
        let report = if side == "A" { a } else { b };
        if !report.modules.is_empty() {
            notes.push(format!(
                "{side} tells no network devices: which drivers it has is not known, for not \
                 all are modules of their name"
            ));
        }
    }
    found
}

fn interfaces(devices: &[&NetDevice]) -> String {
    let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    names.join(", ")
}

/// Firmware of a driver's devices, in order, where all tell it.
fn versions(devices: &[&NetDevice]) -> Option<String> {
    let told: Option<BTreeSet<&str>> = devices.iter().map(|of| of.firmware.as_deref()).collect();
    Some(told?.into_iter().collect::<Vec<_>>().join(", "))
}

fn firmware(a: &Report, b: &Report) -> Vec<Difference> {
    let in_b = devices(b);
    let both = devices(a).into_iter();
    let both = both.filter_map(|(name, one)| {
        let versions = (versions(&one)?, versions(in_b.get(name)?)?);
        Some((name, versions))
    });
    both.filter(|(_, (one, other))| one != other)
        .map(|(name, (one, other))| Difference {
            telling: Telling::Device,
            kind: TraitKind::Firmware,
            name: name.to_owned(),
            a: Some(one),
            b: Some(other),
            named_by: None,
        })
        .collect()
}

fn kernel(a: &Report, b: &Report) -> Vec<Difference> {
    let page_size = |report: &Report| report.target.page_size.to_string();
    let pairs = [
        (
            TraitKind::Kernel,
            known(&a.target.kernel).map(str::to_owned),
            known(&b.target.kernel).map(str::to_owned),
        ),
        (
            TraitKind::KernelBuild,
            a.target.build.clone(),
            b.target.build.clone(),
        ),
        (
            TraitKind::Arch,
            known(&a.target.arch).map(str::to_owned),
            known(&b.target.arch).map(str::to_owned),
        ),
        (TraitKind::PageSize, Some(page_size(a)), Some(page_size(b))),
    ];
    let told = pairs
        .into_iter()
        .filter(|(_, a, b)| a.is_some() && b.is_some() && a != b);
    told.map(|(kind, a, b)| Difference {
        telling: Telling::Kernel,
        kind,
        name: String::new(),
        a,
        b,
        named_by: None,
    })
    .collect()
}

/// Blamed drivers and modules that both have: whether they are one build, with one
/// firmware.
fn shared(a: &Report, b: &Report, blamed: &Blamed) -> Vec<Shared> {
    let (of_a, of_b) = (modules::by_name(a), modules::by_name(b));
    let (in_a, in_b) = (devices(a), devices(b));
    let same_kernel = modules::same_kernel(a, b);
    let mut shared = Vec::new();
    for (name, by) in blamed {
        let name = name.as_str();
        let devices = in_a.get(name).zip(in_b.get(name));
        let is_driver = in_a.contains_key(name) || in_b.contains_key(name);
        let modules = of_a.get(name).zip(of_b.get(name));
        // A module without a device did nothing.
        if devices.is_none() && (is_driver || modules.is_none()) {
            continue;
        }
        let same_firmware = devices.and_then(|(a, b)| Some(versions(a)? == versions(b)?));
        shared.push(Shared {
            name: name.to_owned(),
            named_by: by.clone(),
            same_build: modules.and_then(|(a, b)| modules::same_build(a, b, same_kernel)),
            same_firmware,
        });
    }
    shared
}

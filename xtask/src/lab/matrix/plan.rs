//! Which guests are booted and how each is dumped, so that every kernel,
//! architecture, scenario and way of dumping meets every other at least once.

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::super::dump::Way;
use super::super::scenario::Scenario;
use super::super::target::{Arch, Flavour, Series, Target};

/// Kernels, oldest first.
const KERNELS: [Series; 4] = [Series::V5_10, Series::V6_1, Series::V6_12, Series::Sid];

/// Scenarios, largest guest last.
const SCENARIOS: [&str; 12] = [
    "frames", "bond", "lost", "held", "pool", "rings", "virtio", "iommu", "skb", "hwtable",
    "healthy", BUSY,
];

/// Scenarios whose guests are also looked at while they run: one that stands still, one
/// under traffic.
const LIVE: [&str; 2] = ["frames", "virtio"];

/// What must be called by its owner's name. All but one of its guests are of
/// x86_64, which has most sorts of owners.
const OWNERS: &str = "owners";

/// Virtual machines inside the guest: x86_64 only, and only what module BTF tells
/// (5.11) leads to their tables.
const KVM: &str = "kvm";

/// Control groups and NUMA nodes: a board of x86_64 only.
const GROUPS: &str = "groups";

/// An IOMMU's scalable mode: of x86_64, and on one kernel, which counts its tables.
const SCALABLE: &str = "scalable";

/// Too large for a copy of all its memory.
const BUSY: &str = "busy";

const PLAIN: &str = "qemu-kdump-zlib";
/// Ways for an x86_64 guest that crashes: makedumpfile runs once in the guest
/// and then here, which is the same program and faster.
const CRASH: [&str; 8] = [
    "qemu-elf",
    "vmcore-raw",
    "makedumpfile:-d 31 -l",
    "incomplete:16:-d 0 -c",
    "host-makedumpfile:-d 0 -c",
    "host-makedumpfile:-d 1 -l",
    "host-makedumpfile:-d 17 -l",
    "host-makedumpfile:-E -d 31",
];
/// The same for an aarch64 guest: this host's makedumpfile reads no other's
/// dumps.
const CRASH_INSIDE: [&str; 8] = [
    "qemu-elf",
    "vmcore-raw",
    "makedumpfile:-d 31 -l",
    "incomplete:16:-d 0 -c",
    "makedumpfile:-d 0 -c",
    "makedumpfile:-d 1 -l",
    "makedumpfile:-d 17 -l",
    "makedumpfile:-E -d 31",
];
/// makedumpfile has it since trixie.
const ZSTD: &str = "host-makedumpfile:-d 31 -z";
/// Where no makedumpfile reads the guest's memory: 52-bit addresses.
const COPY: [&str; 2] = ["qemu-elf", "vmcore-raw"];

/// Guests of aarch64 that crash; those of x86_64 follow a rule.
const AARCH64_CRASHES: [(Series, &str, &[&str]); 4] = [
    (Series::V6_1, "lost", &CRASH_INSIDE),
    (Series::V6_1, "skb", &CRASH_INSIDE),
    (Series::V6_12, "bond", &COPY),
    (Series::Sid, "frames", &COPY),
];

/// One guest and the ways in which it is dumped.
#[derive(Clone)]
pub(in super::super) struct Guest {
    pub(super) target: Target,
    pub(super) scenario: Scenario,
    pub(super) ways: Vec<Way>,
}

impl Guest {
    fn new(kernel: Series, arch: Arch, scenario: &str, ways: &[&str]) -> Result<Self> {
        Ok(Self {
            target: Target {
                kernel,
                arch,
                flavour: Flavour::Generic,
            },
            scenario: Scenario::named(scenario)?,
            ways: ways.iter().map(|way| way.parse()).collect::<Result<_>>()?,
        })
    }

    /// Name of the folder with its dumps: `6.1-x86_64-frames`.
    pub(super) fn name(&self) -> String {
        let (kernel, arch) = (name(&self.target.kernel), name(&self.target.arch));
        format!("{kernel}-{arch}-{}", self.scenario.name)
    }
}

/// A value's name on the command line.
pub(super) fn name(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The guests of a whole run: every kernel with every scenario, architectures in
/// turn, and of each scenario at least one guest that crashes.
pub(super) fn whole() -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for (row, scenario) in SCENARIOS.into_iter().enumerate() {
        for (column, kernel) in KERNELS.into_iter().enumerate() {
            let arch = match (row + column) % 2 {
                1 if possible(kernel, scenario) => Arch::Aarch64,
                _ => Arch::X86_64,
            };
            let crashes = column == row % 2 + row / 2 % 2 * 2;
            let mut ways = ways(kernel, arch, scenario, crashes);
            if LIVE.contains(&scenario) {
                if ways.contains(&"vmcore-raw") {
                    ways.extend(["report", "report:8"]);
                }
                ways.push("live");
            }
            guests.push(Guest::new(kernel, arch, scenario, &ways)?);
        }
    }
    for kernel in KERNELS {
        let arch = match kernel {
            Series::V6_12 => Arch::Aarch64,
            _ => Arch::X86_64,
        };
        let ways = ways(kernel, arch, OWNERS, kernel == Series::V6_1);
        guests.push(Guest::new(kernel, arch, OWNERS, &ways)?);
        if kernel != Series::V5_10 {
            guests.push(Guest::new(kernel, Arch::X86_64, KVM, &[PLAIN])?);
        }
        guests.push(Guest::new(kernel, Arch::X86_64, GROUPS, &[PLAIN])?);
    }
    guests.push(Guest::new(Series::V6_12, Arch::X86_64, SCALABLE, &[PLAIN])?);
    Ok(guests)
}

/// Whether a guest of aarch64 can be had: Debian's mirrors carry 5.10 for it no
/// more, and the emulated IOMMU is an Intel one.
fn possible(kernel: Series, scenario: &str) -> bool {
    kernel != Series::V5_10 && scenario != "iommu"
}

fn ways(kernel: Series, arch: Arch, scenario: &str, crashes: bool) -> Vec<&'static str> {
    if arch == Arch::Aarch64 {
        let crash = AARCH64_CRASHES
            .iter()
            .find(|(of, name, _)| *of == kernel && *name == scenario);
        return crash.map_or_else(|| vec![PLAIN], |(_, _, ways)| ways.to_vec());
    }
    match (crashes, scenario) {
        (false, _) => vec![PLAIN],
        (true, BUSY) => vec![PLAIN, "makedumpfile:-d 31 -l"],
        (true, _) => {
            let mut ways = CRASH.to_vec();
            if matches!(kernel, Series::V6_12 | Series::Sid) {
                ways.push(ZSTD);
            }
            ways
        }
    }
}

/// A few guests that show in minutes whether anything is badly wrong.
pub(super) fn subset() -> Result<Vec<Guest>> {
    [
        (
            Series::V6_1,
            "frames",
            [
                "qemu-elf",
                "makedumpfile:-d 31 -l",
                "host-makedumpfile:-d 0 -c",
                "vmcore-raw",
                "report:8",
            ]
            .as_slice(),
        ),
        (Series::V6_1, "lost", &[PLAIN]),
        (Series::V6_1, "held", &[PLAIN]),
        (Series::V6_12, "bond", &[PLAIN]),
    ]
    .into_iter()
    .map(|(kernel, scenario, ways)| Guest::new(kernel, Arch::X86_64, scenario, ways))
    .collect::<Result<_>>()
    .context("the subset")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// makedumpfile's arguments are what counts, not where it ran.
    fn way(way: &Way) -> String {
        match way {
            Way::Makedumpfile(args) | Way::HostMakedumpfile(args) => args.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_value_meets_every_other_that_it_can() {
        let mut met = BTreeSet::new();
        let mut values = [const { BTreeSet::new() }; 4];
        for guest in whole().unwrap() {
            // Answers of guests are no dumps of them.
            for one in guest
                .ways
                .iter()
                .filter(|way| way.is_comparable() || way.is_cut())
            {
                let row = [
                    name(&guest.target.kernel),
                    name(&guest.target.arch),
                    guest.scenario.name.to_owned(),
                    way(one),
                ];
                for (column, value) in row.iter().enumerate() {
                    values[column].insert(value.clone());
                    for other in &row[column + 1..] {
                        met.insert((value.clone(), other.clone()));
                    }
                }
            }
        }
        let mut missing = BTreeSet::new();
        for (column, ones) in values.iter().enumerate() {
            for others in &values[column + 1..] {
                for pair in ones
                    .iter()
                    .flat_map(|one| others.iter().map(move |other| (one, other)))
                {
                    let pair = (pair.0.clone(), pair.1.clone());
                    if !met.contains(&pair) {
                        missing.insert(pair);
                    }
                }
            }
        }
        missing.retain(|(one, other)| {
            let is = |value: &str| one == value || other == value;
            let both = |left, right| is(left) && is(right);
            // The reasons are beside the constants above.
            let impossible = both("5.10", "aarch64") || both("aarch64", "iommu");
            let zstd = is("-d 31 -z");
            !(impossible || is(BUSY) || is(KVM) || is(GROUPS) || is(SCALABLE) || zstd)
        });
        assert_eq!(missing, BTreeSet::new());
        assert!(values[3].contains("-d 31 -z"));
    }

    #[test]
    fn names_of_guests_differ() {
        let guests = whole().unwrap();
        let names: BTreeSet<String> = guests.iter().map(Guest::name).collect();
        assert_eq!(names.len(), guests.len());
        assert!(names.contains("6.1-x86_64-bond"));
        assert!(subset().unwrap().len() <= 4);
    }
}

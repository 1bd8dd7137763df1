//! What the machines differ by.

use crate::render::Detail;
use crate::render::number::{count, thousands};
use crate::render::page::{LABEL, Page};
use pagehound_compare::{Comparison, Difference, NamedBy, Telling, TraitKind, Which};
use pagehound_model::Report;
use std::collections::BTreeMap;
use std::io;

/// Modules that only one has, in the text, and drivers that one has instead.
const MODULES: usize = 12;
const DRIVERS: usize = 4;

pub(super) fn print(
    comparison: &Comparison,
    reports: &[Report; 2],
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    page.gap()?;
    if comparison.differences.is_empty() {
        page.line(LABEL, &same(reports))?;
        return shared(comparison, page);
    }
    let blamed = comparison
        .differences
        .iter()
        .any(|of| of.telling == Telling::Named);
    page.line(
        LABEL,
        if blamed {
            "What may explain it, the most telling first"
        } else {
            "What the machines differ by"
        },
    )?;
    // Modules that only one has are many, and say little: a line for each side.
    let is_module = |of: &&Difference| of.telling == Telling::Module;
    for of in comparison.differences.iter().filter(|of| !is_module(of)) {
        page.item(label(of.kind), &sentence(of, reports))?;
        if of.telling == Telling::Kernel && of.kind == TraitKind::Kernel {
            rebuilt(comparison, page)?;
        }
    }
    if !comparison
        .differences
        .iter()
        .any(|of| of.kind == TraitKind::Kernel)
    {
        rebuilt(comparison, page)?;
    }
    shared(comparison, page)?;
    let told = reports.iter().all(|of| of.target.kernel != "unknown");
    let mut differences = comparison.differences.iter();
    if told && !differences.any(|of| of.telling == Telling::Kernel) {
        page.item("Kernel", "the same build on both, as far as both tell it")?;
    }
    for (name, only) in [("A", Which::A), ("B", Which::B)] {
        let modules = comparison.differences.iter().filter(is_module);
        let modules: Vec<&str> = modules
            .filter(|of| match only {
                Which::A => of.a.is_some(),
                Which::B => of.b.is_some(),
            })
            .map(|of| of.name.as_str())
            .collect();
        let told = match detail {
            Detail::All => modules.len(),
            Detail::Usual => modules.len().min(MODULES),
        };
        let (told, rest) = modules.split_at(told);
        if !told.is_empty() {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" and {} more", thousands(more as u64)),
            };
            page.item(
                "Modules",
                &format!("only {name} has {}{more}", told.join(", ")),
            )?;
        }
    }
    Ok(())
}

/// What is the same of what both tell.
fn same(reports: &[Report; 2]) -> String {
    let both = |tells: fn(&Report) -> bool| reports.iter().all(tells);
    let told = [
        ("devices", both(|of| !of.netdevs.is_empty())),
        ("drivers", both(|of| !of.netdevs.is_empty())),
        ("modules", both(|of| !of.modules.is_empty())),
        ("kernel", both(|of| of.target.kernel != "unknown")),
    ];
    let told = told.iter().filter(|(_, told)| *told);
    let told: Vec<&str> = told.map(|(what, _)| *what).collect();
    match told.as_slice() {
        [] => "Of devices, modules and kernel nothing is told by both".to_owned(),
        [one] => format!("Of what the machines are both tell the {one} only, which is the same"),
        [most @ .., last] => format!(
            "The same, as far as both tell them: {} and {last}",
            most.join(", ")
        ),
    }
}

fn rebuilt(comparison: &Comparison, page: &mut Page) -> io::Result<()> {
    match comparison.rebuilt_modules {
        0 => Ok(()),
        modules => page.item(
            "",
            &format!(
                "and with it {} of its own tree, which both have",
                count(modules, "module")
            ),
        ),
    }
}

fn label(kind: TraitKind) -> &'static str {
    match kind {
        TraitKind::Driver => "Driver",
        TraitKind::Firmware => "Firmware",
        TraitKind::Kernel => "Kernel",
        TraitKind::KernelBuild => "Build",
        TraitKind::Arch => "Arch",
        TraitKind::PageSize => "Pages",
        TraitKind::Module
        | TraitKind::ModuleVersion
        | TraitKind::ModuleSource
        | TraitKind::ModuleTaints => "Module",
    }
}

/// `e1000 (em1, em2): only A has it, and A's finding 1 names it; B has virtio_net (em1)`.
fn sentence(of: &Difference, reports: &[Report; 2]) -> String {
    let named = of.named_by.as_ref().map(by);
    let subject = if of.name.is_empty() {
        String::new()
    } else {
        format!("{}: ", of.name)
    };
    let or_nothing = |text: &str| match text {
        "" => "does not tell its build".to_owned(),
        text => text.to_owned(),
    };
    let fact = match (&of.a, &of.b) {
        (Some(a), Some(b)) => format!("{subject}A {}, B {}", or_nothing(a), or_nothing(b)),
        (a, b) => {
            let (which, other, has) = match (a, b) {
                (Some(has), _) => ("A", Which::B, has.as_str()),
                (None, has) => ("B", Which::A, has.as_deref().unwrap_or_default()),
            };
            let has = match of.kind {
                TraitKind::Driver => format!("{} ({has})", of.name),
                _ => of.name.clone(),
            };
            let instead = match of.kind {
                TraitKind::Driver => instead(other, reports),
                _ => String::new(),
            };
            let named = named.as_ref().map(|by| format!(", and {by} it"));
            return format!(
                "{has}: only {which} has it{}{instead}",
                named.unwrap_or_default()
            );
        }
    };
    match named {
        Some(by) => format!("{fact}; {by} it"),
        None => fact,
    }
}

/// What the other host has in its place.
fn instead(other: Which, reports: &[Report; 2]) -> String {
    let [a, b] = reports;
    let (name, report) = match other {
        Which::A => ("A", a),
        Which::B => ("B", b),
    };
    let devices = report.netdevs.iter();
    let mut drivers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (driver, device) in devices.filter_map(|of| Some((of.driver.as_deref()?, &of.name))) {
        drivers.entry(driver).or_default().push(device);
    }
    if drivers.is_empty() {
        return String::new();
    }
    let told: Vec<String> = drivers
        .iter()
        .take(DRIVERS)
        .map(|(driver, devices)| format!("{driver} ({})", devices.join(", ")))
        .collect();
    let more = if drivers.len() > told.len() {
        " and others"
    } else {
        ""
    };
    format!("; {name} has {}{more}", told.join(", "))
}

/// `A's findings 1 and 2 name`.
fn by(named: &NamedBy) -> String {
    let whose = match named.of {
        Which::A => "A",
        Which::B => "B",
    };
    let numbers: Vec<String> = named.findings.iter().map(u32::to_string).collect();
    match numbers.as_slice() {
        [one] => format!("{whose}'s finding {one} names"),
        [most @ .., last] => {
            format!("{whose}'s findings {} and {last} name", most.join(", "))
        }
        [] => format!("{whose}'s findings name"),
    }
}

/// Blamed drivers that are on both, unless their difference is told above.
fn shared(comparison: &Comparison, page: &mut Page) -> io::Result<()> {
    for of in &comparison.shared {
        let told = comparison
            .differences
            .iter()
            .any(|told| told.name == of.name);
        if told {
            continue;
        }
        let build = match of.same_build {
            Some(true) => "the same build",
            Some(false) => "another build",
            None => "which build is not told",
        };
        let firmware = match of.same_firmware {
            Some(true) => ", the same firmware",
            Some(false) => ", other firmware",
            None => "",
        };
        let so = if of.same_build == Some(true) && of.same_firmware != Some(false) {
            ": it alone does not explain the loss"
        } else {
            ""
        };
        page.item(
            "On both",
            &format!(
                "{} ({build}{firmware}), which {} {so}",
                of.name,
                by(&of.named_by)
            )
            .replace(" :", ":"),
        )?;
    }
    Ok(())
}

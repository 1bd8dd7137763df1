//! Builds of modules.

use super::result::{Difference, Telling};
use crate::profile::has_build;
use crate::traits::TraitKind;
use pagehound_model::{Module, Report};
use std::collections::BTreeMap;

/// The taint of a module that is not of the kernel's tree.
const OUT_OF_TREE: char = 'O';

pub(super) fn by_name(report: &Report) -> BTreeMap<&str, &Module> {
    let modules = report.modules.iter();
    modules
        .map(|module| (module.name.as_str(), module))
        .collect()
}

/// Whether both run the same build of the kernel.
pub(super) fn same_kernel(a: &Report, b: &Report) -> bool {
    a.target.kernel == b.target.kernel && a.target.build == b.target.build
}

/// Whether both builds of a module are one, by the strongest they have in common:
/// `srcversion` is a sum over the source, so it is the same where only the kernel
/// around it was built anew.
pub(super) fn same_build(a: &Module, b: &Module, same_kernel: bool) -> Option<bool> {
    let equal = |a: &Option<String>, b: &Option<String>| Some(a.as_ref()? == b.as_ref()?);
    if a.taints != b.taints {
        return Some(false);
    }
    let source = equal(&a.srcversion, &b.srcversion);
    let build = equal(&a.build_id, &b.build_id);
    let version = equal(&a.version, &b.version);
    match (source, build) {
        (Some(same), _) => Some(same),
        // Another kernel has other build ids throughout.
        (None, Some(same)) if same || same_kernel => Some(same),
        _ if version == Some(false) => Some(false),
        _ if same_kernel && !is_out_of_tree(a) => Some(true),
        _ => None,
    }
}

fn is_out_of_tree(module: &Module) -> bool {
    module.taints.contains(OUT_OF_TREE)
}

/// Whether a difference of this module is one of the kernels, and told with them.
fn goes_with_kernel(a: &Module, b: &Module, same_kernel: bool) -> bool {
    !same_kernel && !is_out_of_tree(a) && !is_out_of_tree(b)
}

/// Which build this is, in a word; empty where it is not told.
pub(super) fn build(module: &Module) -> String {
    let parts = [
        ("version ", &module.version),
        ("srcversion ", &module.srcversion),
        ("build id ", &module.build_id),
    ];
    let parts = parts.iter().filter_map(|(what, value)| {
        let value = value.as_deref()?;
        Some(format!("{what}{value}"))
    });
    let mut parts: Vec<String> = parts.collect();
    if !module.taints.is_empty() {
        parts.push(format!("taints {}", module.taints));
    }
    parts.join(", ")
}

/// Modules that only one has, and other builds of those that both have. What differs
/// with the kernel is left to [`rebuilt`], unless `is_blamed`.
pub(super) fn differences(
    a: &Report,
    b: &Report,
    is_blamed: impl Fn(&str) -> bool,
) -> Vec<Difference> {
    let (in_a, in_b) = (by_name(a), by_name(b));
    if in_a.is_empty() || in_b.is_empty() {
        return Vec::new();
    }
    let same_kernel = same_kernel(a, b);
    let loaded = |module: &Module| match build(module) {
        text if text.is_empty() => "loaded".to_owned(),
        text => text,
    };
    let mut found = Vec::new();
    for (name, one) in &in_a {
        let Some(other) = in_b.get(name) else {
            found.push(of_module(name, Some(loaded(one)), None));
            continue;
        };
        let told = is_blamed(name) || !goes_with_kernel(one, other, same_kernel);
        if told && differs(one, other) {
            found.push(of_module(name, Some(build(one)), Some(build(other))));
        }
    }
    for (name, other) in &in_b {
        if !in_a.contains_key(name) {
            found.push(of_module(name, None, Some(loaded(other))));
        }
    }
    found
}

fn of_module(name: &str, a: Option<String>, b: Option<String>) -> Difference {
    let both = a.is_some() && b.is_some();
    Difference {
        telling: if both {
            Telling::Build
        } else {
            Telling::Module
        },
        kind: TraitKind::Module,
        name: name.to_owned(),
        a,
        b,
        named_by: None,
    }
}

/// Whether something of the build differs that both tell. Of a module that says
/// nothing of its build but for its taints nothing more is known.
fn differs(a: &Module, b: &Module) -> bool {
    let told = has_build(a) && has_build(b);
    let builds = [
        (&a.version, &b.version),
        (&a.srcversion, &b.srcversion),
        (&a.build_id, &b.build_id),
    ];
    // Where one of them has no version it was built another way.
    let other_build = told && builds.iter().any(|(a, b)| a != b);
    other_build || a.taints != b.taints
}

/// Modules of the kernel's tree that are other builds because the kernel is one.
pub(super) fn rebuilt(a: &Report, b: &Report) -> u64 {
    let (in_a, in_b) = (by_name(a), by_name(b));
    let same_kernel = same_kernel(a, b);
    let both = in_a
        .iter()
        .filter_map(|(name, one)| Some((one, in_b.get(name)?)));
    let with_kernel = both
        .filter(|(one, other)| goes_with_kernel(one, other, same_kernel) && differs(one, other));
    with_kernel.count() as u64
}

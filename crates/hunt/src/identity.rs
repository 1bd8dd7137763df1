//! Which very modules a finding names: a leak is in one build of a driver, and fixed
//! in the next.

use std::collections::BTreeSet;

use pagehound_kernel::Kernel;
use pagehound_model::{Finding, Module, Owner};

/// Letters of the taints a module can have, by bit
/// (`Documentation/admin-guide/tainted-kernels.rst`).
const TAINTS: [(u32, char); 10] = [
    (0, 'P'),
    (1, 'F'),
    (10, 'C'),
    (12, 'O'),
    (13, 'E'),
    (15, 'K'),
    (16, 'X'),
    (17, 'T'),
    (18, 'N'),
    (19, 'J'),
];

/// The loaded modules, by name.
pub(crate) fn loaded(kernel: &Kernel<'_>) -> Vec<Module> {
    let loaded = kernel.modules().unwrap_or_default();
    let mut modules: Vec<Module> = loaded
        .iter()
        .map(|module| Module {
            name: module.name.clone(),
            version: module.version.clone(),
            srcversion: module.srcversion.clone(),
            build_id: kernel.module_build_id(module).map(|id| id.to_string()),
            taints: letters(module.taints),
        })
        .collect();
    modules.sort_by(|one, other| one.name.cmp(&other.name));
    modules
}

/// Adds to each finding those of the loaded modules that it names.
pub(crate) fn name_modules(loaded: &[Module], findings: &mut [Finding]) {
    for finding in findings {
        let names = named(finding);
        let named = loaded.iter().filter(|module| names.contains(&module.name));
        finding.modules = named.cloned().collect();
    }
}

/// The modules that a finding names: of devices, of holders, and of the functions that
/// allocated the pages.
pub(crate) fn named(finding: &Finding) -> BTreeSet<String> {
    let holders = finding.holders.iter();
    let allocators = finding.allocators.iter();
    let others = holders
        .map(|holder| &holder.module)
        .chain(allocators.map(|allocator| &allocator.module));
    let owners = finding.owners.iter().filter_map(module);
    owners.chain(others.flatten().cloned()).collect()
}

/// The module that an owner's device belongs to, or the name of its driver where
/// modules cannot be read. The driver of a module bears its name or one that differs
/// in `-` for `_`, as file names do.
fn module(owner: &Owner) -> Option<String> {
    let driver = || Some(owner.driver.as_ref()?.replace('-', "_"));
    owner.module.clone().or_else(driver)
}

fn letters(taints: u64) -> String {
    let set = TAINTS.iter().filter(|(bit, _)| taints >> bit & 1 == 1);
    set.map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn taints_are_told_as_proc_modules_does() {
        assert_eq!(letters(0), "");
        assert_eq!(letters(1 << 12 | 1 << 13), "OE");
        assert_eq!(letters(1), "P");
    }
}

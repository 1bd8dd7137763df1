//! Which very modules a finding names: a leak is in one build of a driver, and fixed
//! in the next.

use std::collections::{BTreeMap, BTreeSet};

use pagehound_kernel::Kernel;
use pagehound_model::{Finding, Module};

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

/// Adds to each finding the loaded modules that its owners and holders name.
pub(crate) fn name_modules(kernel: &Kernel<'_>, findings: &mut [Finding]) {
    let loaded = kernel.modules().unwrap_or_default();
    let mut known: BTreeMap<&str, Module> = BTreeMap::new();
    for finding in findings {
        let owners = finding.owners.iter().map(|owner| owner.module.as_deref());
        let holders = finding
            .holders
            .iter()
            .map(|holder| holder.module.as_deref());
        let names: BTreeSet<&str> = owners.chain(holders).flatten().collect();
        let modules = names.into_iter().filter_map(|name| {
            let module = loaded.iter().find(|module| module.name == name)?;
            let identity = known.entry(&module.name).or_insert_with(|| Module {
                name: module.name.clone(),
                version: module.version.clone(),
                srcversion: module.srcversion.clone(),
                build_id: kernel.module_build_id(module),
                taints: letters(module.taints),
            });
            Some(identity.clone())
        });
        finding.modules = modules.collect();
    }
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

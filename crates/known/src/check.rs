//! Which of the leaks a host can have: by its kernel and its loaded modules.

use std::collections::BTreeSet;

use crate::{Kernel, Leak, all};

/// A leak that a host can have.
#[derive(Clone, Copy, Debug)]
pub struct Affected {
    /// The leak.
    pub leak: &'static Leak,
    /// The loaded module that has it; none where the code is always built in.
    pub module: Option<&'static str>,
}

/// The leaks of a kernel with these modules loaded, in the order of the list, without
/// those that lose nothing. Of a vendor's kernel, what his modules had when the fix came
/// to mainline after his kernel began: only his changelog tells which he has taken. Names
/// are compared as `/proc/modules` has them.
pub fn affected(kernel: Kernel, loaded: &BTreeSet<&str>) -> Vec<Affected> {
    let is_in = |leak: &&Leak| match kernel {
        Kernel::Stable(version) => leak.is_in(version),
        Kernel::Vendor { base, .. } => !leak.modules.is_empty() && leak.may_be_in(base),
        Kernel::Unknown => false,
    };
    let lost = all().iter().filter(|leak| leak.not_lost.is_none());
    let affected = lost.filter(is_in).filter_map(|leak| {
        let mut modules = leak.modules.iter().map(String::as_str);
        let module = modules.find(|of| loaded.contains(of));
        let has_it = module.is_some() || leak.modules.is_empty();
        has_it.then_some(Affected { leak, module })
    });
    affected.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixes(release: &str, loaded: &[&str]) -> Vec<(&'static str, Option<&'static str>)> {
        let loaded = loaded.iter().copied().collect();
        let affected = affected(Kernel::of(release, ""), &loaded).into_iter();
        affected
            .map(|one| (one.leak.fix.as_str(), one.module))
            .collect()
    }

    #[test]
    fn the_version_and_the_loaded_modules_decide() {
        let i40e = ("2b9478ffc550", Some("i40e"));
        assert!(fixes("4.13.9", &["i40e", "ice"]).contains(&i40e));
        assert!(!fixes("4.14.1", &["i40e"]).contains(&i40e));
        assert!(!fixes("4.13.9", &["ice"]).contains(&i40e));
        // In the kernel itself, whatever is loaded: 314001f0bf92 came with 5.15.
        assert!(fixes("5.15.3", &[]).contains(&("7a62ed61367b", None)));
        assert!(!fixes("5.14.3", &[]).contains(&("7a62ed61367b", None)));
    }

    #[test]
    fn of_a_vendor_s_kernel_all_that_its_modules_once_had() {
        let both = [
            ("2b9478ffc550", Some("i40e")),
            ("aae425efdfd1", Some("i40e")),
        ];
        assert_eq!(fixes("3.10.0-862.el7.x86_64", &["i40e"]), both);
        // It began as 4.18, which has what 4.14 has.
        assert_eq!(fixes("4.18.0-147.el8.x86_64", &["i40e"]), both[1..]);
        assert_eq!(fixes("next", &["i40e"]), []);
    }
}

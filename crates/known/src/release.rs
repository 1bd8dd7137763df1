//! Whose kernel a release is, and which mainline or stable release it is made of.

use crate::Version;

/// A kernel by what it says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// A release of mainline or of a stable branch, with few patches besides: its
    /// version tells which fixes it has.
    Stable(Version),
    /// A vendor's, who takes fixes as he sees fit: only his changelog tells.
    Vendor {
        /// Who that is.
        name: &'static str,
        /// The mainline release that it began as, all of whose fixes it has.
        base: Option<Version>,
    },
    /// Nothing that is known of tells.
    Unknown,
}

/// Vendors by what their releases (`uname -r`) have in them.
const VENDORS: [(&str, &str); 30] = [
    // Before its own `.el8`.
    ("uek", "Oracle"),
    (".el6", "Red Hat Enterprise Linux or a rebuild"),
    (".el7", "Red Hat Enterprise Linux or a rebuild"),
    (".el8", "Red Hat Enterprise Linux or a rebuild"),
    (".el9", "Red Hat Enterprise Linux or a rebuild"),
    (".el10", "Red Hat Enterprise Linux or a rebuild"),
    (".amzn", "Amazon"),
    ("-generic", "Ubuntu"),
    ("-lowlatency", "Ubuntu"),
    ("-aws", "Ubuntu"),
    ("-azure", "Ubuntu"),
    ("-gcp", "Ubuntu"),
    ("-oracle", "Ubuntu"),
    ("-oem", "Ubuntu"),
    ("-nvidia", "Ubuntu"),
    ("-raspi", "Ubuntu"),
    ("-gke", "Ubuntu"),
    ("-fips", "Ubuntu"),
    ("-pve", "Proxmox"),
    (".oe1", "openEuler"),
    (".oe2", "openEuler"),
    (".ky10", "Kylin"),
    (".hce", "Huawei"),
    (".al7", "Alibaba"),
    (".al8", "Alibaba"),
    (".an8", "Anolis"),
    (".tl3", "Tencent"),
    (".vz", "Virtuozzo"),
    ("-android", "Android"),
    ("-default", "SUSE"),
];

/// What releases of distributions end with that follow the stable branches closely.
const CLOSE: [&str; 5] = ["-arch", "-lts", "-zen", "-gentoo", ".fc"];

impl Kernel {
    /// What `release` (`uname -r`) and `banner` (`/proc/version`, or `uname -v`) say.
    ///
    /// Debian's release has the number of its ABI where the stable release would be
    /// (`6.1.0-56-amd64`); the banner has the version of the package (`Debian
    /// 6.1.192-2`), which begins with it. What nobody is known for counts as a vendor's:
    /// whoever builds kernels of his own takes what fixes he likes.
    pub fn of(release: &str, banner: &str) -> Kernel {
        let base = leading(release).map(|(version, _)| Version {
            patch: 0,
            ..version
        });
        let vendor = |name| Kernel::Vendor { name, base };
        if let Some((_, package)) = banner.split_once(" Debian ") {
            return match leading(package) {
                Some((_, rest)) if rest.starts_with("~rc") => Kernel::Unknown,
                Some((version, _)) => Kernel::Stable(version),
                None => vendor("Debian"),
            };
        }
        if banner.contains("SUSE Linux") {
            return vendor("SUSE");
        }
        if banner.contains("Ubuntu") {
            return vendor("Ubuntu");
        }
        // The number of Debian's ABI without the banner that would say more.
        if release.ends_with("-amd64") || release.ends_with("-arm64") {
            return vendor("Debian");
        }
        let known = VENDORS.iter().find(|(part, _)| release.contains(part));
        if let Some((_, name)) = known {
            return vendor(name);
        }
        let Some((version, rest)) = leading(release) else {
            return Kernel::Unknown;
        };
        // A candidate has some of what the release will have.
        if rest.contains("-rc") || rest.contains("-0.rc") {
            return Kernel::Unknown;
        }
        let close = rest.is_empty() || CLOSE.iter().any(|part| rest.contains(part));
        match close {
            true => Kernel::Stable(version),
            false => vendor("whoever built it"),
        }
    }
}

/// The version that a text begins with, and what follows: `6.10.3` of `6.10.3-arch1-1`.
fn leading(text: &str) -> Option<(Version, &str)> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit());
    let (numbers, rest) = text.split_at(end.unwrap_or(text.len()));
    let version = numbers.trim_end_matches('.').parse().ok()?;
    Some((version, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

    use super::*;

    fn stable(version: &str) -> Kernel {
        Kernel::Stable(version.parse().unwrap())
    }

    fn vendor_of(kernel: Kernel) -> Option<&'static str> {
        match kernel {
            Kernel::Vendor { name, .. } => Some(name),
            Kernel::Stable(_) | Kernel::Unknown => None,
        }
    }

    #[test]
    fn debian_s_package_has_the_stable_release() {
        let banner = "Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12 \
                      (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) \
                      #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-09-27)";
        assert_eq!(Kernel::of("6.1.0-56-amd64", banner), stable("6.1.192"));
        let alone = Kernel::of("6.1.0-56-amd64", "");
        assert_eq!(vendor_of(alone), Some("Debian"));
        let candidate = Kernel::of("6.12-amd64", "#1 SMP Debian 6.12~rc6-1~exp1 (2024-11-10)");
        assert_eq!(candidate, Kernel::Unknown);
    }

    #[test]
    fn who_takes_fixes_as_he_sees_fit_is_a_vendor() {
        for (release, vendor) in [
            (
                "4.18.0-147.el8.x86_64",
                "Red Hat Enterprise Linux or a rebuild",
            ),
            ("4.1.12-124.21.1.el7uek.x86_64", "Oracle"),
            ("5.15.0-91-generic", "Ubuntu"),
            ("5.14.21-150500.55.36-default", "SUSE"),
            ("6.1.61-85.141.amzn2023.x86_64", "Amazon"),
            ("5.10.0-136.12.0.86.oe2203sp1.x86_64", "openEuler"),
            ("5.10.134-16.3.an8.x86_64", "Anolis"),
            ("5.15.41-android13-8-00055-g4f5025129fe8", "Android"),
            ("6.8.0-1009-oracle", "Ubuntu"),
            ("6.8.12-4-pve", "Proxmox"),
            ("4.19.91-27.al7.x86_64", "Alibaba"),
            ("4.19.90-52.22.v2207.ky10.x86_64", "Kylin"),
            ("4.19.0+1", "whoever built it"),
            ("6.6.30-acme", "whoever built it"),
            (
                "5.14.0-427.13.1.el9_4.x86_64",
                "Red Hat Enterprise Linux or a rebuild",
            ),
        ] {
            assert_eq!(
                vendor_of(Kernel::of(release, "")),
                Some(vendor),
                "{release}"
            );
        }
    }

    #[test]
    fn others_say_it_themselves() {
        assert_eq!(Kernel::of("4.13.9", ""), stable("4.13.9"));
        assert_eq!(Kernel::of("6.10.3-arch1-1", ""), stable("6.10.3"));
        assert_eq!(Kernel::of("6.8.9-300.fc40.x86_64", ""), stable("6.8.9"));
        assert_eq!(Kernel::of("4.14.0", ""), stable("4.14"));
        assert_eq!(Kernel::of("6.6.30-1-lts", ""), stable("6.6.30"));
        assert_eq!(Kernel::of("6.12.0-rc3", ""), Kernel::Unknown);
        let fedora = Kernel::of("6.12.0-0.rc3.20241017git6efbea77b390.31.fc42.x86_64", "");
        assert_eq!(fedora, Kernel::Unknown);
        assert_eq!(Kernel::of("next", ""), Kernel::Unknown);
    }
}

//! Which package has the vmlinux with debug information of a kernel.

/// A name to install, as far as a release tells whose kernel it is; safe to print if
/// the release is.
pub(crate) fn debug_package(release: &str) -> String {
    let has = |part: &str| release.contains(part);
    let flavours = ["-amd64", "-arm64", "-686", "+deb"];
    if [".el", ".fc", ".amzn"].into_iter().any(has) {
        format!("kernel-debuginfo-{release}")
    } else if ["-generic", "-lowlatency", "-aws", "-azure", "-gcp"]
        .into_iter()
        .any(has)
    {
        format!("linux-image-{release}-dbgsym")
    } else if flavours.into_iter().any(has) {
        format!("linux-image-{release}-dbg")
    } else if has("-default") {
        format!("kernel-default-debuginfo of {release}")
    } else {
        format!("the debug information of {release} (linux-image-…-dbg, kernel-debuginfo)")
    }
}

#[cfg(test)]
mod tests {
    use super::debug_package;

    #[test]
    fn packages_as_distributions_name_them() {
        for (release, package) in [
            (
                "6.1.0-56-cloud-amd64",
                "linux-image-6.1.0-56-cloud-amd64-dbg",
            ),
            (
                "3.10.0-862.el7.x86_64",
                "kernel-debuginfo-3.10.0-862.el7.x86_64",
            ),
            ("5.4.0-216-generic", "linux-image-5.4.0-216-generic-dbgsym"),
            (
                "4.12.14-122.234-default",
                "kernel-default-debuginfo of 4.12.14-122.234-default",
            ),
        ] {
            assert_eq!(debug_package(release), package);
        }
        assert!(debug_package("5.4.1").contains("5.4.1"));
    }
}

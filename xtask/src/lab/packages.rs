//! A kernel's Debian packages, unpacked into the cache, never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use super::target::Target;
use super::tools::Tools;
use super::{cache, source};

/// A kernel's packages, unpacked over each other into one tree.
pub(super) struct Unpacked {
    /// Root of the tree: `boot`, `usr/src`, `usr/lib` and so on are below it.
    pub(super) root: PathBuf,
    /// Kernel release as `uname -r` prints it.
    pub(super) release: String,
    /// Cache folder of this version, parent of the tree.
    pub(super) dir: PathBuf,
    /// The compiler the kernel was made with.
    pub(super) tools: Tools,
    /// What make(1) is told besides, for a module.
    pub(super) make: Vec<String>,
}

/// Unpacks the newest kernel of the target's series that the mirror still has, or
/// builds it where it is one of the lab's own.
///
/// # Errors
/// When apt's lists hold no such kernel, or none of them can be downloaded.
pub(super) fn newest(target: &Target) -> Result<Unpacked> {
    if let Some(configuration) = target.kernel.configuration() {
        return source::prepare(target, configuration);
    }
    let suite = target.kernel.suite();
    let apt = Apt::open(suite, target.arch.debian())?;
    let mut failure = None;
    for release in releases(target, &apt.names("linux-image-")?) {
        match unpack(target, &apt, &release) {
            Ok(unpacked) => return Ok(unpacked),
            Err(error) => {
                eprintln!("lab: {release}: {error:#}; trying the next older one");
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error.context("no kernel of the list could be unpacked")),
        None => bail!(
            "{suite} has no linux-image-{}*{}",
            target.kernel.version_prefix(),
            target.suffix(),
        ),
    }
}

/// Kernel releases of the target among the packages called `names`, newest
/// first.
fn releases(target: &Target, names: &[String]) -> Vec<String> {
    let suffix = target.suffix();
    let mut versions: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("linux-image-"))
        .map(|name| name.strip_suffix("-unsigned").unwrap_or(name))
        .filter_map(|release| release.strip_suffix(&suffix))
        .filter(|version| version.starts_with(target.kernel.version_prefix()) && is_plain(version))
        .collect();
    versions.sort_unstable_by_key(|version| std::cmp::Reverse(numbers(version)));
    versions.dedup();
    versions
        .into_iter()
        .map(|version| format!("{version}{suffix}"))
        .collect()
}

/// False for the metapackage and for versions with a flavour in their name.
fn is_plain(version: &str) -> bool {
    version.starts_with(|first: char| first.is_ascii_digit())
        && version.split(['.', '-', '+', '~']).all(|part| {
            let digits = part
                .strip_prefix("deb")
                .or_else(|| part.strip_prefix("bpo"))
                .unwrap_or(part);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|next: char| !next.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

fn unpack(target: &Target, apt: &Apt, release: &str) -> Result<Unpacked> {
    let mut image = format!("linux-image-{release}");
    // Both hold the same kernel; the signed one comes a little later.
    let version = apt.version(&image).or_else(|_| {
        image.push_str("-unsigned");
        apt.version(&image)
    })?;
    let dir = cache::root()?.join(format!("kernels/{release}_{version}"));
    let root = dir.join("root");
    let headers = format!("linux-headers-{release}");
    let needs = apt.depends(&headers)?;
    let kbuild = needs
        .iter()
        .find(|name| name.starts_with("linux-kbuild-"))
        .with_context(|| format!("{headers} needs no linux-kbuild"))?;
    let tools = Tools::prepare(target, &compiler(&needs)?, kbuild)?;
    let complete = dir.join("unpacked");
    if !complete.exists() {
        // The build programs run here, not in the guest.
        Tools::apt(target)?.unpack(std::slice::from_ref(kbuild), &root)?;
        tools.adopt(&root.join("usr/lib").join(kbuild))?;
        let mut packages = vec![headers];
        packages.extend(
            needs
                .into_iter()
                .filter(|name| name.starts_with("linux-headers-")),
        );
        // Since 7.x the image package only names those that hold it.
        let parts = ["linux-base-", "linux-binary-", "linux-modules-"];
        packages.extend(
            apt.depends(&image)?
                .into_iter()
                .filter(|name| parts.iter().any(|part| name.starts_with(part))),
        );
        packages.push(image);
        apt.unpack(&packages, &root)?;
        rebase_headers(&root, release)?;
        fs::write(&complete, []).context("cannot mark the packages as unpacked")?;
    }
    Ok(Unpacked {
        root,
        release: release.to_owned(),
        dir,
        tools,
        make: Vec::new(),
    })
}

/// `gcc-N` out of names such as `linux-compiler-gcc-10-x86`, `gcc-12` and
/// `gcc-16-for-host`.
pub(super) fn compiler(needs: &[String]) -> Result<String> {
    needs
        .iter()
        .find_map(|name| {
            let (_, version) = name.split_once("gcc-")?;
            let digits = version.split('-').next()?;
            digits
                .parse::<u32>()
                .ok()
                .map(|number| format!("gcc-{number}"))
        })
        .context("the kernel's headers name no compiler")
}

/// The flavour's headers include the common ones by absolute path; point them
/// into the tree, so that nothing has to be linked under `/usr`.
fn rebase_headers(root: &Path, release: &str) -> Result<()> {
    let makefile = root.join(format!("usr/src/linux-headers-{release}/Makefile"));
    let text = fs::read_to_string(&makefile)
        .with_context(|| format!("cannot read {}", makefile.display()))?;
    let text = text.replace("/usr/src/", &format!("{}/usr/src/", root.display()));
    fs::write(&makefile, text).with_context(|| format!("cannot write {}", makefile.display()))
}

#[cfg(test)]
mod tests {
    use super::super::target::{Flavour, Series, Target};
    use super::*;

    fn target(kernel: Series, flavour: Flavour) -> Target {
        Target {
            kernel,
            flavour,
            ..Target::USUAL
        }
    }

    #[test]
    fn releases_are_of_the_series_and_flavour_newest_first() {
        let names: Vec<String> = [
            "linux-image-6.12.107+deb13-amd64-unsigned",
            "linux-image-6.12.94+deb13-amd64",
            "linux-image-6.12.115+deb13.1-amd64",
            "linux-image-6.12.115+deb13.1-amd64-unsigned",
            "linux-image-6.12.115+deb13-amd64",
            "linux-image-6.12.115+deb13-cloud-amd64",
            "linux-image-6.12.115+deb13-rt-amd64",
            "linux-image-6.12.115+deb13-amd64-dbg",
            "linux-image-6.1.0-56-amd64",
            "linux-image-amd64",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(
            releases(&target(Series::V6_12, Flavour::Generic), &names),
            [
                "6.12.115+deb13.1-amd64",
                "6.12.115+deb13-amd64",
                "6.12.107+deb13-amd64",
                "6.12.94+deb13-amd64",
            ]
        );
        assert_eq!(
            releases(&target(Series::Sid, Flavour::Cloud), &names),
            ["6.12.115+deb13-cloud-amd64"]
        );
        assert_eq!(
            releases(&target(Series::V6_1, Flavour::Generic), &names),
            ["6.1.0-56-amd64"]
        );
    }

    #[test]
    fn compiler_is_found_in_every_form_of_the_dependency() {
        for (name, expected) in [
            ("linux-compiler-gcc-10-x86", "gcc-10"),
            ("gcc-12", "gcc-12"),
            ("gcc-16-for-host", "gcc-16"),
        ] {
            let needs = ["linux-kbuild-6.1".to_owned(), name.to_owned()];
            assert_eq!(compiler(&needs).unwrap(), expected);
        }
    }
}

//! Debian packages: found in apt's lists, downloaded and unpacked into the
//! cache, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{cache, process};

/// The kernel series whose newest build the lab boots.
const SERIES: &str = "6.1";
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
const UNPACK_LIMIT: Duration = Duration::from_secs(120);

/// A kernel's packages, unpacked over each other into one tree.
pub(super) struct Unpacked {
    /// Root of the tree: `boot`, `lib/modules`, `usr/src`, `usr/lib` are below it.
    pub(super) root: PathBuf,
    /// Kernel release as `uname -r` prints it.
    pub(super) release: String,
    /// Cache folder of this version, parent of the tree.
    pub(super) dir: PathBuf,
}

/// Unpacks the newest kernel of the series that the mirror still has.
///
/// # Errors
/// When apt's lists hold no such kernel, or none of them can be downloaded.
pub(super) fn newest() -> Result<Unpacked> {
    let mut failure = None;
    for release in releases()? {
        match unpack(&release) {
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
            "apt knows no linux-image-{SERIES}.0-*-amd64-unsigned: \
             add Debian bookworm and bookworm-security to apt's sources and run `apt-get update`"
        ),
    }
}

/// Kernel releases of the series in apt's lists, newest first.
fn releases() -> Result<Vec<String>> {
    let prefix = format!("linux-image-{SERIES}.0-");
    let names = process::output(Command::new("apt-cache").arg("pkgnames").arg(&prefix))?;
    let mut builds: Vec<u32> = names
        .lines()
        .filter_map(|name| name.strip_prefix(&prefix)?.strip_suffix("-amd64-unsigned"))
        .filter_map(|build| build.parse().ok())
        .collect();
    builds.sort_unstable_by(|a, b| b.cmp(a));
    Ok(builds
        .into_iter()
        .map(|build| format!("{SERIES}.0-{build}-amd64"))
        .collect())
}

fn unpack(release: &str) -> Result<Unpacked> {
    let image = format!("linux-image-{release}-unsigned");
    let version = candidate(&image)?;
    let dir = cache::root()?.join(format!("{release}_{version}"));
    let root = dir.join("root");
    let complete = dir.join("unpacked");
    if !complete.exists() {
        let debs = dir.join("debs");
        cache::create(&debs)?;
        cache::create(&root)?;
        let common = release.trim_end_matches("-amd64");
        let names = [
            image,
            format!("linux-headers-{release}"),
            format!("linux-headers-{common}-common"),
            format!("linux-kbuild-{SERIES}"),
            "busybox-static".to_owned(),
        ];
        process::run(
            Command::new("apt-get")
                .arg("download")
                .args(&names)
                .current_dir(&debs),
            &dir.join("download.log"),
            DOWNLOAD_LIMIT,
        )?;
        unpack_all(&debs, &root, &dir.join("unpack.log"))?;
        rebase_headers(&root, release)?;
        fs::remove_dir_all(&debs).context("cannot remove the unpacked packages")?;
        fs::write(&complete, []).context("cannot mark the packages as unpacked")?;
    }
    Ok(Unpacked {
        root,
        release: release.to_owned(),
        dir,
    })
}

/// The version that `apt-get download` would fetch.
fn candidate(package: &str) -> Result<String> {
    let shown = process::output(
        Command::new("apt-cache")
            .args(["show", "--no-all-versions"])
            .arg(package),
    )?;
    shown
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .map(str::to_owned)
        .with_context(|| format!("apt-cache shows no version of {package}"))
}

fn unpack_all(debs: &Path, root: &Path, log: &Path) -> Result<()> {
    for entry in fs::read_dir(debs).context("cannot list the downloaded packages")? {
        let path = entry.context("cannot list the downloaded packages")?.path();
        process::run(
            Command::new("dpkg").arg("-x").arg(&path).arg(root),
            log,
            UNPACK_LIMIT,
        )?;
    }
    Ok(())
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

//! An apt of its own for each suite and architecture: lists and downloads in
//! the cache, nothing installed, the host's own apt untouched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use super::{cache, process};

const UPDATE_LIMIT: Duration = Duration::from_secs(180);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
const UNPACK_LIMIT: Duration = Duration::from_secs(120);
/// Lists older than this are fetched again.
const LISTS_AGE: Duration = Duration::from_secs(24 * 3600);
/// Signs every suite of Debian from bullseye on.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Packages that others ask for and nothing here runs.
const UNUSED: [&str; 5] = ["debconf", "dpkg", "libperl", "perl", "tar"];

/// Apt as a machine of one architecture with one suite and no package would
/// see it.
pub(super) struct Apt {
    dir: PathBuf,
    arch: &'static str,
}

impl Apt {
    /// Fetches the suite's lists when there are none or old ones.
    ///
    /// # Errors
    /// When the host's apt knows no Debian mirror, or it cannot be reached and
    /// there are no earlier lists.
    pub(super) fn open(suite: &str, arch: &'static str) -> Result<Self> {
        let dir = cache::root()?.join(format!("apt/{suite}-{arch}"));
        for part in ["state/lists/partial", "cache/archives/partial"] {
            cache::create(&dir.join(part))?;
        }
        let apt = Self { dir, arch };
        let updated = apt.dir.join("updated");
        if age(&updated).is_none_or(|age| age > LISTS_AGE) {
            cache::write_if_changed(&apt.sources(), sources(suite)?.as_bytes())?;
            let log = apt.dir.join("update.log");
            match process::run(apt.command("apt-get").arg("update"), &log, UPDATE_LIMIT) {
                Ok(()) => fs::write(&updated, []).context("cannot mark the lists as fetched")?,
                Err(error) if updated.exists() => {
                    eprintln!("lab: {error:#}; going on with older lists of {suite}");
                }
                Err(error) => return Err(error.context(format!("no package lists of {suite}"))),
            }
        }
        Ok(apt)
    }

    /// Names of all packages that start with `prefix`.
    pub(super) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = process::output(self.command("apt-cache").arg("pkgnames").arg(prefix))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The version that a download would fetch.
    pub(super) fn version(&self, package: &str) -> Result<String> {
        self.field(package, "Version: ")
    }

    /// Names of the packages that `package` depends on, alternatives included.
    pub(super) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let line = self.field(package, "Depends: ")?;
        Ok(line
            .split([',', '|'])
            .filter_map(|part| part.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    fn field(&self, package: &str, key: &str) -> Result<String> {
        let shown = process::output(
            self.command("apt-cache")
                .args(["show", "--no-all-versions"])
                .arg(package),
        )?;
        shown
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(str::to_owned)
            .with_context(|| format!("apt-cache shows no {key:?} of {package}"))
    }

    /// `packages` with all that they need to run.
    pub(super) fn closure(&self, packages: &[String]) -> Result<Vec<String>> {
        let plan = process::output(
            self.command("apt-get")
                .args(["--simulate", "--no-install-recommends", "install"])
                .args(packages),
        )?;
        let names: Vec<String> = plan
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
            .filter(|name| {
                !UNUSED.iter().any(|unused| {
                    name.strip_prefix(unused).is_some_and(|rest| {
                        rest.is_empty() || rest.starts_with(|next: char| !next.is_alphabetic())
                    })
                })
            })
            .map(str::to_owned)
            .collect();
        ensure!(
            !names.is_empty(),
            "apt would install nothing for {packages:?}"
        );
        Ok(names)
    }

    /// Downloads packages and unpacks them over each other into `root`. Logs
    /// and the downloads go beside `root`; the downloads are removed.
    pub(super) fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        let beside = root.parent().context("a root has no parent")?;
        let debs = beside.join("debs");
        cache::create(&debs)?;
        cache::create(root)?;
        process::run(
            self.command("apt-get")
                .arg("download")
                .args(packages)
                .current_dir(&debs),
            &beside.join("download.log"),
            DOWNLOAD_LIMIT,
        )?;
        let log = beside.join("unpack.log");
        for entry in fs::read_dir(&debs).context("cannot list the downloaded packages")? {
            let path = entry.context("cannot list the downloaded packages")?.path();
            process::run(
                Command::new("dpkg").arg("-x").arg(&path).arg(root),
                &log,
                UNPACK_LIMIT,
            )?;
        }
        fs::remove_dir_all(&debs).context("cannot remove the unpacked packages")
    }

    /// Downloads a package and unpacks one file of it into `folder`, for
    /// packages too large to be unpacked whole.
    pub(super) fn extract(&self, package: &str, file: &str, folder: &Path) -> Result<()> {
        let debs = folder.join("debs");
        cache::create(&debs)?;
        process::run(
            self.command("apt-get")
                .args(["download", package])
                .current_dir(&debs),
            &folder.join("download.log"),
            DOWNLOAD_LIMIT,
        )?;
        for entry in fs::read_dir(&debs).context("cannot list the downloaded packages")? {
            let deb = entry.context("cannot list the downloaded packages")?.path();
            let mut archive = Command::new("dpkg-deb")
                .arg("--fsys-tarfile")
                .arg(&deb)
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot start dpkg-deb")?;
            let input = archive.stdout.take().context("dpkg-deb has no output")?;
            let parents = file.matches('/').count();
            let status = Command::new("tar")
                .args(["--extract", &format!("--strip-components={parents}"), file])
                .current_dir(folder)
                .stdin(input)
                .status()
                .context("cannot start tar")?;
            let unpacked = archive.wait().context("cannot wait for dpkg-deb")?;
            ensure!(
                status.success() && unpacked.success(),
                "{package}: {file} cannot be unpacked"
            );
        }
        fs::remove_dir_all(&debs).context("cannot remove the unpacked packages")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = |key: &str, path: &Path| format!("{key}={}", path.display());
        command
            .args(["-o", &folder("Dir::Etc::sourcelist", &self.sources())])
            .args(["-o", "Dir::Etc::sourceparts=/dev/null"])
            .args(["-o", &folder("Dir::State", &self.dir.join("state"))])
            .args(["-o", "Dir::State::status=/dev/null"])
            .args(["-o", &folder("Dir::Cache", &self.dir.join("cache"))])
            .args(["-o", &format!("APT::Architecture={}", self.arch)])
            .args(["-o", &format!("APT::Architectures={}", self.arch)]);
        command
    }

    fn sources(&self) -> PathBuf {
        self.dir.join("sources.list")
    }
}

fn age(path: &Path) -> Option<Duration> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    SystemTime::now().duration_since(modified).ok()
}

/// Lines for the suite from the mirrors that the host's own apt uses.
fn sources(suite: &str) -> Result<String> {
    let targets = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(ORIGIN)/$(LABEL) $(REPO_URI)",
    ]))?;
    let mirror = |label: &str| {
        targets
            .lines()
            .find_map(|line| line.strip_prefix(label)?.strip_prefix(' '))
    };
    let Some(main) = mirror("Debian/Debian") else {
        bail!("apt's sources name no Debian mirror: add one, then run `apt-get update`");
    };
    let mut lines = format!("deb [signed-by={KEYRING}] {main} {suite} main\n");
    // Unstable gets its fixes directly.
    if let (true, Some(security)) = (suite != "sid", mirror("Debian/Debian-Security")) {
        lines.push_str(&format!(
            "deb [signed-by={KEYRING}] {security} {suite}-security main\n"
        ));
    }
    Ok(lines)
}

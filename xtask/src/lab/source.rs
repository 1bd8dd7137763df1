//! Kernels that no package has: built from Debian's source with a small
//! configuration of our own, once, into a tree laid out as unpacked packages are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::apt::Apt;
use super::packages::{Unpacked, compiler};
use super::process::Running;
use super::target::{Arch, Flavour, Target};
use super::tools::Tools;
use super::{cache, process};

const UNPACK_LIMIT: Duration = Duration::from_secs(600);
const SHORT_LIMIT: Duration = Duration::from_secs(300);
/// Two slow cores need half an hour.
const BUILD_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// How often progress is told.
const REPORT: Duration = Duration::from_secs(60);
/// What a module is built against, besides the files at the top of the tree:
/// the rest of the source goes, a GiB with its objects.
const KEPT: [&str; 4] = ["arch", "include", "scripts", "tools"];
/// The part of the configuration that all these kernels have.
const COMMON: &str = "common";

/// Builds the target's kernel, or finds it built.
///
/// # Errors
/// When the target is not the lab's own architecture, a package or program is
/// missing, an option of the configuration cannot be had, or the build fails.
pub(super) fn prepare(target: &Target, configuration: &str) -> Result<Unpacked> {
    ensure!(
        target.arch == Arch::X86_64 && target.flavour == Flavour::Generic,
        "{configuration} is built for x86_64 only, and in no flavour"
    );
    let wanted = configured(configuration)?;
    let apt = Tools::apt(target)?;
    let source = format!(
        "linux-source-{}",
        target.kernel.version_prefix().trim_end_matches('.')
    );
    let version = apt.version(&source)?;
    let gcc = compiler(&apt.depends("gcc")?)?;
    let tools = Tools::for_source(target, &gcc)?;
    let dir = cache::root()?.join(format!(
        "kernels/{configuration}_{version}_{:08x}",
        hash(&format!("{gcc}\n{wanted}"))
    ));
    let root = dir.join("root");
    let complete = dir.join("unpacked");
    if !complete.exists() {
        // Half a build is not gone on with: what it was told may have changed.
        if dir.exists() {
            fs::remove_dir_all(&dir).context("cannot remove half a kernel")?;
        }
        let build = Build {
            tree: unpack(&apt, &source, &dir)?,
            tools: &tools,
            dir: &dir,
        };
        println!(
            "lab: building {configuration} from {source} {version}, once: about ten minutes on two \
             fast cores, half an hour on slow ones; log in {}",
            dir.join("build.log").display()
        );
        build.configure(&wanted)?;
        build.make()?;
        build.install(&root)?;
        fs::write(&complete, []).context("cannot mark the kernel as built")?;
    }
    let modules = root.join("lib/modules");
    let release = fs::read_dir(&modules)
        .with_context(|| format!("cannot list {}", modules.display()))?
        .next()
        .context("the build installed no modules")?
        .context("cannot list the modules")?
        .file_name();
    Ok(Unpacked {
        root,
        release: release.to_string_lossy().into_owned(),
        dir,
        make: tools.make_arguments(),
        tools,
    })
}

/// The whole configuration, from `lab/kernels`.
fn configured(name: &str) -> Result<String> {
    let mut text = String::new();
    for part in [COMMON, name] {
        let path = cache::sources().join(format!("kernels/{part}.config"));
        text += &fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(text)
}

/// FNV-1a: a name for a configuration, which nobody forges.
fn hash(text: &str) -> u32 {
    let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, step)
}

/// Fetches and unpacks the source; returns the tree.
fn unpack(apt: &Apt, source: &str, dir: &Path) -> Result<PathBuf> {
    let package = dir.join("source");
    apt.unpack(&[source.to_owned()], &package)?;
    let archive = package.join(format!("usr/src/{source}.tar.xz"));
    process::run(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(&archive)
            .current_dir(dir),
        &dir.join("unpack.log"),
        UNPACK_LIMIT,
    )
    .with_context(|| format!("cannot unpack {}", archive.display()))?;
    fs::remove_dir_all(&package).context("cannot remove the unpacked package")?;
    Ok(dir.join(source))
}

/// A build at work.
struct Build<'a> {
    tree: PathBuf,
    tools: &'a Tools,
    dir: &'a Path,
}

impl Build<'_> {
    fn command(&self) -> Result<Command> {
        let mut command = self.tools.command("make")?;
        command.arg("-C").arg(&self.tree);
        command.args(self.tools.make_arguments());
        command.envs(self.tools.environment());
        Ok(command)
    }

    /// `allnoconfig` with what is wanted on top.
    fn configure(&self, wanted: &str) -> Result<()> {
        let file = self.dir.join("wanted.config");
        fs::write(&file, wanted).context("cannot write the configuration")?;
        process::run(
            self.command()?
                .arg("allnoconfig")
                .env("KCONFIG_ALLCONFIG", &file),
            &self.dir.join("configure.log"),
            SHORT_LIMIT,
        )
        .context("the kernel cannot be configured")?;
        let made = fs::read_to_string(self.tree.join(".config"))
            .context("cannot read the configuration that was made")?;
        let missing = refused(wanted, &made);
        ensure!(
            missing.is_empty(),
            "this source does not take {}: see what these depend on",
            missing.join(", ")
        );
        Ok(())
    }

    /// Builds image and modules, and says now and then how far it is.
    fn make(&self) -> Result<()> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let log = self.dir.join("build.log");
        let mut command = self.command()?;
        command
            .arg(format!("-j{cores}"))
            .args(["bzImage", "modules"]);
        let mut make = Running::start(&mut command, &log)?;
        let start = Instant::now();
        let mut told = start;
        let status = loop {
            if let Some(status) = make.ended()? {
                break status;
            }
            if start.elapsed() > BUILD_LIMIT {
                bail!("the kernel was not built after {} s", BUILD_LIMIT.as_secs());
            }
            if told.elapsed() > REPORT {
                told = Instant::now();
                println!(
                    "lab: {} files built after {} min",
                    fs::read(&log).map_or(0, |text| lines(&text)),
                    start.elapsed().as_secs() / 60
                );
            }
            thread::sleep(process::POLL);
        };
        ensure!(
            status.success(),
            "the kernel did not build: see {}",
            log.display()
        );
        Ok(())
    }

    /// Puts image, modules and the tree where packages have theirs.
    fn install(&self, root: &Path) -> Result<()> {
        process::run(
            self.command()?
                .arg("modules_install")
                .arg("DEPMOD=true")
                .arg("INSTALL_MOD_STRIP=1")
                .arg({
                    let mut argument = std::ffi::OsString::from("INSTALL_MOD_PATH=");
                    argument.push(root);
                    argument
                }),
            &self.dir.join("install.log"),
            SHORT_LIMIT,
        )
        .context("the modules cannot be installed")?;
        let release = fs::read_to_string(self.tree.join("include/config/kernel.release"))
            .context("cannot read the kernel's release")?;
        let release = release.trim();
        let boot = root.join("boot");
        cache::create(&boot)?;
        fs::copy(
            self.tree.join("arch/x86/boot/bzImage"),
            boot.join(format!("vmlinuz-{release}")),
        )
        .context("cannot copy the image")?;
        trim(&self.tree)?;
        let headers = root.join(format!("usr/src/linux-headers-{release}"));
        cache::create(&root.join("usr/src"))?;
        fs::rename(&self.tree, &headers).context("cannot move the tree")
    }
}

/// Lines of `wanted` that the configuration `made` has not.
fn refused<'a>(wanted: &'a str, made: &str) -> Vec<&'a str> {
    let has = |option: &&str| made.lines().any(|line| line == *option);
    wanted
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter(|option| !has(option))
        .collect()
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}

/// Removes what no module needs.
fn trim(tree: &Path) -> Result<()> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder);
        let entries = entries.with_context(|| format!("cannot list {}", folder.display()))?;
        entries
            .map(|entry| Ok(entry.context("cannot list the tree")?.path()))
            .collect()
    };
    let is = |path: &Path, names: &[&str]| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| names.contains(&name))
    };
    let mut gone = list(tree)?;
    gone.retain(|path| path.is_dir() && !is(path, &KEPT));
    let mut other = list(&tree.join("arch"))?;
    other.retain(|path| path.is_dir() && !is(path, &["x86"]));
    gone.append(&mut other);
    for folder in gone {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    for file in ["vmlinux.o", "vmlinux.a"] {
        let file = tree.join(file);
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_was_not_taken_is_named() {
        let wanted = "# why\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=\"-x\"\n";
        let made = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"-x\"\nCONFIG_D=y\n";
        assert_eq!(refused(wanted, made), ["CONFIG_B=m"]);
        assert!(refused(wanted, wanted).is_empty());
    }

    #[test]
    fn every_configuration_is_there_and_names_itself() {
        for (name, option) in [
            ("6.1-owner", "CONFIG_PAGE_OWNER=y"),
            ("6.12-alloc", "CONFIG_MEM_ALLOC_PROFILING=y"),
        ] {
            let text = configured(name).unwrap();
            let (_, version) = name.split_once('-').unwrap();
            assert!(text.contains(option));
            assert!(text.contains(&format!("CONFIG_LOCALVERSION=\"-{version}\"")));
        }
    }
}

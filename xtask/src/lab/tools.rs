//! The compiler a kernel was made with, run without being installed.
//!
//! Programs of another suite than the host's need that suite's C library, so
//! each becomes a script that starts it through the dynamic linker unpacked
//! beside it. That is why the host must be amd64; its suite does not matter.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use anyhow::{Context, Result, ensure};
use pagehound_vmcore::shell_path;

use super::apt::Apt;
use super::cache;
use super::target::Target;
use crate::bytes::{get_size, get_u16, get_u32};

/// What the programs run on.
const HOST: &str = "amd64";
const EM_X86_64: u16 = 62;
const PT_INTERP: u32 = 3;
const PROGRAM_HEADER: usize = 56;
const LINKER: &str = "ld-linux-x86-64.so.2";
/// Before the merge of /lib into /usr/lib the C library was in the first.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
/// Where packages put programs, the compiler's own passes among them.
const PROGRAMS: [&str; 4] = ["bin", "usr/bin", "usr/lib/gcc", "usr/libexec"];
/// What a build from source runs besides the compiler, or links its own programs
/// with.
const FOR_SOURCE: [&str; 8] = [
    "libc6-dev",
    "libelf-dev",
    "zlib1g-dev",
    "bc",
    "bison",
    "flex",
    "m4",
    "pahole",
];
/// Compiles programs that run here.
const HOST_COMPILER: &str = "host-gcc";
/// Follows the name of a program that a script now stands for.
const HIDDEN: &str = ".program";

/// An unpacked compiler with binutils and what else kbuild runs.
pub(super) struct Tools {
    root: PathBuf,
    /// The compiler's name, such as `aarch64-linux-gnu-gcc-12`.
    compiler: String,
}

impl Tools {
    /// Unpacks `gcc` (a package such as `gcc-12`) for the target's architecture
    /// and what `kbuild`, its package of build programs, needs to run.
    pub(super) fn prepare(target: &Target, gcc: &str, kbuild: &str) -> Result<Self> {
        let compiler = target.arch.compiler(gcc);
        let packages = [compiler.clone(), kbuild.to_owned()];
        Self::unpacked(target, gcc, &compiler, &packages, |_| Ok(()))
    }

    /// Unpacks `gcc` with all that it takes to build a kernel from source: a
    /// compiler for the programs that the build itself runs, and what they need.
    pub(super) fn for_source(target: &Target, gcc: &str) -> Result<Self> {
        let mut packages = vec![gcc.to_owned()];
        packages.extend(FOR_SOURCE.map(str::to_owned));
        let folder = format!("{gcc}-source");
        Self::unpacked(target, gcc, &folder, &packages, |tools| {
            // Where packages hold files in /usr only, these links are a system's
            // own; the linker looks for libraries in both.
            for link in ["lib", "lib64"] {
                let path = tools.root.join(link);
                if !path.exists() {
                    symlink(format!("usr/{link}"), &path).context("cannot link a folder")?;
                }
            }
            tools.write_host_compiler()
        })
    }

    /// Packages with all they need, unpacked once into a folder of the suite's, and
    /// what is to be done there afterwards.
    fn unpacked(
        target: &Target,
        gcc: &str,
        folder: &str,
        packages: &[String],
        finish: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        let suite = target.kernel.suite();
        let dir = cache::root()?.join(format!("tools/{suite}-{folder}"));
        let tools = Self {
            root: dir.join("root"),
            compiler: format!("{}{gcc}", target.arch.tool_prefix()),
        };
        let complete = dir.join("unpacked");
        if !complete.exists() {
            if tools.root.exists() {
                fs::remove_dir_all(&tools.root).context("cannot remove half a compiler")?;
            }
            let apt = Self::apt(target)?;
            apt.unpack(&apt.closure(packages)?, &tools.root)?;
            for folder in PROGRAMS {
                tools.adopt(&tools.root.join(folder))?;
            }
            finish(&tools)?;
            fs::write(&complete, []).context("cannot mark the compiler as unpacked")?;
        }
        Ok(tools)
    }

    /// What it makes runs here with the libraries unpacked beside it, without a
    /// script: their place is written into it.
    fn write_host_compiler(&self) -> Result<()> {
        let libraries = self.libraries();
        let places: Vec<String> = libraries
            .iter()
            .map(|dir| format!("-Wl,-rpath,{}", shell_path(dir)))
            .collect();
        let script = format!(
            "#!/bin/sh\nexec {} --sysroot={} \"$@\" -Wl,--dynamic-linker={} {}\n",
            shell_path(&self.root.join("usr/bin").join(&self.compiler)),
            shell_path(&self.root),
            shell_path(&self.linker()?),
            places.join(" "),
        );
        let path = self.root.join("usr/bin").join(HOST_COMPILER);
        fs::write(&path, script).context("cannot write the host's compiler")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .context("cannot make the host's compiler a program")
    }

    /// What make(1) must be told to build a kernel with [`Tools::for_source`].
    pub(super) fn make_arguments(&self) -> Vec<String> {
        let prefix = self.compiler.split("gcc").next().unwrap_or_default();
        vec![
            format!("CROSS_COMPILE={prefix}"),
            format!("CC={}", self.compiler),
            format!("HOSTCC={HOST_COMPILER}"),
            // The host's libraries are another suite's.
            "HOSTPKG_CONFIG=false".into(),
        ]
    }

    /// Where programs find what they expect below `/usr`.
    pub(super) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        let usr = self.root.join("usr");
        [
            ("BISON_PKGDATADIR", usr.join("share/bison")),
            ("M4", usr.join("bin/m4")),
        ]
    }

    fn libraries(&self) -> Vec<PathBuf> {
        LIBRARIES.iter().map(|dir| self.root.join(dir)).collect()
    }

    fn linker(&self) -> Result<PathBuf> {
        self.libraries()
            .iter()
            .map(|dir| dir.join(LINKER))
            .find(|linker| linker.exists())
            .context("the packages hold no dynamic linker")
    }

    /// Packages of the target's suite for the host.
    pub(super) fn apt(target: &Target) -> Result<Apt> {
        Apt::open(target.kernel.suite(), HOST)
    }

    /// A script in `dir` that compiles and links against the C library below `sysroot`.
    pub(super) fn write_linker(&self, sysroot: &Path, dir: &Path) -> Result<PathBuf> {
        let script = format!(
            "#!/bin/sh\nPATH={}:$PATH exec {} --sysroot={} \"$@\"\n",
            shell_path(&self.root.join("usr/bin")),
            self.compiler,
            shell_path(sysroot),
        );
        let path = dir.join("cc");
        cache::write_if_changed(&path, script.as_bytes())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .context("cannot make the linker a program")?;
        Ok(path)
    }

    /// One of the programs beside the compiler, such as `strip`.
    pub(super) fn program(&self, target: &Target, name: &str) -> PathBuf {
        let name = format!("{}{name}", target.arch.tool_prefix());
        self.root.join("usr/bin").join(name)
    }

    /// The compiler, for code of the target.
    pub(super) fn compiler(&self) -> Result<Command> {
        self.command(&self.compiler)
    }

    /// A command that finds these tools before the host's.
    pub(super) fn command(&self, program: &str) -> Result<Command> {
        let mut path = self.root.join("usr/bin").into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")));
        let mut command = Command::new(program);
        command.env("PATH", path);
        Ok(command)
    }

    /// Puts a script in the place of every program of `folder` and below.
    pub(super) fn adopt(&self, folder: &Path) -> Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot list {}", folder.display()));
            }
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let kind = entry.file_type().context("cannot tell a file's type")?;
            let path = entry.path();
            if kind.is_dir() {
                self.adopt(&path)?;
            } else if kind.is_file() && is_program(&path)? {
                self.stand_for(&path)
                    .with_context(|| format!("cannot adopt {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn stand_for(&self, path: &Path) -> Result<()> {
        let libraries = self.libraries();
        let linker = self.linker()?;
        let hidden = with_suffix(path, HIDDEN);
        fs::rename(path, &hidden)?;
        let script = format!(
            "#!/bin/sh\nexec {} --library-path {} {} \"$@\"\n",
            shell_path(&linker),
            libraries
                .iter()
                .map(|dir| shell_path(dir))
                .collect::<Vec<_>>()
                .join(":"),
            shell_path(&hidden),
        );
        fs::write(path, script)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        // Debian's kbuild has programs that only start NAME.real-KIND, by the
        // name they were started with themselves.
        if let Some((name, kind)) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.split_once(".real-"))
        {
            let link = path.with_file_name(format!("{name}{HIDDEN}.real-{kind}"));
            if !link.exists() {
                symlink(path, link)?;
            }
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// True for an executable of the host's architecture that needs a linker.
fn is_program(path: &Path) -> Result<bool> {
    let metadata = fs::metadata(path).context("cannot tell a file's mode")?;
    if metadata.permissions().mode() & 0o111 == 0 || path.to_string_lossy().ends_with(HIDDEN) {
        return Ok(false);
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !bytes.starts_with(b"\x7fELF\x02\x01") || get_u16(&bytes, 18)? != EM_X86_64 {
        return Ok(false);
    }
    let headers = get_size(&bytes, 32)?;
    let count = usize::from(get_u16(&bytes, 56)?);
    ensure!(headers < bytes.len(), "program headers beyond the end");
    for number in 0..count {
        if get_u32(&bytes, headers + number * PROGRAM_HEADER)? == PT_INTERP {
            return Ok(true);
        }
    }
    Ok(false)
}

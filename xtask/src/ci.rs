//! The jobs of CI. Each prints what it runs, so that a failure can be repeated
//! by hand.

use crate::{fuzz, lab, root, smoke};
use anyhow::{Context, bail, ensure};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Programs that jobs need, at the versions they were tried with.
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};
const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
};

/// All jobs; the lab last, because it takes longest to say what is wrong.
pub(crate) fn all() -> anyhow::Result<()> {
    job("lint", lint)?;
    job("deps", deps)?;
    let binary = job("static", || static_binary("pagehound"))?;
    job("smoke", || smoke::run(&binary))?;
    job("test", test)?;
    job("sanitize", sanitize)?;
    job("fuzz", fuzz::ci)?;
    job("lab", || lab::subset(&binary))
}

fn job<T>(name: &str, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    println!("== {name}");
    let start = Instant::now();
    let result = run().with_context(|| format!("job {name}"));
    eprintln!("== {name}: {} s", start.elapsed().as_secs());
    result
}

/// Formatting and lints.
pub(crate) fn lint() -> anyhow::Result<()> {
    run(cargo(["fmt", "--all", "--check"]))?;
    run(cargo([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Licences, sources and unused dependencies.
pub(crate) fn deps() -> anyhow::Result<()> {
    run(command(
        DENY.installed()?,
        [
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ],
    ))?;
    run(command(MACHETE.installed()?, []))
}

/// Builds a package's static release binary and returns its path.
pub(crate) fn static_binary(package: &str) -> anyhow::Result<PathBuf> {
    let binary = static_binary_for(package, TARGET, &[])?;
    let ldd = Command::new("ldd").arg(&binary).output().context("ldd")?;
    let said = [ldd.stdout, ldd.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(
        said.contains("statically linked") || said.contains("not a dynamic executable"),
        "{}: not static: {said}",
        binary.display()
    );
    Ok(binary)
}

/// The same for another `target` than this host, with the `tools` that link for it in
/// the environment.
pub(crate) fn static_binary_for(
    package: &str,
    target: &str,
    tools: &[(&str, PathBuf)],
) -> anyhow::Result<PathBuf> {
    let mut build = cargo([
        "build",
        "--locked",
        "--release",
        "--target",
        target,
        "--package",
        package,
    ]);
    build.env("RUSTFLAGS", "-C target-feature=+crt-static");
    build.envs(tools.iter().cloned());
    run(build)?;
    Ok(target_folder().join(target).join("release").join(package))
}

/// Where cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// All tests. Each of the many test programs has a summary of its own; the last
/// line adds them up.
///
/// Tests on the corpus run where the corpus is, and the one on a kernel's own vmlinux where
/// `PAGEHOUND_VMLINUX` names one. CI must have the corpus; else the last lines say loudly
/// what did not run.
pub(crate) fn test() -> anyhow::Result<()> {
    let mut tests = cargo(["test", "--locked", "--workspace", "--no-fail-fast"]);
    let corpus = pagehound_testdata::corpus_folder();
    let complete = corpus.is_dir();
    if complete {
        tests.args(["--features", "corpus"]);
    }
    let vmlinux = std::env::var_os("PAGEHOUND_VMLINUX").is_some();
    if vmlinux {
        tests.args(["--features", "pagehound-kernel/vmlinux"]);
    }
    ensure!(
        complete || std::env::var_os("CI").is_none(),
        "{}: CI runs the tests on the corpus, which is not there",
        corpus.display()
    );
    println!("$ {tests:?}");
    let mut child = tests.stdout(Stdio::piped()).spawn().context("cargo test")?;
    let stdout = child.stdout.take().context("cargo test: no output")?;
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        passed += tests_that(&line, " passed");
        failed += tests_that(&line, " failed");
        ignored += tests_that(&line, " ignored");
    }
    let status = child.wait()?;
    let result = if status.success() { "ok" } else { "FAILED" };
    println!("\nall tests: {result}. {passed} passed; {failed} failed; {ignored} ignored");
    if !complete {
        println!(
            "NOT RUN: the tests on the corpus of real dumps; there is no {}, and PAGEHOUND_CORPUS names no other folder",
            corpus.display()
        );
    }
    if !vmlinux {
        println!(
            "NOT RUN: the test of DWARF against BTF; it needs PAGEHOUND_VMLINUX to name a vmlinux with both (see CONTRIBUTING.md)"
        );
    }
    ensure!(status.success(), "cargo test: {status}");
    ensure!(
        ignored == 0,
        "{ignored} tests are ignored: a test that does not run proves nothing"
    );
    Ok(())
}

/// The tests of the two crates with unsafe code, under AddressSanitizer. The
/// compiler has it, but not as a promise; `RUSTC_BOOTSTRAP` is how it is asked for
/// without a nightly one. C libraries among the dependencies are not instrumented.
pub(crate) fn sanitize() -> anyhow::Result<()> {
    let mut tests = cargo([
        "test",
        "--locked",
        "--target",
        TARGET,
        "--lib",
        "--tests",
        "--package",
        "pagehound-vmcore",
        "--package",
        "pagehound-scan",
    ]);
    // Its own: everything is compiled in another way.
    tests
        .env("CARGO_TARGET_DIR", target_folder().join("sanitizer"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        // What a test leaves behind is no fault, and ptrace may be forbidden.
        .env("ASAN_OPTIONS", "detect_leaks=0");
    run(tests)
}

/// The number before `what` in a line such as
/// `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
fn tests_that(line: &str, what: &str) -> u64 {
    let Some(summary) = line.strip_prefix("test result: ") else {
        return 0;
    };
    let before = summary.split_once(what).map_or("", |(before, _)| before);
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// A program from the registry, kept by version.
struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    /// Its path, after it was built where it is not there yet.
    fn installed(&self) -> anyhow::Result<PathBuf> {
        let tools = std::env::var_os("PAGEHOUND_CI_TOOLS")
            .map_or_else(|| root().join("target/tools"), PathBuf::from);
        let folder = tools.join(format!("{}-{}", self.name, self.version));
        let binary = folder.join("bin").join(self.name);
        if !binary.exists() {
            let mut install = cargo([
                "install",
                "--locked",
                "--version",
                self.version,
                self.name,
                "--root",
            ]);
            install.arg(&folder);
            // Its own, or the next version would be built over this one's parts.
            install.env("CARGO_TARGET_DIR", folder.join("target"));
            run(install)?;
            std::fs::remove_dir_all(folder.join("target")).ok();
        }
        Ok(binary)
    }
}

pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    command(
        std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        args,
    )
}

fn command<'a>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

pub(crate) fn run(mut command: Command) -> anyhow::Result<()> {
    println!("$ {command:?}");
    let status = command
        .status()
        .with_context(|| format!("{}", Path::new(command.get_program()).display()))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tests_that;

    #[test]
    fn summaries() {
        let line = "test result: ok. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(
            (
                tests_that(line, " passed"),
                tests_that(line, " failed"),
                tests_that(line, " ignored")
            ),
            (12, 3, 1)
        );
        assert_eq!(tests_that("9 passed", " passed"), 0);
    }
}

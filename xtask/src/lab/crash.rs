//! Dumps that a crashed guest takes of itself: its second kernel reads
//! `/proc/vmcore` and writes to a folder shared with the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::dump::Way;
use super::guest::size;
use super::programs::Programs;
use super::qemu::Guest;
use super::scenario::Scenario;
use super::{cache, process};

/// Memory that the second kernel has to itself, in MiB.
pub(super) const RESERVED: u32 = 192;
/// What the guest gets beyond its scenario's memory, in MiB: with the kernel
/// anywhere in between, a gap must be left that is as large as the above.
pub(super) const EXTRA: u32 = 256;
/// Name under which the guest mounts the shared folder.
pub(super) const TAG: &str = "host";
/// From the crash to the last dump.
const CAPTURE_LIMIT: Duration = Duration::from_secs(600);
const FILTER_LIMIT: Duration = Duration::from_secs(120);

/// What a guest needs to crash, and what it then dumps.
pub(super) struct Crash {
    share: PathBuf,
    lines: String,
}

impl Crash {
    /// None when no way asks for a crash.
    pub(super) fn prepare(scenario: &Scenario, ways: &[Way], dir: &Path) -> Result<Option<Self>> {
        if !ways.iter().any(Way::crashes) {
            return Ok(None);
        }
        let copy = Way::Copy.capture(scenario.name);
        let mut lines: Vec<String> = ways
            .iter()
            .filter_map(|way| match way {
                Way::HostMakedumpfile(_) => copy.clone(),
                way => way.capture(scenario.name),
            })
            .collect();
        // Reports first, as on a host.
        let is_dump = |line: &String| {
            ![" report ", " starved "]
                .iter()
                .any(|way| line.contains(way))
        };
        lines.sort_unstable_by_key(|line| (is_dump(line), line.clone()));
        lines.dedup();
        let share = dir.join("share");
        if share.exists() {
            fs::remove_dir_all(&share).context("cannot remove an earlier shared folder")?;
        }
        cache::create(&share)?;
        Ok(Some(Self {
            share,
            lines: lines.concat(),
        }))
    }

    /// Lines for the second kernel's init, as [`Way::capture`] writes them.
    pub(super) fn lines(&self) -> &str {
        &self.lines
    }

    /// The folder that the guest shares.
    pub(super) fn folder(&self) -> &Path {
        &self.share
    }

    /// Puts kernel and initrd where the guest loads them from.
    pub(super) fn share(&self, kernel: &Path, initrd: &Path) -> Result<()> {
        for (from, name) in [(kernel, "vmlinuz"), (initrd, "initrd.cpio")] {
            fs::copy(from, self.share.join(name))
                .with_context(|| format!("cannot share {}", from.display()))?;
        }
        Ok(())
    }

    /// Lets the guest crash and moves the dumps it makes to `dir`.
    pub(super) fn take(&self, mut guest: Guest, dir: &Path) -> Result<()> {
        let start = Instant::now();
        guest.monitor.proceed()?;
        // The guest looks for this file.
        fs::write(self.share.join("crash"), []).context("cannot make the guest crash")?;
        let failed = guest.capture(CAPTURE_LIMIT)?;
        let others = match self.names().count() {
            1 => "",
            _ => " with the others",
        };
        for name in self.names() {
            if failed.iter().any(|line| line.starts_with(name)) {
                continue;
            }
            let dump = dir.join(name);
            fs::rename(self.share.join(name), &dump)
                .with_context(|| format!("the guest left no {name}"))?;
            let seconds = start.elapsed().as_secs_f64();
            println!("{}, {seconds:.1} s{others}", size(&dump));
        }
        fs::remove_dir_all(&self.share).context("cannot remove the shared folder")?;
        ensure!(
            failed.is_empty(),
            "the second kernel could not make {}: see console.log in {}",
            failed.join(", "),
            dir.display()
        );
        Ok(())
    }

    /// File names of the dumps that the second kernel makes.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.lines
            .lines()
            .map(|line| line.split(' ').next().unwrap_or_default())
    }

    /// Runs the guest's makedumpfile here for the ways that ask for it.
    pub(super) fn filter_here(
        &self,
        ways: &[Way],
        scenario: &str,
        programs: &Programs,
        dir: &Path,
    ) -> Result<()> {
        let vmcore = dir.join(Way::Copy.file_name(scenario));
        for way in ways {
            let Way::HostMakedumpfile(args) = way else {
                continue;
            };
            let start = Instant::now();
            let dump = dir.join(way.file_name(scenario));
            if dump.exists() {
                fs::remove_file(&dump).context("cannot remove an earlier dump")?;
            }
            let mut command = programs.run("makedumpfile")?;
            command
                .args(args.split_whitespace())
                .arg(&vmcore)
                .arg(&dump);
            process::run(&mut command, &dir.join("makedumpfile.log"), FILTER_LIMIT)?;
            println!("{}, {:.1} s", size(&dump), start.elapsed().as_secs_f64());
        }
        if !ways.contains(&Way::Copy) && vmcore.exists() {
            fs::remove_file(&vmcore).context("cannot remove the raw dump")?;
        }
        Ok(())
    }
}

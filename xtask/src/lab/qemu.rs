//! Booting the guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::frames::{Link, Sender, Traffic};
use super::kernel::Kernel;
use super::process::{POLL, Running};
use super::qmp::Monitor;
use super::scenario::{Scenario, Variant};

const PROGRAM: &str = "qemu-system-x86_64";
/// A working KVM reaches the kernel's panic for want of an initrd in two seconds.
const PROBE_LIMIT: Duration = Duration::from_secs(12);
/// From power-on to the last line of the truth; emulation needs about 30 s.
const BOOT_LIMIT: Duration = Duration::from_secs(300);

/// What runs the guest's code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// KVM where a kernel really boots under it, else emulation; remembered in
    /// the kernel's cache folder, because a failing probe takes seconds.
    pub(super) fn find(kernel: &Kernel) -> Result<Self> {
        let memory = kernel.dir.join("accelerator");
        match fs::read_to_string(&memory).as_deref() {
            Ok("kvm") if Path::new("/dev/kvm").exists() => return Ok(Self::Kvm),
            Ok("tcg") => return Ok(Self::Tcg),
            _ => {}
        }
        let found = if Path::new("/dev/kvm").exists() && Self::Kvm.boots(kernel)? {
            Self::Kvm
        } else {
            Self::Tcg
        };
        fs::write(&memory, found.name()).context("cannot remember the accelerator")?;
        Ok(found)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The processor of the host or all that emulation has; without `la57`
    /// it is denied page tables of five levels.
    fn options(self, la57: bool) -> [&'static str; 4] {
        match (self, la57) {
            (Self::Kvm, true) => ["-accel", "kvm", "-cpu", "host"],
            (Self::Kvm, false) => ["-accel", "kvm", "-cpu", "host,-la57"],
            (Self::Tcg, true) => ["-accel", "tcg", "-cpu", "max,arch-capabilities=off"],
            (Self::Tcg, false) => ["-accel", "tcg", "-cpu", "max,arch-capabilities=off,-la57"],
        }
    }

    /// True when the kernel gets as far as missing its root file system.
    fn boots(self, kernel: &Kernel) -> Result<bool> {
        let console = kernel.dir.join("probe-console.log");
        fs::write(&console, []).context("cannot write the probe's console log")?;
        let mut machine = Running::start(
            Command::new(PROGRAM)
                .args(self.options(true))
                .args(["-m", "256", "-smp", "2", "-nodefaults", "-display", "none"])
                .arg("-no-reboot")
                .arg("-serial")
                .arg(file_option(&console))
                .arg("-kernel")
                .arg(&kernel.image)
                .args(["-append", "console=ttyS0 panic=-1"]),
            &kernel.dir.join("probe.log"),
        )?;
        let start = Instant::now();
        while start.elapsed() < PROBE_LIMIT {
            // An unwritable MSR or an instruction that KVM cannot emulate ends
            // QEMU or leaves the guest silent; only the panic proves it works.
            if fs::read(&console).is_ok_and(|text| contains(&text, b"Kernel panic")) {
                return Ok(true);
            }
            if machine.ended()?.is_some() {
                return Ok(fs::read(&console).is_ok_and(|text| contains(&text, b"Kernel panic")));
            }
            thread::sleep(POLL);
        }
        Ok(false)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn file_option(path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from("file:");
    option.push(path);
    option
}

/// A stopped guest that has planted everything and written its truth.
pub(super) struct Guest {
    machine: Running,
    pub(super) monitor: Monitor,
    /// Text of the truth file.
    pub(super) truth: String,
}

impl Guest {
    /// Boots `scenario` and waits until it may be dumped. Logs go to `dir`.
    pub(super) fn boot(
        kernel: &Kernel,
        accelerator: Accelerator,
        scenario: &Scenario,
        variant: &Variant,
        initrd: &Path,
        dir: &Path,
    ) -> Result<Self> {
        let mut links = vec![Link::new()?];
        if scenario.bond {
            links.push(Link::new()?);
        }
        let socket = dir.join("qmp.sock");
        let report = dir.join("report.log");
        // What an earlier guest left here must not be taken for this one's.
        for old in [&socket, &report] {
            if old.exists() {
                fs::remove_file(old).with_context(|| format!("cannot remove {}", old.display()))?;
            }
        }
        let mut command = Command::new(PROGRAM);
        command
            .args(accelerator.options(variant.la57))
            .args(scenario.machine)
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-m", &variant.memory.unwrap_or(scenario.memory).to_string()])
            .args(["-smp", &scenario.cpus.to_string()])
            .arg("-kernel")
            .arg(&kernel.image)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", &command_line(scenario, variant)])
            .arg("-serial")
            .arg(file_option(&dir.join("console.log")))
            .arg("-serial")
            .arg(file_option(&report))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()));
        if !variant.no_vmcoreinfo {
            command.args(["-device", "vmcoreinfo"]);
        }
        let mut mac = variant.mac;
        for (number, link) in links.iter().enumerate() {
            let id = format!("n{number}");
            command.arg("-netdev").arg(link.netdev(&id)?);
            command
                .arg("-device")
                .arg(format!("{},netdev={id},mac={mac},romfile=", scenario.nic));
            mac = mac.next();
        }
        let mut machine = Running::start(&mut command, &dir.join("qemu.log"))?;
        let sender = Sender::start(links, variant.mac);
        let truth = follow(&mut machine, &report, &sender, dir)?;
        let mut monitor = Monitor::connect(&socket)?;
        monitor.stop()?;
        // Only now: a busy guest is dumped under traffic.
        drop(sender);
        Ok(Self {
            machine,
            monitor,
            truth,
        })
    }

    /// Ends the machine.
    pub(super) fn quit(mut self) -> Result<()> {
        self.monitor.quit()?;
        self.machine.wait(Duration::from_secs(20))?;
        Ok(())
    }
}

/// `init_on_free=1` makes free pages zero instead of full of old frames; of two
/// parameters that contradict each other the kernel takes the last.
fn command_line(scenario: &Scenario, variant: &Variant) -> String {
    format!(
        "console=ttyS0 panic=-1 loglevel=6 net.ifnames=0 init_on_free=1 {} {}",
        scenario.append, variant.append
    )
}

/// Does what the guest's `@` lines ask for; returns the truth once it is whole.
fn follow(machine: &mut Running, report: &Path, sender: &Sender, dir: &Path) -> Result<String> {
    let start = Instant::now();
    loop {
        let text = fs::read(report).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        // Only whole lines: the guest may be in the middle of one.
        let whole = text
            .rfind('\n')
            .and_then(|end| text.get(..=end))
            .unwrap_or("");
        match whole
            .lines()
            .filter_map(|line| line.strip_prefix('@'))
            .next_back()
        {
            Some("send large") => sender.set(Traffic::Large),
            Some("send small") => sender.set(Traffic::Small),
            Some("done") => {
                let lines = whole.lines().filter(|line| !line.starts_with('@'));
                return Ok(lines.flat_map(|line| [line, "\n"]).collect());
            }
            Some(line) if line.starts_with("failed") => {
                bail!(
                    "the guest could not plant: {line}; see {}",
                    console(dir).display()
                );
            }
            _ => sender.set(Traffic::Nothing),
        }
        if let Some(status) = machine.ended()? {
            bail!(
                "QEMU ended early with {status}: see {}",
                console(dir).display()
            );
        }
        if start.elapsed() > BOOT_LIMIT {
            bail!(
                "the guest was not ready after {} s: see {} and {}",
                BOOT_LIMIT.as_secs(),
                console(dir).display(),
                report.display(),
            );
        }
        thread::sleep(POLL);
    }
}

fn console(dir: &Path) -> PathBuf {
    dir.join("console.log")
}

//! Booting the guest.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::crash::{Crash, EXTRA, RESERVED, TAG};
use super::frames::{Link, Sender, Traffic};
use super::kernel::Kernel;
use super::process::{POLL, Running};
use super::qmp::Monitor;
use super::scenario::{Scenario, Variant};
use super::target::{Arch, Target};

/// A working KVM reaches the kernel's panic for want of an initrd in two seconds.
const PROBE_LIMIT: Duration = Duration::from_secs(12);
/// From power-on to the last line of the truth; emulation needs about 30 s.
const BOOT_LIMIT: Duration = Duration::from_secs(600);

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
        let possible = kernel.target.arch.is_host() && Path::new("/dev/kvm").exists();
        let found = if possible && Self::Kvm.boots(kernel)? {
            Self::Kvm
        } else {
            Self::Tcg
        };
        found.remember(kernel)?;
        Ok(found)
    }

    /// What `kernel` is run by from now on: it may get past the probe under KVM and
    /// die later.
    pub(super) fn remember(self, kernel: &Kernel) -> Result<()> {
        fs::write(kernel.dir.join("accelerator"), self.name())
            .context("cannot remember the accelerator")
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// Processor and board. On x86-64 it is the host's processor or all that
    /// emulation has, which `la57` denies page tables of five levels; emulated
    /// aarch64 is a small old core, because later ones are slower to emulate.
    fn options(self, arch: Arch, la57: bool) -> Vec<&'static str> {
        let mut options = match arch {
            Arch::X86_64 => Vec::new(),
            Arch::Aarch64 => vec!["-machine", "virt"],
        };
        options.extend(match (self, arch, la57) {
            (Self::Kvm, Arch::X86_64, false) => ["-accel", "kvm", "-cpu", "host,-la57"],
            (Self::Kvm, ..) => ["-accel", "kvm", "-cpu", "host"],
            (Self::Tcg, Arch::X86_64, true) => {
                ["-accel", "tcg", "-cpu", "max,arch-capabilities=off"]
            }
            (Self::Tcg, Arch::X86_64, false) => {
                ["-accel", "tcg", "-cpu", "max,arch-capabilities=off,-la57"]
            }
            (Self::Tcg, Arch::Aarch64, _) => ["-accel", "tcg", "-cpu", "cortex-a57"],
        });
        options
    }

    /// True when the kernel gets as far as missing its root file system.
    fn boots(self, kernel: &Kernel) -> Result<bool> {
        let console = kernel.dir.join("probe-console.log");
        fs::write(&console, []).context("cannot write the probe's console log")?;
        let mut machine = Running::start(
            Command::new(kernel.target.arch.emulator())
                .args(self.options(kernel.target.arch, true))
                .args(["-m", "256", "-smp", "2", "-nodefaults", "-display", "none"])
                .arg("-no-reboot")
                .arg("-serial")
                .arg(file_option(&console))
                .arg("-kernel")
                .arg(&kernel.image)
                .args([
                    "-append",
                    &format!("{} panic=-1", kernel.target.arch.console()),
                ]),
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

/// Two nodes of half the memory and half the processors each, and a PCI bus of the
/// second.
fn numa_options(memory: u32, cpus: u32) -> Vec<String> {
    let mut options = Vec::new();
    let half = cpus / 2;
    for (node, size, cpus) in [
        (0, memory / 2, format!("0-{}", half - 1)),
        (1, memory - memory / 2, format!("{half}-{}", cpus - 1)),
    ] {
        options.push("-object".to_owned());
        options.push(format!("memory-backend-ram,id=memory{node},size={size}M"));
        options.push("-numa".to_owned());
        options.push(format!(
            "node,nodeid={node},cpus={cpus},memdev=memory{node}"
        ));
    }
    options.push("-device".to_owned());
    options.push("pxb,id=far,bus_nr=4,numa_node=1".to_owned());
    options
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn file_option(path: &Path) -> OsString {
    let mut option = OsString::from("file:");
    option.push(path);
    option
}

/// A guest whose kernel ended, by a panic or a reset, before it had planted
/// everything.
#[derive(Debug)]
pub(super) struct Died {
    status: ExitStatus,
    console: PathBuf,
}

impl Error for Died {}

impl fmt::Display for Died {
    /// With the console's last lines: where CI ran, the file is gone soon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 25;
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let lines: Vec<&str> = console.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(LINES)..)
            .unwrap_or_default();
        writeln!(
            f,
            "QEMU ended early with {}: see {}, whose last lines are",
            self.status,
            self.console.display()
        )?;
        last.iter()
            .try_for_each(|line| writeln!(f, "  | {}", line.trim_end().escape_debug()))
    }
}

/// A stopped guest that has planted everything and written its truth.
pub(super) struct Guest {
    machine: Running,
    /// Folder of the logs.
    dir: PathBuf,
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
        crash: Option<&Crash>,
        initrd: &Path,
        dir: &Path,
    ) -> Result<Self> {
        let mut links = vec![Link::new()?];
        if scenario.bond {
            links.push(Link::new()?);
        }
        let socket = dir.join("qmp.sock");
        let report = report(dir);
        // What an earlier guest left here must not be taken for this one's.
        for old in [&socket, &report] {
            if old.exists() {
                fs::remove_file(old).with_context(|| format!("cannot remove {}", old.display()))?;
            }
        }
        let arch = kernel.target.arch;
        let reserved = crash.map_or(0, |_| RESERVED);
        let extra = crash.map_or(0, |_| EXTRA);
        let memory = variant.memory.unwrap_or(scenario.memory) + extra;
        let mut command = Command::new(arch.emulator());
        command
            .args(accelerator.options(arch, variant.la57))
            .args(scenario.machine)
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-m", &memory.to_string()])
            .args(["-smp", &scenario.cpus.to_string()])
            .arg("-kernel")
            .arg(&kernel.image)
            .arg("-initrd")
            .arg(initrd)
            .args([
                "-append",
                &command_line(&kernel.target, scenario, variant, reserved),
            ])
            .arg("-serial")
            .arg(file_option(&console(dir)))
            .args(report_options(arch, &report))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()));
        if !variant.no_vmcoreinfo {
            command.args(["-device", "vmcoreinfo"]);
        }
        if let Some(crash) = crash {
            let mut folder = OsString::from(format!("local,id={TAG},security_model=none,path="));
            folder.push(crash.folder());
            command.arg("-fsdev").arg(folder);
            let device = format!("virtio-9p-pci,fsdev={TAG},mount_tag={TAG}");
            command.args(["-device", &device]);
        }
        if scenario.balloon > 0 {
            command.args(["-device", "virtio-balloon-pci"]);
        }
        let mut bus = "";
        if scenario.numa {
            command.args(numa_options(memory, scenario.cpus));
            // An address on the bridge that the bus has.
            bus = ",bus=far,addr=4";
        }
        let mut mac = variant.mac;
        for (number, link) in links.iter().enumerate() {
            let id = format!("n{number}");
            command.arg("-netdev").arg(link.netdev(&id)?);
            command.arg("-device").arg(format!(
                "{},netdev={id},mac={mac},romfile={bus}",
                scenario.nic
            ));
            mac = mac.next();
        }
        let mut machine = Running::start(&mut command, &dir.join("qemu.log"))?;
        let sender = Sender::start(links, variant.mac);
        let reached = Monitor::connect(&socket).and_then(|mut monitor| {
            let truth = follow(&mut machine, &report, &sender, dir, |mib| {
                monitor.balloon(memory.saturating_sub(mib).into())
            })?;
            Ok((truth, monitor))
        });
        // A connection needs its name no more, and QEMU does not always remove it.
        if socket.exists() {
            fs::remove_file(&socket).context("cannot remove the monitor's socket")?;
        }
        let small = variant.memory.filter(|memory| *memory < scenario.memory);
        let (truth, mut monitor) = match small {
            None => reached,
            Some(memory) => reached.with_context(|| {
                format!(
                    "{} with {memory} MiB instead of its {} MiB: the guest may have too little memory",
                    scenario.name, scenario.memory
                )
            }),
        }?;
        monitor.stop()?;
        // Only now: a busy guest is dumped under traffic.
        drop(sender);
        Ok(Self {
            machine,
            dir: dir.to_owned(),
            monitor,
            truth,
        })
    }

    /// Waits until the second kernel of a crashing guest has made all its
    /// dumps, then ends the machine. Returns what it says of failed dumps.
    pub(super) fn capture(mut self, limit: Duration) -> Result<Vec<String>> {
        let start = Instant::now();
        loop {
            let text = fs::read(report(&self.dir)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let said = |word: &str| text.lines().any(|line| line.trim_end() == word);
            // Dropped, the machine ends; the dumps are on the host by now.
            if said("@captured") {
                let failed = text
                    .lines()
                    .filter_map(|line| line.strip_prefix("@failed "));
                return Ok(failed.map(|name| name.trim_end().to_owned()).collect());
            }
            if let Some(status) = self.machine.ended()? {
                bail!(
                    "the guest ended without a dump, with {status}: see {}",
                    console(&self.dir).display()
                );
            }
            if start.elapsed() > limit {
                bail!(
                    "the second kernel was not ready after {} s: see {}",
                    limit.as_secs(),
                    console(&self.dir).display()
                );
            }
            thread::sleep(POLL);
        }
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
fn command_line(target: &Target, scenario: &Scenario, variant: &Variant, reserved: u32) -> String {
    let reserve = match reserved {
        0 => String::new(),
        mib => format!("crashkernel={mib}M "),
    };
    format!(
        "{} panic=-1 loglevel=6 net.ifnames=0 init_on_free=1 {reserve}{} {} {}",
        target.arch.console(),
        target.kernel.parameters(),
        scenario.append,
        variant.append
    )
}

/// The serial port behind `arch.report()`.
fn report_options(arch: Arch, report: &Path) -> Vec<OsString> {
    let mut options: Vec<OsString> = Vec::new();
    match arch {
        Arch::X86_64 => options.extend(["-serial".into(), file_option(report)]),
        Arch::Aarch64 => {
            let mut port = OsString::from("file,id=report,path=");
            port.push(report);
            options.extend(["-chardev".into(), port]);
            options.extend(["-device".into(), "pci-serial,chardev=report".into()]);
        }
    }
    options
}

/// Does what the guest's `@` lines ask for; returns the truth once it is whole.
fn follow(
    machine: &mut Running,
    report: &Path,
    sender: &Sender,
    dir: &Path,
    mut balloon: impl FnMut(u32) -> Result<()>,
) -> Result<String> {
    let start = Instant::now();
    let mut inflated = false;
    loop {
        let text = fs::read(report).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        // Only whole lines: the guest may be in the middle of one.
        let whole = text
            .rfind('\n')
            .and_then(|end| text.get(..=end))
            .unwrap_or("");
        let words = || whole.lines().filter_map(|line| line.strip_prefix('@'));
        if let Some(line) = words().find(|line| line.starts_with("failed")) {
            bail!(
                "the guest could not plant: {line}; see {}",
                console(dir).display()
            );
        }
        let wanted = words().find_map(|line| line.strip_prefix("balloon "));
        if let Some(mib) = wanted.filter(|_| !inflated) {
            balloon(mib.trim_end().parse().context("the balloon's size")?)?;
            inflated = true;
        }
        match words().next_back() {
            Some("send large") => sender.set(Traffic::Large),
            Some("send small") => sender.set(Traffic::Small),
            Some("done") => {
                let lines = whole.lines().filter(|line| !line.starts_with('@'));
                return Ok(lines.flat_map(|line| [line, "\n"]).collect());
            }
            _ => sender.set(Traffic::Nothing),
        }
        if let Some(status) = machine.ended()? {
            return Err(Died {
                status,
                console: console(dir),
            }
            .into());
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

fn report(dir: &Path) -> PathBuf {
    dir.join("report.log")
}

fn console(dir: &Path) -> PathBuf {
    dir.join("console.log")
}

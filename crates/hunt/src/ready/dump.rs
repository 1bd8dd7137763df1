//! What a crash leaves: a dump, and before it a report.

use pagehound_model::size;
use pagehound_procfs::{Meminfo, Tree, meminfo, read_number, zoneinfo};

use super::config::{Config, Place, Tools};
use super::kept::Kept;
use super::{Check, Facts};
use crate::limit::MemoryLimit;

/// The check that says whether a crash is dumped.
pub(super) const LOADED: &str = "loaded";

/// What the kernel that kdump boots takes for itself and its initrd, in bytes: 94 MiB in
/// the lab, with Debian's 6.1 and no more than busybox.
const SECOND_KERNEL: u64 = 96 << 20;
/// What `contrib/kdump-report` leaves to others.
const SPARE: u64 = 32 << 20;
/// What is reserved is a multiple of this.
const STEP: u64 = 64 << 20;

/// Where `contrib/README.md` has things installed.
const PROGRAMS: [&str; 2] = ["usr/bin/pagehound", "usr/local/bin/pagehound"];
const SCRIPT: &str = "usr/lib/pagehound/kdump-report";
const DROP_INS: &str = "etc/systemd/system/kdump-tools-dump.service.d";
const HOOKS: &str = "etc/kdump/pre.d";

/// Longest text of a file that is looked into.
const MOST: u64 = 1 << 16;

/// `free` gives the bytes that are free in a folder.
pub(super) fn checks(
    tree: &dyn Tree,
    facts: &Facts,
    free: &dyn Fn(&str) -> Option<u64>,
) -> Vec<Check> {
    let text = bytes(tree, "proc/meminfo");
    let info = meminfo(&text).unwrap_or_default();
    let frames = Frames::of(tree);
    let reserved = reserved(tree);
    let config = facts.config.as_ref();
    let mut checks = vec![
        crash_kernel(&reserved, facts),
        loaded(tree, &reserved, config),
        folder(config),
    ];
    if let Some(config) = config {
        let kept = config.collector.as_deref().and_then(Kept::of);
        let outside = frames
            .as_ref()
            .map_or(0, |frames| frames.outside_kb(&info, &reserved));
        let needed = kept.and_then(|kept| kept.estimate(&info, outside));
        checks.push(room(config, needed, free));
        checks.push(level(config, kept));
    }
    checks.push(hook(tree, config).optional());
    let end = frames.map(|frames| frames.end);
    checks.extend(report_memory(&reserved, &info, end).map(Check::optional));
    checks
}

/// Frames of this host by `/proc/zoneinfo`, those of devices apart, which no dump has.
struct Frames {
    /// The first after the last; holes count.
    end: u64,
    present: u64,
    managed: u64,
}

/// Longest `/proc/zoneinfo`: some hundred bytes a zone and CPU.
const MOST_ZONES: u64 = 8 << 20;

impl Frames {
    fn of(tree: &dyn Tree) -> Option<Frames> {
        let text = tree.read("proc/zoneinfo", MOST_ZONES).ok()?;
        let zones = zoneinfo(&text.bytes).ok()?;
        let mut frames = Frames {
            end: 0,
            present: 0,
            managed: 0,
        };
        for zone in zones.iter().filter(|zone| zone.name != "Device") {
            let end = zone.start_pfn?.saturating_add(zone.spanned);
            frames.end = frames.end.max(end);
            frames.present = frames.present.saturating_add(zone.present);
            frames.managed = frames.managed.saturating_add(zone.managed?);
        }
        (frames.managed > 0).then_some(frames)
    }

    /// What is not in MemTotal and in a dump all the same, in kB: the memory map, the
    /// kernel's image, what was reserved at boot; not what the second kernel is in.
    fn outside_kb(&self, info: &Meminfo<'_>, reserved: &Reserved) -> u64 {
        let page_kb = info.kb("MemTotal").unwrap_or(0) / self.managed;
        let frames = self.present.saturating_sub(self.managed);
        let second = match reserved {
            Reserved::Bytes(bytes) => bytes / 1024,
            _ => 0,
        };
        frames.saturating_mul(page_kb).saturating_sub(second)
    }
}

/// Memory for another kernel.
enum Reserved {
    Bytes(u64),
    /// By the firmware of POWER, which boots the same kernel again.
    Firmware,
    /// This kernel boots no other.
    Never,
    Unknown,
}

fn reserved(tree: &dyn Tree) -> Reserved {
    let is_on = |path| read_number(tree, path) == Some(1);
    if is_on("sys/kernel/fadump/enabled") || is_on("sys/kernel/fadump_enabled") {
        return Reserved::Firmware;
    }
    match read_number(tree, "sys/kernel/kexec_crash_size") {
        Some(bytes) => Reserved::Bytes(bytes),
        // Files that a kernel always has, by which a whole /sys is told from a part.
        None if tree.read("sys/kernel/uevent_seqnum", 0).is_ok() => Reserved::Never,
        None => Reserved::Unknown,
    }
}

fn crash_kernel(reserved: &Reserved, facts: &Facts) -> Check {
    const NAME: &str = "crash kernel";
    match reserved {
        Reserved::Firmware => Check::ok(NAME, "by firmware (fadump)"),
        Reserved::Unknown => Check::unknown(NAME, "there is no /sys/kernel/kexec_crash_size"),
        Reserved::Never => Check::no(
            NAME,
            "this kernel boots no other when it crashes",
            "a kernel with CONFIG_CRASH_DUMP, or dumps by the hypervisor",
        ),
        Reserved::Bytes(0) => match facts.parameter("crashkernel") {
            Some(asked) => Check::no(
                NAME,
                format!("nothing reserved, though crashkernel={asked} asks for it"),
                "the kernel's log says why; try another size",
            ),
            None => Check::no(
                NAME,
                "nothing reserved",
                how_to_reserve(facts.config.as_ref(), 256),
            ),
        },
        Reserved::Bytes(bytes) => Check::ok(NAME, format!("{} reserved", size(*bytes))),
    }
}

fn how_to_reserve(config: Option<&Config>, mib: u64) -> String {
    match config.map(|config| config.tools) {
        Some(Tools::Debian) => format!(
            "crashkernel={mib}M in /etc/default/grub.d/kdump-tools.cfg, then update-grub and a reboot"
        ),
        Some(Tools::Fedora) => {
            format!("kdumpctl reset-crashkernel, or crashkernel={mib}M by grubby; then a reboot")
        }
        None => format!(
            "install kdump-tools (Debian, Ubuntu) or kdump-utils (Fedora, RHEL), and reboot with crashkernel={mib}M"
        ),
    }
}

fn loaded(tree: &dyn Tree, reserved: &Reserved, config: Option<&Config>) -> Check {
    let paths: &[&str] = match reserved {
        Reserved::Firmware => &[
            "sys/kernel/fadump/registered",
            "sys/kernel/fadump_registered",
        ],
        _ => &["sys/kernel/kexec_crash_loaded"],
    };
    match paths.iter().find_map(|path| read_number(tree, path)) {
        Some(1) => Check::ok(LOADED, "a crash boots the crash kernel"),
        None if !matches!(reserved, Reserved::Never) => Check::unknown(
            LOADED,
            format!("there is no /{}", paths.first().unwrap_or(&"")),
        ),
        _ => {
            let advice = match (reserved, config.map(|config| config.tools)) {
                (Reserved::Never | Reserved::Bytes(0), _) => "a crash kernel first",
                (_, Some(Tools::Debian)) => "kdump-config load; its reason is what it says",
                (_, Some(Tools::Fedora)) => "systemctl enable --now kdump",
                (_, None) => "kdump's own tools load it",
            };
            Check::no(LOADED, "a crash leaves no dump", advice)
        }
    }
}

fn folder(config: Option<&Config>) -> Check {
    const NAME: &str = "dump folder";
    let Some(config) = config else {
        return Check::no(
            NAME,
            "neither /etc/default/kdump-tools nor /etc/kdump.conf",
            "install kdump-tools (Debian, Ubuntu) or kdump-utils (Fedora, RHEL)",
        );
    };
    let file = config.tools.file();
    if !config.on {
        let found = format!("{file} takes no dumps");
        return Check::no(NAME, found, format!("USE_KDUMP=1 in {file}"));
    }
    match &config.place {
        Place::Folder(folder) => Check::ok(NAME, format!("{folder}, by {file}")),
        Place::Elsewhere(place) => Check::ok(NAME, format!("{place}, by {file}")),
        Place::Untold(why) => Check::unknown(NAME, format!("{file}: {why}")),
    }
}

fn room(config: &Config, needed: Option<u64>, free: &dyn Fn(&str) -> Option<u64>) -> Check {
    const NAME: &str = "room";
    let Some(needed) = needed else {
        return Check::unknown(NAME, "how large a dump will be cannot be told");
    };
    let about = format!(
        "a dump takes about {}, an estimate by what is in use now",
        size(needed)
    );
    let Place::Folder(folder) = &config.place else {
        return Check::unknown(NAME, format!("{about}; its place is not looked at")).optional();
    };
    match free(folder) {
        None => Check::unknown(NAME, format!("{about}; what {folder} has is not known")),
        Some(free) if free < needed => Check::no(
            NAME,
            format!("{about}; {folder} has {} free", size(free)),
            "make room, or let the report before the dump be all there is",
        ),
        Some(free) => Check::ok(NAME, format!("{about}; {folder} has {} free", size(free))),
    }
}

fn level(config: &Config, kept: Option<Kept>) -> Check {
    const NAME: &str = "dump level";
    let collector = config.collector.as_deref();
    match (collector, kept) {
        (Some(collector), Some(Kept { erased: true, .. })) => Check::no(
            NAME,
            format!("{collector}: it erases data"),
            "what is erased cannot be told from what is lost: leave out the configuration that erases",
        ),
        (Some(collector), Some(Kept { level: 0, .. })) => Check::ok(
            NAME,
            format!("{collector}: all of memory, which -d 31 makes smaller without loss"),
        ),
        (Some(collector), Some(_)) => Check::ok(
            NAME,
            format!("{collector}: all pages of the kernel's own that hold data are kept"),
        ),
        (Some(collector), None) => {
            Check::unknown(NAME, format!("{collector}: what it keeps is not known"))
        }
        (None, _) => Check::unknown(NAME, "MAKEDUMP_ARGS is more than text"),
    }
}

/// Whether a report is made before the dump.
fn hook(tree: &dyn Tree, config: Option<&Config>) -> Check {
    const NAME: &str = "report hook";
    const ADVICE: &str = "contrib/README.md says how to install it";
    let there = |path: &str| tree.read(path, 0).is_ok();
    let file = match config.map(|config| config.tools) {
        None => None,
        Some(Tools::Debian) => drop_in(tree),
        Some(Tools::Fedora) => pre_hook(tree, config),
    };
    let Some(file) = file else {
        return Check::no(NAME, "a crash leaves no report beside the dump", ADVICE);
    };
    if !there(SCRIPT) || !PROGRAMS.iter().any(|program| there(program)) {
        let found = format!("{file} is there, but not /{SCRIPT} or pagehound");
        return Check::no(NAME, found, ADVICE);
    }
    let bins = config.filter(|config| config.tools == Tools::Fedora);
    if bins.is_some_and(|config| {
        !["pagehound", "kdump-report", "timeout"]
            .iter()
            .all(|program| names_program(&config.programs, program))
    }) {
        let found = format!("{file} is there, but its programs are not in kdump's initrd");
        let advice = "name pagehound, kdump-report and timeout in extra_bins of /etc/kdump.conf";
        return Check::no(NAME, found, advice);
    }
    Check::ok(NAME, format!("{file}: a report is made before the dump"))
}

fn names_program(programs: &str, name: &str) -> bool {
    let mut words = programs.split_ascii_whitespace();
    words.any(|word| word.rsplit('/').next() == Some(name))
}

fn bytes(tree: &dyn Tree, path: &str) -> Vec<u8> {
    tree.read(path, MOST)
        .map(|text| text.bytes)
        .unwrap_or_default()
}

/// A drop-in that runs the script.
fn drop_in(tree: &dyn Tree) -> Option<String> {
    let runs_it = |line: &str| line.starts_with("ExecStartPre=") && line.contains("kdump-report");
    let names = tree.names(DROP_INS).unwrap_or_default();
    let mut paths = names.iter().map(|name| format!("{DROP_INS}/{name}"));
    let path = paths.find(|path| {
        let text = bytes(tree, path);
        path.ends_with(".conf") && String::from_utf8_lossy(&text).lines().any(runs_it)
    })?;
    Some(format!("/{path}"))
}

/// A hook of pagehound's.
fn pre_hook(tree: &dyn Tree, config: Option<&Config>) -> Option<String> {
    let is_ours = |name: &str| name.ends_with("-pagehound");
    let names = tree.names(HOOKS).unwrap_or_default();
    let hook = names.iter().find(|name| is_ours(name));
    let hook = hook.map(|name| format!("/{HOOKS}/{name}"));
    hook.or_else(|| {
        let mut words = config?.programs.split_ascii_whitespace();
        words.find(|word| is_ours(word)).map(str::to_owned)
    })
}

/// Whether a report of so many frames fits beside the second kernel, where its memory is
/// known.
fn report_memory(reserved: &Reserved, info: &Meminfo<'_>, frames: Option<u64>) -> Option<Check> {
    const NAME: &str = "report memory";
    let (Reserved::Bytes(reserved @ 1..), Some(total)) = (reserved, info.kb("MemTotal")) else {
        return None;
    };
    // With smaller pages than these there is no kernel; larger ones need less. Holes are
    // not among these.
    let frames = frames.unwrap_or(total / 4);
    let needed = MemoryLimit::for_frames(frames).0 + SECOND_KERNEL + SPARE;
    let found = format!(
        "about {} MiB are needed for a report, more with many lost pages; {} are reserved",
        needed >> 20,
        size(*reserved)
    );
    Some(match *reserved >= needed {
        true => Check::ok(NAME, found),
        false => {
            let enough = needed.next_multiple_of(STEP) >> 20;
            let advice = format!("crashkernel={enough}M; with less it is of a sample or a line");
            Check::no(NAME, found, advice)
        }
    })
}

//! Where the text comes from: the running host, a saved file with its companions
//! beside it, or one file with sections.

use super::saved::{Companions, Sections};
use super::{HostError, live, sos};
use pagehound_procfs as procfs;
use procfs::{
    DmaBufs, HugepagePool, MachineMemory, ModuleBuild, NetDevice, NodeText, Processes, Recorded,
    Recorder, Root, TraceRings, Tree, Unread, ZramDevice,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest file that is read, in bytes: a vmallocinfo of half a million areas.
const MAX_FILE: u64 = 64 << 20;

/// How much of a live page_owner is read: the kernel makes it while it is read, and
/// there is a paragraph for every page in use.
const MAX_RECORDS: u64 = 16 << 20;

/// Companions without which rows are wrong or missing; others only say more of a row.
const NEEDED: [&str; 3] = ["vmallocinfo", "zoneinfo", "vmstat"];

/// Where a saved kernel log lies: the first two are a sos archive's.
const LOGS: [&str; 3] = ["sos_commands/kernel/dmesg", "dmesg", "log"];

/// How long processes are looked at.
const PROCESSES_TIME: Duration = Duration::from_secs(2);

/// Where more lie in a folder, no host is looked for below it.
const MAX_SUBFOLDERS: usize = 1 << 10;

/// The text of a host's files, unparsed. Only the meminfo is indispensable.
#[derive(Clone, Debug, Default)]
pub struct HostFiles {
    /// Where they come from, for messages: `/proc` or a path.
    pub origin: String,
    /// `/proc/meminfo`.
    pub meminfo: Vec<u8>,
    /// `/proc/vmallocinfo` (root only).
    pub vmallocinfo: Option<Vec<u8>>,
    /// `/proc/zoneinfo`.
    pub zoneinfo: Option<Vec<u8>>,
    /// `/proc/vmstat`.
    pub vmstat: Option<Vec<u8>>,
    /// `/proc/modules`.
    pub modules: Option<Vec<u8>>,
    /// `/proc/version`.
    pub version: Option<Vec<u8>>,
    /// `/proc/allocinfo` (root only), with memory allocation profiling.
    pub allocinfo: Option<Vec<u8>>,
    /// `/sys/kernel/debug/page_owner_stacks/show_stacks` or `/sys/kernel/debug/page_owner`
    /// (root only), on kernels booted with `page_owner=on`.
    pub page_owner: Option<Vec<u8>>,
    /// `/proc/slabinfo` (root only).
    pub slabinfo: Option<Vec<u8>>,
    /// `/proc/iomem` (addresses for root only).
    pub iomem: Option<Vec<u8>>,
    /// The kernel log.
    pub log: Option<Vec<u8>>,
    /// `/proc/net/sockstat` and `sockstat6`.
    pub sockstat: [Option<Vec<u8>>; 2],
    /// `/proc/sysvipc/shm`.
    pub sysvipc_shm: Option<Vec<u8>>,
    /// `/proc/spl/kstat/zfs/abdstats` and `arcstats`.
    pub zfs: [Option<Vec<u8>>; 2],
    /// CPUs there can be, of `/sys/devices/system/cpu/possible`.
    pub possible_cpus: Option<u64>,
    /// zram devices.
    pub zram: Vec<ZramDevice>,
    /// Bytes of zswap's pool, of debugfs (root only); `Zswap` of meminfo since 5.19.
    pub zswap_pool: Option<u64>,
    /// Ring buffers of tracing (root only).
    pub trace_rings: Vec<TraceRings>,
    /// Pages that mlx5 devices have been given for their firmware, of debugfs (root only).
    pub mlx5_pages: u64,
    /// Buffers that devices share.
    pub dmabufs: Vec<DmaBufs>,
    /// Counters of NUMA nodes, and of each the pools of huge pages.
    pub nodes: Vec<(NodeText, Vec<HugepagePool>)>,
    /// The host asks its balloon to deflate where memory runs out (`/sys/bus/virtio`).
    pub balloon_deflates: bool,
    /// Memory of the machine by those who know more than the page allocator.
    pub installed: MachineMemory,
    /// Control groups that were removed and stay because memory is charged to them.
    pub dying_cgroups: Option<u64>,
    /// What processes have (of all for root only); none where there was no time to look.
    pub processes: Option<Processes>,
    /// Bytes of each tmpfs that is mounted, by where.
    pub tmpfs: Vec<(String, u64)>,
    /// Pools of `/sys/kernel/mm/hugepages`.
    pub hugepages: Option<Vec<HugepagePool>>,
    /// Devices of `/sys/class/net`.
    pub netdevs: Option<Vec<NetDevice>>,
    /// Builds of modules, of `/sys/module`.
    pub module_builds: Option<Vec<ModuleBuild>>,
    /// Node name, of `/proc/sys/kernel/hostname`.
    pub hostname: Option<String>,
    /// Of `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<String>,
    /// Architecture, where sos tells it.
    pub machine: Option<String>,
    /// When sos ran, to the second: files of `/proc` do not tell when they were read, and
    /// their times are those of when the kernel first had to do with them.
    pub captured_at: Option<String>,
    /// Whether they are of an archive of sos, packed or not.
    pub of_sos: bool,
    /// Files that exist, but that this user may not read.
    pub denied: Vec<&'static str>,
    /// Files that exist, but could not be read for another reason; sentences.
    pub problems: Vec<String>,
}

/// The folder that [`HostFiles::from_folder`] reads when given `folder`: itself, or the
/// only folder in it that has a `proc/meminfo`, as where a sos archive was unpacked.
pub fn host_folder(folder: &Path) -> Option<PathBuf> {
    let has_files = |folder: &Path| folder.join("proc/meminfo").is_file();
    if has_files(folder) {
        return Some(folder.to_owned());
    }
    let entries = std::fs::read_dir(folder).ok()?.take(MAX_SUBFOLDERS);
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders = folders.filter(|folder| has_files(folder));
    let only = folders.next()?;
    folders.next().is_none().then_some(only)
}

/// Whether a file that starts with `head` can be given to
/// [`HostFiles::from_meminfo_path`]: a meminfo, or a file with `== name` sections.
pub fn looks_like_host_files(head: &[u8]) -> bool {
    procfs::looks_like_meminfo(head) || procfs::looks_like_sections(head)
}

impl HostFiles {
    /// The host this runs on. Files this user may not read are left out and named in
    /// `denied`.
    ///
    /// # Errors
    /// `/proc/meminfo` cannot be read.
    pub fn live() -> Result<HostFiles, HostError> {
        Ok(HostFiles::recorded_live()?.0)
    }

    /// The same, and what was read of `/proc` and `/sys` for it, by path. What processes
    /// have, and the log, is not among that.
    ///
    /// # Errors
    /// See [`live`](Self::live).
    pub fn recorded_live() -> Result<(HostFiles, BTreeMap<String, Recorded>), HostError> {
        let folder = Path::new("/");
        let root = Root::open(folder).map_err(|source| HostError::Io {
            path: folder.to_owned(),
            error: source,
        })?;
        let recorder = Recorder::new(&root);
        let mut files = HostFiles::of(&recorder, "/proc".to_owned())?;
        match live::kernel_log() {
            Ok(log) => files.log = Some(log),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                files.denied.push("kernel log");
            }
            Err(_) => {}
        }
        match live::in_time(live::tmpfs) {
            Some(tmpfs) => files.tmpfs = tmpfs,
            None => files
                .problems
                .push("tmpfs: a mount does not answer; left out".to_owned()),
        }
        let processes = || {
            let end = Instant::now() + PROCESSES_TIME;
            procfs::read_processes(Path::new("/proc"), end).ok()
        };
        match live::in_time(processes) {
            Some(processes) => files.processes = processes,
            None => files
                .problems
                .push("processes: one of them does not answer; left out".to_owned()),
        }
        if files.processes.as_ref().is_some_and(|found| found.hidden) {
            files.denied.push("processes");
        }
        Ok((files, recorder.into_recorded()))
    }

    /// A folder with `proc` and perhaps `sys` below it, such as `/`, copies of both, or
    /// an unpacked sos archive; or the folder that such a one is in, see [`host_folder`].
    ///
    /// # Errors
    /// There is no `proc/meminfo` in it, or it cannot be read.
    pub fn from_folder(folder: &Path) -> Result<HostFiles, HostError> {
        let found = host_folder(folder);
        let folder = found.as_deref().unwrap_or(folder);
        let io = |error| HostError::Io {
            path: folder.to_owned(),
            error,
        };
        let root = Root::open(folder).map_err(io)?;
        HostFiles::of(&root, folder.join("proc").display().to_string())
    }

    /// What there is in `tree`. `origin` is for messages.
    ///
    /// # Errors
    /// There is no `proc/meminfo` in it, or it cannot be read.
    pub fn of(tree: &dyn Tree, origin: String) -> Result<HostFiles, HostError> {
        let meminfo = match tree.read("proc/meminfo", MAX_FILE) {
            Ok(text) if text.cut => {
                return Err(HostError::TooLong {
                    path: origin.into(),
                    limit: MAX_FILE,
                });
            }
            Ok(text) => text.bytes,
            Err(reason) => return Err(HostError::NoMeminfo { origin, reason }),
        };
        let mut files = HostFiles {
            origin,
            meminfo,
            ..HostFiles::default()
        };
        // First what changes fastest, so that it fits the meminfo.
        files.zoneinfo = files.text(tree, "proc/zoneinfo");
        files.vmstat = files.text(tree, "proc/vmstat");
        files.vmallocinfo = files.text(tree, "proc/vmallocinfo");
        files.modules = files.text(tree, "proc/modules");
        files.version = files.text(tree, "proc/version");
        files.allocinfo = files.text(tree, "proc/allocinfo");
        files.page_owner = files.page_owner(tree);
        files.slabinfo = files.text(tree, "proc/slabinfo");
        files.sockstat = ["proc/net/sockstat", "proc/net/sockstat6"].map(|it| files.text(tree, it));
        files.sysvipc_shm = files.text(tree, "proc/sysvipc/shm");
        files.zfs = ["proc/spl/kstat/zfs/abdstats", "proc/spl/kstat/zfs/arcstats"]
            .map(|it| files.text(tree, it));
        files.iomem = files.text(tree, "proc/iomem");
        files.read_iomem();
        files.log = LOGS.iter().find_map(|path| files.text(tree, path));
        let possible = procfs::read_line(tree, "sys/devices/system/cpu/possible");
        files.possible_cpus = possible.and_then(|text| procfs::cpulist_count(&text));
        files.zram = procfs::read_zram(tree);
        files.zswap_pool = procfs::read_number(tree, "sys/kernel/debug/zswap/pool_total_size");
        match procfs::read_trace_rings(tree) {
            Ok(rings) => files.trace_rings = rings,
            Err(Unread::Denied) => files.denied.push("tracing"),
            Err(_) => {}
        }
        files.mlx5_pages = mlx5_pages(tree);
        files.dmabufs = procfs::read_dmabufs(tree);
        files.nodes = nodes(tree);
        files.balloon_deflates = balloon_deflates(tree);
        files.installed = procfs::read_machine_memory(tree);
        if tree.read("sys/firmware/dmi/tables/DMI", 0) == Err(Unread::Denied) {
            files.denied.push("DMI");
        }
        files.dying_cgroups = dying_cgroups(tree);
        files.hugepages = procfs::read_hugepages(tree).ok();
        files.netdevs = procfs::read_netdevs(tree).ok();
        files.module_builds = procfs::read_module_builds(tree).ok();
        files.hostname = procfs::read_line(tree, "proc/sys/kernel/hostname");
        files.boot_id = procfs::read_line(tree, "proc/sys/kernel/random/boot_id");
        sos::complete(&mut files, tree);
        Ok(files)
    }

    /// The text at `path`. That there is none is no problem.
    fn text(&mut self, tree: &dyn Tree, path: &'static str) -> Option<Vec<u8>> {
        let name = file_name(path);
        match tree.read(path, MAX_FILE) {
            Ok(text) if !text.cut => return Some(text.bytes),
            Ok(_) => self.problems.push(format!(
                "{name}: longer than {} MiB; left out",
                MAX_FILE >> 20
            )),
            Err(Unread::NotThere) => {}
            Err(Unread::Denied) => self.denied.push(name),
            Err(Unread::Other(reason)) => self.problems.push(format!("{name}: {reason}; left out")),
        }
        None
    }

    /// Takes back an iomem whose addresses are hidden.
    fn read_iomem(&mut self) {
        let text = self.iomem.as_deref().unwrap_or_default();
        let ranges: Vec<procfs::Resource<'_>> = procfs::iomem(text).map_while(Result::ok).collect();
        if procfs::addresses_hidden(&ranges) {
            self.iomem = None;
            self.denied.push("iomem");
        }
    }

    /// Stacks with their pages, as the kernel adds them up; before 6.9 every
    /// allocation, of which the first tell what there is.
    fn page_owner(&mut self, tree: &dyn Tree) -> Option<Vec<u8>> {
        let stacks = tree.read(
            "sys/kernel/debug/page_owner_stacks/show_stacks",
            MAX_RECORDS,
        );
        if let Ok(stacks) = stacks.as_ref().map(|text| &text.bytes) {
            return Some(stacks.clone());
        }
        let text = tree.read("sys/kernel/debug/page_owner", MAX_RECORDS).ok()?;
        if text.cut {
            self.problems.push(format!(
                "page_owner is long: its first {} MiB were read, so the sums are of the lowest pages",
                MAX_RECORDS >> 20
            ));
        }
        Some(text.bytes)
    }

    /// A saved meminfo, or a file with sections `== meminfo`, `== vmallocinfo` and so
    /// on. Companions of a meminfo are looked for beside it under the same name with
    /// `meminfo` replaced (`host1-meminfo.txt`, `host1-zoneinfo.txt`); beside a file
    /// whose name has no `meminfo` in it, under their plain names. `proc/meminfo` stands
    /// for the whole folder that `proc` lies in, see [`HostFiles::from_folder`].
    ///
    /// # Errors
    /// The file cannot be read, is too long, or has sections but no meminfo.
    pub fn from_meminfo_path(path: &Path) -> Result<HostFiles, HostError> {
        let text = read(path)?;
        let origin = path.display().to_string();
        if procfs::looks_like_sections(&text) {
            return HostFiles::from_sections(&text, origin);
        }
        let absolute = std::path::absolute(path).unwrap_or_default();
        if absolute.ends_with("proc/meminfo")
            && let Some(folder) = absolute.ancestors().nth(2)
            && let Ok(root) = Root::open(folder)
        {
            return HostFiles::of(&root, origin);
        }
        HostFiles::of(&Companions::of(path, text), origin)
    }

    /// A text with sections, see [`HostFiles::from_meminfo_path`]. Of sections with the
    /// same name the first counts. `origin` is for messages.
    ///
    /// # Errors
    /// No section is called `meminfo`.
    pub fn from_sections(text: &[u8], origin: String) -> Result<HostFiles, HostError> {
        HostFiles::of(&Sections::of(text), origin).map_err(|error| match error {
            HostError::NoMeminfo { origin, .. } => HostError::NoSection { origin },
            error => error,
        })
    }

    /// One sentence on what the files that are missing would add.
    pub(super) fn absent(&self) -> Option<String> {
        let would_add = [
            (
                "vmallocinfo",
                self.vmallocinfo.is_none(),
                "who has vmalloc memory, and whether it holds kernel stacks",
            ),
            (
                "zoneinfo",
                self.zoneinfo.is_none(),
                "free pages on per-CPU lists",
            ),
            ("vmstat", self.vmstat.is_none(), "pages of zram"),
            ("slabinfo", self.slabinfo.is_none(), "slab caches"),
            ("tracing", self.trace_rings.is_empty(), "trace buffers"),
            (
                "processes",
                self.denied.contains(&"processes"),
                "memfd, rings, BPF maps and graphics of other users",
            ),
            (
                "kernel log",
                self.log.is_none(),
                "the first per-CPU chunk, the kernel's image",
            ),
            ("iomem", self.iomem.is_none(), "the firmware's part"),
            ("DMI", self.installed.modules.is_none(), "memory modules"),
        ];
        let list = |denied: bool| {
            would_add
                .iter()
                .filter(|&&(name, gone, _)| {
                    let given = NEEDED.contains(&name) || denied;
                    gone && given && self.denied.contains(&name) == denied
                })
                .map(|(name, _, what)| format!("{name} ({what})"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let not_there = match self.of_sos {
            true => "not in the archive: ",
            false => "not given: ",
        };
        let parts: Vec<_> = [("root would add: ", list(true)), (not_there, list(false))]
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(lead, list)| lead.to_owned() + &list)
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// The whole file.
fn read(path: &Path) -> Result<Vec<u8>, HostError> {
    let io = |error| HostError::Io {
        path: path.to_owned(),
        error,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let text = procfs::read_some(file, MAX_FILE).map_err(io)?;
    if text.cut {
        return Err(HostError::TooLong {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    Ok(text.bytes)
}

/// Pages of all mlx5 devices, by debugfs `mlx5/<device>/pages/fw_pages_total`.
fn mlx5_pages(tree: &dyn Tree) -> u64 {
    let folder = "sys/kernel/debug/mlx5";
    let devices = tree.names(folder).unwrap_or_default();
    let pages = |device: &String| {
        let path = format!("{folder}/{device}/pages/fw_pages_total");
        procfs::read_number(tree, &path)
    };
    devices
        .iter()
        .filter_map(pages)
        .fold(0, u64::saturating_add)
}

/// Device and feature of the virtio specification: a memory balloon, and
/// `VIRTIO_BALLOON_F_DEFLATE_ON_OOM`.
const VIRTIO_BALLOON: &str = "0x0005";
const DEFLATE_ON_OOM: usize = 2;

/// Whether a virtio balloon was offered that feature and took it: a character of
/// `features` is a bit, the lowest first.
fn balloon_deflates(tree: &dyn Tree) -> bool {
    let folder = "sys/bus/virtio/devices";
    let devices = tree.names(folder).unwrap_or_default();
    devices.iter().any(|device| {
        let line = |file: &str| procfs::read_line(tree, &format!("{folder}/{device}/{file}"));
        let has = |features: String| features.as_bytes().get(DEFLATE_ON_OOM) == Some(&b'1');
        line("device").as_deref() == Some(VIRTIO_BALLOON) && line("features").is_some_and(has)
    })
}

fn nodes(tree: &dyn Tree) -> Vec<(NodeText, Vec<HugepagePool>)> {
    let nodes = procfs::read_nodes(tree).into_iter();
    let with_pools = nodes.map(|node| {
        let folder = format!("sys/devices/system/node/node{}/hugepages", node.node);
        let pools = procfs::read_hugepages_in(tree, &folder);
        (node, pools.unwrap_or_default())
    });
    with_pools.collect()
}

/// The root group's `cgroup.stat` (4.14 and later), where the second version is mounted.
fn dying_cgroups(tree: &dyn Tree) -> Option<u64> {
    let text = procfs::read_line(tree, "sys/fs/cgroup/cgroup.stat")?;
    let mut lines = text.lines();
    lines.find_map(|line| {
        line.strip_prefix("nr_dying_descendants ")?
            .trim()
            .parse()
            .ok()
    })
}

/// What a file of `/proc` is called: `proc/net/sockstat` is `sockstat`.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_are_found_by_the_name_of_the_meminfo() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a-meminfo.txt", "MemTotal: 1 kB\n");
        write("a-zoneinfo.txt", "zones of a");
        write("b-zoneinfo.txt", "zones of b");
        write("vmstat", "of somebody");
        let files = HostFiles::from_meminfo_path(&folder.path().join("a-meminfo.txt")).unwrap();
        assert_eq!(files.meminfo, b"MemTotal: 1 kB\n");
        assert_eq!(files.zoneinfo.as_deref(), Some(&b"zones of a"[..]));
        assert_eq!(
            (files.vmstat, files.vmallocinfo, files.hugepages),
            (None, None, None)
        );
        assert!(files.denied.is_empty() && files.problems.is_empty());
    }

    #[test]
    fn what_is_no_file_of_the_folder_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("meminfo"), "MemTotal: 1 kB\n").unwrap();
        std::fs::write(path("secret"), "root:x").unwrap();
        std::os::unix::fs::symlink(path("secret"), path("vmstat")).unwrap();
        std::fs::create_dir(path("zoneinfo")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("modules")).unwrap();
        let files = HostFiles::from_meminfo_path(&path("meminfo")).unwrap();
        assert_eq!(
            (files.vmstat, files.zoneinfo, files.modules),
            (None, None, None)
        );
        let mut problems = files.problems;
        problems.sort();
        let told = ["modules", "vmstat", "zoneinfo"];
        let told = told.map(|name| format!("{name}: no regular file; left out"));
        assert_eq!(problems, told);
    }

    #[test]
    fn a_sos_report_has_sys_beside_proc() {
        let root = tempfile::tempdir().unwrap();
        let pool = root
            .path()
            .join("sys/kernel/mm/hugepages/hugepages-1048576kB");
        std::fs::create_dir_all(&pool).unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(pool.join("nr_hugepages"), "3\n").unwrap();
        std::fs::write(root.path().join("proc/meminfo"), "MemTotal: 1 kB\n").unwrap();
        std::fs::write(root.path().join("proc/vmstat"), "nr_zspages 1\n").unwrap();
        let bond = root.path().join("sys/class/net/bond0/lower_em1");
        std::fs::create_dir_all(bond).unwrap();
        let module = root.path().join("sys/module/ice");
        std::fs::create_dir_all(&module).unwrap();
        std::fs::write(module.join("version"), "1.5.2\n").unwrap();
        let names = root.path().join("proc/sys/kernel");
        std::fs::create_dir_all(&names).unwrap();
        std::fs::write(names.join("hostname"), "db7\n").unwrap();
        for (device, kind, features) in
            [("virtio0", "0x0001", "1111"), ("virtio1", "0x0005", "0110")]
        {
            let folder = root.path().join("sys/bus/virtio/devices").join(device);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("device"), format!("{kind}\n")).unwrap();
            std::fs::write(folder.join("features"), format!("{features}\n")).unwrap();
        }
        let files = HostFiles::from_meminfo_path(&root.path().join("proc/meminfo")).unwrap();
        assert!(files.balloon_deflates);
        assert_eq!(files.netdevs.unwrap()[0].name, "bond0");
        let build = &files.module_builds.unwrap()[0];
        assert_eq!(build.version.as_deref(), Some("1.5.2"));
        assert_eq!(
            (files.hostname.as_deref(), files.boot_id),
            (Some("db7"), None)
        );
        assert_eq!(files.vmstat.as_deref(), Some(&b"nr_zspages 1\n"[..]));
        assert_eq!(files.hugepages.unwrap()[0].bytes(), Some(3 << 30));
    }

    #[test]
    fn a_folder_is_a_host_if_it_or_its_only_folder_with_proc_is() {
        let outer = tempfile::tempdir().unwrap();
        let at = |path: &str| outer.path().join(path);
        assert_eq!(host_folder(outer.path()), None);
        std::fs::create_dir_all(at("sosreport-db7/proc")).unwrap();
        std::fs::create_dir_all(at("other/proc")).unwrap();
        std::fs::write(at("sosreport-db7/proc/meminfo"), "MemTotal: 1 kB\n").unwrap();
        let found = host_folder(outer.path()).unwrap();
        assert_eq!(found, at("sosreport-db7"));
        assert_eq!(host_folder(&found), Some(found.clone()));
        let files = HostFiles::from_folder(outer.path()).unwrap();
        assert!(!files.balloon_deflates);
        assert_eq!(files.meminfo, b"MemTotal: 1 kB\n");
        assert_eq!(files.origin, found.join("proc").display().to_string());
        // Which of two is meant, nobody knows.
        std::fs::write(at("other/proc/meminfo"), "MemTotal: 2 kB\n").unwrap();
        assert_eq!(host_folder(outer.path()), None);
        let error = HostFiles::from_folder(outer.path()).unwrap_err();
        assert!(
            error.to_string().contains("proc: meminfo: not there; give"),
            "{error}"
        );
    }

    #[test]
    fn sections_replace_files() {
        let files = HostFiles::from_sections(
            b"== vmstat\nnr_zspages 1\n== meminfo\nMemTotal: 1 kB\n== vmstat\nlater\n== x\n",
            "f".to_owned(),
        )
        .unwrap();
        assert_eq!(files.meminfo, b"MemTotal: 1 kB\n");
        assert_eq!(files.vmstat.as_deref(), Some(&b"nr_zspages 1\n"[..]));
        let error = HostFiles::from_sections(b"== x\n", "f".to_owned()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("f: no section `== meminfo`; add")
        );
    }

    #[test]
    fn a_path_that_is_no_file_is_an_error_that_names_it() {
        for path in ["/nowhere/meminfo", "/proc"] {
            let error = HostFiles::from_meminfo_path(Path::new(path)).unwrap_err();
            assert!(error.to_string().starts_with(path), "{error}");
        }
        assert!(matches!(
            HostFiles::from_meminfo_path(Path::new("/dev/zero")),
            Err(HostError::TooLong { .. })
        ));
    }

    #[test]
    fn the_kinds_of_files_are_known_by_their_first_line() {
        assert!(looks_like_host_files(b"MemTotal:       24684096 kB\n"));
        assert!(looks_like_host_files(b"== meminfo\n"));
        assert!(!looks_like_host_files(b"KDUMP   \x06\0\0\0"));
    }
}

//! Where the text comes from: the running host, a saved file with its companions
//! beside it, or one file with sections.

use super::HostError;
use pagehound_procfs as procfs;
use procfs::{HugepagePool, ModuleBuild, NetDevice};
use std::io::Read;
use std::path::Path;

/// Longest file that is read, in bytes: a vmallocinfo of half a million areas.
const MAX_FILE: u64 = 64 << 20;

/// How much of a live page_owner is read: the kernel makes it while it is read, and
/// there is a paragraph for every page in use.
const MAX_RECORDS: u64 = 16 << 20;

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
    /// Files that exist, but that this user may not read.
    pub denied: Vec<&'static str>,
    /// Files that exist, but could not be read for another reason; sentences.
    pub problems: Vec<String>,
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
        let proc = Path::new("/proc");
        let mut files = HostFiles {
            origin: "/proc".to_owned(),
            meminfo: read(&proc.join("meminfo"))?,
            ..HostFiles::default()
        };
        files.read_companions(proc, |name| name.to_owned());
        files.read_host(proc, Path::new("/sys"));
        files.read_page_owner(Path::new("/sys/kernel/debug"));
        Ok(files)
    }

    /// What tells hosts apart, and the huge pages, from `/proc` and `/sys` or copies of
    /// them side by side.
    fn read_host(&mut self, proc: &Path, sys: &Path) {
        self.hugepages = procfs::read_hugepages(&sys.join("kernel/mm/hugepages")).ok();
        self.netdevs = procfs::read_netdevs(sys).ok();
        self.module_builds = procfs::read_module_builds(sys).ok();
        self.hostname = procfs::read_line(proc, "sys/kernel/hostname");
        self.boot_id = procfs::read_line(proc, "sys/kernel/random/boot_id");
    }

    /// Stacks with their pages, as the kernel adds them up; before 6.9 every
    /// allocation, of which the first tell what there is.
    fn read_page_owner(&mut self, debug: &Path) {
        let stacks = read(&debug.join("page_owner_stacks/show_stacks"));
        self.page_owner = stacks.ok().or_else(|| {
            let (text, cut) = read_some(&debug.join("page_owner"), MAX_RECORDS).ok()?;
            if cut {
                self.problems.push(format!(
                    "page_owner is long: its first {} MiB were read, so the sums are of the lowest pages",
                    MAX_RECORDS >> 20
                ));
            }
            Some(text)
        });
    }

    /// A saved meminfo, or a file with sections `== meminfo`, `== vmallocinfo` and so
    /// on. Companions of a meminfo are looked for beside it under the same name with
    /// `meminfo` replaced (`host1-meminfo.txt`, `host1-zoneinfo.txt`); beside a file
    /// whose name has no `meminfo` in it, under their plain names. A folder `sys` beside
    /// `proc`, as in a sos report, gives the huge pages, the network devices and the
    /// builds of modules.
    ///
    /// # Errors
    /// The file cannot be read, is too long, or has sections but no meminfo.
    pub fn from_meminfo_path(path: &Path) -> Result<HostFiles, HostError> {
        let text = read(path)?;
        let origin = path.display().to_string();
        if procfs::looks_like_sections(&text) {
            return HostFiles::from_sections(&text, origin);
        }
        let mut files = HostFiles {
            origin,
            meminfo: text,
            ..HostFiles::default()
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let own_name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        files.read_companions(folder, |name| {
            if own_name.contains("meminfo") {
                own_name.replacen("meminfo", name, 1)
            } else {
                name.to_owned()
            }
        });
        let sys = folder.join("../sys");
        // A link would lead to the machine that this runs on.
        let is_folder = std::fs::symlink_metadata(&sys).is_ok_and(|sys| sys.is_dir());
        if is_folder && folder.file_name().is_some_and(|name| name == "proc") {
            files.read_host(folder, &sys);
        }
        Ok(files)
    }

    /// A text with sections, see [`HostFiles::from_meminfo_path`]. Of sections with the
    /// same name the first counts. `origin` is for messages.
    ///
    /// # Errors
    /// No section is called `meminfo`.
    pub fn from_sections(text: &[u8], origin: String) -> Result<HostFiles, HostError> {
        let mut files = HostFiles {
            origin,
            ..HostFiles::default()
        };
        let mut meminfo = None;
        for part in procfs::sections(text) {
            let slot = if part.name == "meminfo" {
                &mut meminfo
            } else if let Some(slot) = files.slot(part.name) {
                slot
            } else {
                continue;
            };
            slot.get_or_insert_with(|| part.text.to_vec());
        }
        match meminfo {
            Some(meminfo) => Ok(HostFiles { meminfo, ..files }),
            None => Err(HostError::NoMeminfo {
                origin: files.origin,
            }),
        }
    }

    /// Where the text of the companion `name` belongs.
    fn slot(&mut self, name: &str) -> Option<&mut Option<Vec<u8>>> {
        Some(match name {
            "vmallocinfo" => &mut self.vmallocinfo,
            "zoneinfo" => &mut self.zoneinfo,
            "vmstat" => &mut self.vmstat,
            "modules" => &mut self.modules,
            "version" => &mut self.version,
            "allocinfo" => &mut self.allocinfo,
            "page_owner" => &mut self.page_owner,
            _ => return None,
        })
    }

    /// One sentence on what the files that are missing would add.
    pub(super) fn absent(&self) -> Option<String> {
        let would_add = [
            (
                "vmallocinfo",
                self.vmallocinfo.is_none(),
                "whether kernel stacks lie in the vmalloc range, and vmalloc memory on 4.4 to 5.2",
            ),
            (
                "zoneinfo",
                self.zoneinfo.is_none(),
                "free pages on per-CPU lists",
            ),
            ("vmstat", self.vmstat.is_none(), "pages of zram"),
        ];
        let list = |denied: bool| {
            would_add
                .iter()
                .filter(|&&(name, gone, _)| gone && self.denied.contains(&name) == denied)
                .map(|(name, _, what)| format!("{name} ({what})"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let parts: Vec<_> = [
            ("root would add: ", list(true)),
            ("not given: ", list(false)),
        ]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(lead, list)| lead.to_owned() + &list)
        .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Reads what there is of the companions; first what changes fastest, so that it
    /// fits the meminfo. Their absence is no problem.
    fn read_companions(&mut self, folder: &Path, file_name: impl Fn(&str) -> String) {
        for name in [
            "zoneinfo",
            "vmstat",
            "vmallocinfo",
            "modules",
            "version",
            "allocinfo",
            "page_owner",
        ] {
            let path = folder.join(file_name(name));
            // A link may lead to anything, and opening a pipe waits for somebody to write.
            match std::fs::symlink_metadata(&path) {
                Ok(file) if !file.is_file() => {
                    self.problems
                        .push(format!("{name}: no regular file; left out"));
                    continue;
                }
                _ => {}
            }
            match read(&path) {
                Ok(text) => {
                    if let Some(slot) = self.slot(name) {
                        *slot = Some(text);
                    }
                }
                Err(HostError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(HostError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::PermissionDenied =>
                {
                    self.denied.push(name);
                }
                Err(HostError::Io { source, .. }) => {
                    self.problems.push(format!("{name}: {source}; left out"));
                }
                Err(error) => self.problems.push(format!("{error}; left out")),
            }
        }
    }
}

/// Files under /proc have no length, so reading is what bounds it.
fn read(path: &Path) -> Result<Vec<u8>, HostError> {
    let io = |source| HostError::Io {
        path: path.to_owned(),
        source,
    };
    match read_some(path, MAX_FILE).map_err(io)? {
        (text, false) => Ok(text),
        (_, true) => Err(HostError::TooLong {
            path: path.to_owned(),
            limit: MAX_FILE,
        }),
    }
}

/// The first bytes of a file, at most `limit`, and whether there are more.
fn read_some(path: &Path, limit: u64) -> std::io::Result<(Vec<u8>, bool)> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(limit + 1).read_to_end(&mut text)?;
    let cut = text.len() as u64 > limit;
    text.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((text, cut))
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
        let files = HostFiles::from_meminfo_path(&root.path().join("proc/meminfo")).unwrap();
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
    fn sections_replace_files() {
        let files = HostFiles::from_sections(
            b"== vmstat\nnr_zspages 1\n== meminfo\nMemTotal: 1 kB\n== vmstat\nlater\n== x\n",
            "f".to_owned(),
        )
        .unwrap();
        assert_eq!(files.meminfo, b"MemTotal: 1 kB\n");
        assert_eq!(files.vmstat.as_deref(), Some(&b"nr_zspages 1\n"[..]));
        let error = HostFiles::from_sections(b"== x\n", "f".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "f: no section `== meminfo`");
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

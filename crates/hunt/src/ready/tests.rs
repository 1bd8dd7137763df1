//! Hosts of all sorts, made of files.

use std::collections::BTreeMap;

use pagehound_procfs::{Text, Tree, Unread};

use super::{Check, Kcore, Readiness, State, assess};

/// Files by path; those without text may not be read.
#[derive(Clone, Default)]
struct Files(BTreeMap<String, Option<String>>);

impl Files {
    fn with(mut self, files: &[(&str, &str)]) -> Files {
        for (path, text) in files {
            self.0.insert((*path).to_owned(), Some((*text).to_owned()));
        }
        self
    }

    fn without(mut self, path: &str) -> Files {
        self.0.remove(path).unwrap();
        self
    }

    fn denied(mut self, path: &str) -> Files {
        self.0.insert(path.to_owned(), None);
        self
    }
}

impl Tree for Files {
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread> {
        let text = self.0.get(path).ok_or(Unread::NotThere)?;
        let text = text.as_ref().ok_or(Unread::Denied)?;
        let most = usize::try_from(most).unwrap();
        let bytes = text.bytes().take(most).collect();
        Ok(Text {
            bytes,
            cut: text.len() > most,
        })
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, Unread> {
        let within = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
        let names = within.map(|path| path.split('/').next().unwrap().to_owned());
        Ok(names.collect())
    }

    fn link(&self, _: &str) -> Option<String> {
        None
    }

    fn resolve(&self, path: &str) -> Option<String> {
        Some(path.to_owned())
    }
}

/// 64 GiB, of which 8 are free, 40 cached and 6 anonymous.
const MEMINFO: &str = "MemTotal: 67108864 kB\nMemFree: 8388608 kB\nBuffers: 0 kB\n\
                       Cached: 41943040 kB\nSwapCached: 0 kB\nAnonPages: 6291456 kB\n";

/// A host whose kernel has everything, and on which nothing is configured.
fn bare() -> Files {
    Files::default().with(&[
        ("proc/meminfo", MEMINFO),
        (
            "proc/cmdline",
            "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n",
        ),
        ("proc/sys/kernel/osrelease", "6.12.0-test\n"),
        ("proc/sys/kernel/panic_on_oops", "1\n"),
        ("proc/sysrq-trigger", ""),
        ("proc/kpageflags", "flags"),
        ("sys/kernel/uevent_seqnum", "1\n"),
        ("sys/kernel/kexec_crash_size", "0\n"),
        ("sys/kernel/kexec_crash_loaded", "0\n"),
        ("sys/kernel/btf/vmlinux", "\u{9f}"),
        (
            "sys/kernel/security/lockdown",
            "[none] integrity confidentiality\n",
        ),
    ])
}

/// Debian with kdump-tools and our drop-in, all as it should be.
fn debian() -> Files {
    bare().with(&[
        ("sys/kernel/kexec_crash_size", "536870912\n"),
        ("sys/kernel/kexec_crash_loaded", "1\n"),
        (
            "etc/default/kdump-tools",
            "USE_KDUMP=1\nKDUMP_COREDIR=\"/var/crash\"\n",
        ),
        (
            "etc/systemd/system/kdump-tools-dump.service.d/pagehound.conf",
            include_str!("../../../../contrib/kdump-tools/pagehound.conf"),
        ),
        ("usr/lib/pagehound/kdump-report", "#!/bin/sh\n"),
        ("usr/bin/pagehound", "ELF"),
    ])
}

/// Fedora with kdump-utils and our hook.
fn fedora() -> Files {
    debian().without("etc/default/kdump-tools").with(&[
        (
            "etc/kdump.conf",
            "auto_reset_crashkernel yes\npath /var/crash\ncore_collector makedumpfile -l --message-level 7 -d 31\n\
             extra_bins /usr/bin/pagehound /usr/lib/pagehound/kdump-report /usr/bin/timeout\n",
        ),
        ("etc/kdump/pre.d/60-pagehound", "#!/bin/sh\n"),
    ])
}

/// What is said of a host with so many GiB free in all folders, as root.
fn look(files: &Files, gib: u64) -> Readiness {
    assess(files, Some(Kcore::Readable), &|folder| {
        assert!(folder.starts_with('/'));
        Some(gib << 30)
    })
}

fn check<'a>(readiness: &'a Readiness, name: &str) -> &'a Check {
    let mut named = readiness.checks.iter().filter(|check| check.name == name);
    let check = named.next().unwrap_or_else(|| panic!("no check {name}"));
    assert_eq!(named.next(), None);
    check
}

/// State and advice of a check, after its words were looked at.
fn told(readiness: &Readiness, name: &str, found: &str, advice: &str) -> State {
    let check = check(readiness, name);
    assert!(check.found.contains(found), "{check:?}");
    let advised = check.advice.as_deref().unwrap_or_default();
    assert!(advised.contains(advice), "{check:?}");
    assert_eq!(
        check.state == State::No,
        check.advice.is_some(),
        "{check:?}"
    );
    check.state
}

/// Names of the needed checks that are not `ok`.
fn missing(readiness: &Readiness) -> Vec<&'static str> {
    let needed = readiness.checks.iter().filter(|check| check.needed);
    let missing = needed.filter(|check| check.state != State::Ok);
    let missing: Vec<&str> = missing.map(|check| check.name).collect();
    assert_eq!(readiness.ready, missing.is_empty());
    missing
}

#[test]
fn hosts_that_have_it_all() {
    for files in [debian(), fedora()] {
        let readiness = look(&files, 100);
        assert_eq!(missing(&readiness), Vec::<&str>::new());
        assert_eq!(readiness.trigger, Some("echo c > /proc/sysrq-trigger"));
        assert_eq!(readiness.notes, Vec::<String>::new());
        assert_eq!(told(&readiness, "crash kernel", "512.0 MiB", ""), State::Ok);
        assert_eq!(told(&readiness, "report hook", "pagehound", ""), State::Ok);
        assert_eq!(
            told(&readiness, "report memory", "512.0 MiB are reserved", ""),
            State::Ok
        );
        // 64 GiB without what is free, cached or a process's are ten; six tenths of them.
        assert_eq!(told(&readiness, "room", "about 6.0 GiB", ""), State::Ok);
        assert_eq!(
            told(&readiness, "room", "/var/crash has 100.0 GiB free", ""),
            State::Ok
        );
        assert_eq!(told(&readiness, "dump level", "-d 31", ""), State::Ok);
    }
}

#[test]
fn a_host_without_kdump() {
    let readiness = look(&bare(), 100);
    assert_eq!(
        missing(&readiness),
        ["crash kernel", "loaded", "dump folder"]
    );
    assert_eq!(readiness.trigger, None);
    let found = told(
        &readiness,
        "crash kernel",
        "nothing reserved",
        "kdump-tools (Debian",
    );
    assert_eq!(found, State::No);
    assert_eq!(
        told(&readiness, "report hook", "no report", "contrib"),
        State::No
    );
    // A kernel that asked for memory and got none.
    let asked = bare().with(&[("proc/cmdline", "quiet crashkernel=8G\n")]);
    let found = "though crashkernel=8G asks for it";
    assert_eq!(
        told(&look(&asked, 1), "crash kernel", found, "log"),
        State::No
    );
    // One that cannot.
    let never = bare()
        .without("sys/kernel/kexec_crash_size")
        .without("sys/kernel/kexec_crash_loaded");
    let advice = "CONFIG_CRASH_DUMP";
    assert_eq!(
        told(&look(&never, 1), "crash kernel", "boots no other", advice),
        State::No
    );
    assert_eq!(told(&look(&never, 1), "loaded", "no dump", ""), State::No);
}

#[test]
fn what_lacks_is_told_in_the_words_of_the_distribution() {
    let nothing = [
        ("sys/kernel/kexec_crash_size", "0"),
        ("sys/kernel/kexec_crash_loaded", "0"),
    ];
    for (files, reserve) in [(debian(), "update-grub"), (fedora(), "kdumpctl")] {
        let readiness = look(&files.with(&nothing), 100);
        assert_eq!(missing(&readiness), ["crash kernel", "loaded"]);
        assert_eq!(
            told(&readiness, "crash kernel", "nothing", reserve),
            State::No
        );
        assert_eq!(
            told(&readiness, "loaded", "no dump", "a crash kernel first"),
            State::No
        );
        assert_eq!(readiness.trigger, None);
    }
    let unloaded = [("sys/kernel/kexec_crash_loaded", "0")];
    for (files, load) in [(debian(), "kdump-config load"), (fedora(), "systemctl")] {
        let readiness = look(&files.with(&unloaded), 100);
        assert_eq!(missing(&readiness), ["loaded"]);
        assert_eq!(told(&readiness, "loaded", "no dump", load), State::No);
    }
    let off = debian().with(&[("etc/default/kdump-tools", "USE_KDUMP=0\n")]);
    let readiness = look(&off, 100);
    assert_eq!(missing(&readiness), ["dump folder"]);
    assert_eq!(
        told(&readiness, "dump folder", "no dumps", "USE_KDUMP=1"),
        State::No
    );
}

#[test]
fn too_little_memory_for_a_report_does_not_cost_the_dump() {
    let small = debian().with(&[("sys/kernel/kexec_crash_size", "134217728\n")]);
    let readiness = look(&small, 100);
    assert_eq!(missing(&readiness), Vec::<&str>::new());
    let advice = "crashkernel=";
    assert_eq!(
        told(
            &readiness,
            "report memory",
            "128.0 MiB are reserved",
            advice
        ),
        State::No
    );
    // What it says would do, does.
    let check = check(&readiness, "report memory");
    let (_, rest) = check.advice.as_deref().unwrap().split_once('=').unwrap();
    let mib: u64 = rest.split_once('M').unwrap().0.parse().unwrap();
    let size = (mib << 20).to_string();
    let enough = debian().with(&[("sys/kernel/kexec_crash_size", size.as_str())]);
    assert_eq!(
        told(&look(&enough, 100), "report memory", "", ""),
        State::Ok
    );
}

/// Holes between the zones need room in a report, and what is not in MemTotal in a dump.
#[test]
fn zones_tell_of_holes_and_of_what_was_reserved() {
    // 64 GiB of which the first byte lies behind 4 TiB, and 1 GiB more, half of it for the
    // second kernel.
    let zones = "Node 0, zone   Normal\n  pages free     2097152\n        spanned  17039360\n        \
                 present  17039360\n        managed  16777216\n  pagesets\n  start_pfn:           1073741824\n";
    let readiness = look(&debian().with(&[("proc/zoneinfo", zones)]), 100);
    let report = check(&readiness, "report memory");
    // A byte a frame and more.
    assert_eq!(report.state, State::No, "{report:?}");
    let needed: u64 = report.found.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(needed > 1024, "{report:?}");
    // Six tenths of the ten that are in use, and of half a GiB.
    assert_eq!(told(&readiness, "room", "about 6.3 GiB", ""), State::Ok);
}

#[test]
fn a_folder_too_small_for_the_dump() {
    let readiness = look(&debian(), 5);
    assert_eq!(missing(&readiness), ["room"]);
    assert_eq!(
        told(&readiness, "room", "has 5.0 GiB free", "report"),
        State::No
    );
    // All of memory, as it is.
    let all = fedora().with(&[("etc/kdump.conf", "core_collector cp\n")]);
    assert_eq!(
        told(&look(&all, 63), "room", "about 64.0 GiB", "room"),
        State::No
    );
    assert_eq!(told(&look(&all, 64), "dump level", "-d 31", ""), State::Ok);
    // A place that is not of this host counts neither way.
    let nfs = debian().with(&[("etc/default/kdump-tools", "USE_KDUMP=1\nNFS=host:/dumps\n")]);
    let readiness = look(&nfs, 0);
    assert_eq!(missing(&readiness), Vec::<&str>::new());
    assert_eq!(
        told(&readiness, "room", "not looked at", ""),
        State::Unknown
    );
    assert_eq!(
        told(&readiness, "dump folder", "host:/dumps, by NFS", ""),
        State::Ok
    );
    // What only a shell could tell.
    let script = [(
        "etc/default/kdump-tools",
        "USE_KDUMP=1\nKDUMP_COREDIR=/srv/$(hostname)\n",
    )];
    assert_eq!(
        missing(&look(&debian().with(&script), 100)),
        ["dump folder"]
    );
    let own = [("etc/kdump.conf", "core_collector /opt/dump.sh\n")];
    assert_eq!(
        missing(&look(&fedora().with(&own), 100)),
        ["room", "dump level"]
    );
    let erasing = [(
        "etc/kdump.conf",
        "core_collector makedumpfile -d 31 --config /x\n",
    )];
    assert_eq!(
        missing(&look(&fedora().with(&erasing), 100)),
        ["dump level"]
    );
}

#[test]
fn a_hook_that_lacks_something() {
    let state =
        |files: &Files, found, advice| told(&look(files, 100), "report hook", found, advice);
    for file in ["usr/bin/pagehound", "usr/lib/pagehound/kdump-report"] {
        for files in [debian(), fedora()] {
            let found = "but not /usr/lib/pagehound/kdump-report or pagehound";
            assert_eq!(state(&files.without(file), found, "contrib"), State::No);
        }
    }
    let other = [(
        "etc/systemd/system/kdump-tools-dump.service.d/pagehound.conf",
        "[Service]\nExecStartPre=-/bin/true\n",
    )];
    assert_eq!(
        state(&debian().with(&other), "no report", "contrib"),
        State::No
    );
    let bins = [("etc/kdump.conf", "extra_bins /usr/bin/pagehound\n")];
    assert_eq!(
        state(&fedora().with(&bins), "not in kdump's initrd", "extra_bins"),
        State::No
    );
    // RHEL 7.
    let pre = "kdump_pre /etc/kdump/60-pagehound\n\
               extra_bins /usr/bin/pagehound /usr/lib/pagehound/kdump-report /usr/bin/timeout\n";
    let old = fedora()
        .without("etc/kdump/pre.d/60-pagehound")
        .with(&[("etc/kdump.conf", pre)]);
    assert_eq!(state(&old, "/etc/kdump/60-pagehound", ""), State::Ok);
}

#[test]
fn a_container() {
    let files = bare()
        .without("proc/sysrq-trigger")
        .denied("proc/kpageflags")
        .denied("sys/kernel/security/lockdown")
        .with(&[(".dockerenv", "")]);
    let barred = Kcore::Barred("hidden from this container".to_owned());
    let readiness = assess(&files, Some(barred), &|_| Some(0));
    let wanted = [
        "crash kernel",
        "loaded",
        "dump folder",
        "kcore",
        "page flags",
    ];
    assert_eq!(missing(&readiness), wanted);
    assert_eq!(told(&readiness, "kcore", "hidden", "dump"), State::No);
    assert_eq!(
        told(&readiness, "lockdown", "permission denied", ""),
        State::Unknown
    );
    assert!(
        readiness.notes[0].contains("container"),
        "{:?}",
        readiness.notes
    );
    // Even with a kernel loaded, a container does not crash the host.
    let loaded = files.with(&[("sys/kernel/kexec_crash_loaded", "1")]);
    assert_eq!(assess(&loaded, None, &|_| None).trigger, None);
}

#[test]
fn what_only_root_can_tell_is_not_held_against_the_host() {
    let files = debian().denied("proc/kpageflags");
    let readiness = assess(&files, Some(Kcore::ForRoot), &|_| Some(100 << 30));
    assert_eq!(missing(&readiness), ["kcore", "page flags"]);
    for name in ["kcore", "page flags"] {
        assert_eq!(told(&readiness, name, "as root", ""), State::Unknown);
    }
}

#[test]
fn saved_files_tell_nothing_of_disks_and_memory() {
    let files = debian()
        .without("proc/kpageflags")
        .without("sys/kernel/btf/vmlinux");
    let readiness = super::ready(&files, None);
    let untold = ["room", "kcore", "page flags", "btf"];
    assert_eq!(missing(&readiness), untold);
    for name in untold.into_iter().chain(["allocation profiling"]) {
        assert_eq!(check(&readiness, name).state, State::Unknown, "{name}");
    }
    let live = look(&files, 100);
    assert_eq!(told(&live, "btf", "no BTF", "--vmlinux"), State::No);
    // A part of /sys is none of a kernel without kdump.
    let part = bare()
        .without("sys/kernel/uevent_seqnum")
        .without("sys/kernel/kexec_crash_size")
        .without("sys/kernel/kexec_crash_loaded");
    let readiness = super::ready(&part, None);
    for name in ["crash kernel", "loaded"] {
        assert_eq!(
            told(&readiness, name, "there is no /sys", ""),
            State::Unknown
        );
    }
}

#[test]
fn lockdown() {
    let with = |level: &str| debian().with(&[("sys/kernel/security/lockdown", level)]);
    let confidential = with("none integrity [confidentiality]\n");
    let barred = Kcore::Barred("kernel lockdown (confidentiality) bars it".to_owned());
    let readiness = assess(&confidential, Some(barred), &|_| Some(100 << 30));
    assert_eq!(missing(&readiness), ["kcore"]);
    assert_eq!(
        told(
            &readiness,
            "lockdown",
            "confidentiality",
            "kdump still works"
        ),
        State::No
    );
    assert_eq!(readiness.trigger, Some("echo c > /proc/sysrq-trigger"));
    let saved = super::ready(&confidential, None);
    assert_eq!(told(&saved, "kcore", "lockdown bars it", "dump"), State::No);
    let integrity = look(&with("none [integrity] confidentiality\n"), 100);
    assert_eq!(told(&integrity, "lockdown", "integrity", ""), State::Ok);
    assert_eq!(
        told(&look(&with("?"), 100), "lockdown", "no level", ""),
        State::Unknown
    );
}

#[test]
fn firmware_assisted_dumps() {
    let fadump = fedora().with(&[
        ("sys/kernel/kexec_crash_size", "0"),
        ("sys/kernel/kexec_crash_loaded", "0"),
        ("sys/kernel/fadump/enabled", "1\n"),
        ("sys/kernel/fadump/registered", "1\n"),
    ]);
    let readiness = look(&fadump, 100);
    assert_eq!(missing(&readiness), Vec::<&str>::new());
    assert_eq!(told(&readiness, "crash kernel", "fadump", ""), State::Ok);
    let readiness = look(
        &fadump.with(&[("sys/kernel/fadump/registered", "0\n")]),
        100,
    );
    assert_eq!(missing(&readiness), ["loaded"]);
}

#[test]
fn who_allocates() {
    let look = |files: &[(&str, &str)]| look(&debian().with(files), 100);
    let off = look(&[]);
    assert_eq!(
        told(&off, "page owner", "off", "if the kernel has"),
        State::No
    );
    assert_eq!(
        told(&off, "allocation profiling", "built without", "6.10"),
        State::No
    );
    let on = look(&[
        ("proc/cmdline", "quiet page_owner=on\n"),
        ("proc/sys/vm/mem_profiling", "1\n"),
    ]);
    assert_eq!(told(&on, "page owner", "keeps who", ""), State::Ok);
    assert_eq!(told(&on, "allocation profiling", "counts", ""), State::Ok);
    let profiling = look(&[("proc/sys/vm/mem_profiling", "0\n")]);
    assert_eq!(
        told(&profiling, "allocation profiling", "off", "sysctl"),
        State::No
    );
    // As Debian's kernels are built.
    let config = "# CONFIG_PAGE_OWNER is not set\nCONFIG_MEM_ALLOC_PROFILING=y\n";
    let built = look(&[
        ("boot/config-6.12.0-test", config),
        ("proc/cmdline", "page_owner=on\n"),
    ]);
    assert_eq!(
        told(&built, "page owner", "built without", "CONFIG_PAGE_OWNER"),
        State::No
    );
    assert_eq!(
        told(&built, "allocation profiling", "turned off", "sysctl"),
        State::No
    );
    let built = look(&[("boot/config-6.12.0-test", "CONFIG_PAGE_OWNER=y\n")]);
    assert_eq!(
        told(&built, "page owner", "off", "boot with page_owner=on to"),
        State::No
    );
}

#[test]
fn what_changes_what_a_dump_tells_is_noted() {
    let noted = |path: &str, text: &str, word: &str| {
        let readiness = look(&debian().with(&[(path, text)]), 100);
        assert_eq!(readiness.notes.len(), 1, "{:?}", readiness.notes);
        assert!(readiness.notes[0].contains(word), "{:?}", readiness.notes);
    };
    noted("proc/sys/kernel/panic_on_oops", "0\n", "panic_on_oops");
    noted(
        "proc/cmdline",
        "init_on_free=1\n",
        "free pages hold nothing",
    );
    noted(
        "proc/cmdline",
        "quiet page_poison=on\n",
        "free pages hold nothing",
    );
    noted(
        "proc/cmdline",
        "crash_kexec_post_notifiers\n",
        "before the dump",
    );
    let off = debian().with(&[("proc/cmdline", "init_on_free=1 init_on_free=0\n")]);
    assert_eq!(look(&off, 100).notes, Vec::<String>::new());
}

#[test]
fn needs_no_file_at_all() {
    let readiness = super::ready(&Files::default(), None);
    assert!(!readiness.ready);
    assert_eq!(readiness.trigger, None);
}

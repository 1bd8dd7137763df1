//! What the host tells while it runs.

use std::path::Path;

use pagehound_procfs::{Tree, Unread, lockdown};

use super::{Check, Kcore};

/// Root could tell more.
const AS_ROOT: &str = "run pagehound as root to tell";

pub(super) fn checks(tree: &dyn Tree, kcore: Option<Kcore>) -> Vec<Check> {
    let saved = kcore.is_none();
    let level = tree.read("sys/kernel/security/lockdown", 64);
    let level = level.as_ref().map(|text| lockdown(&text.bytes));
    let barred = matches!(level, Ok(Some("confidentiality")));
    let lockdown = match level {
        Ok(Some("none")) => Check::ok("lockdown", "none"),
        Ok(Some("integrity")) => Check::ok("lockdown", "integrity: memory can still be read"),
        Ok(Some(_)) => Check::no(
            "lockdown",
            "confidentiality: memory cannot be read while the host runs",
            "take a dump instead: kdump still works",
        ),
        Ok(None) => Check::unknown("lockdown", "/sys/kernel/security/lockdown says no level"),
        Err(reason) => Check::unknown(
            "lockdown",
            format!("/sys/kernel/security/lockdown: {reason}"),
        ),
    };
    let page_flags = match (tree.read("proc/kpageflags", 7), &kcore) {
        (Ok(_), _) => Check::ok("page flags", "/proc/kpageflags can be read"),
        (Err(Unread::Denied), Some(Kcore::ForRoot)) => Check::unknown(
            "page flags",
            format!("/proc/kpageflags is for root; {AS_ROOT}"),
        ),
        (Err(Unread::NotThere), Some(_)) => Check::no(
            "page flags",
            "there is no /proc/kpageflags",
            "a kernel with CONFIG_PROC_PAGE_MONITOR: else pages that the kernel withholds look like zeroes",
        ),
        (Err(_), None) => Check::unknown("page flags", "of saved files it cannot be told"),
        (Err(reason), _) => Check::no(
            "page flags",
            format!("/proc/kpageflags: {reason}"),
            "run pagehound on the host itself",
        ),
    };
    let kcore = match kcore {
        Some(Kcore::Readable) => Check::ok("kcore", "/proc/kcore can be read: `pagehound live`"),
        Some(Kcore::ForRoot) => {
            Check::unknown("kcore", format!("/proc/kcore is for root; {AS_ROOT}"))
        }
        Some(Kcore::Barred(why)) => Check::no("kcore", why, "take a dump instead"),
        None if barred => Check::no("kcore", "lockdown bars it", "take a dump instead"),
        None => Check::unknown("kcore", "of saved files it cannot be told"),
    };
    let btf = match tree.read("sys/kernel/btf/vmlinux", 1) {
        Ok(_) => Check::ok("btf", "the kernel has its types with it"),
        // Nobody saves it.
        Err(Unread::NotThere) if saved => Check::unknown("btf", "of saved files it cannot be told"),
        Err(Unread::NotThere) => Check::no(
            "btf",
            "the kernel has no BTF",
            "tasks, devices and freelists need its debug information (--vmlinux), or a kernel with CONFIG_DEBUG_INFO_BTF",
        ),
        Err(reason) => Check::unknown("btf", format!("/sys/kernel/btf/vmlinux: {reason}")),
    };
    vec![kcore, page_flags, btf, lockdown.optional()]
}

/// Bytes that root can still write to `folder`, or to where it would be made.
pub(super) fn free_bytes(folder: &str) -> Option<u64> {
    let path = Path::new(folder);
    let there = path.ancestors().find(|path| path.is_dir())?;
    let of = rustix::fs::statvfs(there).ok()?;
    of.f_bfree.checked_mul(of.f_frsize)
}

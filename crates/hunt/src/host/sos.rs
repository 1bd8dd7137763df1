//! What an archive of sos tells in its own way: instead of files that it does not copy
//! it has what commands printed.

use super::files::HostFiles;
use jiff::fmt::strtime;
use jiff::{Timestamp, tz::TimeZone};
use pagehound_procfs::{self as procfs, Tree};

/// What commands printed.
const COMMANDS: &str = "sos_commands";

/// Longest line of a kernel log that is looked at for the kernel's version.
const MAX_BANNER: usize = 4096;

/// More than `ip -s -d link` prints of thousands of devices, in bytes.
const MAX_LINK: u64 = 8 << 20;

/// How `date` prints in the locale that sos runs it in, at UTC.
const DATE: &str = "%a %b %d %H:%M:%S UTC %Y";

/// Adds to `files` what `tree` tells in the way of sos, if it is from there.
pub(super) fn complete(files: &mut HostFiles, tree: &dyn Tree) {
    if tree.names(COMMANDS).is_err() {
        return;
    }
    files.of_sos = true;
    let text = |path: &str| procfs::read_line(tree, &format!("{COMMANDS}/{path}"));
    let uname = text("kernel/uname_-a").or_else(|| procfs::read_line(tree, "uname"));
    let uname = uname
        .as_deref()
        .and_then(|text| procfs::uname(text.as_bytes()));
    if files.version.is_none() {
        let of_log = files.log.as_deref().and_then(banner);
        let of_uname =
            uname.map(|uname| format!("Linux version {} {}", uname.release, uname.build));
        files.version = of_log.or(of_uname.map(String::into_bytes));
    }
    if files.hostname.is_none() {
        let name = text("host/hostname").or_else(|| procfs::read_line(tree, "hostname"));
        files.hostname = name.or(uname.map(|uname| uname.node.to_owned()));
    }
    files.machine = uname.map(|uname| uname.machine.to_owned());
    let dates = ["date/date_--utc", "date/date"].into_iter();
    files.captured_at = dates.filter_map(text).find_map(|text| moment(&text));
    // sos copies counters of network devices and the like, but neither address nor driver.
    if files.netdevs.as_ref().is_none_or(Vec::is_empty) {
        let link = tree.read("sos_commands/networking/ip_-s_-d_link", MAX_LINK);
        let link = link
            .ok()
            .and_then(|text| String::from_utf8(text.bytes).ok());
        files.netdevs = link.map(|link| {
            procfs::ip_link(&link, |name| text(&format!("networking/ethtool_-i_{name}")))
        });
    }
}

/// The kernel's first line, if the log begins with it: a long-running host has lost it.
fn banner(log: &[u8]) -> Option<Vec<u8>> {
    let mark = b"Linux version ";
    let mut lines = log.split(|&byte| byte == b'\n').take(4);
    lines.find_map(|line| {
        let line = line.get(..MAX_BANNER).unwrap_or(line);
        let at = line.windows(mark.len()).position(|at| at == mark)?;
        line.get(at..).map(<[u8]>::to_vec)
    })
}

/// The moment that `date` printed; none in another zone than UTC, whose short name does
/// not tell which it is.
fn moment(date: &str) -> Option<String> {
    let time = strtime::parse(DATE, date).ok()?.to_datetime().ok()?;
    let time: Timestamp = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_utc_only() {
        let at = moment("Tue Nov 24 01:48:37 UTC 2026");
        assert_eq!(at.as_deref(), Some("2026-11-24T01:48:37Z"));
        let padded = moment("Wed Jul  1 09:05:00 UTC 2026");
        assert_eq!(padded.as_deref(), Some("2026-07-01T09:05:00Z"));
        for other in [
            "Tue Nov 24 02:48:37 CET 2026",
            "",
            "Nov 24",
            "Xxx Nov 24 01:48:37 UTC 2026",
        ] {
            assert_eq!(moment(other), None, "{other}");
        }
    }

    #[test]
    fn the_banner_is_the_log_s_first_line() {
        let log =
            b"[    0.000000] Linux version 6.1.0-13-amd64 (x@y) (gcc) #1 SMP\n[    0.0] more\n";
        let told = b"Linux version 6.1.0-13-amd64 (x@y) (gcc) #1 SMP";
        assert_eq!(banner(log).as_deref(), Some(&told[..]));
        assert_eq!(banner(b"[ 99.0] later\n"), None);
        assert_eq!(banner(b""), None);
    }
}

//! What of an archive is kept: all that a host's files are asked for, and nothing else.

/// Paths below the folder that `proc` lies in. `*` at the end of a part is anything,
/// `**` any number of parts.
///
/// sos has `proc/net` in the folder of a process, and devices where the links of `sys`
/// lead to.
const WANTED: &[&str] = &[
    "hostname",
    "uname",
    "log",
    "dmesg",
    "proc/meminfo",
    "proc/zoneinfo",
    "proc/vmstat",
    "proc/vmallocinfo",
    "proc/modules",
    "proc/version",
    "proc/allocinfo",
    "proc/slabinfo",
    "proc/iomem",
    "proc/self",
    "proc/net",
    "proc/net/sockstat*",
    "proc/*/net/sockstat*",
    "proc/sysvipc/shm",
    "proc/spl/kstat/zfs/a*",
    "proc/sys/kernel/hostname",
    "proc/sys/kernel/random/boot_id",
    "sos_commands",
    "sos_commands/date/date*",
    "sos_commands/host/hostname",
    "sos_commands/kernel/dmesg",
    "sos_commands/kernel/uname_-a",
    "sos_commands/networking/ethtool_-i_*",
    "sos_commands/networking/ip_-s_-d_link",
    "sys/block/*",
    "sys/block/*/mm_stat",
    "sys/bus/*/drivers/*",
    "sys/bus/*/drivers/*/module",
    "sys/bus/virtio/devices/*",
    "sys/bus/virtio/devices/*/device",
    "sys/bus/virtio/devices/*/features",
    "sys/class/net/*",
    "sys/class/net/*/address",
    "sys/class/net/*/device",
    "sys/class/net/*/device/driver",
    "sys/class/net/*/lower_*",
    "sys/class/net/*/uevent",
    "sys/class/net/*/upper_*",
    "sys/devices/**/driver",
    "sys/devices/**/mm_stat",
    "sys/devices/**/net/*",
    "sys/devices/**/net/*/address",
    "sys/devices/**/net/*/device",
    "sys/devices/**/net/*/lower_*",
    "sys/devices/**/net/*/uevent",
    "sys/devices/**/net/*/upper_*",
    "sys/devices/**/virtio*/device",
    "sys/devices/**/virtio*/features",
    "sys/devices/system/cpu/possible",
    "sys/devices/system/node/*/hugepages/**",
    "sys/devices/system/node/*/meminfo",
    "sys/firmware/dmi/tables/DMI",
    "sys/fs/cgroup/cgroup.stat",
    "sys/kernel/debug/mlx5/*/pages/fw_pages_total",
    "sys/kernel/debug/page_owner",
    "sys/kernel/debug/page_owner_stacks/show_stacks",
    "sys/kernel/debug/tracing/**/buffer_s*",
    "sys/kernel/debug/zswap/pool_total_size",
    "sys/kernel/dmabuf/buffers/**",
    "sys/kernel/kexec_crash_size",
    "sys/kernel/mm/hugepages/**",
    "sys/kernel/tracing/**/buffer_s*",
    "sys/module/*",
    "sys/module/*/notes/.note.gnu.build-id",
    "sys/module/*/srcversion",
    "sys/module/*/version",
];

/// Whether an entry of an archive is kept: `path` is from its top, and `proc` lies there
/// or in a folder there.
pub(super) fn wanted(path: &str) -> bool {
    let below_top = path.split_once('/').map(|(_, below)| below);
    [Some(path), below_top].into_iter().flatten().any(is_wanted)
}

fn is_wanted(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    // The deepest folder of `/sys` has a dozen parts.
    parts.len() <= 32 && WANTED.iter().any(|pattern| fits(pattern, &parts))
}

/// Whether the parts of a path fit a pattern.
fn fits(pattern: &str, parts: &[&str]) -> bool {
    let (first, rest) = match pattern.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pattern, None),
    };
    if first == "**" {
        let Some(rest) = rest else {
            return !parts.is_empty();
        };
        return (0..parts.len())
            .any(|skipped| fits(rest, parts.get(skipped..).unwrap_or_default()));
    }
    let Some((part, behind)) = parts.split_first() else {
        return false;
    };
    let fitting = match first.strip_suffix('*') {
        Some(start) => part.starts_with(start),
        None => *part == first,
    };
    match rest {
        _ if !fitting => false,
        Some(rest) => fits(rest, behind),
        None => behind.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_parts() {
        let fits = |pattern, path: &str| fits(pattern, &path.split('/').collect::<Vec<_>>());
        assert!(fits("a/*/c", "a/b/c") && !fits("a/*/c", "a/b/b/c") && !fits("a/*/c", "a/c"));
        assert!(fits("a/b*", "a/b") && fits("a/b*", "a/bc") && !fits("a/b*", "a/b/c"));
        assert!(fits("a/**/c", "a/c") && fits("a/**/c", "a/b/b/c") && !fits("a/**/c", "a/b/d"));
        assert!(fits("a/**", "a/b") && fits("a/**", "a/b/c") && !fits("a/**", "a"));
        assert!(!fits("a", "a/b") && !fits("a/b", "a"));
    }

    #[test]
    fn what_is_wanted_lies_at_the_top_or_in_a_folder_there() {
        assert!(wanted("proc/meminfo") && wanted("sosreport-db7/proc/meminfo"));
        assert!(!wanted("a/b/proc/meminfo"));
        assert!(wanted(
            "sos/sys/devices/pci0000:00/0000:00:03.0/net/em1/address"
        ));
        assert!(wanted("sos/proc/21252/net/sockstat6"));
        for other in [
            "etc/shadow",
            "sos/etc/shadow",
            "sos/proc/1/environ",
            "var/log/messages",
        ] {
            assert!(!wanted(other), "{other}");
        }
    }
}

//! What only a running host can be asked.

use pagehound_procfs as procfs;
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

/// More of the log is not read: records, and the longest that the kernel gives.
const MAX_RECORDS: usize = 1 << 17;
const MAX_RECORD: usize = 1 << 13;

/// The kernel log, a line a record.
///
/// # Errors
/// It may not be read, or there is none.
pub(super) fn kernel_log() -> std::io::Result<Vec<u8>> {
    // Where there are no more records, a read would wait for one.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.read(true).custom_flags(flags).open("/dev/kmsg")?;
    let mut log = Vec::new();
    let mut record = vec![0; MAX_RECORD];
    for _ in 0..MAX_RECORDS {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(length) => log.extend_from_slice(record.get(..length).unwrap_or_default()),
            // Records were overwritten before they were read; the next are there.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(log)
}

/// What each tmpfs has in use, by where it is mounted; each once, and only those with a
/// bound, for of others the kernel does not tell.
pub(super) fn tmpfs() -> Vec<(String, u64)> {
    let Ok(text) = std::fs::read("/proc/self/mountinfo") else {
        return Vec::new();
    };
    let mut seen = BTreeSet::new();
    let mounts = procfs::mountinfo(&text).map_while(Result::ok);
    let mounts = mounts.filter(|mount| matches!(mount.kind, "tmpfs" | "devtmpfs"));
    let used = mounts.filter_map(|mount| {
        let stat = rustix::fs::statfs(mount.point.as_str()).ok()?;
        // Something else may be mounted above it.
        let is_tmpfs = u64::try_from(stat.f_type).ok()? == TMPFS_MAGIC;
        let blocks = stat.f_blocks.checked_sub(stat.f_bfree)?;
        let bytes = blocks.checked_mul(u64::try_from(stat.f_bsize).ok()?)?;
        (is_tmpfs && seen.insert(mount.device.to_owned())).then_some((mount.point, bytes))
    });
    used.filter(|(_, bytes)| *bytes > 0).collect()
}

/// `TMPFS_MAGIC` of include/uapi/linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

//! What only a running host can be asked.

use pagehound_procfs as procfs;
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// More of the log is not read: records, and bytes of them all, as of any other file.
const MAX_RECORDS: usize = 1 << 17;
const MAX_LOG: usize = 64 << 20;
/// The longest record that the kernel gives.
const MAX_RECORD: usize = 1 << 13;
/// The device number of `/dev/kmsg` (Documentation/admin-guide/devices.txt).
const KMSG: (u32, u32) = (1, 11);
/// Longest mountinfo that is read, in bytes.
const MAX_MOUNTS: u64 = 64 << 20;

/// The kernel log, a line a record.
///
/// # Errors
/// It may not be read, or there is none.
pub(super) fn kernel_log() -> std::io::Result<Vec<u8>> {
    records(open_log(Path::new("/dev/kmsg"))?)
}

/// Opens the device at `path` if it is the kernel's log: a container may have anything
/// there.
fn open_log(path: &Path) -> std::io::Result<File> {
    let device = std::fs::metadata(path)?;
    let number = rustix::fs::makedev(KMSG.0, KMSG.1);
    if !device.file_type().is_char_device() || device.rdev() != number {
        return Err(std::io::Error::other("not the kernel's log"));
    }
    // Where there are no more records, a read would wait for one.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(flags).open(path)
}

/// What `file` gives, a record a read, until there is no more.
fn records(mut file: impl Read) -> std::io::Result<Vec<u8>> {
    let mut log = Vec::new();
    let mut record = vec![0; MAX_RECORD];
    for _ in 0..MAX_RECORDS {
        if log.len() >= MAX_LOG {
            break;
        }
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

/// How long an answer may take that depends on others: a dead server of files, or a task
/// that holds its own address space for ever.
const PATIENCE: Duration = Duration::from_secs(4);

/// What `work` gives, if it does in time; else the thread it runs in is left to itself.
pub(super) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (give, take) = mpsc::sync_channel(1);
    // Nobody takes it after that time.
    let run = move || drop(give.send(work()));
    thread::Builder::new().spawn(run).ok()?;
    take.recv_timeout(PATIENCE).ok()
}

/// What each tmpfs has in use, by where it is mounted; each once, and only those with a
/// bound, for of others the kernel does not tell.
pub(super) fn tmpfs() -> Vec<(String, u64)> {
    let file = procfs::open_regular(Path::new("/proc/self/mountinfo"));
    let Ok(text) = file.and_then(|file| procfs::read_some(file, MAX_MOUNTS)) else {
        return Vec::new();
    };
    let mut seen = BTreeSet::new();
    let mounts = procfs::mountinfo(&text.bytes).map_while(Result::ok);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_end_is_read_up_to_a_bound() {
        let log = records(std::io::repeat(b'x')).unwrap();
        assert!((MAX_LOG..MAX_LOG + MAX_RECORD).contains(&log.len()));
    }

    #[test]
    fn what_does_not_answer_is_not_waited_for() {
        assert_eq!(in_time(|| 7), Some(7));
        let (_keep, never) = mpsc::channel::<()>();
        let begin = std::time::Instant::now();
        assert_eq!(in_time(move || never.recv().ok()), None);
        assert!(begin.elapsed() < 2 * PATIENCE);
    }

    #[test]
    fn only_the_device_of_the_log_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("kmsg");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        for path in [&fifo, Path::new("/dev/zero"), folder.path()] {
            let error = open_log(path).unwrap_err().to_string();
            assert_eq!(error, "not the kernel's log", "{}", path.display());
        }
    }
}

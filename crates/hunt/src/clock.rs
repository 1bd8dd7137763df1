//! Moments as reports write them.

use jiff::Timestamp;
use pagehound_kernel::HostInfo;
use pagehound_vmcore::DumpInfo;

/// When the memory was captured: by the container, else by the kernel's own
/// clock in it.
pub fn captured_at(dump: &DumpInfo, host: Option<&HostInfo>) -> Option<String> {
    // Some writers leave zero.
    let written = dump.captured_at.filter(|&at| at > 0);
    let clock = || i64::try_from(host?.time?).ok();
    rfc3339(written.or_else(clock)?)
}

/// Seconds since 1970 in RFC 3339, UTC.
pub fn rfc3339(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    Some(time.to_string())
}

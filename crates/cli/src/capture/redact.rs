//! A capture without what tells of the site it is from.

use super::file::Capture;
use super::make::Files;
use crate::redact;
use pagehound_procfs::Recorded;
use regex::bytes::Regex;

/// Files of a host that have numbers, and names of the kernel's own, and those folders.
const KEPT: [&str; 9] = [
    "proc/meminfo",
    "proc/vmstat",
    "proc/zoneinfo",
    "proc/slabinfo",
    "proc/vmallocinfo",
    "proc/modules",
    "proc/allocinfo",
    "sys/devices/system/",
    "sys/kernel/mm/",
];

/// Takes out of `capture`, and of the files it is packed with, host and boot, kernel
/// addresses, paths, the log, bytes of pages, processes, of which these are the `names`,
/// and MAC addresses beyond the vendor's half.
pub(super) fn redact(
    capture: &mut Capture,
    files: &mut Files,
    names: &[String],
) -> anyhow::Result<()> {
    let report = &mut capture.report;
    report.explained.retain(|part| part.owner.is_none());
    let of_findings = report.findings.iter_mut();
    let holders = of_findings.flat_map(|finding| &mut finding.holders);
    for holder in holders.chain(&mut report.holders) {
        holder.pid = None;
    }
    capture.report = redact::redact_with(report, names)?;
    capture.log = None;
    capture.content = None;
    if let Some(info) = &mut capture.info {
        info.redact();
    }
    if let Some(net) = &mut capture.net {
        net.redact();
    }
    let header = &mut capture.header;
    header.target = capture.report.target.path.clone();
    header.redacted = true;
    header.log_notes.clear();
    if let Some(memory) = &mut header.pages {
        memory.direct_map = None;
    }
    let left_out = "it is redacted: without the log, bytes of pages, kernel addresses, processes";
    header.missing.push(left_out.to_owned());
    files.retain(|path, _| KEPT.iter().any(|kept| path.starts_with(kept)));
    let address = Regex::new("0x[0-9a-f]{16}")?;
    for entry in files.values_mut() {
        if let Recorded::File(text) = entry {
            // As the kernel itself shows them to all but root.
            let shown = address.replace_all(text, &b"0x0000000000000000"[..]);
            *text = shown.into_owned();
        }
    }
    Ok(())
}

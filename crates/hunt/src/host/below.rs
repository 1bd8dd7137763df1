//! From the memory of the machine down to MemTotal: what is taken before the page
//! allocator has anything to count.

use super::HostFiles;
use super::facts::Facts;
use pagehound_procfs as procfs;
use serde::Serialize;

/// One line: the first is all there is, the last MemTotal, and what lies between is
/// subtracted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BelowRow {
    /// What it is.
    pub name: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// File and field.
    pub source: String,
}

/// The table; empty where zoneinfo does not tell what is present, or is another
/// machine's.
pub(super) fn below(files: &HostFiles, facts: &Facts<'_>) -> Vec<BelowRow> {
    let bytes = |kb: i64| u64::try_from(kb).unwrap_or(0).saturating_mul(1024);
    let total = bytes(facts.mem_total_kb);
    let (Some(present_kb), Some(reserved_kb)) = (facts.present_kb, facts.reserved_kb) else {
        return Vec::new();
    };
    let (present, reserved) = (bytes(present_kb), bytes(reserved_kb));
    // A balloon moves between two readings.
    if present.checked_sub(reserved) != Some(total) {
        return Vec::new();
    }
    let row = |name, bytes, source: &str| BelowRow {
        name,
        bytes,
        source: source.to_owned(),
    };
    let mut rows = Vec::new();
    let modules = files.installed.modules.filter(|&bytes| bytes >= present);
    if let Some(modules) = modules {
        rows.push(row("installed", modules, "SMBIOS, memory devices"));
        firmware(files, modules, present, &mut rows);
    } else {
        rows.push(row("present", present, "zoneinfo present"));
    }
    let mut rest = reserved;
    let mut take = |name, most: Option<u64>, source: &str| {
        let taken = most.unwrap_or(0).min(rest);
        rest -= taken;
        if taken > 0 {
            rows.push(row(name, taken, source));
        }
    };
    match crash_kernel(files) {
        Some(bytes) => take("crash kernel", Some(bytes), "iomem Crash kernel"),
        None => take(
            "crash kernel",
            files.installed.crash_kernel,
            "/sys/kernel/kexec_crash_size",
        ),
    }
    if facts.pages.memmap_boot > 0 {
        let map = bytes(facts.pages_kb(facts.pages.memmap_boot));
        take("memory map", Some(map), "vmstat nr_memmap_boot_pages");
    } else {
        // 64 bytes a page on all 64-bit kernels, unless debugging makes them more.
        let map = present / (facts.page.kb * 1024).max(1) * 64;
        take("memory map, by estimate", Some(map), "64 bytes a page");
    }
    let image = files.log.as_deref().and_then(procfs::kernel_image_kb);
    let image = image.map(|kb| kb.saturating_mul(1024));
    take("kernel image", image, "kernel log, `Memory:`");
    let chunk = facts
        .first_chunk
        .map(|chunk| bytes(facts.pages_kb(chunk.pages())));
    take("first per-CPU chunk", chunk, "kernel log, `percpu:`");
    let balloon = facts.balloon_outside_kb.map(bytes);
    take("balloon", balloon, "memory given back to the host");
    take(
        "other, reserved at boot",
        Some(u64::MAX),
        "zoneinfo present - managed - the rows above",
    );
    rows.push(row("MemTotal", total, "meminfo MemTotal"));
    rows
}

/// What of the modules the kernel was not given: where iomem tells, by whom.
fn firmware(files: &HostFiles, modules: u64, present: u64, rows: &mut Vec<BelowRow>) {
    let hidden = modules.saturating_sub(present);
    if hidden == 0 {
        return;
    }
    let (ram, source) = match system_ram(files) {
        Some(ram) => (ram, "SMBIOS - iomem System RAM"),
        None => (present, "SMBIOS - zoneinfo present"),
    };
    let kept = modules.saturating_sub(ram.max(present)).min(hidden);
    let mut push = |name, bytes: u64, source: &str| {
        if bytes > 0 {
            rows.push(BelowRow {
                name,
                bytes,
                source: source.to_owned(),
            });
        }
    };
    push("firmware and devices", kept, source);
    let unused = hidden - kept;
    push(
        "not used by Linux",
        unused,
        "iomem System RAM - zoneinfo present",
    );
}

/// Bytes of all that iomem says is the crash kernel's.
fn crash_kernel(files: &HostFiles) -> Option<u64> {
    let ranges = procfs::iomem(files.iomem.as_deref()?).map_while(Result::ok);
    let crash = ranges.filter(|range| range.name == "Crash kernel");
    let bytes = crash.map(|range| range.end - range.start);
    Some(bytes.fold(0, u64::saturating_add)).filter(|&bytes| bytes > 0)
}

/// Bytes of top-level `System RAM`.
fn system_ram(files: &HostFiles) -> Option<u64> {
    let ranges = procfs::iomem(files.iomem.as_deref()?).map_while(Result::ok);
    let ram = ranges.filter(|range| range.depth == 0 && range.name.starts_with("System RAM"));
    let bytes = ram.map(|range| range.end - range.start);
    Some(bytes.fold(0, u64::saturating_add)).filter(|&bytes| bytes > 0)
}

//! The report as Markdown: a bug report for people who have never heard of this tool.

mod finding;
mod text;

use super::number::{count, percent, size};
use super::report::{coverage, damaged, is_told};
use super::{Detail, ledger};
use crate::output;
use pagehound_hunt::slab_debug;
use pagehound_model::{Finding, NetDevice, Report, State, Verdict};
use std::io::{self, Write};
use text::{Table, block_fence, code, plain, with_code};

/// Notes told one by one.
const NOTES: usize = 12;

/// Writes the whole document.
pub fn markdown(report: &Report, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let told: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| is_told(finding, report))
        .collect();
    writeln!(out, "# {}\n", headline(report, &told))?;
    for finding in &told {
        if told.len() > 1 {
            writeln!(out, "## {}. {}\n", finding.id, finding::heading(finding))?;
        }
        finding::in_short(finding, report, out)?;
    }
    if told.is_empty() {
        writeln!(out, "{}\n", nothing_lost(report))?;
    }
    if let Some(step) = damaged(report) {
        writeln!(out, "What next: {}.\n", with_code(&step))?;
    }
    machine(report, out)?;
    for finding in &told {
        finding::evidence(finding, report, out)?;
    }
    heap(report, out)?;
    memory(report, detail, out)?;
    method(report, out)?;
    notes(report, out)
}

/// Whether only a host's counters were read.
fn is_of_counters(report: &Report) -> bool {
    let target = &report.target;
    matches!(target.format.as_str(), "live" | "meminfo") && target.coverage.present == 0
}

fn headline(report: &Report, told: &[&Finding]) -> String {
    let all = &report.unaccounted;
    let size = |pages: u64| size(pages.saturating_mul(report.target.page_size));
    if is_of_counters(report) {
        return match all.pages {
            0 => "The kernel's counters add up to all of the memory".to_owned(),
            pages => format!("{} in no counter of the kernel", size(pages)),
        };
    }
    let what = match told {
        [only] => format!(": {}", plain(&super::finding::title(only))),
        _ => String::new(),
    };
    match report.verdict {
        Verdict::Lost => format!("Kernel memory leak: {} lost{what}", size(all.lost_pages)),
        _ if report.sample.is_some() => {
            format!("{} of kernel memory in no counter{what}", size(all.pages))
        }
        Verdict::Suspect => format!(
            "Possible kernel memory leak: {} look lost{what}",
            size(all.suspect_pages)
        ),
        Verdict::None if report.heap.is_empty() => "No kernel memory leak found".to_owned(),
        Verdict::None => "No page lost, but objects in use that nothing points to".to_owned(),
        Verdict::Incomplete => "Kernel memory: too little could be read to tell".to_owned(),
    }
}

fn nothing_lost(report: &Report) -> String {
    let all = &report.unaccounted;
    let bytes = |pages: u64| size(pages.saturating_mul(report.target.page_size));
    match report.verdict {
        Verdict::None if is_of_counters(report) => "Nothing is left over.".to_owned(),
        _ if is_of_counters(report) => format!(
            "{}, {} of MemTotal, are drivers' and the kernel's own, or lost. Counters cannot tell \
             which; a crash dump can.",
            bytes(all.pages),
            percent(all.bytes, report.target.mem_total_bytes)
        ),
        Verdict::None => format!(
            "No page is lost: of {} that no counter of the kernel shows, {} have a holder.",
            bytes(all.pages),
            bytes(all.held_pages)
        ),
        _ => format!(
            "{} are in no counter of the kernel; whether they are lost could not be decided.",
            bytes(all.pages)
        ),
    }
}

/// Kernel, memory and network devices.
fn machine(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let target = &report.target;
    writeln!(out, "## The machine\n")?;
    let mut table = Table::new(&["", ""]);
    let build = target.build.as_deref().unwrap_or_default();
    table.row(&[
        "Kernel".to_owned(),
        code(format!("{} {build}", target.kernel).trim()),
    ]);
    table.row(&["Architecture".to_owned(), plain(&target.arch)]);
    table.row(&["Memory".to_owned(), size(target.mem_total_bytes)]);
    table.row(&["Modules of others".to_owned(), outside(report)]);
    if let Some(name) = &report.host.name {
        table.row(&["Host".to_owned(), plain(name)]);
    }
    if let Some(at) = &report.host.captured_at {
        table.row(&["Captured at".to_owned(), plain(at)]);
    }
    let level = target.dump_level.map(|level| format!(", -d {level}"));
    let read = match target.format.as_str() {
        "live" if is_of_counters(report) => "counters of the running host".to_owned(),
        _ if is_of_counters(report) => format!("{} (counters)", target.path),
        format => format!("{} ({format}{})", target.path, level.unwrap_or_default()),
    };
    table.row(&["Read from".to_owned(), plain(&read)]);
    table.write(out)?;
    let physical = |device: &&NetDevice| device.driver.is_some() || device.bus.is_some();
    let devices: Vec<&NetDevice> = report.netdevs.iter().filter(physical).collect();
    if devices.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["Device", "Driver", "Firmware", "Bus", "MAC", "Under"]);
    for device in devices {
        let text = |text: &Option<String>| plain(text.as_deref().unwrap_or_default());
        table.row(&[
            plain(&device.name),
            text(&device.driver),
            text(&device.firmware),
            text(&device.bus),
            text(&device.mac),
            text(&device.upper),
        ]);
    }
    table.write(out)
}

/// Loaded modules that are not of the kernel's tree, with their taints.
fn outside(report: &Report) -> String {
    let outside = report.modules.iter();
    let outside = outside.filter(|module| module.taints.contains('O'));
    let outside: Vec<String> = outside
        .map(|module| plain(&format!("{} ({})", module.name, module.taints)))
        .collect();
    match (outside.is_empty(), report.modules.is_empty()) {
        (_, true) => "not known: the loaded modules cannot be read".to_owned(),
        (true, false) => "none: no module from outside the kernel's tree is loaded".to_owned(),
        (false, false) => outside.join(", "),
    }
}

/// Counted memory that nothing reaches.
fn heap(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.heap.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Objects in use that nothing points to\n")?;
    let mut table = Table::new(&["What", "Out of reach", "Of", "Size", "They point to"]);
    for loss in &report.heap {
        table.row(&[
            plain(&format!("{} {}", loss.kind, loss.name)),
            pagehound_model::thousands(loss.count),
            pagehound_model::thousands(loss.of),
            size(loss.bytes),
            plain(&loss.points_to.join(", ")),
        ]);
    }
    table.write(out)?;
    match report.heap.iter().find(|loss| loss.kind == "slab") {
        Some(loss) => writeln!(out, "What next: {}.\n", with_code(&slab_debug(&loss.name))),
        None => Ok(()),
    }
}

/// The ledger, as the terminal has it.
fn memory(report: &Report, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Where the memory is\n")?;
    let total = size(report.target.mem_total_bytes);
    if is_of_counters(report) {
        writeln!(out, "All of MemTotal, {total}, by the kernel's counters.\n")?;
    } else {
        writeln!(
            out,
            "All memory that the kernel has a map of, its own image included; MemTotal, {total}, is \
             what it had left to give.\n"
        )?;
    }
    let table = output::text(|page| ledger(report, detail, page))?;
    let table = String::from_utf8_lossy(&table);
    let fence = block_fence(&table);
    writeln!(out, "{fence}text\n{table}{fence}\n")
}

/// What the words above mean, and why to believe them.
fn method(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## How this was found\n")?;
    let how = match report {
        _ if is_of_counters(report) => {
            "From the kernel's counters alone, which add up to MemTotal: what is left over is \
             *unaccounted*. No page was looked at, so whether it is leaked is not known; a crash \
             dump of this host, or of one like it, would tell."
        }
        _ if report.sample.is_some() => {
            "From a sample of the machine's pages: how many are in no counter of the kernel, and \
             what these hold, with 95 % bounds. Whether something points to them was not looked \
             for; a full run on the same dump tells."
        }
        _ => {
            "Pages that were allocated, but are in no counter of the kernel and on none of its \
             lists, were looked at one by one. Every word of memory that has an owner was searched \
             for their addresses and the addresses of their `struct page`; lists, page tables and \
             tables of hardware were followed. A page that nothing in use points to can never be \
             freed: it is **lost**. A page that something points to is **held**. **Suspect** is \
             what looks lost, but for a gap in the proof, or holds what lost pages hold while \
             something still points to it. *Proved* means that nothing that could refer to the \
             pages was missing; *likely*, that a small way is left in which something could; \
             *possible*, a large one."
        }
    };
    writeln!(out, "{how}\n")?;
    let control = &report.control;
    let searched = report.sample.is_none() && !is_of_counters(report);
    if let Some(most) = control.most_missed().filter(|_| searched) {
        writeln!(
            out,
            "The search was checked against itself: of {} that are known to be held it missed {} \
             (so at most {:.2} %, with 95 % confidence).\n",
            count(control.checked, "page"),
            pagehound_model::thousands(control.missed),
            most * 100.0
        )?;
    }
    let seen = match is_of_counters(report) {
        true => String::new(),
        false => plain(&coverage(report)) + " ",
    };
    writeln!(
        out,
        "{seen}pagehound {} took {:.1} s.\n",
        plain(&report.tool_version),
        report.timing.seconds
    )?;
    let shown = report.findings.iter().find_map(|finding| {
        let pfn = finding.sample_pfns.first()?;
        (finding.verdict == State::Lost).then_some(pfn)
    });
    match shown {
        Some(pfn) => writeln!(
            out,
            "{} on the same dump shows one of the lost pages, and the lines for crash and drgn \
             that show the same without pagehound.\n",
            code(&format!("pagehound why DUMP {pfn:#x}"))
        ),
        None => Ok(()),
    }
}

fn notes(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.warnings.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Notes\n")?;
    for warning in report.warnings.iter().take(NOTES) {
        writeln!(out, "- {}", plain(warning))?;
    }
    match report.warnings.len().saturating_sub(NOTES) {
        0 => Ok(()),
        more => writeln!(out, "- and {}", count(more as u64, "more note")),
    }
}

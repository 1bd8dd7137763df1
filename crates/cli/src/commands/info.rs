//! `pagehound info`: the dump and its kernel.

use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render;
use crate::render::number::{count, percent, size, thousands};
use crate::render::page::Page;
use pagehound_kernel::{Vmcoreinfo, find_in_memory};
use pagehound_model::{Coverage, rfc3339};
use pagehound_vmcore::{Dump, Format, Machine};
use serde::Serialize;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// What `info --json` prints.
#[derive(Serialize)]
struct Info {
    schema: &'static str,
    path: String,
    /// Of the file, in bytes.
    bytes: u64,
    format: &'static str,
    dump_level: Option<u32>,
    kernel: Option<String>,
    build_id: Option<String>,
    arch: Option<&'static str>,
    host: Option<String>,
    captured_at: Option<String>,
    page_size: u64,
    coverage: Coverage,
    vmcoreinfo: Option<VmcoreinfoSource>,
    warnings: Vec<String>,
}

/// Where VMCOREINFO was found.
#[derive(Serialize)]
struct VmcoreinfoSource {
    /// `note` of the container, or `memory`.
    from: &'static str,
    /// Physical address, where it was found in memory.
    address: Option<u64>,
    keys: usize,
}

pub(super) fn run(args: &args::Info) -> anyhow::Result<Exit> {
    let path = args.target.file()?;
    let dump = pagehound_vmcore::open(path)?;
    let info = info(path, &dump);
    if args.json {
        output::plain(|out| render::json(&info, out))?;
    } else {
        output::page(|page| text(&info, page))?;
    }
    Ok(Exit::OK)
}

fn info(path: &Path, dump: &Dump) -> Info {
    let mut warnings = dump.info.warnings.clone();
    let vmcoreinfo = vmcoreinfo(dump, &mut warnings);
    let utsname = dump.info.utsname.as_ref();
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let kernel = vmcoreinfo
        .as_ref()
        .map(|(info, _)| info.osrelease().to_owned());
    let coverage = dump.memory.coverage();
    Info {
        schema: "pagehound.info/1",
        path: path.display().to_string(),
        bytes: std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        format: match dump.info.format {
            Format::Elf => "elf",
            Format::Kdump => "kdump",
            Format::FlattenedKdump => "flattened-kdump",
            Format::FlattenedElf => "flattened-elf",
        },
        dump_level: dump.info.dump_level,
        kernel: kernel.or_else(|| utsname.and_then(|name| given(&name.release))),
        build_id: vmcoreinfo
            .as_ref()
            .and_then(|(info, _)| info.build_id().map(str::to_owned)),
        arch: dump.info.machine.map(|machine| match machine {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
        }),
        host: utsname.and_then(|name| given(&name.nodename)),
        captured_at: dump.info.captured_at.map(rfc3339),
        page_size: dump.memory.page_size() as u64,
        coverage: Coverage {
            present: coverage.present,
            excluded: coverage.excluded,
            absent: coverage.absent,
            unreadable: coverage.unreadable,
        },
        vmcoreinfo: vmcoreinfo.map(|(_, source)| source),
        warnings,
    }
}

/// VMCOREINFO of the container, else the likeliest found in memory.
fn vmcoreinfo(dump: &Dump, warnings: &mut Vec<String>) -> Option<(Vmcoreinfo, VmcoreinfoSource)> {
    if let Some(text) = &dump.info.vmcoreinfo {
        match Vmcoreinfo::parse(text) {
            Ok(info) => {
                let keys = info.entries().count();
                return Some((
                    info,
                    VmcoreinfoSource {
                        from: "note",
                        address: None,
                        keys,
                    },
                ));
            }
            Err(error) => warnings.push(format!("The VMCOREINFO note cannot be used: {error}")),
        }
    }
    let found = find_in_memory(dump.memory.as_ref(), &|_| ControlFlow::Continue(()));
    let found = found.into_iter().next()?;
    let keys = found.info.entries().count();
    Some((
        found.info,
        VmcoreinfoSource {
            from: "memory",
            address: Some(found.paddr.0),
            keys,
        },
    ))
}

fn text(info: &Info, page: &mut Page) -> io::Result<()> {
    let unknown = "not known";
    page.item("File", &format!("{}, {}", info.path, size(info.bytes)))?;
    let level = info
        .dump_level
        .map(|level| format!(", dump level {level}"))
        .unwrap_or_default();
    page.item("Format", &format!("{}{level}", info.format))?;
    let build_id = info
        .build_id
        .as_ref()
        .map(|id| format!(", build id {id}"))
        .unwrap_or_default();
    page.item(
        "Kernel",
        &format!("{}{build_id}", info.kernel.as_deref().unwrap_or(unknown)),
    )?;
    page.item("Arch", info.arch.unwrap_or(unknown))?;
    page.item("Host", info.host.as_deref().unwrap_or(unknown))?;
    page.item("Captured", info.captured_at.as_deref().unwrap_or(unknown))?;
    let source = info.vmcoreinfo.as_ref().map(|source| {
        let place = match source.address {
            Some(address) => format!("found in memory at {address:#x}"),
            None => "in the dump's note".to_owned(),
        };
        format!("{}, {place}", count(source.keys as u64, "key"))
    });
    page.item(
        "Vmcoreinfo",
        source
            .as_deref()
            .unwrap_or("none, neither as a note nor in memory"),
    )?;
    page.item("Pages", &coverage(&info.coverage, info.page_size))?;
    for warning in &info.warnings {
        page.item("Note", warning)?;
    }
    Ok(())
}

fn coverage(coverage: &Coverage, page_size: u64) -> String {
    let Coverage {
        present,
        excluded,
        absent,
        unreadable,
    } = *coverage;
    let states = [
        (present, "in the dump"),
        (excluded, "left out on purpose"),
        (absent, "missing"),
        (unreadable, "unreadable"),
    ];
    let all = states
        .iter()
        .fold(0u64, |sum, (pages, _)| sum.saturating_add(*pages));
    let parts: Vec<String> = states
        .iter()
        .filter(|(pages, _)| *pages > 0)
        .map(|(pages, what)| format!("{} ({}) {what}", thousands(*pages), percent(*pages, all)))
        .collect();
    format!(
        "{} of {}: {}",
        thousands(all),
        size(page_size),
        parts.join(", ")
    )
}

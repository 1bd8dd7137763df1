//! `pagehound info`: the dump and its kernel.

use super::{Context, is_about_vmlinux};
use crate::args::{self, Target};
use crate::exit::{Exit, is_interruption};
use crate::input;
use crate::output;
use crate::render;
use crate::render::number::{count, percent, size, thousands};
use crate::render::page::Page;
use anyhow::anyhow;
use jiff::Timestamp;
use pagehound_hunt::{captured_at, rfc3339};
use pagehound_kernel::{HostInfo, Kernel};
use pagehound_model::Coverage;
use pagehound_vmcore::{Dump, Format};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io;

/// Lines of what was erased that the text shows; JSON has all.
const ERASED: usize = 16;

/// The value of [`Info::schema`].
pub(crate) const SCHEMA: &str = "pagehound.info/1";

/// What `info --json` prints.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Info {
    pub(crate) schema: Cow<'static, str>,
    path: String,
    /// Of the file, or of all that are given, in bytes; of a live host, of its memory.
    bytes: u64,
    format: Cow<'static, str>,
    dump_level: Option<u32>,
    arch: Option<Cow<'static, str>>,
    page_size: u64,
    /// Of all pages the container lists, whether the kernel manages them or not.
    coverage: Coverage,
    /// When the memory was captured, by the container or else by the kernel's
    /// clock: the same as in a report.
    captured_at: Option<String>,
    /// By the kernel itself, else by the container's header.
    release: Option<String>,
    host: Option<String>,
    /// What only the kernel in the dump tells.
    kernel: Option<KernelInfo>,
    /// What makedumpfile was told to erase, as it wrote it down.
    erased: Vec<String>,
    /// The container says that it is not whole, or it shows.
    incomplete: bool,
    warnings: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct KernelInfo {
    version: Option<String>,
    build_id: Option<String>,
    boot_id: Option<String>,
    booted_at: Option<String>,
    /// Kernel's clock when its memory was captured.
    clock: Option<String>,
    /// Entries of VMCOREINFO.
    vmcoreinfo_keys: usize,
    /// Where VMCOREINFO came from: a `note` of the container, or `memory`.
    vmcoreinfo_from: Cow<'static, str>,
    /// 0 without kallsyms.
    symbols: usize,
    /// 0 without BTF.
    btf_types: usize,
    /// The file whose debug information tells the types instead.
    vmlinux: Option<String>,
    /// First address of the direct map, hex.
    direct_map: String,
    modules: Vec<String>,
}

pub(super) fn run(args: &args::Info, context: &Context) -> anyhow::Result<Exit> {
    let info = match input::capture(&args.target, &args.others.parts)? {
        Some(capture) => {
            let lacks = || anyhow!("{}: {}", args.target, capture.lacks("kernel's memory"));
            capture.info.as_ref().ok_or_else(lacks).cloned()?
        }
        None => {
            let dump = input::dump(&args.target, &args.others.parts, context.reading())?;
            of_dump(&args.target, &dump, context)?
        }
    };
    if args.json {
        output::plain(|out| render::json(&info, out))?;
    } else {
        output::page(|page| text(&info, page))?;
    }
    Ok(Exit::OK)
}

fn of_dump(target: &Target, dump: &Dump, context: &Context) -> anyhow::Result<Info> {
    match context.kernel(dump) {
        Ok(kernel) => Ok(of_kernel(&target.to_string(), &kernel)),
        Err(error) if is_about_vmlinux(&error) || is_interruption(&error) => Err(error),
        // A dump whose kernel cannot be opened still has a container to tell of.
        Err(error) => Ok(info(
            &target.to_string(),
            dump,
            None,
            vec![format!("{error:#}")],
        )),
    }
}

/// What there is to say of a kernel and of the dump it is in, at `path`.
pub(crate) fn of_kernel(path: &str, kernel: &Kernel<'_>) -> Info {
    info(path, kernel.dump, Some(kernel), kernel.warnings.clone())
}

fn info(path: &str, dump: &Dump, kernel: Option<&Kernel<'_>>, warnings: Vec<String>) -> Info {
    let kernel_host = kernel.map(Kernel::host);
    let uname = kernel_host.as_ref().and_then(|host| host.uname.as_ref());
    let header = dump.info.utsname.as_ref();
    let named = uname.or(header);
    let (release, host) = named
        .map(|name| (name.release.clone(), name.nodename.clone()))
        .unzip();
    let coverage = dump.memory.coverage();
    Info {
        schema: Cow::Borrowed(SCHEMA),
        path: path.to_owned(),
        bytes: dump.info.file_bytes,
        format: Cow::Borrowed(dump.info.format.name()),
        dump_level: dump.info.dump_level,
        arch: kernel
            .map(|kernel| kernel.memory.space.machine)
            .or(dump.info.machine)
            .map(|machine| Cow::Borrowed(machine.name())),
        page_size: dump.memory.page_size() as u64,
        coverage: Coverage {
            present: coverage.present,
            excluded: coverage.excluded,
            absent: coverage.absent,
            unreadable: coverage.unreadable,
            outside: 0,
        },
        captured_at: captured_at(&dump.info, kernel_host.as_ref()),
        release: release.filter(|text| !text.is_empty()),
        host: host.filter(|text| !text.is_empty()),
        kernel: kernel
            .zip(kernel_host)
            .map(|(kernel, host)| kernel_info(kernel, host, dump)),
        erased: dump.info.erased.clone(),
        incomplete: dump.info.incomplete,
        warnings: [dump.info.warnings.clone(), warnings].concat(),
    }
}

impl Info {
    /// When the kernel booted, in seconds since 1970.
    pub(crate) fn booted(&self) -> Option<i64> {
        let at: Timestamp = self.kernel.as_ref()?.booted_at.as_ref()?.parse().ok()?;
        Some(at.as_second())
    }

    /// Takes out what tells of the site.
    pub(crate) fn redact(&mut self) {
        "DUMP".clone_into(&mut self.path);
        self.host = None;
        self.erased.clear();
        self.warnings.clear();
        if let Some(kernel) = &mut self.kernel {
            kernel.boot_id = None;
            kernel.vmlinux = None;
            "[address]".clone_into(&mut kernel.direct_map);
        }
    }
}

fn kernel_info(kernel: &Kernel<'_>, host: HostInfo, dump: &Dump) -> KernelInfo {
    let clock = |seconds: Option<u64>| rfc3339(i64::try_from(seconds?).ok()?);
    let modules = kernel.modules().unwrap_or_default();
    KernelInfo {
        version: host.uname.map(|uname| uname.version),
        build_id: kernel.vmcoreinfo.build_id().map(|id| id.to_string()),
        boot_id: host.boot_id,
        booted_at: clock(host.boot_time),
        clock: clock(host.time),
        vmcoreinfo_keys: kernel.vmcoreinfo.entries().count(),
        vmcoreinfo_from: Cow::Borrowed(match dump.info.vmcoreinfo {
            Some(_) => "note",
            None => "memory",
        }),
        symbols: kernel.symbols.as_ref().map_or(0, |symbols| symbols.len()),
        btf_types: match (&kernel.types, &kernel.vmlinux) {
            (Some(types), None) => types.type_count(),
            _ => 0,
        },
        vmlinux: kernel
            .vmlinux
            .as_ref()
            .map(|path| path.display().to_string()),
        direct_map: format!("{:x}", kernel.memory.space.direct.virt.start),
        modules: modules.into_iter().map(|module| module.name).collect(),
    }
}

fn text(info: &Info, page: &mut Page) -> io::Result<()> {
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".to_owned());
    let is_live = info.format == Format::Live.name();
    let what = if is_live { "Memory" } else { "File" };
    page.item(what, &format!("{}, {}", info.path, size(info.bytes)))?;
    let level = info.dump_level.map(|level| format!(", dump level {level}"));
    let incomplete = if info.incomplete { ", incomplete" } else { "" };
    page.item(
        "Format",
        &format!("{}{}{incomplete}", info.format, level.unwrap_or_default()),
    )?;
    let arch = info.arch.as_deref().unwrap_or("architecture not known");
    page.item("Kernel", &format!("{}, {arch}", or_unknown(&info.release)))?;
    if let Some(kernel) = &info.kernel {
        page.item("Version", &or_unknown(&kernel.version))?;
        page.item("Build id", &or_unknown(&kernel.build_id))?;
    }
    page.item("Host", &or_unknown(&info.host))?;
    if let Some(kernel) = &info.kernel {
        page.item("Boot id", &or_unknown(&kernel.boot_id))?;
        page.item("Booted", &or_unknown(&kernel.booted_at))?;
        page.item("Clock", &or_unknown(&kernel.clock))?;
    }
    page.item("Captured", &or_unknown(&info.captured_at))?;
    page.item("Pages", &coverage(&info.coverage, info.page_size, is_live))?;
    if let Some(kernel) = &info.kernel {
        let keys = count(kernel.vmcoreinfo_keys as u64, "key");
        let found = [
            format!("{keys} in VMCOREINFO ({})", kernel.vmcoreinfo_from),
            count(kernel.symbols as u64, "symbol"),
            match &kernel.vmlinux {
                Some(path) => format!("types by {path}"),
                None => count(kernel.btf_types as u64, "BTF type"),
            },
            count(kernel.modules.len() as u64, "module"),
            format!("direct map at {}", kernel.direct_map),
        ];
        page.item("Found", &found.join(", "))?;
    }
    for line in info.erased.iter().take(ERASED) {
        page.item("Erased", line)?;
    }
    if let Some(more) = info
        .erased
        .len()
        .checked_sub(ERASED)
        .filter(|&more| more > 0)
    {
        page.item(
            "Erased",
            &format!("and {}", count(more as u64, "more line")),
        )?;
    }
    for warning in &info.warnings {
        page.item("Note", warning)?;
    }
    Ok(())
}

fn coverage(coverage: &Coverage, page_size: u64, is_live: bool) -> String {
    let Coverage {
        present,
        excluded,
        absent,
        unreadable,
        outside: _,
    } = *coverage;
    let states = [
        (present, if is_live { "readable" } else { "in the dump" }),
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
        "{} of {} listed: {}",
        count(all, "page"),
        size(page_size),
        parts.join(", ")
    )
}

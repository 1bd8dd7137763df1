//! From the host to its memory, or to why there is none to be had.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use pagehound_procfs as procfs;
use pagehound_vmcore::{
    Dump, DumpInfo, ElfHeaders, Format, LoadSegment, Machine, PageCache, PhysAddr, elf_headers,
};
use rustix::fs::{PROC_SUPER_MAGIC, statfs};

use crate::descriptors::Descriptors;
use crate::kcore::Kcore;
use crate::ram::{Shown, shown};
use crate::rate::Rate;

/// Longest text that is read of a file of the kernel: an iomem of a hundred thousand
/// ranges.
const MOST_TEXT: u64 = 8 << 20;
/// No VMCOREINFO note is longer, nor is one shorter than its header with the name.
const VMCOREINFO_NOTE: Range<u64> = 24..1 << 20;
/// Where the kernel's image is mapped on x86_64 (`__START_KERNEL_map`).
const X86_IMAGE: u64 = 0xffff_ffff_8000_0000;

/// How a host's memory is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenOptions {
    /// Bytes a second that are read at most, by all threads together.
    pub max_rate: Option<NonZeroU64>,
}

/// Why a host's memory cannot be had; one line that says what would help. None of these
/// is a failure: on many hosts it is how things are.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoMemory {
    /// There is no such file.
    #[error(
        "there is no /proc/kcore: the kernel is built without CONFIG_PROC_KCORE, or a container hides it; a dump (kdump, or of the hypervisor) has the pages too"
    )]
    NotThere,
    /// Something else is mounted there.
    #[error("/proc/kcore is hidden from this container; run pagehound on the host itself")]
    Masked,
    /// The kernel refused.
    #[error("{}", denied(*.root, *.locked_down))]
    Denied {
        /// Root asked.
        root: bool,
        /// The kernel is locked down so far that nobody may.
        locked_down: bool,
    },
    /// It is there and does not make sense.
    #[error("/proc/kcore cannot be used: {0}; take a dump instead")]
    Strange(String),
}

fn denied(root: bool, locked_down: bool) -> &'static str {
    match (root, locked_down) {
        (false, _) => {
            "/proc/kcore, where the pages of this host are, is for root only; run pagehound as root"
        }
        (true, true) => {
            "kernel lockdown (confidentiality) bars /proc/kcore; a dump by kdump has the pages all the same"
        }
        (true, false) => {
            "this root may not read /proc/kcore (it lacks CAP_SYS_RAWIO, as in a container); run pagehound on the host itself"
        }
    }
}

/// The level of lockdown that bars kcore; `integrity` does not (LOCKDOWN_KCORE,
/// include/linux/security.h).
const CONFIDENTIALITY: &str = "confidentiality";

/// Whether `path` is the memory of this host, which [`open`] reads: `/proc/kcore`,
/// whatever is there, and the same file by other names. As a file it must not be read,
/// for one open file of it serves one thread.
pub fn is_kcore(path: &Path) -> bool {
    if path == Path::new("/proc/kcore") {
        return true;
    }
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    path.ends_with("kcore") && is_of_procfs(&path)
}

/// A regular file of procfs, by whatever name: nothing else is the kernel's own.
fn is_of_procfs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file())
        && statfs(path).is_ok_and(|of| u64::try_from(of.f_type) == u64::try_from(PROC_SUPER_MAGIC))
}

/// Opens the memory of the host this runs on.
///
/// # Errors
/// Why it cannot be had.
pub fn open(options: &OpenOptions) -> Result<Dump, NoMemory> {
    open_at(Path::new("/proc"), options)
}

/// The same with procfs mounted at `proc`.
fn open_at(proc: &Path, options: &OpenOptions) -> Result<Dump, NoMemory> {
    let path = proc.join("kcore");
    // Before it is opened: opening a pipe waits for somebody to write.
    if let Err(error) = fs::metadata(&path) {
        return Err(refused(&error));
    }
    if !is_of_procfs(&path) {
        return Err(NoMemory::Masked);
    }
    let file = File::open(&path).map_err(|error| refused(&error))?;
    let host = Host {
        iomem: text(&proc.join("iomem")),
        flags: procfs::open_regular(&proc.join("kpageflags")).ok(),
        vmcoreinfo: text(Path::new("/sys/kernel/vmcoreinfo")),
        page_size: rustix::param::page_size(),
    };
    memory(&path, file, host, options.max_rate)
}

fn refused(error: &io::Error) -> NoMemory {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => NoMemory::NotThere,
        ErrorKind::PermissionDenied => NoMemory::Denied {
            root: rustix::process::geteuid().is_root(),
            locked_down: text(Path::new("/sys/kernel/security/lockdown"))
                .is_some_and(|text| procfs::lockdown(&text) == Some(CONFIDENTIALITY)),
        },
        _ => NoMemory::Strange(error.to_string()),
    }
}

/// A file of the kernel's, if all of it can be read: half of `/proc/iomem` would make
/// memory of the other half no memory.
fn text(path: &Path) -> Option<Vec<u8>> {
    let file = procfs::open_regular(path).ok()?;
    let text = procfs::read_some(file, MOST_TEXT).ok()?;
    (!text.cut).then_some(text.bytes)
}

/// What the kernel says of its memory besides kcore.
struct Host {
    iomem: Option<Vec<u8>>,
    flags: Option<File>,
    /// `/sys/kernel/vmcoreinfo`.
    vmcoreinfo: Option<Vec<u8>>,
    page_size: usize,
}

/// The memory in `file`, an open file of the kcore at `path`.
fn memory(
    path: &Path,
    file: File,
    host: Host,
    max_rate: Option<NonZeroU64>,
) -> Result<Dump, NoMemory> {
    let strange = |error: io::Error| NoMemory::Strange(error.to_string());
    let shift = host.page_size.trailing_zeros();
    let again = file.try_clone().map_err(strange)?;
    let headers = elf_headers(again, path).map_err(|error| NoMemory::Strange(error.to_string()))?;
    let resources = Resources::of(host.iomem.as_deref().unwrap_or_default());
    let Shown {
        ram,
        mut segments,
        not_shown,
    } = shown(&headers.segments, &resources.system_ram, shift).map_err(NoMemory::Strange)?;
    segments.extend(image(&headers, &resources));
    let mut warnings = Vec::new();
    if not_shown > 0 {
        warnings.push(format!(
            "{not_shown} pages of System RAM are in /proc/kcore or in /proc/iomem only, and are told as missing"
        ));
    }
    if host.flags.is_none() {
        warnings.push(
            "without /proc/kpageflags (CONFIG_PROC_PAGE_MONITOR) pages that the kernel withholds are \
             not told from pages of zeroes"
                .to_owned(),
        );
    }
    let frames: u64 = ram.iter().map(|ram| ram.pfns.len()).sum();
    let memory = Kcore::new(
        Descriptors::new(path, file),
        ram,
        not_shown,
        host.flags,
        max_rate.map(Rate::new),
        shift,
    );
    let place = host
        .vmcoreinfo
        .as_deref()
        .and_then(procfs::vmcoreinfo_place);
    let vmcoreinfo = headers.vmcoreinfo.or_else(|| note_at(&memory, place?));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(Dump {
        info: DumpInfo {
            file_bytes: frames << shift,
            machine: headers.machine,
            vmcoreinfo,
            notes: headers.notes,
            segments,
            captured_at: now.ok().and_then(|now| i64::try_from(now.as_secs()).ok()),
            warnings,
            ..DumpInfo::new(Format::Live)
        },
        memory: Box::new(memory),
    })
}

/// What of `/proc/iomem` says which memory is which; nothing for readers to whom the
/// kernel shows no addresses, and where it cannot be read to its end.
#[derive(Default)]
struct Resources {
    system_ram: Vec<Range<u64>>,
    /// First address of the kernel's image.
    kernel_code: Option<u64>,
}

impl Resources {
    fn of(iomem: &[u8]) -> Self {
        let rows: Result<Vec<_>, _> = procfs::iomem(iomem).collect();
        let Some(rows) = rows.ok().filter(|rows| !procfs::addresses_hidden(rows)) else {
            return Self::default();
        };
        // Memory of drivers (dax, virtio-mem) says its driver behind it, and lies below
        // the device's range.
        let is_ram = |name: &str| name == "System RAM" || name.starts_with("System RAM (");
        Self {
            system_ram: rows
                .iter()
                .filter(|row| is_ram(row.name))
                .map(|row| row.start..row.end)
                .collect(),
            kernel_code: rows
                .iter()
                .find(|row| row.name == "Kernel code")
                .map(|row| row.start),
        }
    }
}

/// The segment of the kernel's image on x86_64, which says where the image lies where
/// VMCOREINFO does not (before 4.10). kcore itself says it since 4.14, after -1 and, up
/// to 4.10, zero; both it and `Kernel code` begin with `_text`.
fn image(headers: &ElfHeaders, resources: &Resources) -> Option<LoadSegment> {
    let is_image = |segment: &&LoadSegment| segment.vaddr.0 >= X86_IMAGE;
    let image = headers.segments.iter().find(is_image);
    let image = image.filter(|_| headers.machine == Some(Machine::X86_64))?;
    let paddr = match image.paddr.0 {
        0 | u64::MAX => resources.kernel_code?,
        told => told,
    };
    Some(LoadSegment {
        paddr: PhysAddr(paddr),
        ..*image
    })
}

/// The text of the VMCOREINFO note in these bytes of memory, for kernels whose kcore has
/// none (before 4.19, 23c85094fe18).
fn note_at(memory: &Kcore, place: Range<u64>) -> Option<Vec<u8>> {
    let len = place.end.checked_sub(place.start)?;
    if !VMCOREINFO_NOTE.contains(&len) {
        return None;
    }
    let mut note = vec![0; usize::try_from(len).ok()?];
    let cache = PageCache::new(memory, 0);
    cache.read(PhysAddr(place.start), &mut note).ok()?;
    // n_namesz, n_descsz, n_type, and the name padded to 4 bytes.
    let (header, text) = note.split_at_checked(24)?;
    let (sizes, name) = header.split_at_checked(12)?;
    let descsz = u32::from_le_bytes(sizes.get(4..8)?.try_into().ok()?);
    if !sizes.starts_with(&11u32.to_le_bytes()) || name != b"VMCOREINFO\0\0" {
        return None;
    }
    let text = text.get(..(descsz as usize).min(text.len()))?;
    let text = text.split(|&byte| byte == 0).next()?;
    (!text.is_empty()).then(|| text.to_vec())
}

#[cfg(test)]
mod tests;

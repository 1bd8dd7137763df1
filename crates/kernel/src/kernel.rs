//! The kernel of a dump, opened: translation, symbols, types and layouts.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pagehound_vmcore::{Dump, PageCache, PhysAddr, VirtAddr};

use crate::btf::Btf;
use crate::kallsyms::{Kallsyms, KallsymsError};
use crate::landmarks::Landmarks;
use crate::layouts::{Field, Layouts, Unknown};
use crate::translate::{AddressSpace, KernelMemory, SpaceError};
use crate::types::{Types, open_types};
use crate::virt::{VirtFault, VirtualRead};
use crate::vmcoreinfo::{Vmcoreinfo, find_in_memory};
use crate::vmlinux::VmlinuxError;

/// Bytes of pages kept for random access.
const CACHE: usize = 16 << 20;

/// Pages kept while candidates are tried.
const SMALL_CACHE: usize = 64;

/// A list longer than this is taken for broken.
const LIST_LIMIT: usize = 1 << 24;

/// Most CPUs a kernel is built for (x86's NR_CPUS with MAXSMP).
pub(crate) const MOST_CPUS: u64 = 8192;

/// How far behind `_stext` variables and tables may lie where nothing says it:
/// an image is at most as large as its mapping.
pub(crate) const IMAGE_LIMIT: u64 = 1 << 27;

/// Why something of the kernel could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KernelError {
    /// No VMCOREINFO note and none in memory that fits.
    #[error(
        "no VMCOREINFO: neither a note in the container nor a copy in memory that fits this kernel; \
         is this a dump of a Linux kernel with CONFIG_VMCORE_INFO (before 6.9 CONFIG_CRASH_CORE)?"
    )]
    NoVmcoreinfo,
    /// Addresses cannot be translated.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A read failed.
    #[error("{what}: {fault}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why it failed.
        fault: VirtFault,
    },
    /// A member this kernel's tables do not tell.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// A symbol that is not there.
    #[error("this kernel has no symbol {0}")]
    NoSymbol(&'static str),
    /// A structure holds what it cannot hold.
    #[error("{what} at {at}: {why}")]
    Broken {
        /// The structure.
        what: &'static str,
        /// Where it lies.
        at: VirtAddr,
        /// What is wrong with it.
        why: String,
    },
    /// The vmlinux that was given is of no use for this kernel.
    #[error(transparent)]
    Vmlinux(#[from] VmlinuxError),
    /// It was ended early from outside.
    #[error("interrupted before there was anything to tell")]
    Interrupted,
}

impl KernelError {
    /// Whether something is there and makes no sense, so that memory is
    /// damaged or a layout is wrong; otherwise this kernel does not tell.
    pub(crate) fn is_doubtful(&self) -> bool {
        !matches!(self, KernelError::Unknown(_) | KernelError::NoSymbol(_))
    }
}

impl From<VirtFault> for KernelError {
    fn from(fault: VirtFault) -> Self {
        KernelError::Read {
            what: "kernel memory",
            fault,
        }
    }
}

/// How to open a kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'p> {
    /// Leave BTF aside, as on a kernel that has none.
    pub without_btf: bool,
    /// Bytes of pages kept for random access [default: 16 MiB].
    pub cache: Option<usize>,
    /// The vmlinux that tells the types of a kernel without BTF.
    pub vmlinux: Option<&'p Path>,
    /// Where packages of debug information put such a file, `/usr/lib/debug`.
    pub debug_root: Option<&'p Path>,
    /// Raised to end early, with [`KernelError::Interrupted`], while a vmlinux is read.
    pub cancel: Option<&'p AtomicBool>,
}

/// The kernel of a dump.
pub struct Kernel<'m> {
    /// The dump it was opened from.
    pub dump: &'m Dump,
    /// Its memory by virtual address.
    pub memory: KernelMemory<'m>,
    /// Its VMCOREINFO.
    pub vmcoreinfo: Vmcoreinfo,
    /// Its symbols, where kallsyms was found.
    pub symbols: Option<Kallsyms>,
    /// Its types: by its own BTF, or else by a vmlinux.
    pub types: Option<Arc<Btf>>,
    /// The vmlinux that the types are from.
    pub vmlinux: Option<PathBuf>,
    /// Types of loaded modules beyond those, by the module's name.
    pub(crate) module_types: Vec<(String, Btf)>,
    /// Member places.
    pub layouts: Layouts,
    /// `__per_cpu_offset`, by possible CPU.
    pub percpu_offsets: Vec<u64>,
    /// What could not be had, a sentence each.
    pub warnings: Vec<String>,
    pub(crate) landmarks: Landmarks,
}

impl<'m> Kernel<'m> {
    /// Opens the kernel in `dump`.
    pub fn open(dump: &'m Dump, options: Options<'_>) -> Result<Kernel<'m>, KernelError> {
        let mut warnings = Vec::new();
        let (vmcoreinfo, memory) = open_memory(dump, options.cache.unwrap_or(CACHE))?;
        let own = open_symbols(&memory, &vmcoreinfo);
        let Types {
            types,
            vmlinux,
            symbols,
            warnings: said,
        } = open_types(&memory, own.as_ref().ok(), &vmcoreinfo, options)?;
        let symbols = match own {
            Ok(own) => Some(own),
            Err(why) => {
                if symbols.is_none() {
                    warnings.push(format!("no kernel symbols: {why}"));
                }
                symbols
            }
        };
        warnings.extend(said);
        let layouts = Layouts::resolve(&vmcoreinfo, types.as_deref());
        warnings.extend(
            layouts
                .conflicts
                .iter()
                .map(|conflict| format!("layout of {conflict}")),
        );
        let percpu_offsets = percpu_offsets(&memory, symbols.as_ref());
        let mut kernel = Kernel {
            dump,
            memory,
            vmcoreinfo,
            symbols,
            types,
            vmlinux,
            module_types: Vec::new(),
            layouts,
            percpu_offsets,
            warnings,
            landmarks: Landmarks::default(),
        };
        kernel.place_unexported_of_zones();
        kernel.read_module_types();
        // The one variable that no kernel is without.
        if kernel.address("init_task").is_none() {
            kernel.landmarks = Landmarks::find(&kernel);
            if !kernel.landmarks.percpu_offsets.is_empty() {
                kernel.percpu_offsets = kernel.landmarks.percpu_offsets.clone();
            }
        }
        Ok(kernel)
    }

    /// A kernel put together by hand, with the variables that landmarks has.
    #[cfg(test)]
    pub(crate) fn of_parts(
        dump: &'m Dump,
        memory: KernelMemory<'m>,
        vmcoreinfo: Vmcoreinfo,
        layouts: Layouts,
        landmarks: Landmarks,
    ) -> Kernel<'m> {
        Kernel {
            dump,
            memory,
            vmcoreinfo,
            symbols: None,
            types: None,
            vmlinux: None,
            module_types: Vec::new(),
            layouts,
            percpu_offsets: landmarks.percpu_offsets.clone(),
            warnings: Vec::new(),
            landmarks,
        }
    }

    /// log2 of the page size.
    pub fn page_shift(&self) -> u32 {
        self.memory.space.geometry.page_shift
    }

    /// Page size in bytes.
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift()
    }

    /// Address of a variable or function by kallsyms, which knows it as the
    /// kernel's source does (VMCOREINFO gives the value of some); where it
    /// knows no variables, some are found by what they hold.
    pub fn address(&self, name: &str) -> Option<VirtAddr> {
        let symbol = self.symbols.as_ref().and_then(|all| all.address(name));
        symbol.or_else(|| self.landmarks.address(name))
    }

    /// Address of a symbol that the caller cannot do without. VMCOREINFO is
    /// asked first: it is there where kallsyms is not.
    pub fn symbol(&self, name: &'static str) -> Result<VirtAddr, KernelError> {
        self.vmcoreinfo
            .symbol(name)
            .or_else(|| self.address(name))
            .ok_or(KernelError::NoSymbol(name))
    }

    /// Reads a member as an unsigned integer of its own size.
    pub fn field(&self, base: VirtAddr, field: Field) -> Result<u64, KernelError> {
        let place = self.layouts.place(field)?;
        let at = base.add(place.offset);
        let read = match place.size {
            1 => self.memory.u8(at).map(u64::from),
            2 => self.memory.u16(at).map(u64::from),
            3..=7 => self.memory.u32(at).map(u64::from),
            _ => self.memory.u64(at),
        };
        let value = read.map_err(|fault| KernelError::Read {
            what: field.name(),
            fault,
        })?;
        Ok(match place.bits {
            Some((shift, width)) if width < 64 => (value >> shift) & ((1 << width) - 1),
            _ => value,
        })
    }

    /// Reads a member that is a pointer.
    pub fn pointer(&self, base: VirtAddr, field: Field) -> Result<VirtAddr, KernelError> {
        self.field(base, field).map(VirtAddr)
    }

    /// Address of a member.
    pub fn member(&self, base: VirtAddr, field: Field) -> Result<VirtAddr, KernelError> {
        Ok(base.add(self.layouts.offset(field)?))
    }

    /// The structures on a circular list: `head` is the list's own
    /// `list_head`, `link` the member through which they hang on it. Ends with
    /// an error where the list breaks or runs in a circle that leaves out its
    /// head, after the entries before that.
    pub fn list(
        &self,
        head: VirtAddr,
        link: Field,
    ) -> Result<Vec<VirtAddr>, (Vec<VirtAddr>, KernelError)> {
        self.list_of(head, link, LIST_LIMIT)
    }

    /// The same of a list known to be short: one with more than `limit`
    /// entries, which may be a circle without the head, is broken there.
    pub fn list_of(
        &self,
        head: VirtAddr,
        link: Field,
        limit: usize,
    ) -> Result<Vec<VirtAddr>, (Vec<VirtAddr>, KernelError)> {
        let mut entries = Vec::new();
        let offset = match self.layouts.offset(link) {
            Ok(offset) => offset,
            Err(unknown) => return Err((entries, unknown.into())),
        };
        // Brent's way to notice a circle: an entry remembered twice as long
        // each time.
        let (mut landmark, mut until) = (head, 1);
        let mut at = head;
        loop {
            at = match self.memory.ptr(at) {
                Ok(next) => next,
                Err(fault) => {
                    let what = link.name();
                    return Err((entries, KernelError::Read { what, fault }));
                }
            };
            if at == head {
                return Ok(entries);
            }
            if at.0 == 0 || at == landmark || entries.len() >= limit {
                let why = format!(
                    "the list does not come back to its head within {} entries",
                    entries.len()
                );
                let what = link.name();
                return Err((
                    entries,
                    KernelError::Broken {
                        what,
                        at: head,
                        why,
                    },
                ));
            }
            entries.push(VirtAddr(at.0.wrapping_sub(offset)));
            if entries.len() == until {
                (landmark, until) = (at, until * 2);
            }
        }
    }

    /// The address a per-CPU pointer has on `cpu`.
    pub fn percpu(&self, pointer: VirtAddr, cpu: usize) -> Option<VirtAddr> {
        let offset = self.percpu_offsets.get(cpu)?;
        Some(pointer.add(*offset))
    }

    /// Whether a kernel virtual address is mapped; also where the page tables
    /// that would tell cannot be read. [`phys`](Self::phys) does not ask them
    /// within the direct map and the image, whose ranges have gaps.
    pub fn is_mapped(&self, addr: VirtAddr) -> bool {
        let space = &self.memory.space;
        let tables = || {
            space
                .geometry
                .translate(&self.memory.cache, space.root, addr)
        };
        space.direct.phys(addr).is_some() || !matches!(tables(), Ok(None))
    }

    /// Forgets what was read of memory, for a host that goes on: see
    /// [`PageCache::forget`]. What was made of it when the kernel was opened (symbols,
    /// types, where memory lies) stands as long as the kernel runs.
    pub fn forget(&self) {
        self.memory.cache.forget();
    }

    /// Physical address of a kernel virtual address.
    pub fn phys(&self, addr: VirtAddr) -> Result<PhysAddr, VirtFault> {
        self.memory.space.translate(&self.memory.cache, addr)
    }
}

/// VMCOREINFO and the address space it describes: from the note, else from
/// the first copy in memory whose address space holds together.
fn open_memory(dump: &Dump, cached: usize) -> Result<(Vmcoreinfo, KernelMemory<'_>), KernelError> {
    let memory = dump.memory.as_ref();
    let mut last = KernelError::NoVmcoreinfo;
    let note = dump.info.vmcoreinfo.iter().cloned();
    let mut attempt = |text: &[u8]| -> Option<(Vmcoreinfo, KernelMemory<'_>)> {
        let vmcoreinfo = Vmcoreinfo::parse(text).ok()?;
        let cache = PageCache::new(memory, cached >> memory.page_shift());
        match AddressSpace::discover(&cache, memory.end_pfn(), &dump.info, &vmcoreinfo) {
            Ok(space) => Some((vmcoreinfo, KernelMemory { cache, space })),
            Err(error) => {
                last = error.into();
                None
            }
        }
    };
    for text in note {
        if let Some(found) = attempt(&text) {
            return Ok(found);
        }
    }
    // Copies of a crashed kernel's note survive in its successor's memory and
    // in makedumpfile's: only one that describes this memory is accepted, and
    // the first such ends the search.
    let go_on = |_, _| ControlFlow::Continue(());
    let found = find_in_memory(memory, &go_on, &|found| {
        let cache = PageCache::new(memory, SMALL_CACHE);
        match AddressSpace::discover(&cache, memory.end_pfn(), &dump.info, &found.info) {
            Ok(_) => ControlFlow::Break(()),
            Err(_) => ControlFlow::Continue(()),
        }
    });
    for found in found {
        if let Some(opened) = attempt(&found.text) {
            return Ok(opened);
        }
    }
    Err(last)
}

fn open_symbols(
    memory: &KernelMemory<'_>,
    vmcoreinfo: &Vmcoreinfo,
) -> Result<Kallsyms, KallsymsError> {
    match Kallsyms::from_vmcoreinfo(vmcoreinfo, memory) {
        // Not exported before 6.0 (5fd8fea935a1): found by their own shape.
        Err(KallsymsError::Key(_)) => {
            let stext = vmcoreinfo.symbol("_stext").unwrap_or_default();
            Kallsyms::find(memory, stext, stext.add(IMAGE_LIMIT), stext)
        }
        other => other,
    }
}

/// `__per_cpu_offset[]` of the possible CPUs; one zero on a kernel without SMP.
fn percpu_offsets(memory: &KernelMemory<'_>, symbols: Option<&Kallsyms>) -> Vec<u64> {
    let address = |name| symbols.and_then(|symbols| symbols.address(name));
    let Some(base) = address("__per_cpu_offset") else {
        return vec![0];
    };
    let count = address("nr_cpu_ids")
        .and_then(|at| memory.u32(at).ok())
        .map_or(1, u64::from)
        .clamp(1, MOST_CPUS);
    (0..count)
        .map_while(|cpu| memory.u64(base.add(cpu * 8)).ok())
        .collect()
}

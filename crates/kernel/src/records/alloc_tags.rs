//! Memory allocation profiling (lib/alloc_tag.c, 6.10): for every block the line
//! of code that allocated it.

use pagehound_vmcore::{Pfn, VirtAddr};

use super::client;
use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::memmap::MemMap;
use crate::text::printable;
use crate::virt::VirtualRead;

/// A line of code that allocates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The function it is in.
    pub function: String,
    /// The source file, as the compiler was given it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The module, if it is not the kernel's own.
    pub module: Option<String>,
}

/// Longest name of a function, a module or a file.
const NAME: usize = 512;
/// More lines than any source file has.
const MOST_LINES: u64 = 1 << 20;
/// Tags that are numbers: 0 is none, 1 is one that was taken back, and the first
/// real one follows.
const FIRST: u64 = 2;
/// More tags than any kernel has lines that allocate.
const MOST_TAGS: u64 = 1 << 20;

/// Where the tags of pages are.
pub(super) enum AllocTags {
    /// A pointer in the page extensions, at this offset.
    Extension(u64),
    /// A number in `page->flags`, which boot parameter
    /// `sysctl.vm.mem_profiling=1,compressed` asks for (4835f747d3ed, 6.13).
    Flags(Numbers),
}

/// Tags by number: the kernel's own first, then those of modules.
pub(super) struct Numbers {
    shift: u32,
    mask: u64,
    first: VirtAddr,
    count: u64,
    modules: Option<VirtAddr>,
    size: u64,
}

impl AllocTags {
    /// `None` where it is not built in, or off for good.
    pub(super) fn find(kernel: &Kernel<'_>) -> Option<AllocTags> {
        kernel.layouts.get(Field::CodetagFunction)?;
        if let Some(numbers) = Numbers::find(kernel) {
            return Some(AllocTags::Flags(numbers));
        }
        let offset = client(kernel, "page_alloc_tagging_ops", 8)?;
        Some(AllocTags::Extension(offset))
    }

    /// Address of a frame's tag.
    pub(super) fn tag(&self, kernel: &Kernel<'_>, memmap: &MemMap, pfn: Pfn) -> Option<VirtAddr> {
        let tag = match self {
            AllocTags::Extension(offset) => {
                let at = memmap.extension(pfn)?.add(*offset);
                kernel.pointer(at, Field::CodetagRefCt).ok()?
            }
            AllocTags::Flags(numbers) => {
                let offset = kernel.layouts.offset(Field::PageFlagsWord).ok()?;
                let page = memmap
                    .contains(pfn)
                    .then(|| memmap.read_one(kernel, pfn))??;
                let flags = page.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
                numbers.tag(u64::from_le_bytes(*flags))?
            }
        };
        (tag.0 >> 63 == 1).then_some(tag)
    }
}

impl Numbers {
    fn find(kernel: &Kernel<'_>) -> Option<Numbers> {
        let key = kernel.address("mem_profiling_compressed")?;
        // Enabled by another way than by counting, it is below 0.
        if kernel.field(key, Field::StaticKeyEnabled).ok()? == 0 {
            return None;
        }
        let tags = kernel.address("kernel_tags")?;
        let modules = kernel.address("module_tags").and_then(|section| {
            let first = kernel.pointer(section, Field::ModuleTagsFirst).ok()?;
            (first.0 != 0).then_some(first)
        });
        let count = kernel.field(tags, Field::KernelTagsCount).ok()?;
        Some(Numbers {
            shift: kernel
                .word32("alloc_tag_ref_offs")
                .filter(|&shift| shift < 64)?,
            mask: kernel.word("alloc_tag_ref_mask")?,
            first: kernel.pointer(tags, Field::KernelTagsFirst).ok()?,
            count: (count <= MOST_TAGS).then_some(count)?,
            modules,
            size: kernel.layouts.size(Struct::AllocTag).ok()?,
        })
    }

    fn tag(&self, flags: u64) -> Option<VirtAddr> {
        let number = (flags >> self.shift & self.mask).checked_sub(FIRST)?;
        match number.checked_sub(self.count) {
            None => Some(self.first.add(number * self.size)),
            Some(number) if number < MOST_TAGS => Some(self.modules?.add(number * self.size)),
            Some(_) => None,
        }
    }
}

/// What a `struct codetag` says. A pointer to anything else is found out by its
/// names: a function's has no other characters than C allows.
pub(super) fn site(kernel: &Kernel<'_>, tag: VirtAddr) -> Option<Site> {
    let line = kernel.field(tag, Field::CodetagLine).ok()?;
    if line == 0 || line > MOST_LINES {
        return None;
    }
    let function = text(kernel, tag, Field::CodetagFunction)?;
    let of_c = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !function.chars().all(of_c) {
        return None;
    }
    Some(Site {
        function,
        file: text(kernel, tag, Field::CodetagFile)?,
        line: u32::try_from(line).ok()?,
        module: text(kernel, tag, Field::CodetagModule),
    })
}

/// The text a member points to, if there is one.
fn text(kernel: &Kernel<'_>, tag: VirtAddr, field: Field) -> Option<String> {
    let at = kernel.pointer(tag, field).ok()?;
    if at.0 >> 63 == 0 {
        return None;
    }
    let bytes = kernel.memory.cstr(at, NAME).ok()?;
    Some(printable(&bytes)).filter(|text| !text.is_empty())
}

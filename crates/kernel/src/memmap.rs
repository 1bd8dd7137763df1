//! The kernel's memory map: a `struct page` for every frame (sparsemem).

use std::ops::{ControlFlow, Range};

use pagehound_vmcore::{Machine, Pfn, PfnRange, PhysAddr, VirtAddr};

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, Struct};
use crate::translate::{AddressSpace, Mapping, Met, Walk};
use crate::virt::{VirtFault, VirtualRead};

/// Flag bits at the bottom of `section_mem_map`: 2 up to 4.12, 6 by 6.17. The
/// pointer above them is at least a page aligned, so masking 6 is always right.
const SECTION_FLAGS: u64 = 0x3f;
const SECTION_MARKED_PRESENT: u64 = 1;
const SECTION_HAS_MEM_MAP: u64 = 2;

/// The kernel's memory map.
#[derive(Clone, Debug)]
pub struct MemMap {
    /// Address of the `struct page` of frame 0, whether or not it exists
    /// (`vmemmap`).
    pub base: VirtAddr,
    /// `sizeof(struct page)`.
    pub page_size: u64,
    /// Frames that have a `struct page`, ascending, a range a section.
    pub sections: Vec<PfnRange>,
    /// What could not be had, in a sentence.
    pub warning: Option<String>,
    /// Where the map itself lies, by ascending virtual address.
    mappings: Vec<Mapping>,
    /// Page extensions of sections (`mem_section.page_ext`), ascending.
    extensions: Vec<Extension>,
}

/// Records beside the `struct page`s of a section, one a frame.
#[derive(Clone, Debug)]
struct Extension {
    frames: PfnRange,
    /// Where they lie.
    at: Range<u64>,
    /// Whether the kernel itself would use them now.
    valid: bool,
}

impl MemMap {
    /// Finds the map. `end` bounds the frames looked at (exclusive): the end
    /// of the last zone.
    pub fn discover(kernel: &Kernel<'_>, end: Pfn) -> Result<MemMap, KernelError> {
        let page_size = kernel.layouts.size(Struct::Page)?;
        if !(32..=256).contains(&page_size) {
            return Err(KernelError::Broken {
                what: "sizeof(struct page)",
                at: VirtAddr(0),
                why: format!("{page_size} bytes cannot be"),
            });
        }
        let Sections {
            found,
            unread,
            fault,
            extensions,
        } = sections(kernel, end)?;
        let mut map = MemMap {
            base: base(kernel, &found, fault.as_ref())?,
            page_size,
            sections: found.into_iter().map(|(range, _)| range).collect(),
            mappings: Vec::new(),
            extensions,
            warning: None,
        };
        // A section exists where its part of the map is mapped.
        let mapped: Vec<PfnRange> = unread
            .into_iter()
            .filter(|range| kernel.phys(map.page(range.start)).is_ok())
            .collect();
        map.warning = fault.map(|fault| {
            format!(
                "mem_section: {fault}; {} sections are known by their mapped struct pages alone",
                mapped.len()
            )
        });
        map.sections.extend(mapped);
        if map.sections.is_empty() {
            return Err(KernelError::Broken {
                what: "mem_section",
                at: kernel.symbol("mem_section")?,
                why: "no section is present".into(),
            });
        }
        map.sections.sort_by_key(|range| range.start);
        map.mappings = map.backing(kernel);
        Ok(map)
    }

    /// A map of all frames up to `end`, in one piece of memory.
    #[cfg(test)]
    pub(crate) fn flat(base: VirtAddr, phys: PhysAddr, page_size: u64, end: Pfn) -> MemMap {
        let all = PfnRange { start: Pfn(0), end };
        let size = page_size * end.0;
        let virt = base;
        MemMap {
            base,
            page_size,
            sections: vec![all],
            warning: None,
            mappings: vec![Mapping { virt, phys, size }],
            extensions: Vec::new(),
        }
    }

    /// Address of a frame's `struct page`, whether or not it exists.
    pub fn page(&self, pfn: Pfn) -> VirtAddr {
        self.base.add(pfn.0.wrapping_mul(self.page_size))
    }

    /// The frame whose `struct page` contains `addr`, if its section is present.
    pub fn pfn(&self, addr: VirtAddr) -> Option<Pfn> {
        let pfn = Pfn(addr.0.checked_sub(self.base.0)? / self.page_size);
        self.contains(pfn).then_some(pfn)
    }

    /// Whether a frame has a `struct page`.
    pub fn contains(&self, pfn: Pfn) -> bool {
        let after = self.sections.partition_point(|range| range.start <= pfn);
        after
            .checked_sub(1)
            .and_then(|index| self.sections.get(index))
            .is_some_and(|range| range.contains(pfn))
    }

    /// First frame after the last section.
    pub fn end(&self) -> Pfn {
        self.sections.last().map_or(Pfn(0), |range| range.end)
    }

    /// Frames in which the map itself lies, and those of page extensions in the
    /// direct map: nothing points to these but a pointer that is off by the
    /// section's place (census rule 9).
    pub fn frames(&self, space: &AddressSpace) -> Vec<PfnRange> {
        let page_shift = space.geometry.page_shift;
        let frames = |start: PhysAddr, size: u64| PfnRange {
            start: start.pfn(page_shift),
            end: Pfn(start.0.saturating_add(size).div_ceil(1 << page_shift)),
        };
        let own = self.mappings.iter();
        let own = own.map(|mapping| frames(mapping.phys, mapping.size));
        let extensions = self.extensions.iter().filter_map(|extension| {
            let range = &extension.at;
            let start = space.direct.phys(VirtAddr(range.start))?;
            Some(frames(start, range.end - range.start))
        });
        own.chain(extensions).collect()
    }

    /// Address of a frame's record in the page extensions, where its section has
    /// them.
    pub(crate) fn extension(&self, pfn: Pfn) -> Option<VirtAddr> {
        let after = self
            .extensions
            .partition_point(|extension| extension.frames.start <= pfn);
        let extension = self.extensions.get(after.checked_sub(1)?)?;
        if !extension.valid || !extension.frames.contains(pfn) {
            return None;
        }
        let record = (extension.at.end - extension.at.start) / extension.frames.len().max(1);
        let index = pfn.0 - extension.frames.start.0;
        Some(VirtAddr(extension.at.start).add(record * index))
    }

    /// The same map with records of `record` bytes for all frames, from `at` on.
    #[cfg(test)]
    pub(crate) fn with_extension(mut self, at: VirtAddr, record: u64) -> MemMap {
        let frames = PfnRange {
            start: Pfn(0),
            end: self.end(),
        };
        let end = at.0 + record * frames.len();
        self.extensions = vec![Extension {
            frames,
            at: at.0..end,
            valid: true,
        }];
        self
    }

    /// Reads the `struct page`s of `range` one after the other. Those that
    /// cannot be had stay as they are in `out` and are reported by frame.
    pub fn read(&self, kernel: &Kernel<'_>, range: PfnRange, out: &mut [u8]) -> Vec<PfnRange> {
        let mut missing: Vec<PfnRange> = Vec::new();
        let start = self.page(range.start);
        let mut done = 0usize;
        while done < out.len() {
            let rest = out.get_mut(done..).unwrap_or_default();
            let read = self.read_piece(kernel, start.add(done as u64), rest);
            let len = read.unwrap_or_else(|len| {
                let first = range.start.0 + done as u64 / self.page_size;
                let last = range.start.0 + (done + len) as u64 / self.page_size;
                missing.push(PfnRange {
                    start: Pfn(first),
                    end: Pfn(last.max(first + 1)),
                });
                len
            });
            done += len.max(1);
        }
        missing
    }

    /// Reads the beginning of `out` from `at`: what lies there in consecutive
    /// frames, up to the first that cannot be read. Returns how many bytes that
    /// is, or as an error how many bytes there cannot be had.
    fn read_piece(
        &self,
        kernel: &Kernel<'_>,
        at: VirtAddr,
        out: &mut [u8],
    ) -> Result<usize, usize> {
        let memory = kernel.dump.memory.as_ref();
        let (shift, frame) = (kernel.page_shift(), kernel.page_size());
        let offset = (at.0 % frame) as usize;
        let in_frame = (frame as usize - offset).min(out.len());
        let Some((phys, mapped)) = self.translate(at) else {
            return Err(in_frame);
        };
        let mapped = usize::try_from(mapped).unwrap_or(usize::MAX);
        let whole = out.len().min(mapped) >> shift << shift;
        if offset > 0 || whole == 0 {
            let mut page = vec![0; memory.page_size()];
            let part = out.get_mut(..in_frame).unwrap_or_default();
            let read = memory.read_page(phys.pfn(shift), &mut page).is_ok();
            return match read && copy(&page, offset, part) {
                true => Ok(in_frame),
                false => Err(in_frame),
            };
        }
        let whole = out.get_mut(..whole).unwrap_or_default();
        match memory.read_pages(phys.pfn(shift), whole) {
            Ok(()) => Ok(whole.len()),
            Err(fault) => match fault.addr.0.saturating_sub(phys.0) as usize {
                0 => Err(in_frame),
                read => Ok(read.min(whole.len())),
            },
        }
    }

    /// The bytes of one frame's `struct page`, if they can be had.
    pub fn read_one(&self, kernel: &Kernel<'_>, pfn: Pfn) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.page_size as usize];
        let range = PfnRange {
            start: pfn,
            end: Pfn(pfn.0 + 1),
        };
        self.read(kernel, range, &mut bytes)
            .is_empty()
            .then_some(bytes)
    }

    /// The same for many frames, which best ascend.
    pub fn struct_pages<'a>(&'a self, kernel: &'a Kernel<'a>) -> StructPages<'a> {
        StructPages {
            memmap: self,
            kernel,
            window: PfnRange {
                start: Pfn(0),
                end: Pfn(0),
            },
            bytes: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Where an address of the map lies.
    pub(crate) fn phys(&self, at: VirtAddr) -> Option<PhysAddr> {
        self.translate(at).map(|(phys, _)| phys)
    }

    /// Where `at` lies, and how many bytes from there on lie behind it.
    fn translate(&self, at: VirtAddr) -> Option<(PhysAddr, u64)> {
        let after = self.mappings.partition_point(|m| m.virt <= at);
        let mapping = self.mappings.get(after.checked_sub(1)?)?;
        let offset = at.0 - mapping.virt.0;
        let left = mapping.size.checked_sub(offset).filter(|&left| left > 0)?;
        Some((PhysAddr(mapping.phys.0 + offset), left))
    }

    /// Leaf entries that map the map; collected once, since a walk a page
    /// would cost more than the pages.
    fn backing(&self, kernel: &Kernel<'_>) -> Vec<Mapping> {
        let mut mappings = Vec::new();
        let space = &kernel.memory.space;
        let first = self.sections.first().map_or(Pfn(0), |range| range.start);
        let last = self.page(self.end()).0.wrapping_sub(1);
        let range = (self.page(first), VirtAddr(last));
        // As many leaves as there are frames in the map, and no more: the walk
        // of a broken table ends.
        let frames = (last.wrapping_sub(range.0.0) >> kernel.page_shift()) + 2;
        // Struct pages behind a table that cannot be read are missing pages when
        // they are read.
        let _: Walk = space.geometry.walk(
            &kernel.memory.cache,
            space.root,
            range,
            &mut |_| true,
            &mut |met| {
                if let Met::Leaf(leaf) = met {
                    mappings.push(leaf);
                }
                if mappings.len() as u64 > frames {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        );
        mappings.sort_by_key(|mapping| mapping.virt);
        mappings
    }
}

/// Reads `struct page`s one by one, and keeps those around the last one: a page
/// of the map holds dozens, and may have to be decompressed.
pub struct StructPages<'a> {
    memmap: &'a MemMap,
    kernel: &'a Kernel<'a>,
    window: PfnRange,
    bytes: Vec<u8>,
    missing: Vec<PfnRange>,
}

/// Frames whose `struct page`s are read together: those of 64 bytes fill a page
/// of 4 KiB.
const WINDOW: u64 = 64;

impl StructPages<'_> {
    /// The bytes of a frame's `struct page`, if they can be had.
    pub fn get(&mut self, pfn: Pfn) -> Option<&[u8]> {
        let size = self.memmap.page_size as usize;
        if !self.window.contains(pfn) {
            let start = Pfn(pfn.0 & !(WINDOW - 1));
            self.window = PfnRange {
                start,
                end: Pfn(start.0 + WINDOW),
            };
            self.bytes.clear();
            self.bytes.resize(WINDOW as usize * size, 0);
            self.missing = self.memmap.read(self.kernel, self.window, &mut self.bytes);
        }
        if self.missing.iter().any(|range| range.contains(pfn)) {
            return None;
        }
        let at = (pfn.0 - self.window.start.0) as usize * size;
        self.bytes.get(at..at + size)
    }
}

fn copy(from: &[u8], offset: usize, to: &mut [u8]) -> bool {
    match from.get(offset..offset + to.len()) {
        Some(bytes) => {
            to.copy_from_slice(bytes);
            true
        }
        None => false,
    }
}

/// What the array of sections tells.
struct Sections {
    /// Present sections, ascending, with the decoded map pointer.
    found: Vec<(PfnRange, VirtAddr)>,
    /// Sections that may exist, but whose entry cannot be read.
    unread: Vec<PfnRange>,
    /// Why the first of them cannot.
    fault: Option<VirtFault>,
    /// Page extensions, ascending.
    extensions: Vec<Extension>,
}

/// Largest record of a page extension: flags and all clients' data.
const LARGEST_EXTENSION: u64 = 256;

/// Where the page extensions of a section lie. The pointer is what frame 0
/// would have, and its lowest bit says that it is invalid for now (b1d5488a252d,
/// 6.1); the size of a record is a variable since 5.4 (5556cfe8d994).
fn extension(pointer: u64, record: u64, frames: PfnRange) -> Option<Extension> {
    let base = pointer & !1;
    if base == 0 || record == 0 || record > LARGEST_EXTENSION {
        return None;
    }
    let at = |pfn: Pfn| base.wrapping_add(record.wrapping_mul(pfn.0));
    let range = at(frames.start)..at(frames.end);
    (range.start < range.end && range.start >> 63 == 1).then_some(Extension {
        frames,
        at: range,
        valid: pointer & 1 == 0,
    })
}

/// Address of the `struct page` of frame 0: what the sections say, which with
/// SPARSEMEM_VMEMMAP is the same for all; where none can be read, x86's own
/// variable (since its base is randomized, 021182e52fe0, 4.8).
fn base(
    kernel: &Kernel<'_>,
    found: &[(PfnRange, VirtAddr)],
    fault: Option<&VirtFault>,
) -> Result<VirtAddr, KernelError> {
    let Some(&(_, base)) = found.first() else {
        let what = "mem_section";
        return match (kernel.word("vmemmap_base"), fault) {
            (Some(base), Some(_)) if base >> 63 == 1 => Ok(VirtAddr(base)),
            (_, Some(fault)) => Err(KernelError::Read {
                what,
                fault: fault.clone(),
            }),
            (_, None) => Err(KernelError::Broken {
                what,
                at: kernel.symbol(what)?,
                why: "no section is present".into(),
            }),
        };
    };
    match found.iter().find(|(_, other)| *other != base) {
        Some((range, other)) => Err(KernelError::Broken {
            what: "mem_section",
            at: *other,
            why: format!(
                "the map of frame {} is not where that of the first section says ({base})",
                range.start
            ),
        }),
        None => Ok(base),
    }
}

/// Reads the array of sections, of those below `end`.
fn sections(kernel: &Kernel<'_>, end: Pfn) -> Result<Sections, KernelError> {
    let entry_size = kernel.layouts.size(Struct::MemSection)?;
    // 16 bytes, 32 with page extensions; a root is one page of entries.
    if !(8..=kernel.page_size()).contains(&entry_size) {
        return Err(KernelError::Broken {
            what: "sizeof(struct mem_section)",
            at: VirtAddr(0),
            why: format!("{entry_size} bytes cannot be"),
        });
    }
    let map_offset = kernel.layouts.offset(Field::SectionMemMap)?;
    let section_bits = kernel
        .vmcoreinfo
        .number("SECTION_SIZE_BITS")
        .and_then(|bits| u32::try_from(bits).ok())
        // Exported from 5.10 on (1d50e5d0c505a); arm64 lowered it from 30 in 5.12.
        .unwrap_or(match kernel.memory.space.machine {
            Machine::X86_64 => 27,
            Machine::Aarch64 => 30,
        });
    let page_shift = kernel.page_shift();
    let order = section_bits
        .checked_sub(page_shift)
        .filter(|order| (6..=30).contains(order))
        .ok_or_else(|| KernelError::Broken {
            what: "SECTION_SIZE_BITS",
            at: VirtAddr(0),
            why: format!("{section_bits} cannot be"),
        })?;
    let per_root = (kernel.page_size() / entry_size).max(1);
    let wanted = end.0.div_ceil(1 << order);
    let array = section_array(kernel)?;
    let range = |number: u64| PfnRange {
        start: Pfn(number << order),
        end: Pfn(((number + 1) << order).min(end.0)),
    };
    let mut sections = Sections {
        found: Vec::new(),
        unread: Vec::new(),
        fault: None,
        extensions: Vec::new(),
    };
    let word_at = |entry: &[u8], offset: u64| {
        let bytes = entry.get(offset as usize..offset as usize + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    };
    let extension_offset = kernel.layouts.offset(Field::SectionPageExt).ok();
    let record = kernel.word("page_ext_size").unwrap_or(0);
    let mut entries = vec![0; (per_root * entry_size) as usize];
    for root_nr in 0..wanted.div_ceil(per_root) {
        let read = match kernel.memory.ptr(array.add(root_nr * 8)) {
            Ok(VirtAddr(0)) => continue,
            Ok(root) => kernel.memory.read(root, &mut entries),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = read {
            let numbers = root_nr * per_root..((root_nr + 1) * per_root).min(wanted);
            sections.unread.extend(numbers.map(range));
            sections.fault.get_or_insert(fault);
            continue;
        }
        for (index, entry) in entries.chunks_exact(entry_size as usize).enumerate() {
            let number = root_nr * per_root + index as u64;
            let Some(word) = word_at(entry, map_offset) else {
                continue;
            };
            let both = SECTION_MARKED_PRESENT | SECTION_HAS_MEM_MAP;
            if word & both != both || number >= wanted {
                continue;
            }
            let map = VirtAddr(word & !SECTION_FLAGS);
            sections.found.push((range(number), map));
            let pointer = extension_offset.and_then(|offset| word_at(entry, offset));
            // There are records for all frames a section could have.
            let whole = PfnRange {
                start: Pfn(number << order),
                end: Pfn((number + 1) << order),
            };
            let extension = pointer.and_then(|pointer| extension(pointer, record, whole));
            sections.extensions.extend(extension);
        }
    }
    Ok(sections)
}

/// Address of the array of section roots. VMCOREINFO gives it in both forms of
/// `mem_section` (static array up to 4.13, pointer later), except for a window
/// about 4.15 that exported the pointer's own address.
fn section_array(kernel: &Kernel<'_>) -> Result<VirtAddr, KernelError> {
    let array = kernel
        .vmcoreinfo
        .symbol("mem_section")
        .ok_or(KernelError::NoSymbol("mem_section"))?;
    let plausible = |at: VirtAddr| -> bool {
        (0..64).any(|index| {
            kernel
                .memory
                .ptr(at.add(index * 8))
                .ok()
                .filter(|root| root.0 != 0)
                .and_then(|root| kernel.memory.u64(root).ok())
                .is_some_and(|word| {
                    word & SECTION_MARKED_PRESENT != 0 && (word & !SECTION_FLAGS) >> 63 == 1
                })
        })
    };
    if plausible(array) {
        return Ok(array);
    }
    match kernel.memory.ptr(array) {
        Ok(inner) if plausible(inner) => Ok(inner),
        _ => Ok(array),
    }
}

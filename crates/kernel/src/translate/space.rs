//! Where the kernel's linear ranges lie, found without symbols beyond those of
//! VMCOREINFO.

use std::ops::{ControlFlow, Range};

use pagehound_vmcore::{DumpInfo, Machine, PageCache, Pfn, PhysAddr, VirtAddr};

use super::tables::{Geometry, Mapping, Met};
use super::{aarch64, x86_64};
use crate::kernel::IMAGE_LIMIT;
use crate::virt::{VirtFault, VirtualRead};
use crate::vmcoreinfo::Vmcoreinfo;

/// Why no address space could be set up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpaceError {
    /// The architecture is not one of ours.
    #[error("the dump names no architecture that pagehound knows (x86_64, aarch64)")]
    Machine,
    /// VMCOREINFO lacks what cannot be had otherwise.
    #[error("VMCOREINFO has no {0}, without which kernel addresses cannot be translated")]
    Missing(&'static str),
    /// No linear map in the kernel's page tables.
    #[error(
        "no direct map in the kernel's page tables at physical {root}{}",
        match .unreadable {
            0 => ": what is there is no page table of it".to_owned(),
            1 => ": a table below it cannot be read".to_owned(),
            unreadable => format!(": {unreadable} tables below it cannot be read"),
        }
    )]
    NoDirectMap {
        /// Root table.
        root: PhysAddr,
        /// Tables that could not be read.
        unreadable: u64,
    },
}

/// A linear range: `virt.start + n` maps to `phys + n`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Linear {
    /// Virtual addresses, half-open.
    pub virt: Range<u64>,
    /// Physical address of `virt.start`.
    pub phys: u64,
}

impl Linear {
    /// The physical address of `addr` if it lies in the range.
    pub fn phys(&self, addr: VirtAddr) -> Option<PhysAddr> {
        self.virt
            .contains(&addr.0)
            .then(|| PhysAddr(self.phys.wrapping_add(addr.0 - self.virt.start)))
    }

    /// The virtual address of `addr` if it lies in the range.
    pub fn virt(&self, addr: PhysAddr) -> Option<VirtAddr> {
        // A range may begin below physical zero (a negative phys_base).
        let offset = addr.0.wrapping_sub(self.phys);
        let virt = self.virt.start.wrapping_add(offset);
        self.virt.contains(&virt).then_some(VirtAddr(virt))
    }
}

/// Kernel address space of the dump.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    /// Architecture.
    pub machine: Machine,
    /// Shape of the page tables.
    pub geometry: Geometry,
    /// The kernel's root table (`init_top_pgt`, `swapper_pg_dir`).
    pub root: PhysAddr,
    /// The direct map, up to the last frame of the dump.
    pub direct: Linear,
    /// The kernel image mapping, where it is known to be linear (x86_64).
    pub image: Option<Linear>,
    /// Virtual addresses above the direct map in which `vmalloc` and module
    /// memory can lie.
    pub vmalloc: Vec<Range<u64>>,
}

/// Lowest address of the x86_64 direct map in any kernel, with 4 and 5 levels
/// (Documentation/arch/x86/x86_64/mm.rst; 4.19 and before start lower than
/// d52888aa2753, 4.20, does).
const X86_DIRECT_MIN: [u64; 2] = [0xffff_8800_0000_0000, 0xff10_0000_0000_0000];
/// Where the x86_64 direct map begins is a multiple of `PUD_SIZE`, randomised or not
/// (0483e1fa6e09, 4.8).
const X86_DIRECT_ALIGN: u64 = 1 << 30;
/// On arm64 physical zero has an address that is a multiple of
/// `ARM64_MEMSTART_ALIGN`: with pages of 4 KiB `PUD_SIZE`, with others no less than
/// a section of memory (a7f8de168ace, 4.6).
const ARM64_DIRECT_ALIGN: u64 = 1 << 30;
const ARM64_SECTION: u64 = 1 << 27;
/// `CPU_ENTRY_AREA_BASE`: direct map, vmalloc and vmemmap all end below it.
const X86_KERNEL_END: u64 = 0xffff_fe00_0000_0000;

impl AddressSpace {
    /// Finds the address space of the kernel that `vmcoreinfo` describes.
    pub fn discover(
        cache: &PageCache<'_>,
        end_pfn: Pfn,
        info: &DumpInfo,
        vmcoreinfo: &Vmcoreinfo,
    ) -> Result<AddressSpace, SpaceError> {
        // arm64 alone exports the size of its addresses; containers may name
        // no architecture (drgn refuses those, needlessly).
        let machine = match info.machine {
            Some(machine) => machine,
            None if vmcoreinfo.number("VA_BITS").is_some() => Machine::Aarch64,
            None if vmcoreinfo.symbol("_stext").is_some() => Machine::X86_64,
            None => return Err(SpaceError::Machine),
        };
        // No kernel addresses more; a container may claim anything. Exported since
        // 5.10 (1d50e5d0c505); before that 46 bits with four levels of tables.
        let bits = vmcoreinfo
            .number("MAX_PHYSMEM_BITS")
            .filter(|bits| (32..=52).contains(bits))
            .unwrap_or(match vmcoreinfo.number("pgtable_l5_enabled") {
                Some(1) => 52,
                _ => 48,
            });
        let shift = match vmcoreinfo.page_size().unwrap_or(4096) {
            4096 => 12,
            16384 => 14,
            65536 => 16,
            _ => return Err(SpaceError::Missing("PAGESIZE of 4, 16 or 64 KiB")),
        };
        let end_pfn = end_pfn.min(PhysAddr(1 << bits).pfn(shift));
        match machine {
            Machine::X86_64 => Self::discover_x86_64(cache, end_pfn, info, vmcoreinfo),
            Machine::Aarch64 => Self::discover_aarch64(cache, end_pfn, vmcoreinfo, shift),
        }
    }

    fn discover_x86_64(
        cache: &PageCache<'_>,
        end_pfn: Pfn,
        info: &DumpInfo,
        vmcoreinfo: &Vmcoreinfo,
    ) -> Result<AddressSpace, SpaceError> {
        // SYMBOL(phys_base), before 4.10, is the variable's address and no help here.
        let phys_base = vmcoreinfo
            .number("phys_base")
            .map(|base| base as u64)
            .or_else(|| image_segment_base(info))
            .or_else(|| info.phys_base.map(|base| base as u64))
            .ok_or(SpaceError::Missing("NUMBER(phys_base)"))?;
        let root = ["init_top_pgt", "init_level4_pgt", "swapper_pg_dir"]
            .into_iter()
            .find_map(|name| vmcoreinfo.symbol(name))
            .ok_or(SpaceError::Missing("SYMBOL(swapper_pg_dir)"))?;
        // Where it is not exported (kernel/kexec_core.c of 4.4; that of 4.9 has it): 512 MiB,
        // but 1 GiB where kernels move (6145cfe394a7, 3.14), which shows where the image
        // lies further up.
        let usual = match vmcoreinfo.symbol("_stext") {
            Some(stext) if stext.0 < x86_64::IMAGE_BASE + (512 << 20) - IMAGE_LIMIT => 512 << 20,
            _ => 1 << 30,
        };
        let image_size = vmcoreinfo
            .number("KERNEL_IMAGE_SIZE")
            .map_or(usual, |size| size as u64)
            .min(1 << 30);
        let image = Linear {
            virt: x86_64::IMAGE_BASE..x86_64::IMAGE_BASE + image_size,
            phys: phys_base,
        };
        let root = image.phys(root).ok_or(SpaceError::Missing(
            "SYMBOL(swapper_pg_dir) in the kernel image",
        ))?;
        let five = vmcoreinfo.number("pgtable_l5_enabled") == Some(1);
        let sme_mask = vmcoreinfo.number("sme_mask").unwrap_or(0) as u64;
        let geometry = x86_64::geometry(five, sme_mask);
        let min = X86_DIRECT_MIN[usize::from(five)];
        let range = min..X86_KERNEL_END;
        let direct = first_linear(&geometry, cache, root, range, X86_DIRECT_ALIGN, end_pfn)?;
        let modules = x86_64::IMAGE_BASE + image_size..0xffff_ffff_ff00_0000;
        let vmalloc = vec![direct.virt.end..X86_KERNEL_END, modules];
        Ok(AddressSpace {
            machine: Machine::X86_64,
            geometry,
            root,
            direct,
            image: Some(image),
            vmalloc,
        })
    }

    fn discover_aarch64(
        cache: &PageCache<'_>,
        end_pfn: Pfn,
        vmcoreinfo: &Vmcoreinfo,
        page_shift: u32,
    ) -> Result<AddressSpace, SpaceError> {
        let va_bits = vmcoreinfo
            .number("VA_BITS")
            .ok_or(SpaceError::Missing("NUMBER(VA_BITS)"))?;
        // What the hardware was set to decides the levels; a 52-bit kernel may
        // run on 48-bit hardware (bbd6ec605c0f, 5.9, exports it).
        let va_bits = vmcoreinfo
            .number("TCR_EL1_T1SZ")
            .map_or(va_bits, |t1sz| 64_i64.saturating_sub(t1sz));
        let va_bits = u32::try_from(va_bits)
            .ok()
            .filter(|bits| (36..=52).contains(bits))
            .ok_or(SpaceError::Missing("NUMBER(VA_BITS) between 36 and 52"))?;
        let voffset = vmcoreinfo
            .number("kimage_voffset")
            .ok_or(SpaceError::Missing("NUMBER(kimage_voffset)"))? as u64;
        let root = vmcoreinfo
            .symbol("swapper_pg_dir")
            .ok_or(SpaceError::Missing("SYMBOL(swapper_pg_dir)"))?;
        let root = PhysAddr(root.0.wrapping_sub(voffset));
        let stext = vmcoreinfo
            .symbol("_stext")
            .ok_or(SpaceError::Missing("SYMBOL(_stext)"))?;
        // 5.4 (14c127c957c1) turned the kernel half round: the linear map moved
        // from its upper to its lower part, the image to the upper.
        let middle = (1u64 << (va_bits.min(48) - 1)).wrapping_neg();
        let bottom = (1u64 << va_bits).wrapping_neg();
        let (linear, rest) = if stext.0 >= middle {
            (bottom..middle, middle..u64::MAX)
        } else {
            (middle..u64::MAX, bottom..middle)
        };
        let geometry = aarch64::geometry(page_shift, va_bits);
        let align = match page_shift {
            12 => ARM64_DIRECT_ALIGN,
            _ => ARM64_SECTION,
        };
        let direct = first_linear(&geometry, cache, root, linear, align, end_pfn)?;
        Ok(AddressSpace {
            machine: Machine::Aarch64,
            geometry,
            root,
            direct,
            image: None,
            vmalloc: vec![rest],
        })
    }

    /// An x86_64 space of nothing but a direct map from frame 0 on.
    #[cfg(test)]
    pub(crate) fn of_direct_map(virt: Range<u64>) -> AddressSpace {
        AddressSpace {
            machine: Machine::X86_64,
            geometry: x86_64::geometry(false, 0),
            root: PhysAddr(0),
            direct: Linear { virt, phys: 0 },
            image: None,
            vmalloc: Vec::new(),
        }
    }

    /// Translates a kernel virtual address.
    pub fn translate(&self, cache: &PageCache<'_>, addr: VirtAddr) -> Result<PhysAddr, VirtFault> {
        if let Some(phys) = self.direct.phys(addr) {
            return Ok(phys);
        }
        if let Some(phys) = self.image.as_ref().and_then(|image| image.phys(addr)) {
            return Ok(phys);
        }
        self.geometry
            .translate(cache, self.root, addr)
            .map_err(|fault| VirtFault::Memory { addr, fault })?
            .ok_or(VirtFault::NotMapped(addr))
    }
}

/// `phys_base` out of the `PT_LOAD` that maps the kernel image, where the core
/// has true virtual addresses (`/proc/vmcore`, not QEMU).
fn image_segment_base(info: &DumpInfo) -> Option<u64> {
    info.segments
        .iter()
        .find(|segment| segment.vaddr.0 >= x86_64::IMAGE_BASE)
        .map(|segment| {
            let offset = segment.vaddr.0 - x86_64::IMAGE_BASE;
            segment.paddr.0.wrapping_sub(offset)
        })
}

/// The direct map: the lowest leaf in `range` gives the offset, which every
/// other leaf of it shares, and which is a multiple of `align`. That of another
/// leaf is not: where tables are missing, the lowest may be vmalloc memory. Its end
/// is that of physical memory.
pub(super) fn first_linear(
    geometry: &Geometry,
    cache: &PageCache<'_>,
    root: PhysAddr,
    range: Range<u64>,
    align: u64,
    end_pfn: Pfn,
) -> Result<Linear, SpaceError> {
    let mut first = None;
    let bounds = (VirtAddr(range.start), VirtAddr(range.end - 1));
    let walk = geometry.walk(cache, root, bounds, &mut |_| true, &mut |met| match met {
        Met::Leaf(leaf) => {
            first = Some(leaf);
            ControlFlow::Break(())
        }
        Met::Table(_) => ControlFlow::Continue(()),
    });
    let is_direct = |leaf: &Mapping| leaf.virt.0.wrapping_sub(leaf.phys.0).is_multiple_of(align);
    let leaf = first.filter(is_direct).ok_or(SpaceError::NoDirectMap {
        root,
        unreadable: walk.unreadable,
    })?;
    let end = end_pfn.addr(geometry.page_shift).0;
    // Memory need not start at zero (arm64), and below the first leaf nothing
    // is mapped; but words may still name those frames, so keep to page zero
    // when the subtraction allows it.
    let start = leaf.virt.0.wrapping_sub(leaf.phys.0);
    let (virt, phys) = if range.contains(&start) {
        (start, 0)
    } else {
        (leaf.virt.0, leaf.phys.0)
    };
    let size = end.saturating_sub(phys).min(range.end - virt);
    Ok(Linear {
        virt: virt..virt + size,
        phys,
    })
}

/// Kernel virtual memory through an [`AddressSpace`].
pub struct KernelMemory<'m> {
    /// Decompressed pages.
    pub cache: PageCache<'m>,
    /// How addresses translate.
    pub space: AddressSpace,
}

impl VirtualRead for KernelMemory<'_> {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
        let page_size = 1u64 << self.space.geometry.page_shift;
        let mut at = addr;
        let mut rest = buf;
        while !rest.is_empty() {
            let in_page = (page_size - at.0 % page_size) as usize;
            let (part, after) = rest.split_at_mut(in_page.min(rest.len()));
            let phys = self.space.translate(&self.cache, at)?;
            self.cache
                .read(phys, part)
                .map_err(|fault| VirtFault::Memory { addr: at, fault })?;
            at = at.add(part.len() as u64);
            rest = after;
        }
        Ok(())
    }
}

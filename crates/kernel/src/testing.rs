//! Kernels made by hand for unit tests: some words of memory, some members,
//! some variables, and a direct map.

use pagehound_testdata::Frames;
use pagehound_vmcore::{Dump, DumpInfo, Format, Machine, PageCache, Pfn, PhysAddr, VirtAddr};

use crate::kernel::Kernel;
use crate::landmarks::Landmarks;
use crate::layouts::{Field, Layouts, Place, Struct};
use crate::memmap::MemMap;
use crate::pagemap::{Class, Decoder, PageMap, Pages};
use crate::slab::SlabHead;
use crate::translate::{AddressSpace, KernelMemory};
use crate::vmcoreinfo::Vmcoreinfo;

/// Frames of a world.
const END: Pfn = Pfn(0x400);
/// Address of frame 0 in the direct map.
const DIRECT: u64 = 0xffff_8880_0000_0000;
/// Where the `struct page` of frame 0 lies, physically and as an address.
const MEMMAP: (u64, u64) = (0x20_0000, 0xffff_ea00_0000_0000);

/// What a kernel is made of. Its `struct page` is that of 6.1 (64 bytes, lru at
/// 8), and its frames are all raw.
pub(crate) struct World {
    memory: Frames,
    layouts: Layouts,
    variables: Vec<(&'static str, VirtAddr)>,
    percpu_offsets: Vec<u64>,
}

impl World {
    pub(crate) fn new() -> World {
        let mut memory = Frames::new(12);
        for at in (MEMMAP.0..MEMMAP.0 + END.0 * 64).step_by(4096) {
            memory.write(at, 0);
        }
        World {
            memory,
            layouts: Layouts::resolve(&vmcoreinfo(), None),
            variables: Vec::new(),
            percpu_offsets: vec![0],
        }
    }

    /// Says where a member lies.
    pub(crate) fn member(mut self, field: Field, offset: u64, size: u64) -> World {
        let bits = None;
        let place = Place { offset, size, bits };
        self.layouts = self.layouts.with_place(field, place);
        self
    }

    /// Says where a bit field lies: its first bit within the bytes from `offset` on,
    /// and how many there are.
    pub(crate) fn bit_field(mut self, field: Field, offset: u64, bits: (u32, u32)) -> World {
        let size = u64::from((bits.0 + bits.1).div_ceil(8));
        let bits = Some(bits);
        let place = Place { offset, size, bits };
        self.layouts = self.layouts.with_place(field, place);
        self
    }

    /// Says how large a structure is.
    pub(crate) fn size(mut self, structure: Struct, size: u64) -> World {
        self.layouts = self.layouts.with_size(structure, size);
        self
    }

    /// Says where a variable lies.
    pub(crate) fn variable(mut self, name: &'static str, at: VirtAddr) -> World {
        self.variables.push((name, at));
        self
    }

    /// Says where the CPUs have their own variables.
    pub(crate) fn cpus(mut self, offsets: &[u64]) -> World {
        self.percpu_offsets = offsets.to_vec();
        self
    }

    /// Writes a word at a physical address.
    pub(crate) fn word(mut self, at: u64, word: u64) -> World {
        self.memory.write(at, word);
        self
    }

    /// Writes the second word of a frame's `page->lru`.
    pub(crate) fn lru_prev(self, pfn: Pfn, word: u64) -> World {
        self.word(MEMMAP.0 + pfn.0 * 64 + 16, word)
    }

    /// Adds the one cache, whose `kmem_cache` lies at 0x9000, of objects of so
    /// many bytes; no CPU has a slab of it.
    pub(crate) fn cache(self, size: u64) -> World {
        self.variable("slab_caches", direct(0x8000))
            .member(Field::CacheName, 0, 8)
            .member(Field::CacheList, 0x10, 16)
            .member(Field::CacheSize, 0x20, 4)
            .member(Field::CacheFreeOffset, 0x28, 4)
            .member(Field::CacheCpuSlab, 0x30, 8)
            .word(0x8000, direct(0x9010).0)
            .word(0x9010, direct(0x8000).0)
            .word(0x9000, direct(0xa000).0)
            .word(0xa000, u64::from_le_bytes(*b"things\0\0"))
            .word(0x9020, size)
            .word(0x9028, size / 2)
    }

    /// The kernel, which lives as long as the tests.
    pub(crate) fn kernel(self) -> Kernel<'static> {
        let dump: &Dump = Box::leak(Box::new(Dump {
            info: info(),
            memory: Box::new(self.memory),
        }));
        let memory = KernelMemory {
            cache: PageCache::new(dump.memory.as_ref(), 64),
            space: AddressSpace::of_direct_map(DIRECT..DIRECT + (END.0 << 12)),
        };
        let landmarks = Landmarks::of(&self.variables, self.percpu_offsets);
        Kernel::of_parts(dump, memory, vmcoreinfo(), self.layouts, landmarks)
    }
}

/// The address of physical memory in the direct map.
pub(crate) fn direct(phys: u64) -> VirtAddr {
    VirtAddr(DIRECT + phys)
}

/// The one slab of the one cache; a page.
pub(crate) const SLAB: Pfn = Pfn(0x50);

/// Page map with [`SLAB`], which says that it has so many objects and that the
/// first free one is `free`.
pub(crate) fn slab_of(kernel: &Kernel<'_>, objects: u32, free: VirtAddr) -> Pages {
    let mut pages = pages(kernel);
    pages.map.set(SLAB, Class::Slab);
    pages.slabs = kernel.slab_caches().unwrap();
    let head = SlabHead {
        pfn: SLAB,
        page: pages.memmap.page(SLAB),
        cache: direct(0x9000),
        freelist: free,
        objects,
        order: 0,
    };
    assert_eq!(pages.slabs.add_all(kernel, &pages.map, [head]), 0);
    pages
}

/// Page map and all, with nothing walked.
pub(crate) fn pages(kernel: &Kernel<'_>) -> Pages {
    let mut map = PageMap::new(END);
    for pfn in 0..END.0 {
        map.set(Pfn(pfn), Class::Raw);
    }
    let memmap = MemMap::flat(VirtAddr(MEMMAP.1), PhysAddr(MEMMAP.0), 64, END);
    Pages::unwalked(map, memmap, Decoder::new(kernel).unwrap())
}

fn vmcoreinfo() -> Vmcoreinfo {
    Vmcoreinfo::parse(
        b"OSRELEASE=test\nPAGESIZE=4096\nSIZE(page)=64\nOFFSET(page.flags)=0\n\
          OFFSET(page.lru)=8\nOFFSET(page.mapping)=24\nOFFSET(page.private)=40\n\
          OFFSET(page._mapcount)=48\nOFFSET(page._refcount)=52\n",
    )
    .unwrap()
}

/// What a container says of an x86_64 machine that says no more.
pub(crate) fn info() -> DumpInfo {
    DumpInfo {
        machine: Some(Machine::X86_64),
        ..DumpInfo::new(Format::Elf)
    }
}

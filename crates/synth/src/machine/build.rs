//! The machine while it is put together: who has which frame, and what is written.

use std::collections::BTreeSet;

use super::addresses::{PAGE, page};
use super::era::Era;
use super::memmap::{STRUCT_PAGE, StructPage};
use super::slab::Caches;
use super::tables::Tables;
use super::variables::Variables;
use super::{Options, vmalloc::Areas};
use crate::Image;

/// Frames of the machine: 256 MiB, two sections.
pub(super) const FRAMES: u64 = 0x10000;
/// Where BIOS and video memory lie below 1 MiB, and frame 0, which is the BIOS's too.
const HOLES: [std::ops::Range<u64>; 2] = [0..1, 0x9f..0x100];
/// Blocks of pages are taken from here.
const BLOCKS: std::ops::Range<u64> = 0x1c00..0x2000;
/// Single pages are taken from here, in no order.
const SINGLES: std::ops::Range<u64> = 0x2000..0x5000;

pub(super) struct Build {
    pub(super) era: &'static Era,
    pub(super) image: Image,
    /// By frame; what is free and not first of a block has none.
    pages: Vec<Option<StructPage>>,
    free: Vec<bool>,
    pub(super) variables: Variables,
    pub(super) tables: Tables,
    pub(super) caches: Caches,
    pub(super) areas: Areas,
    pub(super) random: Random,
    /// Single pages that are left.
    singles: Vec<u64>,
    /// Blocks begin here.
    next_block: u64,
    /// First frame that `memblock` gave away; it does so from the end.
    boot_end: u64,
    /// Free pages on lists of CPUs.
    pub(super) on_cpus: Vec<u64>,
    /// Frames that the dump leaves out although they are in use.
    left_out: BTreeSet<u64>,
    /// Pages of processes' tables below their roots.
    pub(super) user_tables: u64,
    /// Pages of files in memory.
    pub(super) shmem: u64,
    /// LRU lists: inactive and active anonymous pages, inactive and active file pages.
    pub(super) lru: [Vec<u64>; 4],
}

impl Build {
    pub(super) fn new(era: &'static Era) -> Build {
        let mut random = Random(0x2b94_78ff_c550);
        let mut singles: Vec<u64> = SINGLES.collect();
        for last in (1..singles.len()).rev() {
            singles.swap(last, random.below(last as u64 + 1) as usize);
        }
        let mut build = Build {
            era,
            image: Image::new(PAGE as usize),
            pages: vec![None; FRAMES as usize],
            free: vec![true; FRAMES as usize],
            variables: Variables::new(era),
            tables: Tables::default(),
            caches: Caches::default(),
            areas: Areas::default(),
            random,
            singles,
            next_block: BLOCKS.start,
            boot_end: FRAMES,
            on_cpus: Vec::new(),
            left_out: BTreeSet::new(),
            user_tables: 0,
            shmem: 0,
            lru: Default::default(),
        };
        for pfn in HOLES.into_iter().flatten().chain(Variables::frames()) {
            build.set_page(pfn, StructPage::reserved(pfn));
        }
        build
    }

    /// Frames that `memblock` gives at boot.
    pub(super) fn at_boot(&mut self, frames: u64, align: u64) -> u64 {
        let first = (self.boot_end - frames) / align * align;
        for pfn in first..self.boot_end {
            self.set_page(pfn, StructPage::reserved(pfn));
        }
        self.boot_end = first;
        first
    }

    /// A page from `alloc_page()`.
    pub(super) fn single(&mut self) -> u64 {
        let pfn = self.singles.pop().expect("the machine is too small");
        self.set_page(pfn, StructPage::raw(pfn, 1));
        pfn
    }

    /// A block from `alloc_pages()`, not compound.
    pub(super) fn block(&mut self, order: u32) -> u64 {
        let first = self.next_block.next_multiple_of(1 << order);
        self.next_block = first + (1 << order);
        assert!(self.next_block <= BLOCKS.end, "the machine is too small");
        self.set_page(first, StructPage::raw(first, 1));
        for pfn in first + 1..self.next_block {
            self.set_page(pfn, StructPage::inside(pfn));
        }
        first
    }

    /// Sets the page of a frame in use.
    pub(super) fn set_page(&mut self, pfn: u64, page: StructPage) {
        self.pages[pfn as usize] = Some(page);
        self.free[pfn as usize] = false;
    }

    /// Sets the first page of a free block.
    pub(super) fn set_free(&mut self, pfn: u64, page: StructPage) {
        self.pages[pfn as usize] = Some(page);
    }

    /// Pages from `alloc_pages_exact()`: a block, split, and what is beyond given back.
    pub(super) fn exact_pages(&mut self, pages: u64) -> u64 {
        let first = self.block(pages.next_power_of_two().ilog2());
        for pfn in first..self.next_block {
            if pfn < first + pages {
                self.set_page(pfn, StructPage::raw(pfn, 1));
            } else {
                self.pages[pfn as usize] = None;
                self.free[pfn as usize] = true;
            }
        }
        first
    }

    /// Sets the page of a frame whose content the dump leaves out, and puts it on a
    /// list of the LRU.
    pub(super) fn set_user_page(&mut self, pfn: u64, page: StructPage, lru: usize) {
        self.set_page(pfn, page);
        self.left_out.insert(pfn);
        self.lru[lru].push(pfn);
    }

    pub(super) fn is_free(&self, pfn: u64) -> bool {
        self.free[pfn as usize]
    }

    /// Writes at an address of the image or the direct map.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) {
        self.image.write(self.era.phys(address), bytes);
    }

    pub(super) fn write_u64(&mut self, address: u64, value: u64) {
        self.write(address, &value.to_le_bytes());
    }

    pub(super) fn write_u32(&mut self, address: u64, value: u32) {
        self.write(address, &value.to_le_bytes());
    }

    /// Reads at a physical address, aligned to 8.
    pub(super) fn read_u64(&mut self, phys: u64) -> u64 {
        let from = (phys % PAGE) as usize;
        let bytes = &self.image.present_page(phys / PAGE)[from..from + 8];
        u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
    }

    /// A list of what has its `list_head` at these addresses, in this order, with its
    /// head at `head`.
    pub(super) fn write_list(&mut self, head: u64, links: &[u64]) {
        let mut before = head;
        for &link in links.iter().chain([&head]) {
            self.write_u64(before, link);
            self.write_u64(link + 8, before);
            before = link;
        }
    }

    /// The same of pages, through `page->lru`.
    pub(super) fn write_page_list(&mut self, head: u64, frames: &[u64]) {
        let lru = self.era.page.lru as u64;
        let link = |index: usize| frames.get(index).map_or(head, |&pfn| page(pfn) + lru);
        self.write_u64(head, link(0));
        self.write_u64(head + 8, link(frames.len().wrapping_sub(1)));
        for (index, &pfn) in frames.iter().enumerate() {
            let links = [link(index + 1), link(index.wrapping_sub(1))];
            let page = self.pages[pfn as usize].as_mut();
            page.expect("pages on lists are set").lru = links;
        }
    }

    /// Frames that are reserved, by zone's range.
    pub(super) fn count_boot(&self, frames: std::ops::Range<u64>) -> u64 {
        let at_boot = |pfn: &u64| {
            *pfn >= self.boot_end
                || HOLES.iter().any(|hole| hole.contains(pfn))
                || Variables::frames().contains(pfn)
        };
        frames.filter(at_boot).count() as u64
    }

    /// Writes the memory map at these frames, and makes the dump: of what is in use,
    /// all but user pages are in it.
    pub(super) fn finish(mut self, vmcoreinfo: &str, options: &Options) -> Image {
        for pfn in 0..FRAMES {
            let page = self.pages[pfn as usize].unwrap_or_else(|| StructPage::inside(pfn));
            let at = self.era.direct(self.tables.memmap) + pfn * STRUCT_PAGE;
            self.write(at, &page.bytes(pfn, self.era));
        }
        for pfn in 0..FRAMES {
            if HOLES.iter().any(|hole| hole.contains(&pfn)) {
                continue;
            }
            if self.is_free(pfn) || self.left_out.contains(&pfn) {
                self.image.set_excluded(pfn);
            } else {
                self.image.present_page(pfn);
            }
        }
        self.image
            .utsname(options.uname())
            .dump_level(31)
            .direct_map(self.era.direct_map)
            .vmcoreinfo(vmcoreinfo)
    }
}

/// Numbers that are the same each time: xorshift64*.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }
}

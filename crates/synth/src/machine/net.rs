//! The network driver (`drivers/net/ethernet/intel/i40e/i40e_txrx.c` and `.h`): its
//! receive rings, and the pages that 2b9478ffc550 made it keep.

use super::addresses::{PAGE, page};
use super::build::Build;
use super::memmap::StructPage;
use super::variables::IMAGE;
use super::vmalloc::From;

/// `I40E_DEFAULT_NUM_DESCRIPTORS`, of 32 bytes (`union i40e_32byte_rx_desc`); each has
/// a `struct i40e_rx_buffer` of 24 bytes.
const DESCRIPTORS: u64 = 512;

impl Build {
    /// The module: its memory, its `struct module` there, and the list of modules.
    pub(super) fn load_driver(&mut self) {
        let load_module = IMAGE.start + 0x10_b1c0;
        self.variables.add('t', "load_module", load_module);
        let (at, frames) = self.vmalloc(From::Modules, 5, load_module);
        let module = self.era.direct(*frames.last().expect("five pages"));
        // list and name of struct module.
        self.write(module + 24, b"i40e");
        let head = self.variables.address("modules");
        let seen = at + 4 * PAGE + 8;
        for (link, to) in [(head, seen), (module + 8, head)] {
            self.write_u64(link, to);
            self.write_u64(link + 8, to);
        }
        self.list_areas();
    }

    /// A receive ring of each device; the frames of its buffers.
    pub(super) fn fill_rings(&mut self, frames_at: &[usize]) -> Vec<u64> {
        let caller = IMAGE.start + 0x1b_7400;
        self.variables.add('T', "vzalloc", caller);
        let mut buffers = Vec::new();
        for _ in 0..2 {
            let ring = self.object("kmalloc-2048");
            let order = (DESCRIPTORS * 32 / PAGE).ilog2();
            let descriptors = self.block(order);
            let (rx_bi, array) = self.vmalloc(From::Vmalloc, DESCRIPTORS * 24 / PAGE, caller);
            self.write_u64(ring + 8, self.era.direct(descriptors));
            self.write_u64(ring + 40, rx_bi);
            for index in 0..DESCRIPTORS {
                let pfn = self.single();
                self.receive(pfn, frames_at);
                let offset = frames_at.first().copied().unwrap_or(0) as u64;
                let dma = pfn * PAGE;
                for (place, word) in [dma, page(pfn), offset | 1 << 32].into_iter().enumerate() {
                    let at = index * 24 + place as u64 * 8;
                    self.write_u64(
                        self.era.direct(array[(at / PAGE) as usize]) + at % PAGE,
                        word,
                    );
                }
                let descriptor = self.era.direct(descriptors) + index * 32;
                if index % 2 == 0 {
                    self.write_u64(descriptor, dma + offset);
                } else {
                    // Written back: hash, status, length.
                    let hash = self.random.next() << 32;
                    self.write_u64(descriptor, hash);
                    self.write_u64(descriptor + 8, 60 << 38 | 0x2_0e03);
                }
                buffers.push(pfn);
            }
        }
        // The areas are more by now.
        self.list_areas();
        buffers
    }

    /// Pages whose slot in a ring was overwritten: a page that was never shared has
    /// one reference, one whose bias was drained `USHRT_MAX` of them.
    pub(super) fn lose(&mut self, count: usize, frames_at: &[usize]) -> Vec<u64> {
        let mut lost = Vec::new();
        for index in 0..count {
            let pfn = self.single();
            let references = if index % 3 == 0 { 65535 } else { 1 };
            self.set_page(pfn, StructPage::raw(pfn, references));
            self.receive(pfn, frames_at);
            lost.push(pfn);
        }
        lost.sort_unstable();
        lost
    }

    /// Frames as the device puts them into a page.
    fn receive(&mut self, pfn: u64, frames_at: &[usize]) {
        for &at in frames_at {
            let frame = super::frames::frame(&mut self.random);
            self.write(self.era.direct(pfn) + at as u64, &frame);
        }
    }
}

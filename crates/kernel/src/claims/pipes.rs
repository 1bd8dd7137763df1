//! Pipes: a page a buffer.

use pagehound_vmcore::VirtAddr;

use super::{Kind, Search};
use crate::layouts::{Field, Struct};
use crate::virt::VirtualRead;

/// `PIPE_MAX_SIZE` can be raised, but not beyond 2^31 bytes.
const MOST_BUFFERS: u64 = 1 << 19;

impl Search<'_> {
    /// A `pipe_inode_info`.
    pub(super) fn pipe(&mut self, pipe: VirtAddr, process: &str) {
        let kernel = self.kernel;
        let field = |field| kernel.field(pipe, field).ok();
        let (Some(head), Some(tail), Some(slots), Some(buffers), Ok(size)) = (
            field(Field::PipeHead),
            field(Field::PipeTail),
            field(Field::PipeRingSize),
            field(Field::PipeBufs),
            kernel.layouts.size(Struct::PipeBuffer),
        ) else {
            return;
        };
        // Both run on; ring_size is a power of two (8cefc107ca54, 5.5).
        if !slots.is_power_of_two() || slots > MOST_BUFFERS {
            return;
        }
        let mask = slots - 1;
        let used = (head.wrapping_sub(tail) & 0xffff_ffff).min(slots);
        let spare = kernel.layouts.get(Field::PipeTmpPage);
        let spares = spare.map_or(0, |place| place.size / 8);
        let most = field(Field::PipeMaxUsage).map(|most| most.saturating_add(spares));
        let owner = self.owner(Kind::Pipe, process.to_owned(), most);
        self.below("pipe_inode_info", pipe, |search| {
            for index in 0..used {
                if !search.step() {
                    break;
                }
                let slot = tail.wrapping_add(index) & mask;
                let buffer = VirtAddr(buffers).add(slot * size);
                let Ok(page) = kernel.pointer(buffer, Field::PipeBufferPage) else {
                    break;
                };
                search.below("pipe_buffer", buffer, |search| search.page(owner, page));
            }
            // Kept for the next write; two since 6.15 (46af8e2406c2).
            if let Some(place) = spare {
                for index in 0..spares.min(16) {
                    let slot = pipe.add(place.offset + index * 8);
                    if let Ok(page) = kernel.memory.ptr(slot) {
                        search.page(owner, page);
                    }
                }
            }
        });
    }
}

//! Ring buffers of events: ftrace, perf, io_uring, BPF.

use std::collections::HashSet;

use pagehound_vmcore::VirtAddr;

use super::{Kind, Search};
use crate::kernel::KernelError;
use crate::layouts::Field;
use crate::text::printable;
use crate::virt::VirtualRead;

/// More instances than a host traces with.
const MOST_INSTANCES: usize = 1 << 12;
/// Flags at the bottom of the links between a trace buffer's pages
/// (`RB_PAGE_HEAD`, `RB_PAGE_UPDATE`).
const LINK_FLAGS: u64 = 3;
/// More pages than one ring of perf, io_uring or BPF has: 1 TiB.
const MOST_PAGES: u64 = 1 << 28;

impl Search<'_> {
    /// Trace buffers of all instances.
    pub(super) fn traces(&mut self) {
        let kernel = self.kernel;
        let Some(head) = kernel.address("ftrace_trace_arrays") else {
            return;
        };
        let instances = match kernel.list_of(head, Field::TraceArrayList, MOST_INSTANCES) {
            Ok(instances) | Err((instances, _)) => instances,
        };
        for instance in instances {
            let name = kernel.pointer(instance, Field::TraceArrayName);
            let name = name.ok().filter(|name| name.0 != 0);
            let name = name.and_then(|name| kernel.memory.cstr(name, 256).ok());
            // The first instance, that of /sys/kernel/tracing itself, has no name.
            let name = match name {
                Some(name) => format!("ftrace instance {}", printable(&name)),
                None => "ftrace".to_owned(),
            };
            self.below("trace_array", instance, |search| {
                for field in [Field::TraceArrayBuffer, Field::TraceArrayMaxBuffer] {
                    // A snapshot buffer is there only where it is asked for.
                    let _ = search.trace_buffer(instance, field, &name);
                }
            });
        }
    }

    fn trace_buffer(
        &mut self,
        instance: VirtAddr,
        field: Field,
        name: &str,
    ) -> Result<(), KernelError> {
        let kernel = self.kernel;
        let buffer = kernel.pointer(instance, field)?;
        if buffer.0 == 0 {
            return Ok(());
        }
        let array = kernel.pointer(buffer, Field::TraceBufferBuffers)?;
        let mut rings = Vec::new();
        let mut most = 0u64;
        for cpu in 0..kernel.percpu_offsets.len() as u64 {
            let ring = kernel.memory.ptr(array.add(cpu * 8))?;
            if ring.0 != 0 {
                // Beside those in the ring one is with the reader.
                let pages = kernel.field(ring, Field::TraceCpuNrPages)?;
                most = most.saturating_add(pages).saturating_add(1);
                rings.push(ring);
            }
        }
        let owner = self.owner(Kind::TraceBuffer, name.to_owned(), Some(most));
        for ring in rings {
            self.below("ring_buffer_per_cpu", ring, |search| {
                // As far as it can be followed.
                let _ = search.trace_ring(owner, ring);
            });
        }
        Ok(())
    }

    pub(super) fn trace_ring(&mut self, owner: u32, ring: VirtAddr) -> Result<(), KernelError> {
        let kernel = self.kernel;
        let link = kernel.layouts.offset(Field::BufferPageList)?;
        let reader = kernel.pointer(ring, Field::TraceCpuReader)?;
        self.trace_page(owner, reader)?;
        let mut at = kernel.pointer(ring, Field::TraceCpuPages)?;
        let mut seen = HashSet::new();
        while at.0 != 0 && seen.insert(at) && self.left > 0 {
            self.trace_page(owner, VirtAddr(at.0.wrapping_sub(link)))?;
            at = VirtAddr(kernel.memory.ptr(at)?.0 & !LINK_FLAGS);
        }
        Ok(())
    }

    fn trace_page(&mut self, owner: u32, page: VirtAddr) -> Result<(), KernelError> {
        let data = self.kernel.pointer(page, Field::BufferPagePage)?;
        self.below("buffer_page", page, |search| search.memory(owner, data, 1));
        Ok(())
    }

    /// A `perf_event` with its ring buffer, which several may have together.
    pub(super) fn perf_event(&mut self, event: VirtAddr, process: &str) {
        // An event without a ring buffer has nothing.
        let _ = self.perf_buffer(event, process);
    }

    fn perf_buffer(&mut self, event: VirtAddr, process: &str) -> Result<(), KernelError> {
        let kernel = self.kernel;
        let buffer = kernel.pointer(event, Field::PerfEventBuffer)?;
        if buffer.0 == 0 {
            return Ok(());
        }
        let count = kernel.field(buffer, Field::PerfNrPages)?.min(MOST_PAGES);
        let user = kernel.pointer(buffer, Field::PerfUserPage)?;
        let data = kernel.member(buffer, Field::PerfDataPages)?;
        let aux = kernel.field(buffer, Field::PerfAuxNrPages).unwrap_or(0);
        let aux_pages = kernel.pointer(buffer, Field::PerfAuxPages);
        let aux = if aux_pages.is_ok() {
            aux.min(MOST_PAGES)
        } else {
            0
        };
        let owner = self.owner(Kind::PerfBuffer, process.to_owned(), Some(count + 1 + aux));
        self.below("perf_event", event, |search| {
            search.below("perf_buffer", buffer, |search| {
                search.memory(owner, user, 1);
                search.array(owner, data, count);
                if let Ok(pages) = aux_pages {
                    search.array(owner, pages, aux);
                }
            });
        });
        Ok(())
    }

    /// An array of the addresses of pages.
    pub(super) fn array(&mut self, owner: u32, array: VirtAddr, count: u64) {
        for index in 0..count {
            if !self.step() {
                return;
            }
            let Ok(page) = self.kernel.memory.ptr(array.add(index * 8)) else {
                return;
            };
            self.memory(owner, page, 1);
        }
    }

    /// An array of the addresses of `struct page`s.
    fn page_array(&mut self, owner: u32, array: VirtAddr, count: u64) {
        for index in 0..count.min(MOST_PAGES) {
            if !self.step() {
                return;
            }
            let Ok(page) = self.kernel.memory.ptr(array.add(index * 8)) else {
                return;
            };
            self.page(owner, page);
        }
    }

    /// An `io_ring_ctx`.
    pub(super) fn io_uring(&mut self, ring: VirtAddr, process: &str) {
        let kernel = self.kernel;
        let owner = self.owner(Kind::IoUring, process.to_owned(), None);
        self.below("io_ring_ctx", ring, |search| {
            for (field, what) in [(Field::IoRings, "rings"), (Field::IoSqes, "sq_sqes")] {
                if let Ok(start) = kernel.pointer(ring, field)
                    && start.0 != 0
                {
                    search.below(what, start, |search| search.memory(owner, start, 1));
                }
            }
            // Pages one by one since 6.14 (8078486e1d53).
            for field in [Field::IoRingRegion, Field::IoSqRegion] {
                let Ok(region) = kernel.member(ring, field) else {
                    continue;
                };
                let count = kernel.field(region, Field::IoRegionNrPages);
                let pages = kernel.pointer(region, Field::IoRegionPages);
                if let (Ok(count), Ok(pages)) = (count, pages)
                    && pages.0 != 0
                {
                    search.below("io_mapped_region", region, |search| {
                        search.page_array(owner, pages, count);
                    });
                }
            }
        });
    }

    /// A `bpf_map`: those that are rings have pages of their own.
    pub(super) fn bpf_map(&mut self, map: VirtAddr) {
        let kernel = self.kernel;
        let is_ring = |map| -> Result<bool, KernelError> {
            let sort = kernel.field(map, Field::BpfMapType)?;
            // BPF_MAP_TYPE_RINGBUF and BPF_MAP_TYPE_USER_RINGBUF: of the ABI.
            Ok(matches!(sort, 27 | 31))
        };
        if !is_ring(map).unwrap_or(false) {
            return;
        }
        let Ok(ring) = kernel.pointer(map, Field::BpfRingbufMapRb) else {
            return;
        };
        let count = kernel.field(ring, Field::BpfRingbufNrPages);
        let pages = kernel.pointer(ring, Field::BpfRingbufPages);
        let (Ok(count), Ok(pages)) = (count, pages) else {
            return;
        };
        let id = kernel.field(map, Field::BpfMapId).unwrap_or(0);
        let name = kernel.member(map, Field::BpfMapName).ok();
        let name = name.and_then(|name| kernel.memory.cstr(name, 16).ok());
        let name = printable(&name.unwrap_or_default());
        // The struct itself lies in the first of the pages that it names; where the
        // positions begin, data begins.
        let positions = kernel.layouts.get(Field::BpfRingbufConsumerPos);
        let first = positions.map_or(1, |place| place.offset / kernel.page_size());
        let first = first.min(count);
        let name = format!("map {id} {name}");
        let head = self.owner(Kind::BpfRingHead, name.clone(), Some(first));
        let data = self.owner(Kind::BpfRing, name, Some(count - first));
        self.below("bpf_ringbuf_map", map, |search| {
            search.below("bpf_ringbuf", ring, |search| {
                search.page_array(head, pages, first);
                search.page_array(data, pages.add(first * 8), count - first);
            });
        });
    }
}

//! Variables found by what they hold, on kernels whose kallsyms has functions
//! only (no CONFIG_KALLSYMS_ALL, as Debian builds arm64).
//!
//! Each search goes over the words of the kernel image and asks of a candidate
//! what only the wanted variable can answer: a `pglist_data` whose first zone
//! points back to it, lists that close, counts that fit.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use memchr::memmem;
use pagehound_vmcore::VirtAddr;

use crate::kernel::{IMAGE_LIMIT, Kernel, MOST_CPUS};
use crate::layouts::{Field, Struct};
use crate::sweep::sweep;
use crate::variables::FirstChunk;
use crate::virt::VirtualRead;

/// Candidates that are looked at closely: there are a handful in a kernel, and
/// each costs as much as a damaged image lets it.
const TRIES: usize = 64;

/// The caches of `kmalloc()` alone are more.
const FEWEST_CACHES: usize = 16;

/// Variables by name, and what no single variable tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Landmarks {
    variables: HashMap<&'static str, VirtAddr>,
    /// `__per_cpu_offset` of the possible CPUs.
    pub(crate) percpu_offsets: Vec<u64>,
}

impl Landmarks {
    /// Searches the image; what is not found is left out.
    pub(crate) fn find(kernel: &Kernel<'_>) -> Landmarks {
        let mut landmarks = Landmarks::default();
        let Some(stext) = kernel.vmcoreinfo.symbol("_stext") else {
            return landmarks;
        };
        let search = Search { kernel, stext };
        let mut note = |name, at: Option<VirtAddr>| {
            landmarks.variables.extend(at.map(|at| (name, at)));
        };
        note("init_task", search.init_task());
        note("iomem_resource", search.iomem_resource());
        let (nodes, contiguous) = search.nodes();
        note("node_data", nodes);
        note("contig_page_data", contiguous);
        let mut tries = 0;
        let caches = search.words(|at, _| {
            let looks = tries < TRIES && search.begins_caches(at);
            tries += usize::from(looks);
            looks && search.is_slab_caches(at)
        });
        note("slab_caches", caches);
        let pageset = nodes
            .and_then(|array| kernel.memory.ptr(array).ok())
            .or(contiguous)
            .and_then(|node| search.pageset(node));
        if let Some(pageset) = pageset {
            landmarks.percpu_offsets = search.percpu_offsets(pageset);
        }
        if let Some(found) = FirstChunk::find(kernel, &landmarks.percpu_offsets) {
            landmarks.variables.extend([
                ("__per_cpu_start", found.start),
                ("pcpu_first_chunk", found.chunk),
            ]);
        }
        landmarks
    }

    /// Variables put down by hand.
    #[cfg(test)]
    pub(crate) fn of(
        variables: &[(&'static str, VirtAddr)],
        percpu_offsets: Vec<u64>,
    ) -> Landmarks {
        Landmarks {
            variables: variables.iter().copied().collect(),
            percpu_offsets,
        }
    }

    pub(crate) fn address(&self, name: &str) -> Option<VirtAddr> {
        self.variables.get(name).copied()
    }
}

struct Search<'a> {
    kernel: &'a Kernel<'a>,
    stext: VirtAddr,
}

impl Search<'_> {
    /// The first word of the image, by address and value, that fits.
    fn words(&self, mut fits: impl FnMut(VirtAddr, u64) -> bool) -> Option<VirtAddr> {
        let read = &self.kernel.memory;
        let (found, _) = sweep(read, self.stext, self.stext.add(IMAGE_LIMIT), 0, |window| {
            (window.base..)
                .step_by(8)
                .zip(window.bytes.as_chunks::<8>().0)
                .map(|(at, bytes)| (VirtAddr(at), u64::from_le_bytes(*bytes)))
                .find(|&(at, word)| word >> 63 == 1 && fits(at, word))
                .map(|(at, _)| at)
        });
        found
    }

    /// The array with the most entries that fit, one after the other from
    /// index 0 on: other variables may hold what its first entry holds.
    fn longest(&self, fits: impl Fn(u64, u64) -> bool) -> Option<VirtAddr> {
        let mut best = None;
        let mut tries = 0;
        self.words(|at, word| {
            if fits(word, 0) {
                tries += 1;
                let entries = self.entries(at, &fits).count();
                if best.is_none_or(|(most, _)| entries > most) {
                    best = Some((entries, at));
                }
            }
            tries >= TRIES
        });
        best.map(|(_, at)| at)
    }

    fn entries(
        &self,
        array: VirtAddr,
        fits: impl Fn(u64, u64) -> bool,
    ) -> impl Iterator<Item = u64> {
        // Each CPU and node has its own place; nodes are fewer than CPUs.
        let mut before = None;
        (0..MOST_CPUS).map_while(move |index| {
            let entry = self.kernel.memory.u64(array.add(index * 8)).ok()?;
            let differs = before.replace(entry) != Some(entry);
            (differs && fits(entry, index)).then_some(entry)
        })
    }

    /// The first place of `text` in the image that fits.
    fn text(&self, text: &[u8], mut fits: impl FnMut(VirtAddr) -> bool) -> Option<VirtAddr> {
        let finder = memmem::Finder::new(text);
        let (read, overlap) = (&self.kernel.memory, text.len() as u64);
        let end = self.stext.add(IMAGE_LIMIT);
        let (found, _) = sweep(read, self.stext, end, overlap, |window| {
            finder
                .find_iter(&window.bytes)
                .map(|hit| VirtAddr(window.base + hit as u64))
                .find(|&at| fits(at))
        });
        found
    }

    fn in_direct_map(&self, word: u64) -> bool {
        word.is_multiple_of(8) && self.kernel.memory.space.direct.virt.contains(&word)
    }

    /// Whether a `list_head` and its neighbours point to each other.
    fn is_list(&self, head: VirtAddr) -> bool {
        let read = |at| self.kernel.memory.ptr(at).ok();
        let (Some(next), Some(prev)) = (read(head), read(head.add(8))) else {
            return false;
        };
        read(next.add(8)) == Some(head) && read(prev) == Some(head)
    }

    /// The first task: named after its kind, without an address space, first
    /// of all tasks.
    fn init_task(&self) -> Option<VirtAddr> {
        let kernel = self.kernel;
        let comm = kernel.layouts.offset(Field::TaskComm).ok()?;
        let task = |at: VirtAddr| VirtAddr(at.0.wrapping_sub(comm));
        let found = self.text(b"swapper", |at| {
            let task = task(at);
            let tasks = kernel.member(task, Field::TaskTasks);
            task.0.is_multiple_of(16)
                && kernel.field(task, Field::TaskPid).ok() == Some(0)
                && kernel.field(task, Field::TaskMm).ok() == Some(0)
                && tasks.is_ok_and(|tasks| self.is_list(tasks))
        });
        found.map(task)
    }

    /// The root of all resources, whose name is "PCI mem" for history's sake.
    fn iomem_resource(&self) -> Option<VirtAddr> {
        let kernel = self.kernel;
        let name = kernel.layouts.offset(Field::ResourceName).ok()?;
        let mut texts = Vec::new();
        self.text(b"PCI mem\0", |text| {
            texts.push(text.0);
            texts.len() >= TRIES
        });
        let at = self.words(|at, word| {
            let root = VirtAddr(at.0.wrapping_sub(name));
            let is_root = || {
                let child = kernel.pointer(root, Field::ResourceChild).ok()?;
                let parent = kernel.pointer(child, Field::ResourceParent).ok()?;
                Some(parent == root)
            };
            texts.contains(&word) && is_root().unwrap_or(false)
        });
        at.map(|at| VirtAddr(at.0.wrapping_sub(name)))
    }

    /// `node_data`, or on a kernel without NUMA `contig_page_data`.
    fn nodes(&self) -> (Option<VirtAddr>, Option<VirtAddr>) {
        let array = self
            .longest(|word, index| self.in_direct_map(word) && self.is_node(VirtAddr(word), index));
        if array.is_some() {
            return (array, None);
        }
        // The node's own first zone points back to it from a known distance.
        let Ok(zones) = self.kernel.layouts.offset(Field::NodeZones) else {
            return (None, None);
        };
        let Ok(back) = self.kernel.layouts.offset(Field::ZoneNode) else {
            return (None, None);
        };
        let node = |at: VirtAddr| VirtAddr(at.0.wrapping_sub(zones).wrapping_sub(back));
        let found = self.words(|at, word| word == node(at).0 && self.is_node(node(at), 0));
        (None, found.map(node))
    }

    fn is_node(&self, node: VirtAddr, id: u64) -> bool {
        let kernel = self.kernel;
        let count = kernel.field(node, Field::NodeNrZones).unwrap_or(0);
        let Ok(first) = kernel.member(node, Field::NodeZones) else {
            return false;
        };
        let size = kernel.layouts.size(Struct::Zone).unwrap_or(0);
        (1..=8).contains(&count)
            && kernel.field(node, Field::NodeId).ok() == Some(id)
            && (0..count).all(|index| {
                kernel
                    .pointer(first.add(index * size), Field::ZoneNode)
                    .ok()
                    == Some(node)
            })
    }

    /// Whether a list begins at `head` whose first entry may be a cache.
    fn begins_caches(&self, head: VirtAddr) -> bool {
        let kernel = self.kernel;
        let next = kernel.memory.u64(head).unwrap_or(0);
        let Ok(link) = kernel.layouts.offset(Field::CacheList) else {
            return false;
        };
        self.in_direct_map(next)
            && self.is_list(head)
            && self.is_cache(VirtAddr(next.wrapping_sub(link)))
    }

    /// Caches are named and sized.
    fn is_cache(&self, cache: VirtAddr) -> bool {
        let kernel = self.kernel;
        let size = kernel.field(cache, Field::CacheSize).unwrap_or(0);
        let free = kernel.field(cache, Field::CacheFreeOffset);
        let name = kernel
            .pointer(cache, Field::CacheName)
            .ok()
            .and_then(|name| kernel.memory.cstr(name, 64).ok())
            .unwrap_or_default();
        (8..1 << 20).contains(&size)
            && free.is_ok_and(|free| free < size)
            && !name.is_empty()
            && name.iter().all(u8::is_ascii_graphic)
    }

    /// No kernel gets by with fewer than [`FEWEST_CACHES`].
    fn is_slab_caches(&self, head: VirtAddr) -> bool {
        let Ok(caches) = self.kernel.list_of(head, Field::CacheList, 1 << 16) else {
            return false;
        };
        caches.len() >= FEWEST_CACHES
            && caches
                .iter()
                .take(FEWEST_CACHES)
                .all(|&cache| self.is_cache(cache))
    }

    /// The per-CPU pointer to the page lists of a node's first zone.
    fn pageset(&self, node: VirtAddr) -> Option<VirtAddr> {
        let zone = self.kernel.member(node, Field::NodeZones).ok()?;
        self.kernel.pointer(zone, Field::ZonePageset).ok()
    }

    /// Offsets that make `pageset` a set of lists that close; those of all
    /// possible CPUs stand one after the other, whole pages each: other tables
    /// have lists that close, too.
    fn percpu_offsets(&self, pageset: VirtAddr) -> Vec<u64> {
        let kernel = self.kernel;
        let Ok(lists) = kernel.layouts.place(Field::PcpLists) else {
            return Vec::new();
        };
        let inner = kernel.layouts.get(Field::PagesetPcp);
        let lists_at = lists.offset + inner.map_or(0, |inner| inner.offset);
        let fits = |offset: u64, _| {
            let area = pageset.add(offset);
            offset.is_multiple_of(kernel.page_size())
                && self.in_direct_map(area.0)
                && (0..lists.size / 16).all(|list| self.is_list(area.add(lists_at + list * 16)))
        };
        self.longest(fits)
            .map_or_else(Vec::new, |array| self.entries(array, fits).collect())
    }
}

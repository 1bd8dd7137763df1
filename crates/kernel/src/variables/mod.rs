//! Names for the variables of the kernel image and for static per-CPU ones: by
//! their symbols, else by a function that uses them.

mod uses;

use std::ops::Range;
use std::sync::OnceLock;

use pagehound_vmcore::{Machine, PhysAddr, VirtAddr};

use crate::kernel::Kernel;
use crate::layouts::Field;
use crate::virt::VirtualRead;

pub(crate) use uses::Uses;

/// A unit of the first chunk is below that; static variables take some 200 KiB.
const LARGEST_UNIT: u64 = 1 << 26;
/// Words behind where code has an address that may be meant.
const NEAR: u64 = 32;
/// Bytes of the longest function that is looked at.
const LONGEST: u64 = 1 << 14;
/// The section of static per-CPU variables, as BTF names it.
const PERCPU: &str = ".data..percpu";

impl Kernel<'_> {
    /// A table for naming many variables; see [`Variables`].
    pub fn variables(&self) -> Variables<'_> {
        let mut offsets = self.percpu_offsets.clone();
        offsets.sort_unstable();
        Variables {
            kernel: self,
            uses: OnceLock::new(),
            types: OnceLock::new(),
            percpu: self.static_percpu(),
            offsets,
        }
    }

    /// Link-time addresses of the static per-CPU variables.
    fn static_percpu(&self) -> Option<Range<u64>> {
        let start = self.address("__per_cpu_start")?;
        let end = self.address("__per_cpu_end").map(|end| end.0);
        // BTF has the section where kallsyms has functions only.
        let size = || self.types.as_ref()?.section_size(PERCPU);
        let end = end.or_else(|| start.0.checked_add(size()?))?;
        (start.0 < end && end - start.0 < 1 << 30).then_some(start.0..end)
    }
}

/// Names variables. Where kallsyms has functions only (Debian's arm64), a variable
/// is told by a function whose code has its address.
pub struct Variables<'k> {
    kernel: &'k Kernel<'k>,
    uses: OnceLock<Uses>,
    /// Static per-CPU variables by BTF, ascending.
    types: OnceLock<Vec<(Range<u64>, &'k str)>>,
    percpu: Option<Range<u64>>,
    /// `__per_cpu_offset`, ascending.
    offsets: Vec<u64>,
}

impl Variables<'_> {
    /// The variable of the kernel image at `addr`: `symbol`, or `data used by
    /// function`. Safe to print.
    pub fn name(&self, addr: VirtAddr) -> Option<String> {
        let symbols = self.kernel.symbols.as_ref()?;
        if let Some(symbol) = symbols.lookup(addr) {
            return Some(symbol.name.into());
        }
        let user = self.uses().user(addr)?;
        let function = symbols.lookup(user)?;
        Some(format!("data used by {}", function.name))
    }

    /// The variable of the kernel image at a physical address, likewise.
    pub fn name_at(&self, at: PhysAddr) -> Option<String> {
        let linear = self.kernel.memory.space.image.as_ref();
        // arm64 exports where it is by a constant of its own.
        let offset = self.kernel.vmcoreinfo.number("kimage_voffset");
        let virt = linear
            .and_then(|image| image.virt(at))
            .or_else(|| Some(VirtAddr(at.0.wrapping_add(offset? as u64))))?;
        self.name(virt)
    }

    /// The static per-CPU variable whose copy for some CPU is at `addr`, likewise.
    pub fn percpu(&self, addr: VirtAddr) -> Option<String> {
        let range = self.percpu.as_ref()?;
        // Copies are apart by more than all variables take.
        let after = self
            .offsets
            .partition_point(|offset| *offset as i64 <= addr.0.wrapping_sub(range.start) as i64);
        let offset = self.offsets.get(after.checked_sub(1)?)?;
        let linked = addr.0.wrapping_sub(*offset);
        let place = range.contains(&linked).then(|| linked - range.start)?;
        let types = self.types.get_or_init(|| {
            let types = self.kernel.types.as_ref();
            types.map_or(Vec::new(), |types| types.variables(PERCPU))
        });
        let after = types.partition_point(|(bytes, _)| bytes.start <= place);
        let named = after.checked_sub(1).and_then(|index| types.get(index));
        match named.filter(|(bytes, _)| bytes.contains(&place)) {
            Some((_, name)) => Some((*name).to_owned()),
            None => self.name(VirtAddr(linked)),
        }
    }

    fn uses(&self) -> &Uses {
        self.uses.get_or_init(|| Uses::read(self.kernel))
    }
}

/// What tells the first chunk of per-CPU memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstChunk {
    /// `__per_cpu_start`.
    pub(crate) start: VirtAddr,
    /// `pcpu_first_chunk`, the variable.
    pub(crate) chunk: VirtAddr,
}

impl FirstChunk {
    /// Finds these among what a function uses that must know both: `offsets` lead
    /// from the start to each CPU's unit, and the chunk's dynamic part is behind the
    /// static one of the first unit.
    pub(crate) fn find(kernel: &Kernel<'_>, offsets: &[u64]) -> Option<FirstChunk> {
        if kernel.memory.space.machine != Machine::Aarch64 {
            return None;
        }
        let symbols = kernel.symbols.as_ref()?;
        let function = symbols.address("per_cpu_ptr_to_phys")?;
        let end = symbols.next_after(function)?;
        // The function is some hundred instructions long.
        let used = Uses::of(kernel, function..end.min(function.add(LONGEST)));
        let least = *offsets.iter().min_by_key(|offset| **offset as i64)?;
        let mut units: Vec<u64> = offsets.to_vec();
        units.sort_unstable();
        let apart = units.iter().zip(units.iter().skip(1));
        let apart = apart.map(|(one, next)| next - one).min();
        let distance = apart.unwrap_or(LARGEST_UNIT).min(LARGEST_UNIT);
        let starts = used.iter();
        let starts = starts.filter(|start| start.0.is_multiple_of(kernel.page_size()));
        // Code may have the address of a variable before it.
        let places = used.iter();
        let places = places.flat_map(|at| (0..NEAR).map(move |near| at.add(near * 8)));
        let chunk = |at: VirtAddr| {
            let chunk = kernel.memory.ptr(at).ok()?;
            let dynamic = kernel.pointer(chunk, Field::ChunkBase).ok()?;
            let pages = kernel.field(chunk, Field::ChunkPages).ok()?;
            let list = kernel.member(chunk, Field::ChunkList).ok()?;
            let next = kernel.memory.ptr(list).ok()?;
            let is_one = dynamic.0.is_multiple_of(kernel.page_size())
                && kernel.memory.ptr(next.add(8)).ok()? == list;
            is_one.then_some((at, dynamic, pages))
        };
        let chunks: Vec<_> = places.filter_map(chunk).collect();
        let both = starts.flat_map(|&start| chunks.iter().map(move |chunk| (start, chunk)));
        // The chunk kept for modules comes first in a unit.
        let (_, found) = both
            .filter_map(|(start, &(chunk, dynamic, pages))| {
                let unit = start.0.wrapping_add(least);
                let place = dynamic.0.wrapping_sub(unit);
                let room = distance.checked_sub(place)? >> kernel.page_shift();
                let fits = (1..=room).contains(&pages);
                fits.then_some((place, FirstChunk { start, chunk }))
            })
            .max_by_key(|(place, _)| *place)?;
        Some(found)
    }
}

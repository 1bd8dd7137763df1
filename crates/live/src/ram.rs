//! Which bytes of kcore are which frames.
//!
//! Segments say where they lie in the kernel's address space. Physical addresses stand
//! beside that since 4.11 (464920104bf7); before that they are zero, in kcore's segments
//! of every kind, and which of them is RAM shows in `/proc/iomem`: the direct map shifts
//! all of it by one distance.

use std::collections::HashMap;
use std::ops::Range;

use pagehound_vmcore::{LoadSegment, Pfn, PfnRange, PhysAddr};

/// No address is above (52 bits on both architectures).
const PHYS_END: u64 = 1 << 52;
/// More memory than any machine has, by far: what is kept grows with it.
const MOST_RAM: u64 = 1 << 50;
/// Segments that are tried for one range of RAM, by their size.
const MOST_TRIES: usize = 1024;

/// Frames, and where in the file they lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ram {
    pub(crate) pfns: PfnRange,
    /// Offset of the first.
    pub(crate) at: u64,
}

/// What the segments show of memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    /// Ascending, disjoint, not empty.
    pub(crate) ram: Vec<Ram>,
    /// The segments of these, with their physical addresses.
    pub(crate) segments: Vec<LoadSegment>,
    /// Frames of System RAM that no segment has, and those of segments that say they are
    /// RAM which is not among the System RAM.
    pub(crate) not_shown: u64,
}

/// Puts the segments together with `system_ram`, the ranges of that name in
/// `/proc/iomem` if it tells any.
///
/// # Errors
/// What does not fit.
pub(crate) fn shown(
    segments: &[LoadSegment],
    system_ram: &[Range<u64>],
    shift: u32,
) -> Result<Shown, String> {
    let system_ram = whole_pages(system_ram, shift);
    let told = distance_told(segments);
    let distance = match (told, system_ram.is_empty()) {
        (Some(distance), _) => distance,
        (None, false) => distance_found(segments, &system_ram)?,
        (None, true) => {
            return Err(
                "its segments have no physical addresses, and /proc/iomem shows none".to_owned(),
            );
        }
    };
    let listed: HashMap<u64, u64> = system_ram
        .iter()
        .map(|range| (range.start, range.end - range.start))
        .collect();
    let mut memory = Shown {
        ram: Vec::new(),
        segments: Vec::new(),
        not_shown: 0,
    };
    let mut not_listed = 0u64;
    for segment in segments {
        let paddr = segment.vaddr.0.wrapping_sub(distance);
        let is_listed = || listed.get(&paddr) == Some(&len(segment));
        if told.is_some() && segment.paddr.0 != paddr {
            continue;
        }
        // What both tell of must be the same in both.
        if !system_ram.is_empty() && !is_listed() {
            if told.is_some() {
                not_listed = not_listed.saturating_add(len(segment) >> shift);
            }
        } else {
            memory.ram.push(ram(segment, paddr, shift)?);
            memory.segments.push(LoadSegment {
                paddr: PhysAddr(paddr),
                ..*segment
            });
        }
    }
    memory.ram.sort_by_key(|ram| ram.pfns.start);
    memory.ram.retain(|ram| ram.pfns.start < ram.pfns.end);
    let overlap = memory.ram.windows(2).any(|pair| match pair {
        [one, next] => one.pfns.end > next.pfns.start,
        _ => false,
    });
    if overlap {
        return Err("its segments overlap in physical memory".to_owned());
    }
    let frames: u64 = memory.ram.iter().map(|ram| ram.pfns.len()).sum();
    let all = system_ram
        .iter()
        .map(|range| (range.end - range.start) >> shift)
        .fold(0, u64::saturating_add);
    memory.not_shown = all.saturating_sub(frames).saturating_add(not_listed);
    if memory.not_shown > all / 2 {
        return Err(format!(
            "its segments and the System RAM of /proc/iomem differ: {} of {all} pages are in no segment",
            memory.not_shown
        ));
    }
    match frames {
        0 => Err("none of its segments is RAM".to_owned()),
        _ if frames > MOST_RAM >> shift => Err(format!("it claims {frames} pages of RAM")),
        _ => Ok(memory),
    }
}

/// Bytes of a segment that are in the file.
fn len(segment: &LoadSegment) -> u64 {
    segment.memsz.min(segment.filesz)
}

/// The frames of a segment that is RAM from `paddr` on.
fn ram(segment: &LoadSegment, paddr: u64, shift: u32) -> Result<Ram, String> {
    let strange = || {
        let LoadSegment { vaddr, offset, .. } = segment;
        format!(
            "the segment of {:#x} at offset {offset:#x} has no end",
            vaddr.0
        )
    };
    let end = paddr
        .checked_add(len(segment))
        .filter(|&end| end <= PHYS_END);
    let end = end.ok_or_else(strange)?;
    // Files are read at signed offsets.
    let stored = segment.offset.checked_add(len(segment));
    stored
        .filter(|&end| i64::try_from(end).is_ok())
        .ok_or_else(strange)?;
    let start = paddr.div_ceil(1 << shift);
    Ok(Ram {
        pfns: PfnRange {
            start: Pfn(start),
            end: Pfn((end >> shift).max(start)),
        },
        at: segment.offset + ((start << shift) - paddr),
    })
}

/// The ranges in whole pages, as `walk_system_ram_range` gives them to kcore.
fn whole_pages(ranges: &[Range<u64>], shift: u32) -> Vec<Range<u64>> {
    let inward = |range: &Range<u64>| {
        let start = range.start.div_ceil(1 << shift).checked_mul(1 << shift)?;
        let end = range.end >> shift << shift;
        (start < end && end <= PHYS_END).then_some(start..end)
    };
    ranges.iter().filter_map(inward).collect()
}

fn sizes(segments: &[LoadSegment]) -> HashMap<u64, u64> {
    let size = |segment: &LoadSegment| (segment.vaddr.0, len(segment));
    segments.iter().map(size).collect()
}

/// From physical to virtual addresses, as most of the memory that has both has it: the
/// kernel's image, whose addresses differ by another distance, lies in RAM and is less.
fn distance_told(segments: &[LoadSegment]) -> Option<u64> {
    let has_address = |segment: &&LoadSegment| segment.paddr.0 != u64::MAX;
    let with = segments.iter().filter(has_address);
    if with.clone().all(|segment| segment.paddr.0 == 0) {
        return None;
    }
    let mut bytes: HashMap<u64, u64> = HashMap::new();
    for segment in with {
        let distance = segment.vaddr.0.wrapping_sub(segment.paddr.0);
        let sum = bytes.entry(distance).or_default();
        *sum = sum.saturating_add(len(segment));
    }
    bytes
        .into_iter()
        .max_by_key(|&(distance, sum)| (sum, distance))
        .map(|(distance, _)| distance)
}

/// The one distance at which every range of RAM has a segment of its size.
fn distance_found(segments: &[LoadSegment], system_ram: &[Range<u64>]) -> Result<u64, String> {
    let sizes = sizes(segments);
    let size = |range: &Range<u64>| range.end - range.start;
    let largest = system_ram.iter().max_by_key(|range| size(range));
    let fits = |distance: &u64| {
        system_ram
            .iter()
            .all(|range| sizes.get(&range.start.wrapping_add(*distance)) == Some(&size(range)))
    };
    let mut found: Vec<u64> = largest
        .iter()
        .flat_map(|largest| {
            let alike = segments
                .iter()
                .filter(|segment| len(segment) == size(largest));
            alike.map(|segment| segment.vaddr.0.wrapping_sub(largest.start))
        })
        .take(MOST_TRIES)
        .filter(fits)
        .collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [distance] => Ok(*distance),
        [] => Err("its segments are not the System RAM of /proc/iomem".to_owned()),
        _ => Err("its segments fit the System RAM of /proc/iomem in more than one way".to_owned()),
    }
}

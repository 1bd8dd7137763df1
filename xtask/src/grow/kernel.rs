//! What the kernel knows of its memory, made to fit more of it.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use pagehound_kernel::layouts::{Field, Struct};
use pagehound_kernel::{Node, Pages, VirtualRead as _, Zone};
use pagehound_vmcore::Pfn;

use super::machine::Machine;
use super::memmap::StructPages;
use super::plan::Plan;
use super::{Layout, PAGE, SECTION};

/// The zone that ends last, which grows, and its node.
pub(super) fn last_zone(pages: &Pages) -> Result<(&Zone, &Node)> {
    let zones = pages.nodes.iter();
    let zones = zones.flat_map(|node| node.zones.iter().map(move |zone| (zone, node)));
    zones
        .max_by_key(|(zone, _)| zone.start.0 + zone.spanned)
        .context("the base has no zone")
}

/// Frames the machine has.
pub(super) fn present(pages: &Pages) -> u64 {
    let zones = pages.nodes.iter().flat_map(|node| &node.zones);
    zones.map(|zone| zone.present).sum()
}

/// Frames the allocator has of each zone, the new ones at the end.
pub(super) fn managed(pages: &Pages, layout: &Layout) -> Vec<u64> {
    let zones = pages.nodes.iter().flat_map(|node| &node.zones);
    let old = zones.map(|zone| zone.managed);
    old.chain([layout.managed.end - layout.managed.start])
        .collect()
}

/// Adds the new memory to all that describes memory.
pub(super) fn grow(
    machine: &mut Machine<'_>,
    pages: &Pages,
    layout: &Layout,
    plan: &Plan,
    structs: &StructPages,
) -> Result<()> {
    zone(machine, pages, layout)?;
    counters(machine, pages, plan)?;
    limits(machine, layout)?;
    fill_section(machine, pages, structs)?;
    sections(machine, layout)?;
    resource(machine, &layout.all)
}

/// Sizes of zone and node.
fn zone(machine: &mut Machine<'_>, pages: &Pages, layout: &Layout) -> Result<()> {
    let (zone, node) = last_zone(pages)?;
    let old_end = zone.start.0 + zone.spanned;
    let spanned = layout.all.end - old_end;
    let present = layout.all.end - layout.all.start;
    machine.add_field(zone.addr, Field::ZoneSpanned, spanned)?;
    machine.add_field(zone.addr, Field::ZonePresent, present)?;
    let managed = layout.managed.end - layout.managed.start;
    machine.add_field(zone.addr, Field::ZoneManaged, managed)?;
    for (member, more) in [
        ("pglist_data.node_spanned_pages", spanned),
        ("pglist_data.node_present_pages", present),
    ] {
        let offset = machine.member(member)?;
        machine.add(node.addr.add(offset), more)?;
    }
    if let Some(total) = machine.kernel.address("_totalram_pages") {
        machine.add(total, managed)?;
    }
    Ok(())
}

/// Counters of free and anonymous pages: of zone and node, and of all.
fn counters(machine: &mut Machine<'_>, pages: &Pages, plan: &Plan) -> Result<()> {
    let kernel = machine.kernel;
    let (zone, node) = last_zone(pages)?;
    let btf = kernel.types.as_ref().context("the base has no types")?;
    let item = |of: &str, name: &str| -> Result<u64> {
        let number = btf.enumerator(of, name);
        let number = number.with_context(|| format!("BTF has no {name}"))?;
        Ok(u64::try_from(number)? * 8)
    };
    let free = item("zone_stat_item", "NR_FREE_PAGES")?;
    let zone_stat = kernel.layouts.offset(Field::ZoneStat)?;
    machine.add(zone.addr.add(zone_stat + free), plan.free())?;
    if let Some(all) = kernel.address("vm_zone_stat") {
        machine.add(all.add(free), plan.free())?;
    }
    let node_stat = kernel.layouts.offset(Field::NodeStat)?;
    for name in ["NR_ANON_MAPPED", "NR_INACTIVE_ANON"] {
        let anon = item("node_stat_item", name)?;
        machine.add(node.addr.add(node_stat + anon), plan.anon)?;
        if let Some(all) = kernel.address("vm_node_stat") {
            machine.add(all.add(anon), plan.anon)?;
        }
    }
    let areas = machine.member("zone.free_area")?;
    let count = machine.member("free_area.nr_free")?;
    let size = btf.size_of("free_area").context("BTF has no free_area")?;
    for (order, &blocks) in (0..).zip(&plan.free_blocks) {
        machine.add(zone.addr.add(areas + order * size + count), blocks)?;
    }
    Ok(())
}

/// Where memory ends.
fn limits(machine: &mut Machine<'_>, layout: &Layout) -> Result<()> {
    let end = layout.all.end;
    let high = machine.direct(end * PAGE);
    for (name, value) in [
        ("max_pfn", end),
        ("max_possible_pfn", end),
        ("max_low_pfn", end),
        ("high_memory", high),
    ] {
        if let Some(at) = machine.kernel.address(name) {
            machine.set(at, value)?;
        }
    }
    Ok(())
}

/// Frames behind the old end, in its section: within the zone now, and without
/// memory, which the kernel marks as set aside (init_unavailable_range, 5.11;
/// zero_resv_unavail before).
fn fill_section(machine: &mut Machine<'_>, pages: &Pages, structs: &StructPages) -> Result<()> {
    let old_end = pages.map.end().0;
    for pfn in old_end..old_end.next_multiple_of(SECTION) {
        let phys = machine.phys(pages.memmap.page(Pfn(pfn)))?;
        machine.write(phys, structs.reserved())?;
    }
    Ok(())
}

/// Sections of the new memory, each like the first of all.
fn sections(machine: &mut Machine<'_>, layout: &Layout) -> Result<()> {
    let kernel = machine.kernel;
    let size = kernel.layouts.size(Struct::MemSection)?;
    let per_root = PAGE / size;
    let array = kernel.vmcoreinfo.symbol("mem_section");
    let array = array.context("VMCOREINFO has no mem_section")?;
    let mut first = vec![0; size as usize];
    let root = kernel.memory.ptr(array)?;
    kernel.memory.read(root, &mut first)?;
    let map = kernel.layouts.offset(Field::SectionMemMap)? as usize;
    let present = first.get(map).is_some_and(|flags| flags & 3 == 3);
    ensure!(present, "the base has no first section");
    // A page extension is found by frame number, so it is no other section's.
    if let Some(extension) = kernel.layouts.get(Field::SectionPageExt) {
        let at = extension.offset as usize;
        let place = first.get_mut(at..at + 8);
        place.context("page_ext")?.fill(0);
    }
    for number in layout.all.start / SECTION..layout.all.end / SECTION {
        let slot = machine.phys(array.add(number / per_root * 8))?;
        let root = match machine.word(slot)? {
            0 => {
                let root = machine.take()? * PAGE;
                let address = machine.direct(root);
                machine.write(slot, &address.to_le_bytes())?;
                root
            }
            address => address
                .checked_sub(machine.direct(0))
                .context("a root of sections outside the direct map")?,
        };
        machine.write(root + number % per_root * size, &first)?;
    }
    Ok(())
}

/// A resource "System RAM", as `/proc/iomem` shows it, after a copy of the last.
fn resource(machine: &mut Machine<'_>, new: &Range<u64>) -> Result<()> {
    let kernel = machine.kernel;
    let btf = kernel.types.as_ref().context("the base has no types")?;
    let size = btf.size_of("resource").context("BTF has no resource")?;
    let (mut like, mut before) = (None, None);
    let root = kernel.symbol("iomem_resource")?;
    let mut at = kernel.pointer(root, Field::ResourceChild)?;
    for _ in 0..100_000 {
        if at.0 == 0 {
            break;
        }
        let name = kernel.pointer(at, Field::ResourceName)?;
        if kernel.memory.cstr(name, 64)?.starts_with(b"System RAM") {
            like = Some(at);
        }
        if kernel.field(at, Field::ResourceStart)? < new.start * PAGE {
            before = Some(at);
        }
        at = kernel.pointer(at, Field::ResourceSibling)?;
    }
    let like = like.context("the base has no System RAM")?;
    let before = before.context("nothing lies below the new memory")?;
    let mut bytes = vec![0; size as usize];
    kernel.memory.read(like, &mut bytes)?;
    let next = kernel.pointer(before, Field::ResourceSibling)?;
    let own = machine.take()? * PAGE;
    machine.write(own, &bytes)?;
    for (field, value) in [
        (Field::ResourceStart, new.start * PAGE),
        (Field::ResourceEnd, new.end * PAGE - 1),
        (Field::ResourceSibling, next.0),
        (Field::ResourceChild, 0),
    ] {
        let offset = kernel.layouts.offset(field)?;
        machine.write(own + offset, &value.to_le_bytes())?;
    }
    let link = kernel.member(before, Field::ResourceSibling)?;
    let address = machine.direct(own);
    machine.set(link, address)
}

//! The structs of a kernel as C, for a compiler to write their debug information.

use std::fmt::Write;

use super::era::{Era, Tails};
use super::processes::{PGD, TASK, TASK_SIZE, THREAD_HEAD};

/// A member: how C declares it, and where it lies.
type Member = (&'static str, u64);

pub(super) fn source(era: &Era) -> String {
    let mut out = String::from("struct list_head { struct list_head *next, *prev; };\n");
    let mut add = |name: &str, size: u64, members: &[Member]| {
        let _ = writeln!(out, "struct {name} {{ union {{ char all_[{size}];");
        for (index, (declaration, at)) in members.iter().enumerate() {
            let _ = writeln!(
                out,
                "  struct {{ char before_{index}[{at}]; {declaration}; }} __attribute__((packed));"
            );
        }
        let _ = writeln!(out, "}}; }};\nstruct {name} a_{name};");
    };
    let page = &era.page;
    let at = |offset: usize| offset as u64;
    let mut members = vec![
        ("unsigned long flags", 0),
        ("void *mapping", at(page.mapping)),
        ("unsigned long index", at(page.index)),
        ("struct list_head lru", at(page.lru)),
        ("unsigned long private", at(page.private)),
        ("int _mapcount", at(page.mapcount)),
        ("void *slab_cache", at(page.slab_cache)),
        ("void *freelist", at(page.index)),
        (
            "unsigned inuse:16, objects:15, frozen:1",
            at(page.slab_counts),
        ),
    ];
    members.push(match page.tails {
        Tails::Flag => ("int _count", at(page.refcount)),
        Tails::Head | Tails::HeadInBytes => ("int _refcount", at(page.refcount)),
    });
    match page.tails {
        Tails::Flag => {}
        Tails::Head => members.extend([
            ("unsigned long compound_head", at(page.lru)),
            ("unsigned compound_dtor, compound_order", at(page.lru + 8)),
        ]),
        Tails::HeadInBytes => members.extend([
            ("unsigned long compound_head", at(page.lru)),
            (
                "unsigned char compound_dtor, compound_order; int compound_mapcount",
                at(page.lru + 8),
            ),
        ]),
    }
    add("page", 64, &members);
    add(
        "free_area",
        88,
        &[("struct list_head free_list[5]", 0), ("long nr_free", 80)],
    );
    let zone = &era.zone;
    add(
        "zone",
        zone.size,
        &[
            ("void *zone_pgdat", zone.pgdat),
            ("void *pageset", zone.pageset),
            ("unsigned long zone_start_pfn", zone.start),
            ("unsigned long managed_pages", zone.managed),
            ("unsigned long spanned_pages", zone.spanned),
            ("unsigned long present_pages", zone.present),
            ("const char *name", zone.name),
            ("struct free_area free_area[11]", zone.free_area),
            ("long vm_stat[16]", zone.vm_stat),
        ],
    );
    let node = &era.node;
    let mut members = vec![
        ("struct zone node_zones[1]", 0),
        ("int nr_zones", node.nr_zones),
        ("unsigned long node_start_pfn", node.start),
        ("unsigned long node_present_pages", node.present),
        ("unsigned long node_spanned_pages", node.spanned),
        ("int node_id", node.id),
    ];
    let counters = &era.counters;
    if counters.of_node {
        members.push(("void *per_cpu_nodestats", counters.differences));
        members.push(("long vm_stat[31]", counters.vm_stat));
    }
    add("pglist_data", node.size, &members);
    add(
        "per_cpu_nodestat",
        32,
        &[("signed char vm_node_stat_diff[31]", 1)],
    );
    add(
        "per_cpu_pages",
        64,
        &[("int count", 0), ("struct list_head lists[3]", 16)],
    );
    add(
        "per_cpu_pageset",
        128,
        &[
            ("struct per_cpu_pages pcp", 0),
            ("signed char vm_stat_diff[12]", 66),
        ],
    );
    add(
        "vmap_area",
        era.area_vm + 24,
        &[
            ("unsigned long va_start, va_end", 0),
            ("struct list_head list", era.area_list),
            ("struct vm_struct *vm", era.area_vm),
        ],
    );
    add(
        "vm_struct",
        64,
        &[
            (
                "void *addr; unsigned long size, flags; struct page **pages",
                8,
            ),
            ("unsigned nr_pages", 40),
            ("const void *caller", 56),
        ],
    );
    let declaration = |name| match name {
        "tasks" => "struct list_head tasks",
        "thread_node" => "struct list_head thread_node",
        "thread_group" => "struct list_head thread_group",
        "pid" => "int pid",
        "comm" => "char comm[16]",
        "mm" => "struct mm_struct *mm",
        "signal" => "struct signal_struct *signal",
        _ => "void *stack",
    };
    // One of two lists of the threads of a group, by what there was.
    let is_there = |&(name, _): &Member| match page.tails {
        Tails::Flag => name != "thread_node",
        _ => name != "thread_group",
    };
    let members = TASK.into_iter().filter(is_there);
    let members: Vec<Member> = members.map(|(name, at)| (declaration(name), at)).collect();
    add("task_struct", TASK_SIZE, &members);
    if page.tails != Tails::Flag {
        add(
            "signal_struct",
            1024,
            &[("struct list_head thread_head", THREAD_HEAD)],
        );
    }
    add("mm_struct", 2112, &[("void *pgd", PGD)]);
    add(
        "kmem_cache",
        512,
        &[
            ("int size", 24),
            ("int offset", 32),
            ("int refcount", 68),
            ("const char *name; struct list_head list", 96),
        ],
    );
    add(
        "module",
        512,
        &[("struct list_head list; char name[56]", 8)],
    );
    let bits = &era.flags;
    let _ = writeln!(
        out,
        "enum pageflags {{ PG_locked, PG_uptodate = {}, PG_lru = {}, PG_slab = {}, \
         PG_reserved = {}, PG_head = {}, PG_swapbacked = {} }} a_flag;",
        bits.uptodate, bits.lru, bits.slab, bits.reserved, bits.head, bits.swapbacked
    );
    let counted = format!(
        "NR_FILE_PAGES = {}, NR_SHMEM = {}",
        counters.file, counters.shmem
    );
    let (of_zone, of_node) = if counters.of_node {
        (String::new(), counted)
    } else {
        (counted + ", ", String::new())
    };
    let _ = writeln!(
        out,
        "enum zone_stat_item {{ NR_FREE_PAGES, {of_zone}NR_PAGETABLE = {} }} a_zone_item;",
        zone.tables
    );
    if counters.of_node {
        let _ = writeln!(out, "enum node_stat_item {{ {of_node} }} a_node_item;");
    }
    out
}

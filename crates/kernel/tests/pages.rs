//! The page map of the repository's own dump, held against what its guest
//! planted and against the `/proc` it printed just before.

#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, Kernel, Making, Options, Pages};
use pagehound_testdata::{Damage, Planted, Truth, demo, kind};
use pagehound_vmcore::{Dump, Pfn, VirtAddr, open};

struct Demo {
    kernel: Kernel<'static>,
    pages: Pages,
    truth: Truth,
}

static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let dump: &'static Dump = Box::leak(Box::new(open(&demo()).unwrap()));
    let kernel = Kernel::open(dump, Options::default()).unwrap();
    let pages = Pages::of(&kernel, Making::default()).unwrap();
    Demo {
        kernel,
        pages,
        truth: Truth::beside(&demo()),
    }
});

/// The words of a frame's `struct page`: reference count and compound word.
fn words(pfn: u64) -> (i32, u64) {
    let pages = &DEMO.pages;
    let bytes = pages.memmap.read_one(&DEMO.kernel, Pfn(pfn)).unwrap();
    let words = pages.decoder.words(&bytes);
    (words.refcount(), words.compound_word())
}

/// Whether a block was taken with `__GFP_COMP`, as those of two kinds are.
fn is_compound(block: &Planted) -> bool {
    [kind("lostcompound"), kind("compound")].contains(&block.kind)
}

#[test]
fn planted_blocks_are_units_of_their_order() {
    let map = &DEMO.pages.map;
    assert!(DEMO.truth.planted().any(|block| block.order > 0));
    for block in DEMO.truth.planted() {
        let is = |name| block.kind == kind(name);
        let class = if is("vmalloc") {
            Class::Vmalloc
        } else if is("slab") {
            Class::Slab
        } else {
            Class::Raw
        };
        let head = Pfn(block.pfn);
        for pfn in (block.pfn..block.pfn + (1 << block.order)).map(Pfn) {
            assert_eq!(map.class(pfn), class, "{block:?}");
            assert_eq!(map.head(pfn), head, "{block:?}");
        }
        assert_eq!(map.unit(head).len(), 1 << block.order, "{block:?}");
        assert_eq!(map.is_compound(head), is_compound(&block), "{block:?}");
        assert!(!map.is_in_transit(head), "{block:?}");
    }
}

#[test]
fn struct_pages_say_what_the_allocator_wrote() {
    for block in DEMO.truth.planted() {
        let (refcount, _) = words(block.pfn);
        assert!(refcount >= 1, "{block:?}");
        for tail in block.pfn + 1..block.pfn + (1 << block.order) {
            let (refcount, word) = words(tail);
            assert_eq!(refcount, 0, "{block:?}");
            let head = DEMO.pages.memmap.page(Pfn(block.pfn)).0 + 1;
            assert_eq!(word == head, is_compound(&block), "{block:?}");
        }
    }
}

#[test]
fn addresses_of_the_map_and_frames_go_both_ways() {
    let memmap = &DEMO.pages.memmap;
    for pfn in [Pfn(1), Pfn(4711), Pfn(memmap.end().0 - 1)] {
        let page = memmap.page(pfn);
        assert_eq!(memmap.pfn(page), Some(pfn));
        assert_eq!(memmap.pfn(page.add(memmap.page_size - 1)), Some(pfn));
    }
    assert_eq!(memmap.pfn(memmap.page(memmap.end())), None);
    assert_eq!(memmap.pfn(VirtAddr(memmap.base.0 - 1)), None);
    assert_eq!(memmap.pfn(VirtAddr(0)), None);
    assert!(!memmap.contains(memmap.end()));
    let frames: u64 = memmap.sections.iter().map(|range| range.len()).sum();
    let spanned = DEMO.truth.zoneinfo("spanned");
    // The first zone begins at frame 1.
    assert_eq!(frames, spanned + 1);
}

#[test]
fn every_process_of_ps_has_a_task() {
    let tasks: BTreeSet<u32> = DEMO.pages.tasks.iter().map(|task| task.pid).collect();
    let listed: BTreeSet<u32> = DEMO
        .truth
        .section("ps")
        .unwrap()
        .into_iter()
        .filter(|line| !line.contains("{ps}"))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert!(listed.len() > 40);
    let missing: Vec<&u32> = listed.difference(&tasks).collect();
    // A kernel worker may have ended meanwhile.
    assert!(missing.len() <= 1, "{missing:?}");
    let names: BTreeSet<&[u8]> = DEMO
        .pages
        .tasks
        .iter()
        .map(|task| task.comm.as_slice())
        .collect();
    // The idle thread of the one CPU is on no list.
    for name in ["swapper/0", "kthreadd", "pagelab", "sleep"] {
        assert!(names.contains(name.as_bytes()), "{name}");
    }
}

/// `/proc/slabinfo`: name, active objects, objects, size of an object.
fn slabinfo() -> BTreeMap<String, (u64, u64)> {
    DEMO.truth
        .section("slabinfo")
        .unwrap()
        .into_iter()
        .filter(|line| !line.starts_with('#') && !line.starts_with("slabinfo"))
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |index: usize| words.get(index)?.parse().ok();
            Some(((*words.first()?).to_owned(), (number(2)?, number(3)?)))
        })
        .collect()
}

#[test]
fn caches_have_the_objects_that_slabinfo_counted() {
    let slabs = &DEMO.pages.slabs;
    assert_eq!(slabs.broken, 0, "freelists that could not be followed");
    assert_eq!(slabs.astray, 0, "free objects outside of their caches");
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for (_, slab) in slabs.iter() {
        let cache = slabs.cache(slab).unwrap();
        let name = String::from_utf8_lossy(&cache.name).into_owned();
        *found.entry(name).or_default() += u64::from(slab.objects);
    }
    let told = slabinfo();
    assert!(told.len() > 80);
    let mut differ = 0;
    for (name, &(objects, size)) in &told {
        let cache = slabs
            .caches
            .iter()
            .find(|cache| cache.name == name.as_bytes());
        assert_eq!(u64::from(cache.unwrap().size), size, "{name}");
        let here = found.get(name).copied().unwrap_or(0);
        differ += u64::from(here.abs_diff(objects) * 20 > objects.max(200));
    }
    // A few caches were in use while slabinfo was printed.
    assert!(differ <= 5, "{differ} caches differ");
    let sum: u64 = told.values().map(|(objects, _)| objects).sum();
    let here: u64 = found.values().sum();
    assert!(here.abs_diff(sum) * 50 <= sum, "{here} objects, told {sum}");
}

/// The module took four objects of its own cache and freed two.
#[test]
fn freed_objects_are_told_from_live_ones() {
    let slabs = &DEMO.pages.slabs;
    let own: Vec<_> = slabs
        .iter()
        .filter(|(_, slab)| slabs.cache(*slab).unwrap().name == b"pagelab_stale")
        .collect();
    let objects: u32 = own.iter().map(|(_, slab)| slab.objects).sum();
    let free: u32 = own.iter().map(|(_, slab)| slab.free_count()).sum();
    assert_eq!(objects - free, 2);
    for (head, slab) in own {
        for index in 0..slab.objects {
            let size = u64::from(slabs.cache(slab).unwrap().size);
            let at = pagehound_vmcore::PhysAddr((head.0 << 12) + u64::from(index) * size + 8);
            assert_eq!(
                slabs.unused_at(&DEMO.pages.map, at, 12).is_some(),
                slab.is_free(index)
            );
        }
        assert!(!slab.is_free(slab.objects + 64));
    }
}

#[test]
fn areas_are_those_of_vmallocinfo() {
    let told: Vec<&str> = DEMO.truth.section("vmallocinfo").unwrap();
    let lines = told.iter().filter(|line| line.starts_with("0x")).count();
    let areas = &DEMO.pages.areas;
    assert!(
        areas.len().abs_diff(lines) <= 5,
        "{} of {lines}",
        areas.len()
    );
    let pages: u64 = told
        .iter()
        .flat_map(|line| line.split(' '))
        .filter_map(|word| word.strip_prefix("pages=")?.parse::<u64>().ok())
        .sum();
    let here: u64 = areas
        .iter()
        .filter_map(|area| Some(area.vm.as_ref()?.nr_pages))
        .sum();
    assert!(here.abs_diff(pages) <= 32, "{here} pages, told {pages}");
    assert!(areas.windows(2).all(|pair| pair[0].end <= pair[1].start));
    for area in areas {
        let inside = pagehound_kernel::area_at(areas, area.start).unwrap();
        assert_eq!(inside.start, area.start);
    }
    assert!(pagehound_kernel::area_at(areas, VirtAddr(0)).is_none());
}

/// Every frame of the map lies in the map, and every free block the buddy
/// allocator counts is free here.
#[test]
fn classes_are_where_they_must_be() {
    let pages = &DEMO.pages;
    for range in pages.memmap.frames(&DEMO.kernel.memory.space) {
        for pfn in (range.start.0..range.end.0).map(Pfn) {
            assert_eq!(pages.map.class(pfn), Class::MemMap);
        }
    }
    let free = DEMO
        .kernel
        .zone_stat(&pages.nodes, "NR_FREE_PAGES")
        .unwrap();
    assert_eq!(pages.map.count(Class::Free) as i64, free);
    for task in &pages.tasks {
        let stack = DEMO.kernel.phys(task.stack).unwrap().pfn(12);
        let class = pages.map.class(stack);
        // The first thread's stack is part of the image.
        assert!(
            class == Class::KernelStack || class == Class::KernelImage && task.pid == 0,
            "{task:?}: {class:?}"
        );
    }
}

/// The page map of the demo with one word of kernel memory changed.
fn changed(at: VirtAddr, word: u64) -> Pages {
    let phys = DEMO.kernel.phys(at).unwrap();
    let dump = Damage::words(&[(phys, word)]).open(&demo());
    Pages::of(
        &Kernel::open(&dump, Options::default()).unwrap(),
        Making::default(),
    )
    .unwrap()
}

/// Stacks and page tables of the tasks behind a break are missed, and with them
/// references: that must be told, and nothing be certain after it.
#[test]
fn a_break_in_the_lists_of_tasks_is_told() {
    let told = |pages: &Pages| {
        let about_tasks = |warning: &&String| warning.contains("lists of tasks");
        pages.warnings.iter().find(about_tasks).cloned()
    };
    let sound = &DEMO.pages;
    assert_eq!((told(sound), sound.damaged), (None, false));

    let kernel = &DEMO.kernel;
    let task = sound.tasks.iter().find(|task| task.pid == 5).unwrap();
    let next = kernel.member(task.addr, Field::TaskTasks).unwrap();
    let broken = changed(next, 0);
    let warning = told(&broken).unwrap();
    assert!(
        broken.damaged && warning.contains("task_struct.tasks"),
        "{warning}"
    );
    let has = |pid| broken.tasks.iter().any(|task| task.pid == pid);
    assert!(has(1) && has(5), "those before the break are known");
    assert!(broken.tasks.len() < sound.tasks.len());

    let signal = kernel.pointer(task.addr, Field::TaskSignal).unwrap();
    let threads = kernel.member(signal, Field::SignalThreadHead).unwrap();
    let broken = changed(threads, 0);
    let warning = told(&broken).unwrap();
    assert!(
        broken.damaged && warning.contains("thread_node"),
        "{warning}"
    );
    assert_eq!(broken.tasks.len(), sound.tasks.len(), "the leader is one");
}

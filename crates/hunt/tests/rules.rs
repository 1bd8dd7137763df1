//! The rules of the census on the dump that the repository carries, page by
//! page; and that each is needed: with one left out, the planted pages it is
//! for come out wrong.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use common::{Truth, count_lost, demo, diagnose, kernel, lost};
use pagehound_hunt::census::{Fate, Via, Without};
use pagehound_hunt::holders::Holders;
use pagehound_hunt::{Diagnosis, Standing};
use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, Kernel, Kind, VirtualRead, VmapArea};
use pagehound_model::{State, Verdict};
use pagehound_testdata::{Damage, KINDS, Score, kind};
use pagehound_vmcore::{Pfn, PhysAddr, VirtAddr};

struct Demo {
    truth: Truth,
    kernel: Kernel<'static>,
    /// With all rules.
    diagnosis: Diagnosis,
}

static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let (dump, truth) = demo();
    let kernel = kernel(Box::leak(Box::new(dump)));
    let diagnosis = diagnose(&kernel, Without::default());
    Demo {
        truth,
        kernel,
        diagnosis,
    }
});

fn with_all() -> &'static Diagnosis {
    &DEMO.diagnosis
}

fn without(without: Without) -> Diagnosis {
    diagnose(&DEMO.kernel, without)
}

/// Frames of a kind; the dump must have some.
fn planted(name: &str) -> BTreeSet<u64> {
    let pages = DEMO.truth.pages(kind(name));
    assert!(
        !pages.is_empty(),
        "the demo has no pages of kind {name}, see lab/README.md"
    );
    pages
}

/// Frames of unaccounted units to which no reference was found, whatever the
/// verdict makes of it.
fn orphans(diagnosis: &Diagnosis, pfns: &BTreeSet<u64>) -> usize {
    let map = &diagnosis.pages.map;
    pfns.iter()
        .map(|&pfn| Pfn(pfn))
        .filter(|&pfn| map.class(pfn).is_unaccounted())
        .filter(|&pfn| diagnosis.census.fate(&diagnosis.pages, map.head(pfn)) == Fate::Orphan)
        .count()
}

#[test]
fn all_rules_together_find_what_is_lost_and_no_more() {
    let score = Score::of(&DEMO.truth, &lost(with_all()));
    assert_eq!(score.missed(), Vec::<String>::new());
    assert_eq!(score.held_called_lost, 0, "{score:?}");
    let report = &with_all().report;
    assert_eq!(report.verdict, Verdict::Lost);
    assert!(report.control.checked > 1000, "{:?}", report.control);
    assert_eq!(report.control.missed, 0);
}

/// Every kind by itself: a small one must not hide behind a large one.
#[test]
fn every_kind_meets_its_fate() {
    let mut kinds = 0;
    for (number, name, fate) in KINDS {
        let pages = DEMO.truth.pages(number);
        kinds += usize::from(!pages.is_empty());
        let called = count_lost(with_all(), &pages);
        if name == "skb" {
            // NAPI's per-CPU cache keeps the addresses of the last sk_buffs it
            // gave out (napi_skb_cache_get, f450d539c05a, 5.13).
            assert!(called * 100 >= pages.len() * 95, "{called} sk_buff pages");
        } else if fate == pagehound_testdata::Fate::Lost {
            assert!(
                called * 1000 >= pages.len() * 995,
                "{name}: {called} of {}",
                pages.len()
            );
        } else if fate == pagehound_testdata::Fate::Held {
            assert_eq!(called, 0, "{name}");
        }
    }
    assert!(kinds >= 18, "{kinds} kinds are planted in the demo");
}

#[test]
fn planted_pages_are_in_findings_by_what_they_hold() {
    let report = &with_all().report;
    let frames = &report.findings[0];
    assert_eq!(frames.verdict, State::Lost);
    assert_eq!(frames.patterns[0].offset, 0);
    assert_eq!(frames.patterns[0].hex, "525400a15e01");
    let names: BTreeSet<_> = frames
        .owners
        .iter()
        .map(|owner| (owner.name.as_str(), owner.upper.as_deref()))
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([("em1", Some("bond0")), ("em2", Some("bond0"))])
    );
    let planted_frames = planted("frames");
    let told = planted_frames
        .iter()
        .filter(|&&pfn| with_all().finding(Pfn(pfn)) == Some(0))
        .count();
    assert!(told * 1000 >= planted_frames.len() * 995, "{told} frames");
    // LABRING2, in blocks of four pages.
    let block = *planted("order2").first().unwrap();
    let blocks = &report.findings[with_all().finding(Pfn(block)).unwrap()];
    assert_eq!(blocks.order, Some(2));
    assert!(blocks.patterns[0].hex.starts_with("4c414252494e4732"));
}

/// Rules 6 and 8 hold pages for what lies beside them and for what others
/// with the same text are in: a page that another rule failed may be held by
/// these by chance.
const NO_NEIGHBOURS: Without = Without {
    roots: false,
    bars: false,
    data: false,
    page_struct: false,
    content: false,
    leaves: false,
    hardware: true,
    units: false,
    split: true,
    objects: false,
};

/// Rule 1. Nothing is held any more; and the control group (rule 10) sees that
/// the search was blind: nothing is called lost on such evidence.
#[test]
fn without_roots_held_pages_look_orphaned_and_the_control_group_tells() {
    let held = &DEMO.truth.held();
    assert_eq!(orphans(with_all(), held), 0);
    let blind = without(Without {
        roots: true,
        ..Without::default()
    });
    assert!(orphans(&blind, &planted("array")) == planted("array").len());
    let control = blind.report.control;
    assert!(control.missed * 1000 > control.checked, "{control:?}");
    assert!(!blind.census.is_proof());
    assert!(lost(&blind).is_empty());
    assert_eq!(blind.report.verdict, Verdict::Incomplete);
}

/// Rule 2. A freed object keeps what it pointed to. Rule 12 would see through
/// it where objects are followed, which large heaps are not.
#[test]
fn without_bars_freed_objects_hold_what_they_named() {
    let stale = planted("stale");
    assert_eq!(count_lost(with_all(), &stale), stale.len());
    let barred = Without {
        objects: true,
        ..Without::default()
    };
    assert_eq!(count_lost(&without(barred), &stale), stale.len());
    let fooled = without(Without {
        bars: true,
        ..barred
    });
    assert_eq!(count_lost(&fooled, &stale), 0);
}

/// Rule 4. Lists through `page->lru` and chains through `page->private`.
#[test]
fn without_struct_pages_lists_through_them_are_lost() {
    let fooled = without(Without {
        page_struct: true,
        ..NO_NEIGHBOURS
    });
    let rest = without(NO_NEIGHBOURS);
    // The list's head names its first and last page, the chain's its first.
    for (name, named) in [("list", 2), ("private", 1)] {
        let pages = planted(name);
        assert_eq!(count_lost(with_all(), &pages), 0);
        assert_eq!(count_lost(&rest, &pages), 0);
        assert_eq!(count_lost(&fooled, &pages), pages.len() - named, "{name}");
    }
}

/// Rule 5. A held page's content holds others.
#[test]
fn without_content_chains_through_pages_are_lost() {
    let chain = planted("chain");
    let fooled = without(Without {
        content: true,
        ..Without::default()
    });
    assert_eq!(count_lost(with_all(), &chain), 0);
    assert_eq!(count_lost(&fooled, &chain), chain.len() - 1);
}

/// Rule 5 again: pages that only name each other stay lost.
#[test]
fn a_cycle_does_not_hold_itself() {
    let cycle = planted("cycle");
    assert_eq!(orphans(with_all(), &cycle), cycle.len());
}

/// Rule 6. Freed `__init` memory is still mapped as part of the kernel image,
/// and was given to the driver. Rule 12 knows no such leaves.
#[test]
fn with_leaves_of_the_image_lost_pages_seem_held() {
    let mapped: BTreeSet<u64> = with_all()
        .pages
        .mapped_by_image
        .iter()
        .map(|(pfn, _)| pfn.0)
        .collect();
    let there: BTreeSet<u64> = DEMO.truth.lost().intersection(&mapped).copied().collect();
    assert!(there.len() > 100, "{} lost pages were __init", there.len());
    let walked = Without {
        objects: true,
        ..Without::default()
    };
    let fooled = without(Without {
        leaves: true,
        ..walked
    });
    let right = count_lost(&without(walked), &there);
    assert!(right > 100, "{right}");
    assert_eq!(count_lost(&fooled, &there), 0);
}

/// Rule 6. A table of frame numbers holds what it names.
#[test]
fn without_hardware_tables_their_pages_are_lost() {
    let pages = planted("hwtable");
    let fooled = without(Without {
        hardware: true,
        ..Without::default()
    });
    assert_eq!(count_lost(with_all(), &pages), 0);
    assert_eq!(count_lost(&fooled, &pages), pages.len());
}

/// Rule 7. One pointer, into the third page of a compound block.
#[test]
fn without_units_a_pointer_into_a_tail_holds_nothing() {
    let pages = planted("compound");
    assert_eq!(count_lost(with_all(), &pages), 0);
    assert_eq!(count_lost(&without(NO_NEIGHBOURS), &pages), 0);
    let fooled = without(Without {
        units: true,
        ..NO_NEIGHBOURS
    });
    assert_eq!(count_lost(&fooled, &pages), pages.len());
}

/// Rule 8. `alloc_pages_exact()` of 13 pages: a pointer to the first.
#[test]
fn without_split_all_but_the_first_page_of_a_block_is_lost() {
    let pages = planted("split");
    let fooled = without(Without {
        split: true,
        ..Without::default()
    });
    assert_eq!(count_lost(with_all(), &pages), 0);
    assert_eq!(count_lost(&fooled, &pages), pages.len() / 13 * 12);
}

/// Rule 12. A lost sk_buff is a live object that nobody names.
#[test]
fn without_objects_lost_sk_buffs_hold_their_pages() {
    let pages = planted("skb");
    let fooled = without(Without {
        objects: true,
        ..Without::default()
    });
    assert!(count_lost(with_all(), &pages) * 100 >= pages.len() * 95);
    assert_eq!(count_lost(&fooled, &pages), 0);
    // They are told with the cache they were lost through.
    let through: u64 = with_all()
        .report
        .findings
        .iter()
        .filter(|finding| finding.verdict == State::Lost)
        .flat_map(|finding| &finding.holders)
        .filter(|holder| holder.kind == "slab" && holder.name == "skbuff_head_cache")
        .map(|holder| holder.pages)
        .sum();
    assert!(through * 100 >= pages.len() as u64 * 95, "{through}");
}

/// Rules 2 and 12: what receive rings and pipes hold is full of the same
/// frames, and not lost.
#[test]
fn content_convicts_nobody() {
    let listed = planted("list");
    assert_eq!(count_lost(with_all(), &listed), 0);
    let holders = &with_all().report.holders;
    let pages = |kind: &str| -> u64 {
        let of_kind = holders.iter().filter(|holder| holder.kind == kind);
        of_kind.map(|holder| holder.pages).sum()
    };
    // Two rings of 256 slots, most of which have received, and the pipes: what they
    // hold is the leak's content, and they are held by their owners all the same.
    let rings = pages("receive ring");
    assert!((512..=520).contains(&rings), "{rings}");
    // Four pipes, which `dd` fills with sixteen pages each.
    assert!(pages("pipe") >= 64, "{}", pages("pipe"));
    assert!(
        listed
            .iter()
            .all(|&pfn| with_all().standing(Pfn(pfn)) == Standing::Held)
    );
}

#[test]
fn the_answer_does_not_depend_on_the_threads() {
    let with = |threads: usize| {
        let cancel = std::sync::atomic::AtomicBool::new(false);
        let options = pagehound_hunt::Options {
            path: "test",
            progress: &pagehound_scan::NoProgress,
            cancel: &cancel,
            threads: std::num::NonZeroUsize::new(threads),
            memory: None,
            without: Without::default(),
        };
        let mut report = Diagnosis::of(&DEMO.kernel, &options).unwrap().report;
        report.timing.seconds = 0.0;
        serde_json::to_string_pretty(&report).unwrap()
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

/// Rule 9: what a section calls its page extensions is off by the section's own
/// place, so nothing names the pages they lie in.
#[test]
fn page_extensions_are_not_lost() {
    let kernel = &DEMO.kernel;
    let frames = planted("frames");
    // Frames one after the other, as an extension lies.
    let run = frames.iter().copied().find(|start| {
        let rest = (0..8).all(|n| frames.contains(&(start + n)));
        rest && with_all().pages.map.class(Pfn(*start)) == Class::Raw
    });
    let start = run.expect("eight planted frames in a row");
    let phys = |at| kernel.phys(at).unwrap();
    let sections = kernel
        .memory
        .ptr(kernel.symbol("mem_section").unwrap())
        .unwrap();
    let pointer = kernel.member(sections, Field::SectionPageExt).unwrap();
    let size = kernel.address("page_ext_size").unwrap();
    // 128 MiB of frames with a byte each lie in 8 pages.
    let base = kernel
        .memory
        .space
        .direct
        .virt(Pfn(start).addr(12))
        .unwrap();
    let damage = Damage::words(&[(phys(pointer), base.0), (phys(size), 1)]);
    let dump = damage.open(&pagehound_testdata::demo());
    let opened = common::kernel(&dump);
    let diagnosis = diagnose(&opened, Without::default());
    let extension: BTreeSet<u64> = (start..start + 7).collect();
    assert_eq!(count_lost(with_all(), &extension), 7);
    assert_eq!(count_lost(&diagnosis, &extension), 0);
    assert_eq!(diagnosis.report.verdict, Verdict::Lost);
}

/// A page in an object is named by that object, and the object by the array that the
/// module has of them.
#[test]
fn a_page_in_an_object_is_climbed_to_the_array_that_has_it() {
    let Diagnosis {
        pages,
        census,
        climb,
        ..
    } = with_all();
    let mut holders = Holders::new(&DEMO.kernel, pages, census, climb);
    for &pfn in &planted("objects") {
        let head = pages.map.head(Pfn(pfn));
        let Some(Via::Root(at)) = census.via(head) else {
            panic!("{pfn} is held by {:?}", census.via(head));
        };
        assert_eq!(holders.at(at).kind, "slab");
        let path = climb.path(pages, 12, at);
        assert_eq!(path.len(), 1);
        assert!(holders.at(path[0]).name.starts_with("hold_objects+"));
        let name = holders.of(head);
        assert_eq!(
            (name.kind, name.module.as_deref()),
            ("vmalloc", Some("pagelab"))
        );
        assert!(name.name.ends_with(" through slab kmalloc-256"), "{name}");
    }
    // What is on a stack is not climbed from, nor what has a name itself.
    let stack = *planted("stack").first().unwrap();
    let Some(Via::Root(at)) = census.via(Pfn(stack)) else {
        panic!("{stack} is held by {:?}", census.via(Pfn(stack)));
    };
    assert_eq!(climb.path(pages, 12, at), []);
    assert_eq!(holders.of(Pfn(stack)).kind, "stack");
}

/// The per-CPU variables of both sorts of names, and no name outside them.
#[test]
fn static_per_cpu_variables_have_names() {
    let kernel = &DEMO.kernel;
    let variables = kernel.variables();
    let linked = kernel.address("napi_alloc_cache").unwrap();
    let copy = kernel.percpu(linked, 0).unwrap();
    let name = |by: u64| variables.percpu(VirtAddr(copy.0 + by));
    assert_eq!(name(0).as_deref(), Some("napi_alloc_cache"));
    assert_eq!(name(8).as_deref(), Some("napi_alloc_cache"));
    assert_ne!(name(1 << 16).as_deref(), Some("napi_alloc_cache"));
    assert_eq!(variables.percpu(VirtAddr(0xffff_8000_0000_0000)), None);
}

/// An event in a trace buffer has the address of a page that is lost.
#[test]
fn without_data_what_was_traced_is_held() {
    let pages = &with_all().pages;
    let mut owned = pages.claims.units();
    let (traced, _) = owned
        .find(|&(_, number)| pages.claims.owners()[number].kind == Kind::TraceBuffer)
        .unwrap();
    let kernel = &DEMO.kernel;
    let lost = Pfn(*planted("frames").first().unwrap());
    let address = kernel.memory.space.direct.virt(lost.addr(12)).unwrap();
    let at = PhysAddr(traced.addr(12).0 + 0x800);
    let dump = Damage::words(&[(at, address.0)]).open(&pagehound_testdata::demo());
    let opened = common::kernel(&dump);
    let called = |without| diagnose(&opened, without).standing(lost);
    assert_eq!(called(Without::default()), Standing::Lost);
    let data = Without {
        data: true,
        ..Without::default()
    };
    assert_ne!(called(data), Standing::Lost);
}

/// The planted sk_buffs that nobody frees; each has pages, so the unaccounted ones tell
/// of them too.
#[test]
fn objects_that_nothing_reaches_are_named() {
    let heap = &with_all().report.heap;
    assert_eq!(heap.len(), 1, "{heap:?}");
    assert_eq!(heap[0].kind, "slab");
    assert_eq!(heap[0].name, "skbuff_head_cache");
    // A word left behind may still name one.
    assert!((297..=300).contains(&heap[0].count), "{heap:?}");
}

/// Pointers to the planted vmalloc areas are taken from the array that has them: then
/// these areas, and no others, are named as out of reach.
#[test]
fn areas_that_lose_their_pointers_are_out_of_reach() {
    let kernel = &DEMO.kernel;
    let symbols = kernel.symbolizer();
    // The array is an area of the same function, of a page.
    let areas = with_all().pages.areas.iter();
    let (array, planted): (Vec<&VmapArea>, Vec<&VmapArea>) = areas
        .filter(|area| {
            let vm = area.vm.as_ref();
            let asked = vm.and_then(|vm| symbols.symbolize(vm.caller));
            asked.is_some_and(|asked| asked.starts_with("hold_vmalloc+"))
        })
        .partition(|area| area.vm.as_ref().unwrap().nr_pages == 1);
    assert_eq!((array.len(), planted.len()), (1, 20));
    let array = array[0].start.0;
    let mut pointers = Vec::new();
    for at in (array..array + kernel.page_size()).step_by(8).map(VirtAddr) {
        let word = kernel.memory.ptr(at).unwrap();
        if planted.iter().any(|area| area.start == word) {
            pointers.push((kernel.phys(at).unwrap(), 0));
        }
    }
    assert_eq!(pointers.len(), 20);
    let dump = Damage::words(&pointers).open(&pagehound_testdata::demo());
    let opened = common::kernel(&dump);
    let heap = diagnose(&opened, Without::default()).report.heap;
    let areas: Vec<_> = heap.iter().filter(|loss| loss.kind == "vmalloc").collect();
    assert_eq!(areas.len(), 1, "{heap:?}");
    assert!(areas[0].name.starts_with("hold_vmalloc+"), "{heap:?}");
    // The array was asked for elsewhere in the function.
    assert_eq!(areas[0].of, 20);
    // A word left on a stack may still name one.
    assert!(areas[0].count >= 19, "{heap:?}");
}

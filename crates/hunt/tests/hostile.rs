//! A diagnosis of memory that lies: words of kernel data are overwritten, and
//! whatever comes of it, the diagnosis ends, soon, without a panic and without
//! memory out of proportion.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

mod common;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{demo, diagnose, kernel};
use pagehound_hunt::census::Without;
use pagehound_hunt::{Diagnosis, Options, Standing};
use pagehound_kernel::layouts::{Field, Struct};
use pagehound_kernel::{Class, Kernel, VirtualRead};
use pagehound_model::Verdict;
use pagehound_scan::NoProgress;
use pagehound_testdata::Damage;
use pagehound_vmcore::{Dump, PageState, Pfn, PhysAddr, VirtAddr};

/// Longest time and most address space that a broken dump of 112 MiB may take.
const TIME: Duration = Duration::from_secs(10);
const SPACE_KIB: u64 = 1 << 20;

fn patched(words: &[(PhysAddr, u64)]) -> Dump {
    Damage::words(words).open(&pagehound_testdata::demo())
}

/// Address space this process has had at most, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Opens and diagnoses; an error is as good as an answer. One at a time, so
/// that time and space are one's own.
fn survive(what: &str, dump: &Dump) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = peak();
    let begin = Instant::now();
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "hostile",
        progress: &NoProgress,
        cancel: &cancel,
        threads: NonZeroUsize::new(2),
        memory: None,
        without: Without::default(),
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let kernel = Kernel::open(dump, pagehound_kernel::Options::default()).ok()?;
        let diagnosis = Diagnosis::of(&kernel, &options).ok()?;
        let report = diagnosis.report;
        let sum: u64 = report.ledger.iter().map(|row| row.pages).sum();
        Some(sum == report.target.pages)
    }));
    let took = begin.elapsed();
    let grown = peak().saturating_sub(before);
    match outcome {
        Err(_) => panic!("{what}: panics"),
        Ok(adds_up) => assert_ne!(adds_up, Some(false), "{what}: the ledger does not add up"),
    }
    assert!(took < TIME, "{what}: takes {took:?}");
    assert!(grown < SPACE_KIB, "{what}: takes {grown} KiB more");
}

/// xorshift64*: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }
}

/// Addresses of what the directed cases break.
struct Places<'a> {
    kernel: &'a Kernel<'a>,
}

impl Places<'_> {
    fn symbol(&self, name: &'static str) -> VirtAddr {
        self.kernel.symbol(name).unwrap()
    }

    fn at(&self, base: VirtAddr, field: Field) -> VirtAddr {
        self.kernel.member(base, field).unwrap()
    }

    fn phys(&self, at: VirtAddr) -> PhysAddr {
        self.kernel.phys(at).unwrap()
    }

    fn first(&self, list: VirtAddr) -> VirtAddr {
        self.kernel.memory.ptr(list).unwrap()
    }
}

const NASTY: [u64; 6] = [
    0,
    u64::MAX,
    1 << 63,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_8000_0000,
    0x0101_0101_0101_0101,
];

#[test]
fn broken_nodes_and_zones() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let places = Places { kernel: &kernel };
    let nodes = kernel.nodes().unwrap();
    let zone = nodes[0].zones.last().unwrap().addr;
    for (field, value) in [
        (Field::ZoneSpanned, u64::MAX),
        (Field::ZoneStartPfn, 1 << 62),
        (Field::ZoneManaged, u64::MAX),
        (Field::ZonePageset, u64::MAX),
    ] {
        let at = places.phys(places.at(zone, field));
        survive(&format!("{field:?}"), &patched(&[(at, value)]));
    }
    let zones = places.phys(places.at(nodes[0].addr, Field::NodeNrZones));
    survive("nr_zones", &patched(&[(zones, u64::MAX)]));
    let cpus = places.phys(places.symbol("nr_cpu_ids"));
    survive("nr_cpu_ids", &patched(&[(cpus, u64::MAX)]));
}

/// The page with the sections' entries cannot be read: the mapping of the
/// memory map says which exist, and the answer stays what it was.
#[test]
fn unreadable_sections() {
    let (dump, truth) = demo();
    let kernel = kernel(&dump);
    let places = Places { kernel: &kernel };
    let root = places.first(places.symbol("mem_section"));
    let damage = Damage {
        unreadable: [places.phys(root).pfn(12)].into(),
        ..Damage::default()
    };
    let dump = damage.open(&pagehound_testdata::demo());
    let kernel = common::kernel(&dump);
    let diagnosis = diagnose(&kernel, Without::default());
    let warned = |warning: &String| warning.starts_with("mem_section: ");
    assert!(diagnosis.report.warnings.iter().any(warned));
    // The entries' own page might have held references: no proof without it.
    assert_ne!(diagnosis.report.verdict, Verdict::Lost);
    let suspect = |&&pfn: &&u64| diagnosis.standing(Pfn(pfn)) == Standing::Suspect;
    let lost = truth.lost();
    let found = lost.iter().filter(suspect).count();
    assert!(
        found * 1000 >= lost.len() * 995,
        "{found} of {}",
        lost.len()
    );
}

#[test]
fn broken_sections() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let places = Places { kernel: &kernel };
    let array = places.symbol("mem_section");
    let root = places.first(array);
    for value in NASTY {
        survive("section root", &patched(&[(places.phys(array), value)]));
        survive("section", &patched(&[(places.phys(root), value)]));
    }
    // Every section present, all with the same map: as many as the zone says.
    let word = kernel.memory.u64(root).unwrap();
    let size = kernel.layouts.size(Struct::MemSection).unwrap();
    let zone = kernel.nodes().unwrap()[0].zones.last().unwrap().addr;
    let mut patches: Vec<(PhysAddr, u64)> = (0..4096 / size)
        .map(|index| (places.phys(root.add(index * size)), word))
        .collect();
    patches.push((places.phys(places.at(zone, Field::ZoneSpanned)), u64::MAX));
    survive("all sections", &patched(&patches));
}

/// Lists whose first entry leads to itself, to a neighbour, or nowhere.
#[test]
fn lists_that_never_end() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let places = Places { kernel: &kernel };
    let mut lists = vec![
        ("slab_caches", places.symbol("slab_caches")),
        ("vmap_area_list", places.symbol("vmap_area_list")),
        ("pgd_list", places.symbol("pgd_list")),
        ("modules", places.symbol("modules")),
        (
            "tasks",
            places.at(places.symbol("init_task"), Field::TaskTasks),
        ),
        ("net_namespace_list", places.symbol("net_namespace_list")),
    ];
    let chunks = kernel.word("pcpu_chunk_lists").unwrap();
    let slots = u64::from(kernel.word32("pcpu_nr_slots").unwrap());
    lists.extend((0..slots).map(|slot| ("pcpu_chunk_lists", VirtAddr(chunks + slot * 16))));
    let signal = kernel
        .pointer(places.symbol("init_task"), Field::TaskSignal)
        .unwrap();
    lists.push(("threads", places.at(signal, Field::SignalThreadHead)));
    let mut ways = 0;
    for (name, head) in lists {
        let first = places.first(head);
        if first == head {
            continue;
        }
        let second = places.first(first);
        let way = [first.0, second.0.wrapping_add(64), u64::MAX, head.0 + 1][ways % 4];
        ways += 1;
        survive(
            &format!("{name}: the first entry leads to {way:#x}"),
            &patched(&[(places.phys(first), way)]),
        );
    }
    // The resource tree: a sibling of itself.
    let child = kernel
        .pointer(places.symbol("iomem_resource"), Field::ResourceChild)
        .unwrap();
    let sibling = places.phys(places.at(child, Field::ResourceSibling));
    survive("iomem_resource", &patched(&[(sibling, child.0)]));
}

/// A free list of the page allocator on a CPU, in a circle.
#[test]
fn a_free_list_of_a_cpu_that_never_ends() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let places = Places { kernel: &kernel };
    let diagnosis = diagnose(&kernel, Without::default());
    let pfn = diagnosis.pages.map.heads(Class::FreePcp).next().unwrap();
    let page = diagnosis.pages.memmap.page(pfn);
    let lru = places.at(page, Field::PageLru);
    survive("per-CPU list", &patched(&[(places.phys(lru), lru.0)]));
}

/// Tables that are entries of themselves, at every level, and huge leaves.
#[test]
fn broken_page_tables() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let root = kernel.memory.space.root;
    let entry = |table: PhysAddr, index: u64| {
        let at = PhysAddr(table.0 + index * 8);
        let mut word = [0; 8];
        kernel.memory.cache.read(at, &mut word).unwrap();
        (at, u64::from_le_bytes(word))
    };
    let next = |table: PhysAddr| {
        (0..512)
            .rev()
            .map(|index| entry(table, index))
            .find(|(_, word)| word & 0x81 == 1)
            .map(|(_, word)| PhysAddr(word & 0x000f_ffff_ffff_f000))
    };
    let mut table = root;
    for level in 0..4 {
        let empty = |value: u64| -> Vec<(PhysAddr, u64)> {
            (0..512)
                .map(|index| entry(table, index))
                .filter(|(_, word)| word & 1 == 0)
                .map(|(at, _)| (at, value))
                .collect()
        };
        let what = format!("level {level} under the root");
        survive(&what, &patched(&empty(table.0 | 0x63)));
        survive(&what, &patched(&empty(0xe3)));
        let Some(below) = next(table) else { break };
        table = below;
    }
    // The first process's table, and the one below it.
    let task = kernel
        .tasks()
        .unwrap()
        .0
        .into_iter()
        .find(|task| task.mm.0 != 0)
        .unwrap();
    let pgd = kernel
        .phys(kernel.pointer(task.mm, Field::MmPgd).unwrap())
        .unwrap();
    let full = |table: PhysAddr, value: u64| -> Vec<(PhysAddr, u64)> {
        (0..256)
            .map(|index| (PhysAddr(table.0 + index * 8), value))
            .collect()
    };
    survive("a process", &patched(&full(pgd, pgd.0 | 0x67)));
    survive("a process", &patched(&full(next(pgd).unwrap(), 0xe7)));
}

/// Hundreds of tables, all of whose entries are leaves of 1 GiB.
#[test]
fn more_mapped_than_there_is() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let diagnosis = diagnose(&kernel, Without::default());
    let root = kernel.memory.space.root;
    let map = &diagnosis.pages.map;
    let tables = map
        .heads(Class::Raw)
        .filter(|&pfn| dump.memory.state(pfn) == PageState::Present);
    // In vmalloc space, which lies above the direct map.
    let first = kernel.memory.space.direct.virt.end >> 39 & 511;
    let mut patches: Vec<(PhysAddr, u64)> = Vec::new();
    for (index, table) in (first + 1..508).zip(tables) {
        let table = table.addr(12).0;
        patches.push((PhysAddr(root.0 + index * 8), table | 0x63));
        patches.extend((0..512).map(|index| (PhysAddr(table + index * 8), 0xe3)));
    }
    survive("vmalloc space full of huge leaves", &patched(&patches));
}

/// Compound pages with impossible orders, free blocks that overlap all, tails
/// without heads.
#[test]
fn broken_struct_pages() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let diagnosis = diagnose(&kernel, Without::default());
    let memmap = &diagnosis.pages.memmap;
    let frames = diagnosis.pages.map.end().0;
    let words = memmap.page_size / 8;
    let every = |word: u64, value: u64, step: u64| -> Vec<(PhysAddr, u64)> {
        (0..frames)
            .step_by(step as usize)
            .filter(|&pfn| memmap.contains(Pfn(pfn)))
            .filter_map(|pfn| {
                let at = memmap.page(Pfn(pfn)).add(word * 8);
                Some((kernel.phys(at).ok()?, value))
            })
            .collect()
    };
    for word in 0..words {
        let value = [u64::MAX, 0xff00_0000_ff00_ff01, 0, 1][word as usize % 4];
        // An odd step, so that heads and tails are both hit.
        survive(
            &format!("word {word} of every 7th page is {value:#x}"),
            &patched(&every(word, value, 7)),
        );
    }
    // Every head of an order of 255; and one slab that is half the memory.
    let flags = kernel.layouts.flags;
    let order = kernel.layouts.offset(Field::PageCompoundOrder).unwrap() / 8;
    survive("order 255", &patched(&every(order, u64::MAX, 1)));
    let half = Pfn(1 << frames.ilog2());
    let head = memmap.page(half);
    let tail = memmap.page(Pfn(half.0 + 1)).add(order * 8);
    let order = u64::from(half.0.trailing_zeros()) * 0x0101_0101_0101_0101;
    survive(
        "a slab of half the memory",
        &patched(&[
            (kernel.phys(head).unwrap(), flags.head | flags.slab),
            (kernel.phys(tail).unwrap(), order),
        ]),
    );
}

/// VMCOREINFO whose numbers are extreme: all of a kind, then some at random.
#[test]
fn broken_vmcoreinfo() {
    let (dump, _) = demo();
    let note = String::from_utf8(dump.info.vmcoreinfo.unwrap()).unwrap();
    let mut dice = Dice(7);
    let mut with = |what: &str, broken: &mut dyn FnMut(&str) -> bool| {
        let mut lines: Vec<String> = Vec::new();
        for line in note.lines() {
            let (key, _) = line.split_once('=').unwrap_or((line, ""));
            let value = match (broken(key), key.starts_with("SYMBOL(")) {
                (false, _) => {
                    lines.push(line.into());
                    continue;
                }
                (true, true) => ["ffffffffffffffff", "fffffffffffffff8", "8"][dice.below(3)],
                (true, false) => {
                    ["0", "-1", "1099511627776", "18446744073709551615"][dice.below(4)]
                }
            };
            lines.push(format!("{key}={value}"));
        }
        let (mut dump, _) = demo();
        dump.info.vmcoreinfo = Some(lines.join("\n").into_bytes());
        survive(&format!("VMCOREINFO, {what}"), &dump);
    };
    for kind in ["SIZE(", "OFFSET(", "LENGTH(", "NUMBER(", "SYMBOL("] {
        with(kind, &mut |key| key.starts_with(kind));
    }
    for key in ["SIZE(mem_section)", "SIZE(page)", "SIZE(list_head)"] {
        with(key, &mut |other| other == key);
    }
    for seed in 1..4 {
        let mut dice = Dice(seed);
        with(&format!("seed {seed}"), &mut |key| {
            key.starts_with("OFFSET(") && dice.below(20) == 0
        });
    }
}

/// Words anywhere in kernel data: what no directed case has thought of.
#[test]
fn random_words() {
    let (dump, _) = demo();
    let kernel = kernel(&dump);
    let diagnosis = diagnose(&kernel, Without::default());
    let map = &diagnosis.pages.map;
    let classes = [
        Class::MemMap,
        Class::PageTable,
        Class::PerCpu,
        Class::Slab,
        Class::KernelImage,
        Class::Reserved,
        Class::Vmalloc,
    ];
    let frames: Vec<Vec<u64>> = classes
        .iter()
        .map(|&class| {
            (0..map.end().0)
                .filter(|&pfn| map.class(Pfn(pfn)) == class)
                .filter(|&pfn| dump.memory.state(Pfn(pfn)) == PageState::Present)
                .collect()
        })
        .collect();
    let direct = kernel.memory.space.direct.virt.start;
    for seed in 1..=8u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let frames = &frames[(seed as usize) % classes.len()];
        let count = 1 << dice.below(12);
        let patches: Vec<(PhysAddr, u64)> = (0..count)
            .map(|_| {
                let pfn = frames[dice.below(frames.len())];
                let at = PhysAddr((pfn << 12) + dice.below(512) as u64 * 8);
                let value = match dice.below(5) {
                    0 => NASTY[dice.below(NASTY.len())],
                    1 => direct + at.0,
                    2 => direct + dice.below(14 << 20) as u64 * 8,
                    3 => (dice.below(28 << 10) as u64) << 12 | 0x63,
                    _ => dice.roll(),
                };
                (at, value)
            })
            .collect();
        survive(&format!("seed {seed}"), &patched(&patches));
    }
}

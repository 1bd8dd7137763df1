//! What is stale and, right beside it, what is not.

use pagehound_vmcore::Pfn;

use super::*;
use crate::tasks::Task;
use crate::testing::{SLAB, World, direct, pages, slab_of};
use crate::vmalloc::VmapArea;

fn stale() -> Stale {
    Stale::of(vec![
        (0x3000..0x3010, "c"),
        (0x1000..0x1800, "a"),
        (0x1700..0x1900, "b"),
        (0x2000..0x2000, "nothing"),
    ])
}

#[test]
fn ranges_are_joined_and_found_by_page() {
    let stale = stale();
    assert_eq!(stale.within(&(0..0x1000)), []);
    assert_eq!(stale.within(&(0x1000..0x2000)), [(0x1000..0x1900, "a")]);
    assert_eq!(stale.within(&(0x18ff..0x3001)).len(), 2);
    assert_eq!(stale.within(&(0x3010..u64::MAX)), []);
}

#[test]
fn ends_are_exclusive() {
    let stale = stale();
    assert_eq!(stale.reason(PhysAddr(0xfff)), None);
    assert_eq!(stale.reason(PhysAddr(0x1000)), Some("a"));
    assert_eq!(stale.reason(PhysAddr(0x18ff)), Some("a"));
    assert_eq!(stale.reason(PhysAddr(0x1900)), None);
    assert_eq!(stale.reason(PhysAddr(u64::MAX)), None);
}

/// A stack of four pages and a guard page behind them, in vmalloc space.
const STACK: VirtAddr = VirtAddr(0xffff_c900_0001_0000);
/// Its frames, which do not lie in order.
const FRAMES: [Pfn; 4] = [Pfn(0x33), Pfn(0x31), Pfn(0x38), Pfn(0x30)];
/// `sizeof(struct pt_regs)` on x86_64.
const REGISTERS: u64 = 168;

const BELOW: Option<&str> = Some("below the top of a sleeping task's stack");
const USER: Option<&str> = Some("registers of user space");
const SPARE: Option<&str> = Some("on a stack that no task uses");

/// Page map of a kernel that has the stack, `Task`s on it or not.
fn with_stack(kernel: &Kernel<'_>, tasks: Vec<Task>) -> Pages {
    let mut pages = pages(kernel);
    pages.areas = vec![VmapArea {
        at: VirtAddr(0),
        start: STACK,
        end: STACK.add(5 * 4096),
        vm: None,
    }];
    for (index, &pfn) in (0u64..).zip(&FRAMES) {
        pages.map.set(pfn, Class::KernelStack);
        pages.vmalloc_frames.push((pfn, STACK.add(index * 4096)));
    }
    pages.tasks = tasks;
    pages
}

/// What is stale at each given offset into the stack.
fn on_stack<const N: usize>(stale: &Stale, offsets: [u64; N]) -> [Option<&'static str>; N] {
    offsets.map(|offset| {
        let frame = FRAMES[(offset / 4096) as usize];
        stale.reason(PhysAddr(frame.addr(12).0 + offset % 4096))
    })
}

/// Where the task of [`thread`] lies, and its on_cpu and thread.sp.
const TASK: u64 = 0x5000;
const ON_CPU: u64 = TASK;
const SP: u64 = TASK + 8;

fn thread(mm: u64) -> Vec<Task> {
    vec![Task {
        addr: direct(TASK),
        pid: 7,
        comm: b"test".to_vec(),
        stack: STACK,
        mm: VirtAddr(mm),
    }]
}

fn world() -> World {
    World::new()
        .size(Struct::PtRegs, REGISTERS)
        .member(Field::TaskOnCpu, 0, 4)
        .member(Field::TaskThreadSp, 8, 8)
}

/// Third page, middle.
const MIDDLE: u64 = 2 * 4096 + 0x800;
const TOP: u64 = 4 * 4096;

#[test]
fn below_the_stack_pointer_of_a_sleeping_task_is_stale_and_above_is_not() {
    let kernel = world().word(ON_CPU, 0).word(SP, STACK.0 + MIDDLE).kernel();
    let stale = kernel.stale(&with_stack(&kernel, thread(0)));
    let below = [0, 4095, 4096, 8191, 8192, MIDDLE - 8];
    assert_eq!(on_stack(&stale, below), [BELOW; 6]);
    // A thread of the kernel has no registers of user space.
    let above = [MIDDLE, MIDDLE + 8, TOP - 4096, TOP - 8];
    assert_eq!(on_stack(&stale, above), [None; 4]);
    // The frames beside those of the stack are none of it.
    for other in [0x2f, 0x32, 0x34, 0x37, 0x39].map(Pfn) {
        assert!(
            stale
                .within(&(other.addr(12).0..other.addr(12).0 + 4096))
                .is_empty()
        );
    }
}

#[test]
fn a_process_leaves_its_own_registers_on_top_of_the_stack() {
    let kernel = world().word(ON_CPU, 0).word(SP, STACK.0 + MIDDLE).kernel();
    let stale = kernel.stale(&with_stack(&kernel, thread(direct(0x8000).0)));
    let first = TOP - REGISTERS;
    let seen = on_stack(&stale, [MIDDLE - 8, MIDDLE, first - 8, first, TOP - 8]);
    assert_eq!(seen, [BELOW, None, None, USER, USER]);
}

#[test]
fn of_a_running_task_or_a_wrong_stack_pointer_nothing_is_stale() {
    let below = [0, 4096, MIDDLE - 8, TOP - 8];
    // The saved pointer of a running task is that of its last sleep.
    let running = world().word(ON_CPU, 1).word(SP, STACK.0 + MIDDLE);
    let strangers = [0, STACK.0 - 8, STACK.0 + TOP, u64::MAX].map(|sp| world().word(SP, sp));
    for world in strangers.into_iter().chain([running]) {
        let kernel = world.kernel();
        let stale = kernel.stale(&with_stack(&kernel, thread(0)));
        assert_eq!(on_stack(&stale, below), [None; 4]);
    }
}

/// `cached_stacks` of two CPUs, of which the second keeps `vm`.
fn keeping(vm: u64) -> Kernel<'static> {
    world()
        .member(Field::VmAddr, 8, 8)
        .variable("cached_stacks", direct(0x6000))
        .cpus(&[0, 0x100])
        .word(0x6108, vm)
        .word(0x7008, STACK.0)
        .kernel()
}

#[test]
fn a_stack_kept_for_the_next_task_is_stale_all_over() {
    let all = [0, 4096, MIDDLE, TOP - 8];
    let kernel = keeping(direct(0x7000).0);
    assert_eq!(
        on_stack(&kernel.stale(&with_stack(&kernel, Vec::new())), all),
        [SPARE; 4]
    );
    // One that is kept nowhere may be in use by whom the walk has missed.
    let kernel = keeping(0);
    assert_eq!(
        on_stack(&kernel.stale(&with_stack(&kernel, Vec::new())), all),
        [None; 4]
    );
    // A task has it although it is kept: then it is the task's.
    let kernel = keeping(direct(0x7000).0);
    assert_eq!(
        on_stack(&kernel.stale(&with_stack(&kernel, thread(0))), all),
        [None; 4]
    );
}

/// An object of [`SLAB`], which has four.
const OBJECT: u64 = 0x5_0400;
const SIZE: u64 = 0x400;

/// A world with a cache of such objects.
fn with_cache() -> World {
    World::new().cache(SIZE)
}

/// Page map with the slab, whose first free object is `free`.
fn with_slab(kernel: &Kernel<'_>, free: VirtAddr) -> Pages {
    let pages = slab_of(kernel, 4, free);
    assert_eq!(pages.slabs.broken, 0);
    pages
}

/// A page_pool at [`OBJECT`] with an array of 16 slots at 0x20, `count` of them
/// used, and a page of its own.
fn pool(count: u64, free: VirtAddr) -> Stale {
    const PAGE: Pfn = Pfn(0x60);
    let kernel = with_cache()
        .member(Field::PoolAllocCount, 0x10, 4)
        .member(Field::PoolAllocCache, 0x20, 16 * 8)
        .lru_prev(PAGE, direct(OBJECT).0)
        .word(OBJECT + 0x10, count)
        .kernel();
    let mut pages = with_slab(&kernel, free);
    pages.map.set(PAGE, Class::PagePool);
    kernel.stale(&pages)
}

/// Whether each slot of an array at `first` is stale, and the word before the
/// array and after it.
fn slots(stale: &Stale, first: u64, count: u64) -> Vec<bool> {
    let words = (0..count + 2).map(|index| first - 8 + index * 8);
    words
        .map(|at| stale.reason(PhysAddr(at)).is_some())
        .collect()
}

/// What [`slots`] must say where `used` of `count` are in use.
fn from(used: usize, count: usize) -> Vec<bool> {
    let mut slots = vec![false; used + 1];
    slots.resize(count + 1, true);
    slots.push(false);
    slots
}

#[test]
fn slots_beyond_the_count_of_a_page_pool_are_stale_and_below_it_are_not() {
    let none = VirtAddr(0);
    for used in [0, 3, 16] {
        let stale = pool(used, none);
        assert_eq!(
            slots(&stale, OBJECT + 0x20, 16),
            from(used as usize, 16),
            "{used}"
        );
    }
    // A count that cannot be, or a pool that has been freed, tells nothing.
    assert_eq!(slots(&pool(17, none), OBJECT + 0x20, 16), [false; 18]);
    assert_eq!(
        slots(&pool(3, direct(OBJECT)), OBJECT + 0x20, 16),
        [false; 18]
    );
}

#[test]
fn slots_beyond_the_count_of_a_napi_cache_are_stale_and_below_it_are_not() {
    let kernel = World::new()
        .member(Field::NapiSkbCount, 0x18, 4)
        .member(Field::NapiSkbCache, 0x20, 64 * 8)
        .variable("napi_alloc_cache", direct(0xb000))
        .cpus(&[0, 0x1000])
        .word(0xb018, 5)
        .word(0xc018, 64)
        .kernel();
    let stale = kernel.stale(&pages(&kernel));
    assert_eq!(slots(&stale, 0xb020, 64), from(5, 64));
    assert_eq!(slots(&stale, 0xc020, 64), from(64, 64));
}

#[test]
fn a_sheaf_is_stale_as_far_as_it_has_room() {
    // Per CPU two sheaves: one with two objects of eight, and none.
    let kernel = with_cache()
        .member(Field::CacheSheaves, 0x38, 8)
        .member(Field::CacheSheafCapacity, 0x40, 4)
        .member(Field::SheafMain, 0, 8)
        .member(Field::SheafSpare, 8, 8)
        .member(Field::SheafRcuFree, 16, 8)
        .member(Field::SheafCache, 0x10, 8)
        .member(Field::SheafSize, 0x18, 4)
        .member(Field::SheafObjects, 0x20, 0)
        .word(0x9038, direct(0xd000).0)
        .word(0x9040, 8)
        .word(0xd000, direct(OBJECT).0)
        .word(OBJECT + 0x10, direct(0x9000).0)
        .word(OBJECT + 0x18, 2)
        .word(OBJECT + 0x20, direct(SLAB.addr(12).0).0)
        .word(OBJECT + 0x28, direct(SLAB.addr(12).0 + 2 * SIZE).0)
        .kernel();
    let stale = kernel.stale(&with_slab(&kernel, VirtAddr(0)));
    // What lies in it is free, what was taken out belongs to others.
    assert_eq!(slots(&stale, OBJECT + 0x20, 8), from(0, 8));
}

#[test]
fn saved_vector_registers_reach_from_the_last_member_to_the_end_of_the_object() {
    let kernel = with_cache().member(Field::TaskFpu, 0x300, 0x80).kernel();
    let mut pages = with_slab(&kernel, VirtAddr(0));
    pages.tasks = thread(0);
    pages.tasks[0].addr = direct(OBJECT);
    let stale = kernel.stale(&pages);
    assert_eq!(slots(&stale, OBJECT + 0x300, 32), from(0, 32));
    // A task that lies in no object, such as the first one, has its neighbours
    // right behind it.
    pages.tasks[0].addr = direct(0x6_0000);
    assert_eq!(slots(&kernel.stale(&pages), 0x6_0300, 32), [false; 34]);
}

//! The page cache, over memory that counts its reads.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};

use pagehound_vmcore::{
    Coverage, Fault, FaultReason, PageCache, PageState, Pfn, PfnRange, PhysAddr, PhysicalMemory,
};

/// A thousand pages, each full of its own number.
#[derive(Default)]
struct Counting {
    reads: AtomicU64,
}

const END: u64 = 1000;

impl PhysicalMemory for Counting {
    fn page_shift(&self) -> u32 {
        12
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(END)
    }

    fn state(&self, pfn: Pfn) -> PageState {
        if pfn.0 < END {
            PageState::Present
        } else {
            PageState::Absent
        }
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if pfn.0 >= END {
            return Err(Fault {
                addr: pfn.addr(12),
                reason: FaultReason::Absent,
            });
        }
        for word in page.chunks_exact_mut(8) {
            word.copy_from_slice(&pfn.0.to_le_bytes());
        }
        Ok(())
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        vec![PfnRange {
            start: Pfn(0),
            end: Pfn(END),
        }]
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            present: END,
            ..Coverage::default()
        }
    }
}

fn word(cache: &PageCache<'_>, pfn: u64) -> u64 {
    let mut word = [0; 8];
    cache
        .read(PhysAddr(pfn * 4096 + 4088), &mut word)
        .expect("present");
    u64::from_le_bytes(word)
}

#[test]
fn a_page_is_read_once_while_there_is_room() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, END as usize + 400);
    for _ in 0..3 {
        for pfn in 0..END {
            assert_eq!(word(&cache, pfn), pfn);
        }
    }
    assert_eq!(memory.reads.load(Ordering::Relaxed), END);
}

#[test]
fn a_page_in_use_stays_while_others_pass_through() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, 64);
    for pfn in 0..END {
        assert_eq!(word(&cache, pfn), pfn);
        assert_eq!(word(&cache, 5), 5);
    }
    let reads = memory.reads.load(Ordering::Relaxed);
    assert!(reads <= END + 2, "{reads}");
    // All others went: the cache is bounded.
    for pfn in (0..END).rev() {
        assert_eq!(word(&cache, pfn), pfn);
    }
    assert!(memory.reads.load(Ordering::Relaxed) > 2 * END - 80);
}

#[test]
fn the_smallest_cache_works() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, 0);
    for pfn in [1, 17, 33, 1, 17, 999] {
        assert_eq!(word(&cache, pfn), pfn);
    }
}

#[test]
fn a_fault_is_not_remembered_and_names_the_first_bad_byte() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, 64);
    for _ in 0..2 {
        let mut buf = [0; 100];
        let fault = cache
            .read(PhysAddr(END * 4096 - 50), &mut buf)
            .expect_err("absent");
        assert_eq!(
            fault,
            Fault {
                addr: PhysAddr(END * 4096),
                reason: FaultReason::Absent
            }
        );
        let fault = cache
            .read(PhysAddr(END * 4096 + 7), &mut buf)
            .expect_err("absent");
        assert_eq!(fault.addr, PhysAddr(END * 4096 + 7));
    }
    assert_eq!(memory.reads.load(Ordering::Relaxed), 1 + 4);
}

#[test]
fn the_end_of_the_address_space_is_no_panic() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, 64);
    assert!(cache.read(PhysAddr(u64::MAX - 3), &mut [0; 8]).is_err());
    assert!(cache.read(PhysAddr(u64::MAX), &mut []).is_ok());
}

#[test]
fn threads_see_the_same_bytes() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, 100);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for step in 0..20_000u64 {
                    let pfn = (step * 7 + thread * 13) % END;
                    assert_eq!(word(cache, pfn), pfn);
                    let page = cache.page(Pfn(pfn)).expect("present");
                    assert_eq!(page[..8], pfn.to_le_bytes());
                }
            });
        }
    });
}

#[test]
fn what_is_forgotten_is_read_again() {
    let memory = Counting::default();
    let cache = PageCache::new(&memory, END as usize + 400);
    for passes in 1..=2 {
        for pfn in (0..END).chain(0..END) {
            assert_eq!(word(&cache, pfn), pfn);
        }
        assert_eq!(memory.reads.load(Ordering::Relaxed), passes * END);
        cache.forget();
    }
    // It holds no more than before.
    for pfn in (0..END).chain(0..END) {
        assert_eq!(word(&cache, pfn), pfn);
    }
    assert_eq!(memory.reads.load(Ordering::Relaxed), 3 * END);
}

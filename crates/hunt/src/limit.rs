//! Little memory to work in: what a diagnosis needs, and how it makes do.
//!
//! All that grows with the dump is a few bits or bytes for each frame, unit or slab
//! object; the rest can be made smaller. So a dump fits into a limit, or it does not,
//! and which it is shows before the work.

use std::num::NonZeroUsize;

use pagehound_kernel::Pages;
use pagehound_model::size;
use pagehound_vmcore::{Dump, Format};

use crate::units::Units;

/// The program itself, the kernel's symbols, types and tasks, and what findings are
/// made of: some 20 MiB with kernels of distributions.
const PROGRAM: u64 = 26 << 20;
/// What a thread reads into, its results that wait, and the allocator's share.
const THREAD: u64 = 2 << 20;
/// The least and the most that is kept for random access.
const CACHE: (u64, u64) = (2 << 20, 16 << 20);

/// Bytes of resident memory a diagnosis may take at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryLimit(pub u64);

/// More than the limit is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{} of memory{} need at least {} MiB: --mem-limit {}M",
    size(.frames.saturating_mul(*.page_size)),
    if *.units > 0 { format!(", {} blocks of it without an owner,", .units) } else { String::new() },
    .least.div_ceil(1 << 20),
    .least.div_ceil(1 << 20)
)]
pub struct TooLittleMemory {
    /// Frames of the machine.
    pub frames: u64,
    /// Bytes of each.
    pub page_size: u64,
    /// Units that have to be decided over; 0 where they are not known yet.
    pub units: u64,
    /// Bytes that would do.
    pub least: u64,
}

impl MemoryLimit {
    /// What a dump of no memory at all would need: below it, none can be diagnosed.
    pub const LEAST: MemoryLimit = MemoryLimit(PROGRAM + THREAD + CACHE.0);

    /// What the frames of a machine ask for; what lies in them comes on top.
    pub(crate) fn for_frames(frames: u64) -> MemoryLimit {
        let need = Need {
            frames,
            ..Need::default()
        };
        MemoryLimit(need.bytes())
    }

    /// Bytes of pages to keep for random access.
    pub fn cache(self) -> usize {
        (self.0 / 32).clamp(CACHE.0, CACHE.1) as usize
    }

    /// Threads to use of so many.
    pub fn threads(self, all: NonZeroUsize) -> NonZeroUsize {
        // Below an eighth of it for what all threads need.
        let most = usize::try_from(self.0 / 8 / THREAD).unwrap_or(usize::MAX);
        NonZeroUsize::new(most.min(all.get())).unwrap_or(NonZeroUsize::MIN)
    }

    /// The threads, of so many, with which a dump of so much memory can be diagnosed.
    pub(crate) fn check_frames(
        self,
        dump: &Dump,
        threads: NonZeroUsize,
    ) -> Result<NonZeroUsize, TooLittleMemory> {
        let page_size = dump.memory.page_size() as u64;
        self.check(&Need::of_frames(dump), page_size, threads)
    }

    /// The same for a sample of it.
    pub(crate) fn check_sample(
        self,
        dump: &Dump,
        threads: NonZeroUsize,
    ) -> Result<NonZeroUsize, TooLittleMemory> {
        let need = Need {
            sampled: true,
            ..Need::of_frames(dump)
        };
        self.check(&need, dump.memory.page_size() as u64, threads)
    }

    /// The same for what the page map shows.
    pub(crate) fn check_units(
        self,
        pages: &Pages,
        dump: &Dump,
        threads: NonZeroUsize,
    ) -> Result<NonZeroUsize, TooLittleMemory> {
        let need = Need {
            frames: pages.map.end().0,
            index: dump.memory.index_bytes(),
            units: Units::of(&pages.map).len() as u64,
            slabs: pages.slabs.len() as u64,
            objects: pages.slabs.objects(),
            claimed: pages.claims.len() as u64,
            moving: pages.moving,
            sampled: false,
        };
        self.check(&need, dump.memory.page_size() as u64, threads)
    }

    /// One thread must fit; of the others those that do.
    fn check(
        self,
        need: &Need,
        page_size: u64,
        threads: NonZeroUsize,
    ) -> Result<NonZeroUsize, TooLittleMemory> {
        let least = need.bytes();
        let Some(left) = self.0.checked_sub(least) else {
            return Err(TooLittleMemory {
                frames: need.frames,
                page_size,
                units: need.units,
                least,
            });
        };
        let others = usize::try_from(left / THREAD).unwrap_or(usize::MAX);
        let fit = NonZeroUsize::MIN.saturating_add(others);
        Ok(threads.min(fit))
    }
}

/// What memory goes for.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    frames: u64,
    /// Bytes that say where the container has what.
    index: u64,
    units: u64,
    slabs: u64,
    objects: u64,
    /// Units with an owner by the kernel's own structures.
    claimed: u64,
    /// A host that runs is looked at more than once.
    moving: bool,
    /// Only a sample is looked at: all frames have their place in the map, and no bits.
    sampled: bool,
}

impl Need {
    /// What the size of the machine alone asks for.
    fn of_frames(dump: &Dump) -> Need {
        Need {
            frames: dump.memory.end_pfn().0,
            index: dump.memory.index_bytes(),
            moving: dump.info.format == Format::Live,
            ..Need::default()
        }
    }

    /// Bytes resident at most, with one thread.
    fn bytes(&self) -> u64 {
        // The page map's byte, and bits of which as many as nine are set in all of
        // memory: units, slabs, what is named, held and reached, what is to be read.
        // From look to look go what seemed lost, what the control group missed in all of
        // them, and in the last.
        let bits = match (self.sampled, self.moving) {
            (true, _) => 1,
            (false, false) => 9,
            (false, true) => 12,
        };
        let frames = self.frames + self.frames / 8 * bits;
        // Numbers of traits and group, a place for the way to it, and the ways of half
        // of them: where there are many units, most were lost and have none.
        // On a host that runs also what its bytes make, and what all of it made before.
        let units = self.units * if self.moving { 17 } else { 9 };
        // A row a slab; of an object whether it is free, reached, and to be read.
        let slabs = self.slabs * 24 + self.objects / 8 * 3;
        // A table of them that is half full.
        let claims = self.claimed * 32;
        MemoryLimit::LEAST.0 + self.index + frames + units + slabs + claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DEMO;

    const ALL: NonZeroUsize = NonZeroUsize::new(64).unwrap();

    #[test]
    fn what_is_needed_is_told_before_the_work() {
        let huge = Need {
            frames: 1 << 28,
            ..Need::default()
        };
        let error = MemoryLimit(96 << 20).check(&huge, 4096, ALL).unwrap_err();
        let text = error.to_string();
        let least = error.least.div_ceil(1 << 20);
        assert!(text.starts_with("1.0 TiB of memory need"), "{text}");
        assert!(text.contains(&format!("--mem-limit {least}M")), "{text}");
        // A byte a frame at least.
        assert!(error.least > 1 << 28);
        // That much does, whatever the threads; a megabyte less does not.
        let check = |mib: u64| MemoryLimit(mib << 20).check(&huge, 4096, ALL);
        assert_eq!(check(least), Ok(NonZeroUsize::MIN));
        assert!(check(least - 1).is_err());
        assert_eq!(check(least + 8).unwrap().get(), 5);
        assert_eq!(check(least + 1024), Ok(ALL));
    }

    #[test]
    fn hosts_of_64_gib_fit_into_96_mib() {
        let host = Need {
            frames: 1 << 24,
            ..Need::default()
        };
        let check = |need| MemoryLimit(96 << 20).check(need, 4096, NonZeroUsize::MIN);
        assert_eq!(check(&host), Ok(NonZeroUsize::MIN));
        let leak = Need {
            units: 1 << 23,
            ..host
        };
        let error = check(&leak).unwrap_err();
        assert!(error.to_string().contains("8388608 blocks"), "{error}");
    }

    #[test]
    fn what_is_compared_between_looks_takes_room() {
        let dump = Need {
            frames: 1 << 24,
            units: 1 << 20,
            ..Need::default()
        };
        let live = Need {
            moving: true,
            ..dump
        };
        // 32 bits for the content and as many for the whole of a unit; three a frame.
        let more = (8 << 20) + 3 * (1 << 24) / 8;
        assert_eq!(live.bytes(), dump.bytes() + more);
    }

    #[test]
    fn no_dump_needs_less_than_the_least() {
        let (dump, least) = (DEMO.kernel.dump, MemoryLimit::LEAST);
        let error = least.check_frames(dump, ALL).unwrap_err();
        assert!(error.least > least.0);
        let sample = least.check_sample(dump, ALL).unwrap_err();
        assert!(sample.least < error.least && sample.least > least.0);
        let limit = MemoryLimit(error.least);
        assert_eq!(limit.check_frames(dump, ALL), Ok(NonZeroUsize::MIN));
        let units = limit.check_units(&DEMO.pages, dump, ALL).unwrap_err();
        assert!(units.least > error.least && units.units > 0);
    }

    #[test]
    fn threads_and_caches_follow_the_limit() {
        let threads = |limit: u64| {
            let all = NonZeroUsize::new(64).unwrap();
            MemoryLimit(limit << 20).threads(all).get()
        };
        assert_eq!((threads(96), threads(256), threads(4096)), (6, 16, 64));
        assert_eq!(MemoryLimit(96 << 20).cache(), 3 << 20);
        assert_eq!(MemoryLimit(8 << 30).cache(), 16 << 20);
    }
}

//! What no search can beat: reading the memory, and decompressing it.
//!
//! Both run as processes of their own, so that they are measured as the others
//! are; they print what they did as a line of JSON.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pagehound_vmcore::{Codec, Pfn, PfnRange, decompress};
use serde::{Deserialize, Serialize};

use crate::bytes::slice;
use crate::lab::kdump::{DESCRIPTOR, Descriptor, Layout, flags, frames};

const PAGE: usize = 4096;
/// Pages that a thread takes at a time: 256 KiB.
const CHUNK: usize = 64;
/// Compressed bytes that are read before they are decompressed: where threads
/// have to wait for each other often, they are no limit.
const BATCH: usize = 1 << 29;
/// Page descriptors read at a time.
const DESCRIPTORS: usize = 1 << 14;
/// Memory that is summed again from a copy.
const COPY: usize = 1 << 30;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    what: Limit,
    dump: PathBuf,
    /// Threads to work with
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Limit {
    /// Sum all words of an ELF core's memory where it is mapped
    Read,
    /// The same over a plain copy of its first GiB
    Copy,
    /// Decompress all pages of a kdump
    Unpack,
}

/// What was done.
#[derive(Serialize, Deserialize, Clone, Copy, Debug)]
pub(super) struct Done {
    /// Seconds of the work itself.
    pub(super) seconds: f64,
    /// Seconds of processor time that all threads had for it.
    pub(super) cpu: f64,
    /// Bytes of memory read or made.
    pub(super) bytes: u64,
    /// Something that depends on all of it, so that none is left out.
    pub(super) sum: u64,
}

/// Does it and prints [`Done`].
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let threads = arguments.threads;
    let done = match arguments.what {
        Limit::Read => read(&arguments.dump, threads)?,
        Limit::Copy => copy(&arguments.dump, threads)?,
        Limit::Unpack => unpack(&arguments.dump, threads)?,
    };
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks().0.iter().fold(0, |sum: u64, word| {
        sum.wrapping_add(u64::from_le_bytes(*word))
    })
}

/// Gives the numbers below `count` to `work` on `threads` threads, each with a
/// state from `init`.
fn share<S>(
    count: usize,
    threads: usize,
    init: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> Result<u64> + Sync,
) -> Result<Shared> {
    let next = AtomicUsize::new(0);
    let total = AtomicU64::new(0);
    let cpu = AtomicU64::new(0);
    let run = || -> Result<()> {
        let before = on_processor()?;
        let mut state = init()?;
        let mut sum = 0_u64;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            sum = sum.wrapping_add(work(&mut state, index)?);
        }
        total.fetch_add(sum, Ordering::Relaxed);
        cpu.fetch_add(on_processor()? - before, Ordering::Relaxed);
        Ok(())
    };
    let start = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        run()?;
        for other in others {
            other.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(())
    })?;
    Ok(Shared {
        sum: total.into_inner(),
        wall: start.elapsed().as_secs_f64(),
        cpu: cpu.into_inner() as f64 / 1e9,
    })
}

/// What [`share`] did and took, in seconds.
struct Shared {
    /// Sum of what `work` returned.
    sum: u64,
    wall: f64,
    /// Of all threads.
    cpu: f64,
}

/// Nanoseconds that this thread has run so far.
fn on_processor() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("/proc/thread-self/schedstat: a kernel without CONFIG_SCHED_INFO?")?;
    let first = text.split(' ').next().unwrap_or_default();
    Ok(first.parse()?)
}

fn read(path: &Path, threads: usize) -> Result<Done> {
    let dump = pagehound_vmcore::open(path)?;
    let memory = dump.memory.as_ref();
    let page_size = memory.page_size();
    let runs = memory.present_runs();
    let chunks: Vec<PfnRange> = runs.iter().flat_map(|run| chunks_of(*run)).collect();
    let shared = share(
        chunks.len(),
        threads,
        || Ok(vec![0; page_size]),
        |buffer, index| {
            let Some(chunk) = chunks.get(index) else {
                return Ok(0);
            };
            let mut total = 0_u64;
            for pfn in (chunk.start.0..chunk.end.0).map(Pfn) {
                total = total.wrapping_add(match memory.page_slice(pfn) {
                    Some(page) => sum(page),
                    // At the edges of an unaligned segment.
                    None => {
                        memory.read_page(pfn, buffer)?;
                        sum(buffer)
                    }
                });
            }
            Ok(total)
        },
    )?;
    let pages: u64 = runs.iter().map(|run| run.len()).sum();
    Ok(Done {
        seconds: shared.wall,
        cpu: shared.cpu,
        bytes: pages * page_size as u64,
        sum: shared.sum,
    })
}

fn chunks_of(run: PfnRange) -> impl Iterator<Item = PfnRange> {
    (run.start.0..run.end.0)
        .step_by(CHUNK)
        .map(move |start| PfnRange {
            start: Pfn(start),
            end: Pfn(run.end.0.min(start + CHUNK as u64)),
        })
}

fn copy(path: &Path, threads: usize) -> Result<Done> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let size = usize::try_from(file.metadata()?.len())?.min(COPY);
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    let chunks: Vec<&[u8]> = bytes.chunks(CHUNK * PAGE).collect();
    let shared = share(
        chunks.len(),
        threads,
        || Ok(()),
        |(), index| Ok(chunks.get(index).map_or(0, |chunk| sum(chunk))),
    )?;
    Ok(Done {
        seconds: shared.wall,
        cpu: shared.cpu,
        bytes: size as u64,
        sum: shared.sum,
    })
}

fn unpack(path: &Path, threads: usize) -> Result<Done> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let read = |at: usize, size: usize| -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, at as u64)?;
        Ok(bytes)
    };
    let layout = Layout::of(&read(0, PAGE)?)?;
    let pages = frames(&read(layout.stored(), layout.bitmap_size)?).count();
    let mut done = Done {
        seconds: 0.0,
        cpu: 0.0,
        bytes: (pages * PAGE) as u64,
        sum: 0,
    };
    let mut batch = Batch::default();
    for first in (0..pages).step_by(DESCRIPTORS) {
        let count = DESCRIPTORS.min(pages - first);
        let descriptors = read(
            layout.descriptors() + first * DESCRIPTOR,
            count * DESCRIPTOR,
        )?;
        for bytes in descriptors.chunks_exact(DESCRIPTOR) {
            batch.add(&file, Descriptor::of(bytes)?)?;
        }
        if batch.stored.len() >= BATCH || first + count == pages {
            let shared = batch.unpack(threads)?;
            done.sum = done.sum.wrapping_add(shared.sum);
            done.seconds += shared.wall;
            done.cpu += shared.cpu;
            batch.stored.clear();
            batch.pages.clear();
        }
    }
    Ok(done)
}

/// Compressed pages in memory.
#[derive(Default)]
struct Batch {
    stored: Vec<u8>,
    /// Start and size in `stored`, flags.
    pages: Vec<(usize, usize, u32)>,
}

impl Batch {
    fn add(&mut self, file: &File, descriptor: Descriptor) -> Result<()> {
        let size = descriptor.size as usize;
        ensure!(size <= PAGE, "{size} bytes for a page");
        let at = self.stored.len();
        self.stored.resize(at + size, 0);
        let room = self.stored.get_mut(at..).unwrap_or_default();
        file.read_exact_at(room, descriptor.offset as u64)?;
        self.pages.push((at, size, descriptor.flags));
        Ok(())
    }

    fn unpack(&self, threads: usize) -> Result<Shared> {
        let chunks: Vec<&[(usize, usize, u32)]> = self.pages.chunks(CHUNK).collect();
        share(
            chunks.len(),
            threads,
            || Ok(Unpacker::new()),
            |unpacker, index| {
                let mut sum = 0_u64;
                for &(at, size, flags) in chunks.get(index).copied().unwrap_or_default() {
                    unpacker.unpack(slice(&self.stored, at, size)?, flags)?;
                    sum = sum.wrapping_add(unpacker.first());
                }
                Ok(sum)
            },
        )
    }
}

/// pagehound's decompressors, with a page.
struct Unpacker {
    page: [u8; PAGE],
}

impl Unpacker {
    fn new() -> Self {
        Self { page: [0; PAGE] }
    }

    fn unpack(&mut self, stored: &[u8], flags: u32) -> Result<()> {
        let codec = match flags {
            0 => Codec::Plain,
            flags::ZLIB => Codec::Zlib,
            flags::LZO => Codec::Lzo,
            flags::SNAPPY => Codec::Snappy,
            flags::ZSTD => Codec::Zstd,
            other => bail!("page flags {other:#x} name no compression"),
        };
        decompress(codec, stored, &mut self.page).map_err(|error| anyhow!(error))
    }

    /// The first word of the page.
    fn first(&self) -> u64 {
        self.page
            .first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word))
    }
}

//! An ELF core as a kdump, page by page, in compressions that Debian's
//! makedumpfile lacks. Pages are compressed as its writers do it: zlib and
//! Zstandard at their fastest, one block for all pages of zeroes, as it is
//! where compression does not shrink a page.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use libdeflater::CompressionLvl;
use pagehound_synth::{Compression, KdumpStream};
use pagehound_vmcore::{Pfn, PhysicalMemory};

use crate::bytes::slice;
use crate::image::image_of;
use crate::lab::kdump::flags;

const PAGE: usize = 4096;
/// Pages compressed at a time, shared among threads.
const BATCH: usize = 8192;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    from: PathBuf,
    to: PathBuf,
    with: With,
    /// As many GiB of memory: the pages again and again, or one of so many
    #[arg(long)]
    gib: Option<u64>,
    /// A frame that exists and is left out
    #[arg(long)]
    without: Option<u64>,
    /// Threads to work with
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Compressions there are crates for.
#[derive(Clone, Copy, clap::ValueEnum)]
enum With {
    Zlib,
    Snappy,
    Zstd,
}

/// Packs as the command line asks.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let compression = match arguments.with {
        With::Zlib => Compression::Zlib,
        With::Snappy => Compression::Snappy,
        With::Zstd => Compression::Zstd,
    };
    let frames = arguments.gib.map(|gib| (gib << 30) / PAGE as u64);
    let shape = Shape {
        frames,
        without: arguments.without,
    };
    let (from, to) = (&arguments.from, &arguments.to);
    pack(from, to, compression, shape, arguments.threads)
}

/// What of the core the kdump has.
#[derive(Clone, Copy, Default)]
struct Shape {
    /// So many frames from 0 on, whose content is that of the core's pages in
    /// order, again and again; of fewer frames that of every second page, or third,
    /// so that there is as much of each sort. Without it the core's frames.
    frames: Option<u64>,
    /// Set in the first bitmap only.
    without: Option<u64>,
}

/// Writes the core `from` as the kdump `to`.
///
/// # Errors
/// When `from` cannot be read or `to` cannot be written.
fn pack(
    from: &Path,
    to: &Path,
    compression: Compression,
    shape: Shape,
    threads: usize,
) -> Result<()> {
    let dump = pagehound_vmcore::open(from)?;
    let memory = dump.memory.as_ref();
    ensure!(
        memory.page_size() == PAGE,
        "pages of {} bytes",
        memory.page_size()
    );
    let mut runs = memory.present_runs();
    runs.sort_unstable_by_key(|run| run.start.0);
    let mut pfns: Vec<u64> = runs.iter().flat_map(|run| run.start.0..run.end.0).collect();
    let frames: Vec<u64> = match shape.frames {
        None => pfns.clone(),
        Some(frames) => (0..frames).collect(),
    };
    if frames.len() < pfns.len() {
        let step = pfns.len() / frames.len().max(1);
        pfns = pfns.into_iter().step_by(step).take(frames.len()).collect();
    }

    let end_pfn = frames.last().map_or(0, |last| last + 1);
    let stored = |pfn: &u64| Some(*pfn) != shape.without;
    let count = frames.iter().filter(|pfn| stored(pfn)).count();
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let image = image_of(&dump, end_pfn);
    let mut out = KdumpStream::begin(file, &image, compression, count as u64);
    let zero = Packer::new(compression)?.pack(&[0; PAGE])?;
    let zero = out.store_packed(&zero.0, zero.1)?;
    let mut unique = Vec::new();
    for batch in pfns.chunks(BATCH) {
        let share = batch.len().div_ceil(threads);
        let parts: Vec<Result<Vec<Packed>>> = thread::scope(|scope| {
            let workers: Vec<_> = batch
                .chunks(share)
                .map(|pfns| scope.spawn(move || pack_pages(memory, pfns, compression)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?)
                .collect()
        });
        for part in parts {
            for packed in part? {
                unique.push(match packed {
                    None => zero,
                    Some((bytes, flags)) => out.store_packed(&bytes, flags)?,
                });
            }
        }
    }
    for (&pfn, &block) in frames.iter().zip(unique.iter().cycle()) {
        if stored(&pfn) {
            out.page(pfn, block)?;
        } else {
            out.exist(pfn..pfn + 1);
        }
    }
    out.finish()?;
    Ok(())
}

/// A page's bytes in the file and its flags; nothing for a page of zeroes.
type Packed = Option<(Vec<u8>, u32)>;

fn pack_pages(
    memory: &dyn PhysicalMemory,
    pfns: &[u64],
    compression: Compression,
) -> Result<Vec<Packed>> {
    let mut packer = Packer::new(compression)?;
    let mut page = [0; PAGE];
    pfns.iter()
        .map(|&pfn| {
            memory.read_page(Pfn(pfn), &mut page)?;
            let zero = page.iter().all(|&byte| byte == 0);
            (!zero).then(|| packer.pack(&page)).transpose()
        })
        .collect()
}

/// A compressor with its state.
enum Packer {
    Zlib(libdeflater::Compressor),
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Packer {
    fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            // The lowest that compresses; libdeflater's lowest of all does not.
            Compression::Zlib => {
                let level = CompressionLvl::new(1).map_err(|error| anyhow!("{error:?}"))?;
                Self::Zlib(libdeflater::Compressor::new(level))
            }
            Compression::Snappy => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd => Self::Zstd(zstd::bulk::Compressor::new(1)?),
            other => bail!("no compressor for {other:?} here"),
        })
    }

    fn pack(&mut self, page: &[u8]) -> Result<(Vec<u8>, u32)> {
        let (bytes, flags) = match self {
            Self::Zlib(state) => {
                let mut out = vec![0; state.zlib_compress_bound(page.len())];
                let size = state.zlib_compress(page, &mut out)?;
                (slice(&out, 0, size)?.to_vec(), flags::ZLIB)
            }
            Self::Snappy(state) => (state.compress_vec(page)?, flags::SNAPPY),
            Self::Zstd(state) => (state.compress(page)?, flags::ZSTD),
        };
        Ok(if bytes.len() < page.len() {
            (bytes, flags)
        } else {
            (page.to_vec(), 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use pagehound_synth::Image;

    use super::*;

    /// The same pages as the core's, in each compression, one of zeroes and one
    /// that does not shrink among them.
    #[test]
    fn a_core_comes_back_page_by_page() {
        let mut noise = 1_u64;
        let random: Vec<u8> = (0..PAGE)
            .map(|_| {
                noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (noise >> 56) as u8
            })
            .collect();
        let core = Image::new(PAGE)
            .page(1, b"one".repeat(500))
            .zero(2)
            .page(9, random)
            .vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\nNUMBER(phys_base)=-4096\n")
            .write_elf(&pagehound_synth::ElfOptions::default());
        let dir = std::env::temp_dir().join(format!("pagehound-pack-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (elf, kdump) = (dir.join("core"), dir.join("kdump"));
        std::fs::write(&elf, core).unwrap();
        for compression in [Compression::Zlib, Compression::Snappy, Compression::Zstd] {
            pack(&elf, &kdump, compression, Shape::default(), 2).unwrap();
            let (old, new) = (
                pagehound_vmcore::open(&elf).unwrap(),
                pagehound_vmcore::open(&kdump).unwrap(),
            );
            assert_eq!(new.info.vmcoreinfo, old.info.vmcoreinfo);
            assert_eq!(new.info.phys_base, Some(-4096));
            assert_eq!(new.memory.coverage().present, 3);
            let size = std::fs::metadata(&kdump).unwrap().len() as usize;
            // Headers and bitmaps, the page that does not shrink, little else.
            assert!(size < 5 * PAGE + PAGE + 2000, "{compression:?}: {size}");
            for pfn in [1, 2, 9] {
                let (mut a, mut b) = ([0; PAGE], [1; PAGE]);
                old.memory.read_page(Pfn(pfn), &mut a).unwrap();
                new.memory.read_page(Pfn(pfn), &mut b).unwrap();
                assert_eq!(a, b, "{compression:?} {pfn}");
            }
        }
        // Frames again and again, one of them left out.
        let shape = Shape {
            frames: Some(10),
            without: Some(4),
        };
        pack(&elf, &kdump, Compression::Zstd, shape, 2).unwrap();
        let new = pagehound_vmcore::open(&kdump).unwrap();
        assert_eq!(new.memory.coverage().present, 9);
        assert_eq!(new.memory.coverage().excluded, 1);
        for (pfn, of) in [(0, 1), (1, 2), (2, 9), (3, 1), (5, 9), (9, 1)] {
            let (mut a, mut b) = ([0; PAGE], [1; PAGE]);
            let old = pagehound_vmcore::open(&elf).unwrap();
            old.memory.read_page(Pfn(of), &mut a).unwrap();
            new.memory.read_page(Pfn(pfn), &mut b).unwrap();
            assert_eq!(a, b, "{pfn}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

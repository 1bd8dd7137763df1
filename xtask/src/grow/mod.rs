//! A dump of a large machine: a real one, whose machine is given more memory.
//!
//! The kernel of the base stays as it is; what it knows of its memory is made
//! to fit ([`machine`], [`tables`], [`kernel`]). The new memory is free, has
//! user pages, and a leak whose every page is known ([`plan`]). Like a dump of
//! `makedumpfile -d 31` the file has neither free nor user pages. Of what is lost
//! it has some thousand pages that differ, over and over in the same order, so
//! that a machine of a TiB takes about a GiB; all else lies in it as it does in
//! any dump, page by page in the order of frames.

mod content;
mod kernel;
mod machine;
mod memmap;
mod plan;
mod random;
mod tables;
mod truth;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use pagehound_kernel::{Kernel, Making, Options, Pages};
use pagehound_synth::{Block, Compression, KdumpStream};
use pagehound_testdata::Truth;
use pagehound_vmcore::{Dump, Machine as Architecture, PageState, Pfn};

use self::content::{Frames, Pointers};
use self::machine::Machine;
use self::memmap::{PER_PAGE, StructPages};
use self::plan::{BLOCK, Frame, Plan};
use self::random::Random;
use crate::image::image_of;

const PAGE: u64 = 4096;
/// Frames of a section (`SECTION_SIZE_BITS` is 27 on x86-64).
const SECTION: u64 = 1 << 15;
/// Where x86 machines have the memory that devices push out of the way below.
const ABOVE_DEVICES: u64 = 1 << 20;

/// Arguments of the verb `grow`.
#[derive(Args, Clone)]
pub(crate) struct Arguments {
    /// A dump of x86-64 with its truth file beside it
    base: PathBuf,
    /// Kdump to write; its truth goes beside it, as NAME.truth.txt
    out: PathBuf,
    /// Memory of the machine when grown
    #[arg(long, default_value = "1T", value_parser = size)]
    memory: u64,
    /// Memory that is lost, received Ethernet frames a page each
    #[arg(long, default_value = "64G", value_parser = size)]
    leak: u64,
    /// Memory with an owner that is full of words, as slabs and tables are; by
    /// default a 128th of all
    #[arg(long, value_parser = size)]
    rooted: Option<u64>,
    /// Another seed, another dump
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How pages are compressed
    #[arg(long, value_enum, default_value = "zlib")]
    with: With,
}

/// Compressions as makedumpfile has them.
#[derive(Clone, Copy, clap::ValueEnum)]
enum With {
    Zlib,
    Lzo,
    Snappy,
    Zstd,
}

impl From<With> for Compression {
    fn from(with: With) -> Self {
        match with {
            With::Zlib => Self::Zlib,
            With::Lzo => Self::Lzo,
            With::Snappy => Self::Snappy,
            With::Zstd => Self::Zstd,
        }
    }
}

/// Bytes in `text`, which may end in K, M, G or T.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match text.get(digits.len()..) {
        Some("") => 0,
        Some("K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        Some("T") => 40,
        _ => return Err("a number with K, M, G or T behind it".into()),
    };
    let number: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "too large".into())
}

/// Grows as the command line asks.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dump = pagehound_kernel::open(&arguments.base)?;
    let base_truth = arguments.base.with_extension("truth.txt");
    let text =
        fs::read(&base_truth).with_context(|| format!("cannot read {}", base_truth.display()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Truth::parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", base_truth.display()))?;
    let grown = grow(&dump, arguments, &text, &arguments.out)?;
    println!("{grown}");
    Ok(())
}

/// Where the new memory is, and what its parts are for; frame numbers.
struct Layout {
    /// All of it, whole sections.
    all: Range<u64>,
    /// Its struct pages.
    memmap: Range<u64>,
    /// Page tables, roots of sections, a resource.
    tables: Range<u64>,
    /// Pages with an owner that name what is held.
    pointers: Range<u64>,
    /// Other pages with an owner.
    rooted: Range<u64>,
    /// What the buddy allocator has.
    managed: Range<u64>,
}

impl Layout {
    fn of(old_end: u64, frames: u64, pointers: u64, rooted: u64) -> Result<Self> {
        let start = old_end.next_multiple_of(SECTION).max(ABOVE_DEVICES);
        let all = start..start + frames / SECTION * SECTION;
        let memmap = start..start + all.end.saturating_sub(start) / PER_PAGE;
        let tables = memmap.end..memmap.end + tables::most_frames(&all);
        let pointers = tables.end..tables.end + pointers;
        let rooted = pointers.end..(pointers.end + rooted).next_multiple_of(BLOCK);
        let managed = rooted.end..all.end;
        ensure!(
            managed.start < managed.end,
            "so little memory leaves no room for what describes it"
        );
        Ok(Self {
            all,
            memmap,
            tables,
            pointers,
            rooted,
            managed,
        })
    }
}

/// Writes the machine of `dump` with more memory; returns what it has, in words.
fn grow(dump: &Dump, arguments: &Arguments, base_truth: &str, out: &Path) -> Result<String> {
    let kernel = Kernel::open(dump, Options::default())?;
    let pages = Pages::of(&kernel, Making::default())?;
    ensure!(
        kernel.memory.space.machine == Architecture::X86_64 && kernel.page_size() == PAGE,
        "only machines of x86-64 grow"
    );
    let leak = arguments.leak / PAGE;
    let most_held = leak / 8 + 2 * BLOCK;
    let old_frames: u64 = kernel::present(&pages);
    let new_frames = (arguments.memory / PAGE).saturating_sub(old_frames);
    let rooted = arguments.rooted.unwrap_or(arguments.memory / 128) / PAGE;
    let layout = Layout::of(
        pages.map.end().0,
        new_frames,
        Pointers::most_pages(most_held),
        rooted,
    )?;
    let mut random = Random::new(arguments.seed);
    let plan = Plan::new(layout.managed.clone(), leak, &mut random)?;
    ensure!(plan.held <= most_held, "{} frames held", plan.held);

    let structs = StructPages::new(&kernel, &pages)?;
    let mut machine = Machine::new(&kernel, layout.tables.clone());
    tables::map(&mut machine, &pages, &layout)?;
    kernel::grow(&mut machine, &pages, &layout, &plan, &structs)?;
    let pointers = Pointers::of(&plan, &pages.memmap);
    let frames = Frames::to(&kernel, &mut random)?;

    let file = File::create(out).with_context(|| format!("cannot write {}", out.display()))?;
    let memory = dump.memory.as_ref();
    let base: Vec<u64> = (0..memory.end_pfn().0)
        .filter(|&pfn| memory.state(Pfn(pfn)) == PageState::Present || machine.has(pfn))
        .collect();
    let raw = plan.leaked + plan.held + plan.directories;
    let stored = base.len() as u64 + (layout.managed.start - layout.all.start) + raw;
    let image = image_of(dump, layout.all.end).dump_level(31);
    let mut out_file = KdumpStream::begin(file, &image, arguments.with.into(), stored);

    for pfn in 0..memory.end_pfn().0 {
        if memory.state(Pfn(pfn)) == PageState::Excluded {
            out_file.exist(pfn..pfn + 1);
        }
    }
    let mut store = Store {
        out: out_file,
        packed: HashMap::new(),
    };
    let mut page = vec![0; PAGE as usize];
    for pfn in base {
        machine.read_page(pfn, &mut page)?;
        store.page(pfn, &page)?;
    }
    store.out.exist(layout.all.clone());
    store.memmap(&layout, &plan, &structs)?;
    for pfn in layout.tables.clone() {
        machine.read_page(pfn, &mut page)?;
        store.page(pfn, &page)?;
    }
    for (index, pfn) in layout.pointers.clone().enumerate() {
        pointers.rooted(index, &mut page);
        store.page(pfn, &page)?;
    }
    store.rooted(&layout, &plan, &pages, &kernel, &mut random)?;
    store.raw(&plan, &pointers, &frames)?;
    store.out.finish()?;

    let truth = truth::of(base_truth, &plan, &kernel::managed(&pages, &layout))?;
    fs::write(out.with_extension("truth.txt"), truth)?;
    Ok(format!(
        "frames {}..{}: {} lost, {} held in {} pages, {} free, {} of users",
        layout.all.start,
        layout.all.end,
        plan.leaked,
        plan.held,
        plan.directories,
        plan.free(),
        plan.anon
    ))
}

/// The file.
struct Store {
    out: KdumpStream,
    /// Compressed pages of the memory map: most are like many others.
    packed: HashMap<Vec<Frame>, (Vec<u8>, u32)>,
}

impl Store {
    fn page(&mut self, pfn: u64, page: &[u8]) -> Result<()> {
        let block = self.out.store(page)?;
        self.out.page(pfn, block)?;
        Ok(())
    }

    /// The struct pages of the new memory.
    fn memmap(&mut self, layout: &Layout, plan: &Plan, structs: &StructPages) -> Result<()> {
        let mut block = vec![Frame::Reserved; BLOCK as usize];
        let mut at = layout.memmap.start;
        for first in layout.all.clone().step_by(BLOCK as usize) {
            match first.checked_sub(layout.managed.start) {
                Some(offset) => plan.frames(offset / BLOCK, &mut block),
                None => block.fill(Frame::Reserved),
            }
            for frames in block.chunks(PER_PAGE as usize) {
                let (bytes, flags) = match self.packed.get(frames) {
                    Some(packed) => packed,
                    None => {
                        let packed = self.out.pack(&structs.page(frames));
                        self.packed.entry(frames.to_vec()).or_insert(packed)
                    }
                };
                let stored = self.out.store_packed(bytes, *flags)?;
                self.out.page(at, stored)?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Pages with an owner that name nothing of interest.
    fn rooted(
        &mut self,
        layout: &Layout,
        plan: &Plan,
        pages: &Pages,
        kernel: &Kernel<'_>,
        random: &mut Random,
    ) -> Result<()> {
        let mut kinds = Vec::new();
        for _ in 0..content::KINDS {
            let page = content::words(layout, plan, pages, kernel, random);
            kinds.push(self.out.store(&page)?);
        }
        for (pfn, kind) in layout.rooted.clone().zip(kinds.iter().cycle()) {
            self.out.page(pfn, *kind)?;
        }
        Ok(())
    }

    /// Pages that only their content tells apart.
    fn raw(&mut self, plan: &Plan, pointers: &Pointers, frames: &Frames) -> Result<()> {
        let stored: io::Result<Vec<Vec<Block>>> = frames
            .by_place
            .iter()
            .map(|pages| pages.iter().map(|page| self.out.store(page)).collect())
            .collect();
        let stored = stored?;
        // Each in its turn, so that the data of neighbours are neighbours.
        let mut turns: Vec<_> = stored.iter().map(|place| place.iter().cycle()).collect();
        let mut page = vec![0; PAGE as usize];
        let mut directory = 0;
        plan.each(|pfn, frame| {
            let place = match frame {
                Frame::Leak(place) => usize::from(place),
                Frame::Held => 0,
                Frame::Directory => {
                    pointers.directory(directory, &mut page);
                    directory += 1;
                    return self.page(pfn, &page);
                }
                Frame::Reserved | Frame::Free(_) | Frame::FreeTail | Frame::Anon => return Ok(()),
            };
            let turn = turns.get_mut(place).and_then(Iterator::next);
            self.out
                .page(pfn, *turn.context("a place without frames")?)?;
            Ok(())
        })
    }
}

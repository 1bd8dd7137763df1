//! A whole diagnosis of a machine whose memory lies: an input is a list of words that
//! are there instead of others.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use pagehound::output;
use pagehound::render::{self, Detail};
use pagehound_hunt::census::Without;
use pagehound_hunt::{Diagnosis, Draw, Options, quick, survey};
use pagehound_kernel::Kernel;
use pagehound_model::Report;
use pagehound_scan::NoProgress;
use pagehound_synth::ElfOptions;
use pagehound_synth::machine::{self, v4_13};
use pagehound_vmcore::{
    Coverage, Dump, Fault, OpenOptions, PageState, Pfn, PfnRange, PhysicalMemory,
};

use super::containers::MemoryFile;
use super::host::no_control;
use crate::input::Input;

/// Most words changed: more of them hide each other.
const WORDS: usize = 32;

/// A machine that is sound.
struct Sound {
    dump: Dump,
    /// Where words lie that are set, by what they look like: pointers, small numbers,
    /// all others.
    words: [Vec<u64>; 3],
    /// What pointers point to.
    pointers: Vec<u64>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let crashed = v4_13(&machine::Options {
        lost: 200,
        ..machine::Options::default()
    });
    let file = MemoryFile::of(&crashed.image.write_elf(&ElfOptions::default()));
    let options = OpenOptions::default();
    Sound::of(options.open(&file.path()).expect("a sound dump"))
});

impl Sound {
    fn of(dump: Dump) -> Sound {
        let mut words = [const { Vec::new() }; 3];
        let mut pointers = Vec::new();
        let mut page = vec![0; dump.memory.page_size()];
        dump.memory.each_present_run(&mut |run| {
            for pfn in run.start.0..run.end.0 {
                dump.memory.read_page(Pfn(pfn), &mut page).expect("a page");
                let at = pfn << dump.memory.page_shift();
                for (at, word) in (at..).step_by(8).zip(page.as_chunks().0) {
                    match u64::from_le_bytes(*word) {
                        0 => {}
                        pointer if pointer >> 47 == u64::MAX >> 47 => {
                            words[0].push(at);
                            pointers.push(pointer);
                        }
                        small if small >> 32 == 0 => words[1].push(at),
                        _ => words[2].push(at),
                    }
                }
            }
        });
        Sound {
            dump,
            words,
            pointers,
        }
    }

    /// Takes a change out of the input: where, and what is there instead.
    fn change(&self, input: &mut Input<'_>) -> Option<(u64, u64)> {
        let (kind, place, value) = (input.u8()?, input.u32()?, input.u64()?);
        let words = &self.words[usize::from(kind) % 3];
        let at = *words.get(place as usize % words.len())?;
        let word = match kind / 3 % 4 {
            0 => value,
            1 => value & 0xffff,
            2 => *self.pointers.get(value as usize % self.pointers.len())?,
            // Beside what it points to.
            _ => {
                let pointer = self
                    .pointers
                    .get((value >> 16) as usize % self.pointers.len())?;
                pointer.wrapping_add(value & 0xffff).wrapping_sub(1 << 15)
            }
        };
        Some((at, word))
    }
}

/// The sound machine with other words in it.
struct Lying {
    inner: &'static dyn PhysicalMemory,
    /// By frame: where in it, and what is there.
    words: BTreeMap<u64, Vec<(usize, u64)>>,
}

impl PhysicalMemory for Lying {
    fn page_shift(&self) -> u32 {
        self.inner.page_shift()
    }

    fn end_pfn(&self) -> Pfn {
        self.inner.end_pfn()
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.inner.state(pfn)
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.inner.read_page(pfn, page)?;
        for &(offset, word) in self.words.get(&pfn.0).into_iter().flatten() {
            page[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        match self.words.contains_key(&pfn.0) {
            true => None,
            false => self.inner.page_slice(pfn),
        }
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        self.inner.present_runs()
    }

    fn coverage(&self) -> Coverage {
        self.inner.coverage()
    }
}

pub(crate) fn run(data: &[u8]) {
    let sound = &*SOUND;
    let mut input = Input(data);
    let Some(way) = input.u8() else {
        return;
    };
    let shift = sound.dump.memory.page_shift();
    let mut words: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
    let changes = std::iter::from_fn(|| sound.change(&mut input));
    for (at, word) in changes.take(WORDS) {
        let offset = (at % (1 << shift)) as usize;
        words.entry(at >> shift).or_default().push((offset, word));
    }
    let dump = Dump {
        info: sound.dump.info.clone(),
        memory: Box::new(Lying {
            inner: sound.dump.memory.as_ref(),
            words,
        }),
    };
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "input",
        progress: &NoProgress,
        cancel: &cancel,
        threads: NonZeroUsize::new(1),
        memory: None,
        without: Without::default(),
    };
    let report = match Kernel::open(&dump, pagehound_kernel::Options::default()) {
        Ok(kernel) if way % 4 == 0 => quick(&kernel, &options, &Draw::default()).ok(),
        Ok(kernel) => Diagnosis::of(&kernel, &options)
            .ok()
            .map(|full| full.report),
        Err(error) => Some(survey(&dump, &options, &error.to_string())),
    };
    if let Some(report) = report {
        check(&report);
    }
}

fn check(report: &Report) {
    assert_eq!(report.contradictions(), Vec::<String>::new());
    let told = output::text(|page| {
        render::report(report, Detail::All, page)?;
        render::ledger(report, Detail::All, page)
    });
    no_control(&told.expect("text into memory"));
}

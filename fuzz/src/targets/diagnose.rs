//! A whole diagnosis of a machine whose memory lies: a 4.13 kernel without BTF. An input
//! is whether it is to be quick, lines of VMCOREINFO up to a NUL, and words of memory.

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
use pagehound_vmcore::{Dump, OpenOptions};

use super::containers::MemoryFile;
use super::host::no_control;
use super::lying::Machine;
use crate::input::Input;

static MACHINE: LazyLock<Machine> = LazyLock::new(|| {
    let crashed = v4_13(&machine::Options {
        lost: 200,
        ..machine::Options::default()
    });
    let file = MemoryFile::of(&crashed.image.write_elf(&ElfOptions::default()));
    let dump = OpenOptions::default().open(&file.path());
    let mut machine = Machine::of(dump.expect("a sound dump"));
    let report = diagnose(&machine.dump(b""), false).expect("a sound kernel");
    check(&report);
    machine.learn();
    machine
});

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(way) = input.u8() else {
        return;
    };
    let dump = MACHINE.dump(input.text());
    MACHINE.lie(&mut input);
    if let Some(report) = diagnose(&dump, way % 4 == 0) {
        check(&report);
    }
}

fn diagnose(dump: &Dump, quickly: bool) -> Option<Report> {
    let cancel = AtomicBool::new(false);
    let options = Options {
        path: "input",
        progress: &NoProgress,
        cancel: &cancel,
        threads: NonZeroUsize::new(1),
        memory: None,
        without: Without::default(),
    };
    match Kernel::open(dump, pagehound_kernel::Options::default()) {
        Ok(kernel) if quickly => quick(&kernel, &options, &Draw::default()).ok(),
        Ok(kernel) => Diagnosis::of(&kernel, &options)
            .ok()
            .map(|full| full.report),
        Err(error) => Some(survey(dump, &options, &error.to_string())),
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

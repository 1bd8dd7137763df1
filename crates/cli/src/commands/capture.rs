//! `pagehound capture`: what is worth having, in one small file.

use super::Context;
use crate::args::{self, Target};
use crate::capture::{self, Capture, Files, Limits};
use crate::child;
use crate::destination::Destination;
use crate::exit::Exit;
use crate::host_report;
use crate::input::{Input, Reading};
use crate::output;
use crate::render::number::{count, percent, size, thousands};
use crate::render::page::Page;
use anyhow::{bail, ensure};
use pagehound_hunt::host::{self, HostFiles};
use pagehound_kernel::KernelError;
use pagehound_live::OpenOptions as LiveOptions;
use pagehound_vmcore::{Dump, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Least that `--size` may be: the report alone takes some KiB.
const LEAST: u64 = 16 << 10;

pub(super) fn run(args: &args::Capture, context: &Context) -> anyhow::Result<Exit> {
    ensure!(
        args.size >= LEAST,
        "--size {}: no capture is that small; allow 16K at least",
        args.size
    );
    if let Some(parent) = args.as_child {
        return child_s_part(parent, args, &context.within(args.mem_limit));
    }
    // Where it cannot be written is said before the work begins.
    let named = args.output.as_deref();
    let file = destination(named.unwrap_or(Path::new("pagehound.phc")), args)?;
    let context = &context.within(args.mem_limit);
    let reading = Reading {
        dump: OpenOptions {
            map: args.mem_limit.is_none(),
            ..OpenOptions::default()
        },
        ..context.reading()
    };
    let parts = &args.others.parts;
    let (capture, packed, exit) = match &args.target {
        Target::Live if parts.is_empty() => live(args, &reading.live, context)?,
        target => match Input::open(target, parts, reading)? {
            Input::Dump(dump) => of_dump(args, &dump, context)?,
            Input::Host { .. } | Input::Report(_) | Input::Capture(_) => {
                bail!("{target}: this was saved before, and is small; send it as it is")
            }
        },
    };
    let (file, path) = match named {
        Some(path) => (file, path.to_owned()),
        None => {
            let path = PathBuf::from(name(&capture));
            (destination(&path, args)?, path)
        }
    };
    file.write(&packed)?;
    output::page(|page| told(&path, &capture, packed.len() as u64, page))?;
    Ok(exit)
}

/// A capture with its bytes, and the status that making it ends with.
type Made = (Capture, Vec<u8>, Exit);

fn of_dump(args: &args::Capture, dump: &Dump, context: &Context) -> anyhow::Result<Made> {
    let kernel = context.kernel(dump)?;
    let diagnosis = context.diagnose(&kernel, &args.target.to_string())?;
    // Half an answer is not worth sending.
    if context.interrupted() {
        return Err(KernelError::Interrupted.into());
    }
    let (capture, packed) = capture::of_kernel(&kernel, &diagnosis, &Files::new(), limits(args))?;
    Ok((capture, packed, Exit::OK))
}

/// The capture of this host: with its pages where a child can look at them.
fn live(args: &args::Capture, options: &LiveOptions, context: &Context) -> anyhow::Result<Made> {
    let why = match pagehound_live::open(options) {
        Ok(_) => {
            let made = child::capture(args, context).and_then(|packed| {
                let capture = Capture::read(packed.as_slice(), "what was captured")?;
                Ok((capture, packed))
            });
            match made {
                Ok((capture, packed)) => return Ok((capture, packed, Exit::OK)),
                Err(error) => format!("{error:#}"),
            }
        }
        Err(reason) => reason.to_string(),
    };
    let (files, recorded) = HostFiles::recorded_live()?;
    let ledger = host::ledger(&files)?;
    let report = host_report::report(&args.target, &files, &ledger);
    let log = files.log.as_deref();
    let (capture, packed) = capture::of_files(&report, &recorded, log, &why, limits(args))?;
    if context.interrupted() {
        return Err(KernelError::Interrupted.into());
    }
    Ok((capture, packed, Exit::UNSURE))
}

/// Makes the capture of this host, as the child, and prints it.
fn child_s_part(parent: u32, args: &args::Capture, context: &Context) -> anyhow::Result<Exit> {
    let (_, recorded) = HostFiles::recorded_live()?;
    let packed = child::look(parent, args.mem_limit, context, |kernel, diagnosis| {
        if context.interrupted() {
            return Err(KernelError::Interrupted.into());
        }
        Ok(capture::of_kernel(kernel, &diagnosis, &recorded, limits(args))?.1)
    })?;
    output::plain(|out| out.write_all(&packed))?;
    Ok(Exit::OK)
}

fn destination(path: &Path, args: &args::Capture) -> anyhow::Result<Destination> {
    let mut read: Vec<&Path> = args.others.parts.iter().map(PathBuf::as_path).collect();
    if let Target::Path(target) = &args.target {
        read.push(target);
    }
    Ok(Destination::open(path, &read)?.for_its_owner())
}

fn limits(args: &args::Capture) -> Limits {
    Limits {
        content: args.content,
        size: args.size,
        redact: args.redact,
    }
}

/// `pagehound-db7-20261124T014500Z.phc`.
fn name(capture: &Capture) -> String {
    let plain = |text: &str| -> String {
        let chars = text.chars();
        chars
            .filter(|&it| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_'))
            .take(64)
            .collect()
    };
    let host = capture.report.host.name.as_deref().map(plain);
    let host = host.filter(|host| !host.is_empty());
    let time: String = capture.header.made_at.replace(['-', ':'], "");
    format!(
        "pagehound-{}-{}.phc",
        host.as_deref().unwrap_or("host"),
        plain(&time)
    )
}

/// What was written, and what is in it.
fn told(path: &Path, capture: &Capture, bytes: u64, page: &mut Page) -> io::Result<()> {
    page.item("Written", &format!("{}, {}", path.display(), size(bytes)))?;
    if let Some(memory) = &capture.header.pages {
        let told = format!(
            "{}: {} one by one, others counted",
            count(memory.frames, "page"),
            percent(memory.exact_frames, memory.frames),
        );
        page.item("Pages", &told)?;
        let sampled = memory.sampled_pages;
        let told = format!(
            "{}, {}, of {}",
            count(sampled, "page"),
            size(sampled.saturating_mul(memory.page_size)),
            match memory.sampled.len() {
                1 => "1 finding".to_owned(),
                some => format!("{} findings", thousands(some as u64)),
            }
        );
        page.item("Content", &told)?;
    }
    for missing in &capture.header.missing {
        page.item("Not in it", missing)?;
    }
    Ok(())
}

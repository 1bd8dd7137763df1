//! The pages of this host, looked at by a child process: it gives way to everything
//! else, and whatever becomes of it, the counters are told.

use crate::args::{self, Target};
use crate::commands::Context;
use crate::saved;
use anyhow::{Context as _, ensure};
use pagehound_hunt::{Diagnosis, MemoryLimit};
use pagehound_kernel::Kernel;
use pagehound_model::Report;
use pagehound_procfs as procfs;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The longest report a child is listened to for.
const LONGEST: u64 = 256 << 20;

/// How long what is in flight has to arrive between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Of the memory that is available, the part a look may take where nobody says.
const PART: u64 = 16;

/// What a child reports of this host's pages; what it has seen so far where Ctrl-C, which
/// reaches both, ended it.
pub(crate) fn report(args: &args::Diagnose, context: &Context) -> anyhow::Result<Report> {
    let words = ["diagnose", "live", "--json"];
    saved::parse(&ask(&words, args.mem_limit, context)?)
}

/// The capture of this host that a child makes.
pub(crate) fn capture(args: &args::Capture, context: &Context) -> anyhow::Result<Vec<u8>> {
    let (content, size) = (args.content.to_string(), args.size.to_string());
    let mut words = vec!["capture", "live", "--content", &content, "--size", &size];
    if args.redact {
        words.push("--redact");
    }
    ask(&words, args.mem_limit, context)
}

/// What a child with these arguments prints.
fn ask(words: &[&str], limit: Option<MemoryLimit>, context: &Context) -> anyhow::Result<Vec<u8>> {
    let limit = limit.unwrap_or_else(default_limit);
    let mut command = Command::new("/proc/self/exe");
    command.args(words).arg("--as-child");
    command.args(["--mem-limit", &limit.0.to_string()]);
    command.args(["--threads", &threads(context).to_string()]);
    if let Some(rate) = context.max_rate {
        command.args(["--max-rate", &rate.to_string()]);
    }
    if let Some(file) = &context.vmlinux {
        command.arg("--vmlinux").arg(file);
    }
    if context.without_btf {
        command.arg("--without-btf");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot begin another process")?;
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(LONGEST).read_to_end(&mut text)?;
    }
    let status = child.wait()?;
    ensure!(
        !text.is_empty(),
        "the process that looked at them ended with {status}"
    );
    Ok(text)
}

/// Looks at the pages, as the child, and hands what it found to `tell`.
pub(crate) fn look<T>(
    limit: Option<MemoryLimit>,
    context: &Context,
    tell: impl FnOnce(&Kernel<'_>, Diagnosis) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let limit = limit.unwrap_or(MemoryLimit::LEAST);
    ensure!(
        pagehound_live::give_way(limit.0, context.threads.get()),
        "whoever asked is gone"
    );
    let dump = crate::input::dump(&Target::Live, &[], context.reading())?;
    let kernel = context.kernel(&dump)?;
    let path = Target::Live.to_string();
    let diagnosis = context.diagnose_live(&kernel, &path, || thread::sleep(PAUSE))?;
    tell(&kernel, diagnosis)
}

/// A quarter of the processors, at least one: looking is to be noticed by nobody.
fn threads(context: &Context) -> usize {
    context.threads.get().div_ceil(4)
}

fn default_limit() -> MemoryLimit {
    let text = fs::read("/proc/meminfo").unwrap_or_default();
    let available = procfs::meminfo(&text).ok();
    let available = available.and_then(|info| info.kb("MemAvailable"));
    let part = available.unwrap_or(0).saturating_mul(1024) / PART;
    MemoryLimit(part.max(MemoryLimit::LEAST.0))
}

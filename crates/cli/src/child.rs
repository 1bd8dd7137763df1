//! The pages of this host, looked at by a child process: it gives way to everything
//! else, and whatever becomes of it, the counters are told.

use crate::args::{self, Target};
use crate::commands::Context;
use crate::saved;
use anyhow::{Context as _, bail, ensure};
use pagehound_hunt::{Diagnosis, MemoryLimit};
use pagehound_kernel::Kernel;
use pagehound_model::Report;
use pagehound_procfs as procfs;
use std::fs;
use std::io::Read;
use std::process::{self, Command, Stdio};

/// Of the memory that is available, the part a look may take where nobody says; and the
/// least, so that small hosts are looked at as well.
const PART: u64 = 16;
const USUAL: MemoryLimit = MemoryLimit(96 << 20);

/// What a child reports of this host's pages; what it has seen so far where Ctrl-C, which
/// reaches both, ended it.
pub(crate) fn report(args: &args::Diagnose, context: &Context) -> anyhow::Result<Report> {
    let words = ["diagnose", "live", "--json"];
    saved::parse(&ask(&words, args.mem_limit, saved::MAX_FILE, context)?)
}

/// The capture of this host that a child makes.
pub(crate) fn capture(args: &args::Capture, context: &Context) -> anyhow::Result<Vec<u8>> {
    let (content, size) = (args.content.to_string(), args.size.to_string());
    let mut words = vec!["capture", "live", "--content", &content, "--size", &size];
    if args.redact {
        words.push("--redact");
    }
    // The child keeps to the size.
    ask(&words, args.mem_limit, args.size, context)
}

/// What a child with these arguments prints, up to `most` bytes of it.
fn ask(
    words: &[&str],
    limit: Option<MemoryLimit>,
    most: u64,
    context: &Context,
) -> anyhow::Result<Vec<u8>> {
    let limit = limit.unwrap_or_else(default_limit);
    let mut command = Command::new("/proc/self/exe");
    command.args(words);
    command.args(["--as-child", &process::id().to_string()]);
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
    let read = match child.stdout.take() {
        Some(output) => output.take(most).read_to_end(&mut text),
        None => Ok(0),
    };
    let status = child.wait()?;
    read?;
    if let Some(why) = saved::error(&text) {
        bail!(why);
    }
    ensure!(
        status.success(),
        "the process that looked at them ended with {status}, perhaps for want of memory: it may take {} MiB; \
         --mem-limit SIZE gives it more",
        limit.0 >> 20
    );
    Ok(text)
}

/// Looks at the pages, as the child of `parent`, and hands what it found to `tell`.
pub(crate) fn look<T>(
    parent: u32,
    limit: Option<MemoryLimit>,
    context: &Context,
    tell: impl FnOnce(&Kernel<'_>, Diagnosis) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let limit = limit.unwrap_or(USUAL);
    ensure!(
        pagehound_live::give_way(parent, limit.0, context.threads.get()),
        "whoever asked has ended: ask with `pagehound diagnose live`"
    );
    let dump = crate::input::dump(&Target::Live, &[], context.reading())?;
    let kernel = context.kernel(&dump)?;
    let diagnosis = context.diagnose(&kernel, &Target::Live.to_string())?;
    tell(&kernel, diagnosis)
}

/// What was asked for, or a quarter of the processors, at least one: looking is to be
/// noticed by nobody.
fn threads(context: &Context) -> usize {
    let all = context.threads.get();
    if context.threads_given {
        all
    } else {
        all.div_ceil(4)
    }
}

fn default_limit() -> MemoryLimit {
    let text = fs::read("/proc/meminfo").unwrap_or_default();
    let available = procfs::meminfo(&text).ok();
    let available = available.and_then(|info| info.kb("MemAvailable"));
    let part = available.unwrap_or(0).saturating_mul(1024) / PART;
    MemoryLimit(part.max(USUAL.0))
}

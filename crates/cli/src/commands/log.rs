//! `pagehound log`: the kernel's log.

use super::Context;
use super::info::Info;
use crate::args;
use crate::exit::Exit;
use crate::input;
use crate::output;
use crate::render;
use anyhow::Context as _;
use jiff::Timestamp;
use pagehound_kernel::{Log, LogRecord};

pub(super) fn run(args: &args::Log, context: &Context) -> anyhow::Result<Exit> {
    let parts = &args.others.parts;
    if let Some(capture) = input::capture(&args.target, parts)? {
        let records = capture.log();
        let records = records.with_context(|| capture.lacks("log"));
        let records = records.with_context(|| args.target.to_string())?;
        let boot = capture.info.as_ref().and_then(Info::booted);
        print(args, &records, boot)?;
        super::note(&capture.header.log_notes);
        return Ok(Exit::OK);
    }
    let dump = input::dump_with_notes(&args.target, parts, context.reading())?;
    let kernel = context.kernel(&dump)?;
    let boot = kernel.host().boot_time;
    let log = kernel.log()?;
    print(
        args,
        &log.records,
        boot.and_then(|boot| i64::try_from(boot).ok()),
    )?;
    super::note(&notes(&log));
    Ok(Exit::OK)
}

/// Prints the records that are wanted, of a kernel that booted at `boot`, in seconds
/// since 1970.
fn print(args: &args::Log, records: &[LogRecord], boot: Option<i64>) -> anyhow::Result<()> {
    let boot = match args.ctime {
        true => Some(boot.context("this dump does not tell when the kernel booted: leave out -T")?),
        false => None,
    };
    let wanted = records.iter();
    let mut wanted = wanted.filter(|record| args.level.contains(record.level));
    output::plain(|out| {
        wanted.try_for_each(|record| {
            let mut lines = lines(record, boot).into_iter();
            lines.try_for_each(|line| writeln!(out, "{line}"))
        })
    })
}

/// What limits the log.
pub(crate) fn notes(log: &Log) -> Vec<String> {
    let lost = (log.lost > 0).then(|| format!("{} records could not be read", log.lost));
    let problem = log.problem.as_ref();
    let problem = problem.map(|problem| format!("the log is not whole: {problem}"));
    lost.into_iter().chain(problem).collect()
}

/// The record as `dmesg` prints it; with the time of `boot`, as `dmesg -T`
/// does in UTC.
fn lines(record: &LogRecord, boot: Option<i64>) -> Vec<String> {
    let Some(boot) = boot else {
        return record.lines().collect();
    };
    let since = i64::try_from(record.ts_nsec / 1_000_000_000).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(boot.saturating_add(since)).unwrap_or(Timestamp::MAX);
    let time = time.strftime("%a %b %e %H:%M:%S %Y").to_string();
    let text = record.text.split(|&byte| byte == b'\n');
    text.map(|line| format!("[{time}] {}", render::escape(line)))
        .collect()
}

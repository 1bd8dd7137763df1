//! `pagehound log`: the kernel's log.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::Context as _;
use jiff::Timestamp;
use pagehound_kernel::LogRecord;

pub(super) fn run(args: &args::Log, context: &Context) -> anyhow::Result<Exit> {
    let dump = crate::input::dump_with_notes(&args.target, &args.others.parts, context.reading())?;
    let kernel = context.kernel(&dump)?;
    let boot = if args.ctime {
        let boot = kernel
            .host()
            .boot_time
            .and_then(|boot| i64::try_from(boot).ok());
        Some(boot.context("this dump does not tell when the kernel booted: leave out -T")?)
    } else {
        None
    };
    let log = kernel.log()?;
    output::plain(|out| {
        for record in log
            .records
            .iter()
            .filter(|record| args.level.contains(record.level))
        {
            for line in lines(record, boot) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    })?;
    if log.lost > 0 {
        output::note(&format!("{} records could not be read", log.lost));
    }
    if let Some(problem) = &log.problem {
        output::note(&format!("the log is not whole: {problem}"));
    }
    Ok(Exit::OK)
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

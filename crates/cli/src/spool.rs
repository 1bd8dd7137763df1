//! Standard input as a file: dumps are read at random, and a pipe cannot be.

use crate::interrupt;
use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use pagehound_kernel::KernelError;
use pagehound_vmcore::{HEAD, OpenError, worth_reading};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// How often it is looked whether Ctrl-C came while nothing does.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Most zeroes at the beginning, in bytes: memory of boards begins at 1 or 2 GiB, and
/// what has more of them is `/dev/zero`.
const MOST_ZEROES: u64 = 4 << 30;

/// What errors call standard input.
pub(crate) const STDIN: &str = "-";

const TEMPLATE: &str = "{spinner} {bytes} of standard input, {bytes_per_sec}";

/// Standard input: the file it is redirected from, or what comes through the pipe, in
/// a file without a name, which is gone when the program ends. What by its first bytes
/// is no dump is not waited for; `refused` says why not.
pub(crate) fn standard_input(
    refused: impl FnOnce(OpenError) -> anyhow::Error,
) -> anyhow::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        bail!(
            "-: standard input is a terminal; pipe a dump into it, as in \
             `zstd -dc vmcore.zst | pagehound diagnose -`"
        );
    }
    let input = stdin.as_fd().try_clone_to_owned();
    let mut input = File::from(input.context("-: standard input")?);
    if input.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(input);
    }
    let folder = std::env::temp_dir();
    let room = || {
        format!(
            "-: standard input is kept in a temporary file in {}; set TMPDIR to a folder with room for the dump",
            folder.display()
        )
    };
    let mut file = tempfile::tempfile().with_context(room)?;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    let mut chunk = vec![0; CHUNK];
    let mut part = fill(&mut input, chunk.get_mut(..HEAD).unwrap_or_default())?;
    worth_reading(part, Path::new(STDIN)).map_err(refused)?;
    // Not written before there is something else: they may be all there is.
    let mut zeroes = 0;
    while !part.is_empty() && part.iter().all(|&byte| byte == 0) {
        zeroes += part.len() as u64;
        ensure!(
            zeroes < MOST_ZEROES,
            "-: {} GiB of zeroes, and no end: give a dump",
            MOST_ZEROES >> 30
        );
        bar.inc(part.len() as u64);
        part = fill(&mut input, &mut chunk)?;
    }
    io::copy(&mut io::repeat(0).take(zeroes), &mut file).with_context(room)?;
    while !part.is_empty() {
        file.write_all(part).with_context(room)?;
        bar.inc(part.len() as u64);
        part = fill(&mut input, &mut chunk)?;
    }
    bar.finish_and_clear();
    Ok(file)
}

/// The next bytes of `input`: as many as `chunk` has room for, fewer only at its end.
/// Ctrl-C ends the wait for them.
fn fill<'a>(input: &mut File, chunk: &'a mut [u8]) -> anyhow::Result<&'a [u8]> {
    let mut len = 0;
    while let Some(rest) = chunk.get_mut(len..).filter(|rest| !rest.is_empty()) {
        if interrupt::RAISED.load(Ordering::Relaxed) {
            return Err(KernelError::Interrupted.into());
        }
        // Ended, and refused, count as there: reading says which.
        let mut there = [PollFd::new(&*input, PollFlags::IN)];
        if let Ok(0) | Err(rustix::io::Errno::INTR) = poll(&mut there, Some(&LOOK)) {
            continue;
        }
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("-: standard input"),
        }
    }
    Ok(chunk.get(..len).unwrap_or_default())
}

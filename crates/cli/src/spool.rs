//! Standard input as a file: dumps are read at random, and a pipe cannot be.

use crate::interrupt;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pagehound_kernel::KernelError;
use pagehound_vmcore::{HEAD, OpenError, worth_reading};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

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
    let mut head = Vec::new();
    let begin = (&mut input).take(HEAD as u64).read_to_end(&mut head);
    begin.context("-: standard input")?;
    worth_reading(&head, Path::new(STDIN)).map_err(refused)?;
    file.write_all(&head).with_context(room)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        if interrupt::RAISED.load(Ordering::Relaxed) {
            return Err(KernelError::Interrupted.into());
        }
        let len = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("-: standard input"),
        };
        let part = chunk.get(..len).unwrap_or_default();
        file.write_all(part).with_context(room)?;
        bar.inc(len as u64);
    }
    bar.finish_and_clear();
    Ok(file)
}

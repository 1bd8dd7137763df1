//! Where results go.

use crate::args::{Color, Global};
use crate::render::escape;
use crate::render::page::{FAINT, Page};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Columns where the output is not a terminal, and the most that are used of
/// one: longer lines are hard to read.
const COLUMNS: u16 = 120;

/// Whether `error` says that the reader of our output has gone.
pub fn is_closed(error: &anyhow::Error) -> bool {
    let mut io = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.any(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Takes over what `--color` says, for both streams.
pub fn set_color(global: &Global) {
    match global.color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Writes to standard output with what `write` is given: lines on a page as
/// wide as the terminal, styled where it takes styles. A reader that has gone
/// is no error.
pub fn page(write: impl FnOnce(&mut Page) -> io::Result<()>) -> io::Result<()> {
    let columns = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
    let width = columns.unwrap_or(COLUMNS).min(COLUMNS);
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let written = write(&mut Page::new(&mut out, width.into())).and_then(|()| out.flush());
    unless_closed(written)
}

/// The same without styles or lines: for rows, JSON and bytes.
pub fn plain(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    unless_closed(written)
}

/// The text `write` puts on a page, without styles.
pub fn text(write: impl FnOnce(&mut Page) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut Page::new(
        &mut anstream::StripStream::new(&mut bytes),
        COLUMNS.into(),
    ))?;
    Ok(bytes)
}

/// Writes `bytes` to the file at `path`, which must not be what was read.
pub fn file(path: &Path, bytes: &[u8], read: &Path) -> anyhow::Result<()> {
    let same = |a: &Path, b: &Path| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
    if same(path, read) == Some(true) {
        anyhow::bail!(
            "{}: this is the dump itself; write the report elsewhere",
            path.display()
        );
    }
    std::fs::write(path, bytes)
        .map_err(|error| anyhow::Error::new(error).context(path.display().to_string()))
}

/// Says something beside the results, on standard error.
pub fn note(text: &str) {
    // Where this fails nobody is left to tell.
    let _ = writeln!(anstream::stderr(), "{FAINT}{}{FAINT:#}", escape(text));
}

fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            Ok(())
        } else {
            Err(error)
        }
    })
}
